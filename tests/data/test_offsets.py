"""Offsets that don't count characters are put right where strings show it, and doubted where words are cut."""

import re
import unicodedata

import pytest

from scd_lightning.data.sources import DataSource
from scd_lightning.errors import DataError
from scd_lightning.tasks.ner import NER


def utf16(text, at):
    return len(text[:at].encode("utf-16-le")) // 2


def utf8(text, at):
    return len(text[:at].encode())


def long_breaks(text, at):
    return len(text[:at].replace("\n", "\r\n"))


def short_breaks(text, at):
    return len(text[:at].replace("\r\n", "\n"))


def rows(text, count=lambda text, at: at, end=None, strings=True):
    """Rows with two entities each, whose offsets are counted so."""
    made = []
    for i in range(20):
        name = ("Ida Berg", "Omar Aziz")[i % 2]
        said = text.format(i) + f" saw {name} in Oslo on day {i}."
        places = [(said.index(string), string, label) for string, label in ((name, "WHO"), ("Oslo", "TOWN"))]
        entities = [
            {"start": count(said, at), "end": (end or count)(said, at + len(s)), "label": label}
            | ({"text": s} if strings else {})
            for at, s, label in places
        ]
        made.append({"text": said, "entities": entities})
    return made


def composed(text, at):
    return len(unicodedata.normalize("NFC", text[:at]))


def apart(text, at):
    return len(unicodedata.normalize("NFD", text[:at]))


def single_blanks(text, at):
    return at - 3 - text[:at].count("  \t") * 2


def without_markup(text, at):
    return len(re.sub("<[^>]*>", "", text[:at]))


FORMS = {
    "UTF-16": ("\U0001f4e6\U0001f4e6 {}", utf16, None),
    "bytes": ("Größe ü {}", utf8, None),
    "two characters for a line break": ("a\nb\n{}", long_breaks, None),
    "one character for a line break": ("a\r\nb\r\n{}", short_breaks, None),
    "last character as their end": ("{}", lambda _, at: at, lambda _, at: at - 1),
    "from 1, with": ("{}", lambda _, at: at + 1, lambda _, at: at),
    "from 1:": ("{}", lambda _, at: at + 1, None),
    "composed accents": ("Cafe\u0301 Me\u0301lange {}", composed, None),
    "accents apart": ("Stra\u00dfe Caf\u00e9 {}", apart, None),
    "single blanks": ("   Ticket  \t{}", single_blanks, None),
    "without its markup": ("<p class='a'>Ticket <b>{}</b>", without_markup, None),
}


@pytest.mark.parametrize("form", FORMS)
def test_strings_show_what_is_counted(write_folder, form):
    text, count, end = FORMS[form]
    own = NER(DataSource(write_folder("own", train=rows(text)))).read()
    other = rows(text, count, end)
    del other[3]["entities"][0]["text"]
    data = NER(DataSource(write_folder("other", train=other))).read()
    assert data.digest == own.digest
    assert not list(own.doubts)
    [doubt] = data.doubts
    assert form in doubt
    assert "39 of 39 strings" in doubt


def test_strings_whose_accents_are_composed_otherwise(write_folder):
    made = rows("{} Cafe\u0301")
    for row in made:
        at = row["text"].index("Cafe\u0301")
        row["entities"].append({"start": at, "end": at + 5, "label": "PLACE", "text": "Caf\u00e9"})
    data = NER(DataSource(write_folder(train=made))).read()
    assert data.samples["train"][0].gold[0].text == "Cafe\u0301"
    assert "20 strings of entities compose accents otherwise" in data.doubts[0]


def test_a_few_wrong_strings_stay_errors_of_their_rows(write_folder):
    text, count, _ = FORMS["UTF-16"]
    made = rows(text, count)
    made[5]["entities"][1]["text"] = "Rome"
    with pytest.raises(DataError, match=r"entities\[1\]\.text.*not what the text has.*train\.jsonl:6.*UTF-16"):
        NER(DataSource(write_folder(train=made))).read()


def test_no_counting_is_taken_that_makes_others_wrong(write_folder):
    made = rows("\U0001f4e6 {}")[:10] + rows("\U0001f4e6 {} more", utf16)
    with pytest.raises(DataError, match=r"not what the text has.*train\.jsonl:11"):
        NER(DataSource(write_folder(train=made))).read()


@pytest.mark.parametrize("form", ["UTF-16", "bytes"])
def test_cut_words_without_strings_are_a_warning_with_examples(write_folder, form):
    text, count, _ = FORMS[form]
    [doubt] = NER(DataSource(write_folder(train=rows(text, count, strings=False)))).read().doubts
    assert "0 of 40 entities begin within a word, such as '" in doubt
    assert form in doubt
    assert "0 of these would" in doubt


def test_words_that_are_marked_in_part_now_and_then_are_no_doubt(write_folder):
    made = rows("{}", strings=False)
    for row in made[:3]:
        row["entities"][0]["start"] += 1
    assert not list(NER(DataSource(write_folder(train=made))).read().doubts)


def test_scripts_without_blanks_cut_no_words(write_folder):
    made = [
        {
            "text": f"第{i}回は東京都で行う",
            "entities": [{"start": len(str(i)) + 3, "end": len(str(i)) + 6, "label": "地名"}],
        }
        for i in range(20)
    ]
    assert not any("within a word" in doubt for doubt in NER(DataSource(write_folder(train=made))).read().doubts)
