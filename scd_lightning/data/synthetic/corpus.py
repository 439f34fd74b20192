"""Plain text about the invented world, as the embedded base models are pretrained on: sentences, no labels, no spans.

It comes in documents, as a corpus does: several sentences about one name, sentences that are quoted in part, and
sentences that merely stand together. From these a model can learn what goes with a name, and to repeat parts of a text.
"""

from collections import defaultdict
from collections.abc import Sequence
from random import Random

from scd_lightning.data.synthetic.homes import draw
from scd_lightning.data.synthetic.text import Sentence, write_sentence
from scd_lightning.data.synthetic.world import LANGUAGES

_ABOUT_ONE_NAME = 4
_MOST_QUOTES = 4
_LONGEST_QUOTE = {"en": 4, "ja": 10}  # words; characters


def write_sentences(place: str, size: int, seed: int) -> list[Sentence]:
    """Write sentences without a task: different ones, in turns of the languages.

    Args:
        place: Where they may stand, see `homes.home`.
        size: How many.
        seed: Draws them; a smaller number of them is the beginning of a larger one.
    """
    rng = Random(f"{place} sentences {seed}")
    return draw(
        place,
        size,
        lambda number: write_sentence(rng, LANGUAGES[number % len(LANGUAGES)]),
        lambda sentence: (sentence.text,),
    )


def write_documents(sentences: Sequence[Sentence], size: int, seed: int) -> list[str]:
    """Put documents together, a third of each kind: about one name, with quotations, of two sentences.

    Args:
        sentences: What they are made of.
        size: How many documents.
        seed: Draws them.
    """
    rng = Random(f"documents {seed}")
    about: dict[str, list[Sentence]] = defaultdict(list)
    for sentence in sentences:
        for name in {mention.text for mention in sentence.mentions}:
            about[name].append(sentence)
    groups = [group for name, group in sorted(about.items()) if len(group) >= _ABOUT_ONE_NAME]
    documents = []
    for number in range(size):
        if number % 3 == 0:
            lines = [each.text for each in rng.sample(rng.choice(groups), _ABOUT_ONE_NAME)]
        elif number % 3 == 1:
            sentence = rng.choice(sentences)
            lines = [sentence.text, *(_quote(rng, sentence) for _ in range(rng.randint(1, _MOST_QUOTES)))]
        else:
            lines = [each.text for each in rng.sample(sentences, 2)]
        documents.append("\n".join(lines))
    return documents


def _quote(rng: Random, sentence: Sentence) -> str:
    """A random span of a sentence, whatever stands there: of whole words where the language has them."""
    space = " " if sentence.language == "en" else ""
    units = sentence.text.rstrip(".").split(" ") if space else list(sentence.text)
    length = min(len(units), rng.randint(1, _LONGEST_QUOTE[sentence.language]))
    start = rng.randint(0, len(units) - length)
    return space.join(units[start : start + length])
