import base64
import json
import re

import pytest

from scd_lightning.analysis.run.report_page import write_partial_report
from scd_lightning.analysis.run.report_texts import LONGEST_TEXT, examples, label_shares, precision_drawing
from scd_lightning.analysis.run.run_pages import write_run_pages

HOSTILE = "</td><script>alert(1)</script><b>&"
UNLABELLED = {
    "source": "local file",
    "rows": 1250,
    "labelled": 7,
    "in_train": 12,
    "twice": 8,
    "overlap": {"test": 3},
    "texts": 1200,
    "answered": 1200,
    "malformed": 30,
    "keep": "confident",
    "from": "stage",
    "weight": 0.75,
    "kept": 900,
    "threshold": 0.8125,
    "precision": {"value": 0.92, "low": 0.893, "high": 0.941, "of": 400},
    "curve": [[0.25, 0.98, 0.9], [0.5, 0.96, 0.85], [1.0, 0.81, 0.2]],
    "labels": {"answers": {HOSTILE: 600, "b": 300}, "train": {"a": 10, "b": 30}},
}
ROWS = [
    {
        "id": f"u{i}",
        "answer": f"{HOSTILE} {i}",
        "probability": i / 20,
        "malformed": i == 2,
        "kept": i >= 8,
        "input": f"{HOSTILE} text {i}.",
    }
    for i in range(20)
]


def change(path, **values) -> None:
    record = json.loads(path.read_text())
    record["data"]["unlabelled"] = UNLABELLED | values
    path.write_text(json.dumps(record))


@pytest.fixture
def run(make_run):
    folder = make_run("run")
    change(folder / "results.json")
    (folder / "schedule.json").write_text(json.dumps({"policy": "ScheduledCheckpoint"}))
    (folder / "predictions" / "unlabelled.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return folder


def page(folder) -> str:
    return write_run_pages(folder)[0].read_text(encoding="utf-8")


def section(text: str) -> str:
    """What stands between the section's heading and the next one."""
    [found] = re.findall(r'<h2 id="texts">.*?(?=<h2)', text, flags=re.DOTALL)
    return found


def facts(text: str) -> dict[str, str]:
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", section(text)))


def test_the_numbers_are_shown(run):
    text = page(run)
    assert '<a href="#texts">Texts without labels</a>' in text
    assert facts(text) == {
        "texts": "1,200, of 1,250 rows as read (local file)",
        "left out": "12 that stand in train, 8 repetitions",
        "labels among them": "7, not used",
        "shared with other splits": "test 3",
        "answered": "1,200, 30 of them malformed (2.5 %)",
        "kept": "900 of 1,200 (75.0 %): answers of probability 0.812 or more, as chosen on validation "
        "(unlabelled.keep=confident)",
        "expected to be right": "92.0 % of those kept (95 % interval 89.3 % to 94.1 %), by 400 validation samples",
        "in the student&#39;s loss": "weight 0.75 for the distribution of the stage&#39;s checkpoint, 0.25 for the "
        "answer itself",
    }


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ({"keep": "all", "threshold": None}, "every answer that can be read (unlabelled.keep=all)"),
        (
            {"keep": "agreed", "threshold": None},
            "answers that the teacher&#39;s best checkpoint and its last ones give alike (unlabelled.keep=agreed)",
        ),
    ],
)
def test_the_rule_is_named(run, values, kept):
    change(run / "results.json", **values)
    text = page(run)
    assert facts(text)["kept"].endswith(f": {kept}")
    assert "threshold" not in section(text)
    assert "kept from probability" not in section(text)


def test_pseudo_labels_have_no_weight(run):
    (run / "schedule.json").unlink()
    assert facts(page(run))["in the student&#39;s loss"] == "the answers stand as labels"


def test_what_comes_from_data_is_escaped(run):
    text = section(page(run))
    assert "<script" not in text
    assert "<b>" not in text
    assert text.count("&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;b&gt;&amp;") == 1 + 2 * 10


def test_labels_stand_beside_those_of_train(run):
    text = section(page(run))
    rows = re.findall(r"<tr><td>(?:a|b)</td>.*?</tr>", text, flags=re.DOTALL)
    cells = [[cell for cell in re.findall(r">([^<>\n]+)</td>", row)] for row in rows]
    assert cells == [["a", "0", "0.0 %", "10", "25.0 %"], ["b", "300", "33.3 %", "30", "75.0 %"]]


