"""Tables as CSV: what a spreadsheet would take for a formula is text, and numbers are numbers."""

import csv
import io

import pytest

from scd_lightning.analysis.comparison.comparison_csv import guarded, to_csv


@pytest.mark.parametrize(
    "cell",
    [
        '=HYPERLINK("http://x")',
        "+cmd|' /C calc'!A0",
        "-2+3+cmd",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "＝1+1",
        "-",
        "+a=1",
    ],
)
def test_a_text_that_begins_like_a_formula_is_guarded(cell):
    assert guarded(cell) == f"'{cell}"
    ((name,), (found,)) = csv.reader(io.StringIO(to_csv([{cell: cell}]), newline=""))
    assert name == found == f"'{cell}"


@pytest.mark.parametrize("cell", [-1, -0.5, 1e-9, "-1", "+3.5e-2", "0 1 2", "scd_aw", "a=1", "", None, True])
def test_all_else_stays(cell):
    assert guarded(cell) == cell
