"""Running one converter over values, as rows of a file."""

from collections import Counter

import pytest

from scd_lightning.data.rows import make_row


@pytest.fixture
def convert():
    """Converts records and returns their values and what was lost; line numbers count from 1."""

    def call(converter, *records):
        rows = [make_row(record, "train", line, "set.jsonl") for line, record in enumerate(records, 1)]
        lost: Counter[str] = Counter()
        done = converter(rows, lost)
        assert [row.values for row in rows] == list(records), "a converter leaves its input alone"
        return [row.values for row in done], {what: n for what, n in lost.items() if n}

    return call
