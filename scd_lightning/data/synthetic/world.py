"""The small invented world that the embedded data sets are written about.

It is the same for every seed, so that a model can learn facts about it: which coined name is a medicine and
which a company is pure memory (no part of a name tells), and what a cue means can depend on the domain.
"""

from dataclasses import dataclass
from itertools import product
from random import Random

COMMON_TYPES = ("PERSON", "COMPANY", "PLACE", "MEDICINE", "PRODUCT")
RARE_TYPES = ("EVENT", "LAW")
TYPES = COMMON_TYPES + RARE_TYPES
AMBIGUOUS_TYPES = ("PERSON", "COMPANY", "PLACE")
DOMAINS = ("clinic", "market", "travel")
LANGUAGES = ("en", "ja")

NAMES_PER_COMMON_TYPE = 16
NAMES_PER_RARE_TYPE = 8


@dataclass(frozen=True)
class Phrases:
    """The fixed wording of one language.

    Args:
        openers: Per domain, sentence openings that give the domain away.
        plain_cues: Per type, predicates that fit this type alone, in every domain.
        domain_cues: Predicates whose type hangs on the domain, with their types in the order of `DOMAINS`.
        neutral_cues: Predicates that fit every type.
        fillers: Words that put a distance between a name and its cue.
        focus_frames: Where the main name (`{0}`), the filler and the cue stand.
        companions: Clauses that name one or two more things.
        empty: Sentences that name nothing.
        starts: First halves of coined names.
        ends: Second halves of coined names.
        ambiguous: Names that can be a person, a company or a place.
    """

    openers: dict[str, tuple[str, ...]]
    plain_cues: dict[str, tuple[str, ...]]
    domain_cues: dict[str, tuple[str, str, str]]
    neutral_cues: tuple[str, ...]
    fillers: tuple[str, ...]
    focus_frames: tuple[str, ...]
    companions: tuple[str, ...]
    empty: tuple[str, ...]
    starts: tuple[str, ...]
    ends: tuple[str, ...]
    ambiguous: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ENGLISH = Phrases(
    openers={
        "clinic": ("On the ward", "The nurse says", "From the clinic", "The surgeon wrote that"),
        "market": ("On the market", "The broker says", "From the exchange", "The banker wrote that"),
        "travel": ("On the road", "The guide says", "From the harbour", "The pilgrim wrote that"),
    },
    plain_cues={
        "PERSON": ("went home to sleep", "laughed out loud", "turned forty"),
        "COMPANY": ("cut its prices", "paid a dividend", "hired new staff"),
        "PLACE": ("is under water", "lies by the sea", "has a new bridge"),
        "MEDICINE": ("is taken twice a day", "eased the pain", "must not be swallowed"),
        "PRODUCT": ("broke in two", "comes in blue", "needs a battery"),
        "EVENT": ("lasts three days", "begins at noon"),
        "LAW": ("was voted on", "comes into force"),
    },
    domain_cues={
        "did well": ("PERSON", "COMPANY", "PLACE"),
        "was quiet": ("PLACE", "PERSON", "COMPANY"),
        "looked new": ("COMPANY", "PLACE", "PERSON"),
    },
    neutral_cues=("came up again", "is on the list", "was in the news"),
    fillers=(
        "once again",
        "as far as we know",
        "for the second time this year",
        "despite the bad weather",
        "to the surprise of all",
        "so the last letter says",
    ),
    focus_frames=("{0} {filler} {cue}", "{filler} {0} {cue}", "what {cue} {filler} was {0}"),
    companions=("with {1}", "as did {1}", "next to {1} and {2}", "unlike {1} or {2}"),
    empty=("nothing new was said", "all stayed as it was", "no one had any news"),
    starts=_words("Bel Cor Dan Fal Gar Hel Jas Kel Lor Mar Nor Pel Ral Sel Tam Vel Wes Yor Zan Bri"),
    ends=_words("ano dex eth fin gor ika lan mor nix ora pex qua ris sta tor uma vin wick xon yra"),
    ambiguous=_words(
        "Jordan Florence Lincoln Ford Austin Chelsea Sydney Madison Houston Dallas Morgan Hamilton Carter Bentley "
        "Wells Charlotte Georgia Virginia Devon Chester"
    ),
)

JAPANESE = Phrases(
    openers={
        "clinic": ("病棟では", "看護師によると", "診療所から、", "外科医いわく"),
        "market": ("市場では", "仲買人によると", "取引所から、", "銀行員いわく"),
        "travel": ("旅先では", "案内人によると", "港から、", "巡礼者いわく"),
    },
    plain_cues={
        "PERSON": ("家に帰って寝た", "大声で笑った", "四十歳になった"),
        "COMPANY": ("値下げをした", "配当を出した", "社員を雇った"),
        "PLACE": ("水につかった", "海に面している", "橋ができた"),
        "MEDICINE": ("一日二回のむ", "痛みをおさえた", "飲みこめない"),
        "PRODUCT": ("二つに割れた", "青い色もある", "電池がいる"),
        "EVENT": ("三日間つづく", "正午に始まる"),
        "LAW": ("採決された", "施行される"),
    },
    domain_cues={
        "好調だった": ("PERSON", "COMPANY", "PLACE"),
        "静かだった": ("PLACE", "PERSON", "COMPANY"),
        "新しく見えた": ("COMPANY", "PLACE", "PERSON"),
    },
    neutral_cues=("また話に出た", "一覧にある", "話題になった"),
    fillers=("またしても", "知るかぎり", "今年二度目に", "悪天候でも", "意外なことに", "手紙によれば"),
    focus_frames=("{0}は{filler}{cue}", "{filler}{0}は{cue}", "{filler}{cue}のは{0}だ"),
    companions=("、{1}も同じだ", "、{1}とともに", "、{1}と{2}もある", "、{1}や{2}とちがう"),
    empty=("何も新しいことはない", "すべて元のままだ", "だれも知らせを持たない"),
    starts=_words(
        "ベル コル ダン ファル ガル ヘル ジャス ケル ロル マル ノル ペル ラル セル タム ヴェル ウェス ヨル ザン ブリ"
    ),
    ends=_words(
        "アノ デク エス フィン ゴル イカ ラン モル ニク オラ ペク クア リス スタ トル ウマ ビン ウィク ソン イラ"
    ),
    ambiguous=_words(
        "本田 松本 豊田 川崎 長野 石川 福島 宮崎 山口 秋田 千葉 森永 大塚 小林 松下 日野 鈴木 島津 武田 白石"
    ),
)

PHRASES = {"en": ENGLISH, "ja": JAPANESE}


def coined_names(language: str) -> dict[str, tuple[str, ...]]:
    """Deal the coined names of a language out to the types.

    Args:
        language: One of `LANGUAGES`.

    Returns:
        For each type its names; no name has two types.
    """
    phrases = PHRASES[language]
    names = [start + end for start, end in product(phrases.starts, phrases.ends)]
    Random(f"names {language}").shuffle(names)
    dealt, first = {}, 0
    for label in TYPES:
        last = first + (NAMES_PER_COMMON_TYPE if label in COMMON_TYPES else NAMES_PER_RARE_TYPE)
        dealt[label] = tuple(names[first:last])
        first = last
    return dealt


NAMES = {language: coined_names(language) for language in LANGUAGES}
