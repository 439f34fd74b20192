from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scd_lightning.data.converters import PlacedStrings, TaggedTokens
from scd_lightning.data.converters.entities import WITHOUT_PLACE, WITHOUT_TOKENS
from scd_lightning.data.rows import make_row
from scd_lightning.errors import DataError


def spans(row):
    assert all(row["text"][e["start"] : e["end"]] == e["text"] for e in row["entities"])
    return [(e["label"], e["text"]) for e in row["entities"]]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("O O O O", []),
        ("B-X I-X O B-Y", [("X", "Ann Lee"), ("Y", "ran")]),
        ("B-X B-X O O", [("X", "Ann"), ("X", "Lee")]),
        ("I-X I-X O I-Y", [("X", "Ann Lee"), ("Y", "ran")]),
        ("B-X I-Y I-Y O", [("X", "Ann"), ("Y", "Lee often")]),
        ("B-X O I-X I-X", [("X", "Ann"), ("X", "often ran")]),
        ("O O B-A-b I-A-b", [("A-b", "often ran")]),
    ],
)
def test_tags_become_spans(convert, tags, expected):
    row = {"tokens": ["Ann", "Lee", "often", "ran"], "tags": tags.split(), "id": "7"}
    [done], lost = convert(TaggedTokens(), row)
    assert done["text"] == "Ann Lee often ran"
    assert set(done) == {"id", "text", "entities"}
    assert spans(done) == expected
    assert lost == {}


def test_tag_numbers_and_a_script_without_blanks(convert):
    row = {"words": ["東京", "都", "は"], "ner": [1, 2, 0]}
    [done], _ = convert(TaggedTokens("words", "ner", "", ["O", "B-地名", "I-地名"]), row)
    assert (done["text"], spans(done)) == ("東京都は", [("地名", "東京都")])


def test_rows_without_tokens_are_left_out_and_counted_and_own_ones_pass(convert):
    own = {"text": "a", "entities": []}
    done, lost = convert(TaggedTokens(), own, {"tokens": [], "tags": []})
    assert (done, lost) == ([own], {WITHOUT_TOKENS: 1})


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"tags": ["O"]}, '"tokens" is missing'),
        ({"tokens": ["a"]}, '"tags" is missing'),
        ({"tokens": 7, "tags": ["O"]}, '"tokens" has the wrong type'),
        ({"tokens": ["a", "b"], "tags": ["O"]}, '"tags" does not fit the tokens.*a list of 2 tags'),
        ({"tokens": ["a", "b"], "tags": ["O", "X"]}, r"tags\[1\].*is no tag"),
        ({"tokens": ["a"], "tags": ["B-"]}, "is no tag"),
        ({"tokens": ["a"], "tags": [3]}, "is no tag"),
    ],
)
def test_broken_tags(convert, row, said):
    with pytest.raises(DataError, match=said) as caught:
        convert(TaggedTokens(), row)
    assert "set.jsonl:1" in str(caught.value)


def strings(text, *pairs):
    return {"text": text, "entities": [{"label": label, "text": string} for label, string in pairs]}


def test_the_longest_string_goes_first_and_shorter_ones_stand_apart(convert):
    [done], lost = convert(PlacedStrings(), strings("aa bb aa", ("X", "aa"), ("X", "aa bb"), ("Y", "aa")))
    assert [(e["label"], e["start"], e["end"]) for e in done["entities"]] == [("Y", 0, 2), ("X", 0, 5), ("X", 6, 8)]
    assert lost == {}


def test_a_string_that_is_nowhere_free_lies_within_another_and_twice_is_once(convert):
    [done], _ = convert(PlacedStrings(), strings("lung cancer", ("X", "cancer"), ("X", "lung cancer"), ("X", "cancer")))
    assert spans(done) == [("X", "lung cancer"), ("X", "cancer")]


def test_strings_that_the_text_lacks_are_counted_and_left_out(convert):
    [done, none], lost = convert(PlacedStrings(), strings("a b", ("X", "b"), ("X", "c"), ("Y", "d")), strings("a"))
    assert (spans(done), none["entities"], lost) == ([("X", "b")], [], {WITHOUT_PLACE: 2})


def test_places_that_are_there_stay(convert):
    own = {"text": "a b", "entities": [{"label": "X", "start": 2, "end": 3}]}
    assert convert(PlacedStrings(), own)[0] == [own]
    mixed = {"text": "a b", "entities": [*own["entities"], {"label": "X", "text": "a"}]}
    with pytest.raises(DataError, match=r"entities\[0\].*another kind.*set\.jsonl:1 "):
        convert(PlacedStrings(), mixed)


@given(st.text("ab ", min_size=1, max_size=12).filter(str.strip), st.lists(st.text("ab", min_size=1, max_size=3)))
def test_every_string_of_the_text_gets_one_span(text, found):
    row = make_row(strings(text, *(("X", string) for string in found)), "train", 1, "f")
    lost = Counter({WITHOUT_PLACE: 0})
    [done] = PlacedStrings()([row], lost)
    assert sorted(e["text"] for e in done.values["entities"]) == sorted({s for s in found if s in text})
    assert lost[WITHOUT_PLACE] == sum(s not in text for s in set(found))
    spans(done.values)