def test_no_labels_no_shares():
    assert label_shares({}) == []
    assert label_shares({"answers": {}, "train": {"a": 2}}) == [
        {"label": "a", "answers": 0, "train": 2, "answers_share": 0.0, "train_share": 1.0}
    ]


def test_examples_are_the_most_and_the_least_probable():
    assert [row["id"] for row in examples(ROWS)] == ["u19", "u18", "u17", "u9", "u8", "u7", "u6", "u5", "u1", "u0"]
    assert [row["id"] for row in examples(ROWS[:4])] == ["u3", "u2", "u1", "u0"]
    assert examples([]) == []


def test_examples_are_shortened():
    [row] = examples([ROWS[0] | {"input": "ab " * 1000, "answer": "c" * 1000}])
    assert len(row["input"]) <= LONGEST_TEXT + 1
    assert row["input"].endswith("ab a…")
    assert row["answer"] == "c" * 200 + "…"


def test_malformed_examples_are_marked(run):
    rows = [{**row, "kept": row["kept"] and not row["malformed"], "malformed": True} for row in ROWS[:2]]
    (run / "predictions" / "unlabelled.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert section(page(run)).count("<td>left out, malformed</td>") == 2


def test_the_plot_says_in_words_what_it_shows():
    drawing = precision_drawing(UNLABELLED, 500)
    assert drawing is not None
    assert drawing.text == (
        "Of the most probable 25.0 %: 98.0 % right, 50.0 %: 96.0 % right, 100.0 %: 81.0 % right. Kept from probability "
        "0.812 on. Kept on validation: 80.0 %, of which 92.0 % right."
    )
    assert "kept from probability 0.812 on" in drawing.svg


def test_the_plot_of_what_keeps_nothing():
    drawing = precision_drawing(UNLABELLED | {"threshold": None, "precision": None}, 500)
    assert drawing is not None
    assert drawing.text.endswith("100.0 %: 81.0 % right.")
    assert "what is kept" not in drawing.svg
    assert precision_drawing(UNLABELLED | {"curve": []}, 500) is None


def test_nothing_is_kept_and_nothing_else_known(run):
    change(run / "results.json", kept=0, threshold=None, precision=None, curve=[], labels={}, overlap={}, labelled=0)
    (run / "predictions" / "unlabelled.jsonl").unlink()
    text = page(run)
    assert "<table" not in section(text)
    assert "<svg" not in section(text)
    assert facts(text)["kept"] == (
        "0 of 1,200 (0.0 %): at no probability are enough answers right on validation (unlabelled.keep=confident)"
    )
    assert facts(text)["expected to be right"] == "not known: by the same rule, no validation answer is kept"
    assert not {"labels among them", "shared with other splits"} & set(facts(text))


def test_a_partial_report_has_what_is_known(run):
    ended = {"type": "KeyboardInterrupt", "message": "Interrupted (Ctrl-C).", "when": "now"}
    phases = [{"phase": "distill", "state": "unfinished", "made": {}, "missing": ["student"]}]
    results = json.loads((run / "results.json").read_text()) | {"ended": ended, "phases": phases}
    (run / "results.json").unlink()
    (run / "partial.json").write_text(json.dumps(results))
    text = write_partial_report(run).read_text(encoding="utf-8")
    assert facts(text)["answered"] == "1,200, 30 of them malformed (2.5 %)"
    # Rows that are there could be those of another run.
    assert "Examples" not in section(text)


def test_a_run_without_texts_does_not_mention_them(make_run):
    folder = make_run("old")
    (folder / "predictions" / "unlabelled.jsonl").write_text(json.dumps(ROWS[0]) + "\n")
    text = page(folder)
    assert "without labels" not in text
    assert "texts.csv" not in text


def test_the_curve_can_be_downloaded(run):
    [link] = re.findall(r'download="texts.csv" href="[^,]*,([^"]*)"', page(run))
    lines = base64.b64decode(link).decode("utf-8-sig").split()
    assert lines == ["share_kept,share_right,least_probability", "0.25,0.98,0.9", "0.5,0.96,0.85", "1.0,0.81,0.2"]
