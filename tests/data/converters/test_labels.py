from collections import Counter
from typing import Any

import pytest

from scd_lightning.data.converters import MergedLabels
from scd_lightning.data.rows import make_row
from scd_lightning.errors import ConfigError


def convert(values, same):
    [row] = MergedLabels(same)([make_row(values, "train", 1, "f")], Counter())
    return row.values


@pytest.mark.parametrize(
    ("written", "merged"),
    [
        ("Spam", "Spam"),
        ("SPAM", "Spam"),
        ("spam\u200b", "Spam"),
        ("\uff33pam", "Spam"),
        ("rubbish", "Spam"),
        ("ham", "ham"),
        (1.0, "yes"),
        ("1.0", "yes"),
        ("Ja", "Ja"),
        ("JA", "ja"),
        (0.5, 0.5),
        (None, None),
    ],
)
def test_a_label_is_written_as_the_one_that_is_kept(written, merged):
    same = ["Spam", ["Spam", "rubbish"], ["yes", 1], "Ja", "ja"]
    assert convert({"text": "t", "label": written}, same) == {"text": "t", "label": merged}


def test_labels_of_entities():
    entities: list[Any] = [{"start": 0, "end": 1, "label": "PER"}, {"start": 1, "end": 2, "label": "LOC"}, "no entity"]
    found = convert({"text": "ab", "entities": entities}, [["PERSON", "per"]])["entities"]
    assert found == [entities[0] | {"label": "PERSON"}, *entities[1:]]


def test_rows_without_labels_pass():
    assert convert({"text": "t"}, [["a", "b"]]) == {"text": "t"}


@pytest.mark.parametrize("same", [[["a", None]], [[]], ["a", ""], [0.5]])
def test_what_is_no_list_of_labels(same):
    with pytest.raises(ConfigError, match=r"Labels can't be merged.*MergedLabels.*labels to keep"):
        MergedLabels(same)
