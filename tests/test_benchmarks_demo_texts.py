"""What is kept and shown of students that learn from texts without labels, on made-up runs; nothing is trained here."""

import json
import re
from statistics import fmean

import pytest
import yaml
from scipy import stats

from benchmarks.demo import page, shown, shown_texts, texts, texts_page
from benchmarks.demo.__main__ import main
from benchmarks.machine import commit
from benchmarks.settings import ROOT
from scd_lightning.errors import ConfigError

DRAWS = (100, 101, 102, 103)
TEACHER, ANCHOR = 0.8, 0.4


def kept_run(folder, method, draw, student, weight=0.9, source="stage", scale=1 / 3, changes=None):
    """A run's folder as far as its results are read."""
    folder.mkdir(parents=True)
    sizes = {"train": 600, "validation": 400, "test": 600}
    results = {
        "task": "ner",
        "method": method,
        "seed": draw,
        "evaluated_split": "validation",
        "primary_metric": "f1",
        "budget": {"samples": 57600},
        "data": {"sizes": sizes, "unlabelled": {"texts": 3000}},
        "metrics": {"teacher": {"f1": TEACHER}, "anchor": {"f1": ANCHOR}, "student": {"f1": student}},
    }
    (folder / "results.json").write_text(json.dumps(results | (changes or {})), encoding="utf-8")
    config = {"unlabelled": {"weight": weight, "from": source}, "student": {"optimizer": {"lr": 0.012}}}
    config |= {"method": {"lr_scale": scale}, "budget": {"lr_scale": 1.0}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


def sweep(folder, method, students, **settings):
    """A run on each tuning draw."""
    for draw, student in zip(DRAWS, students, strict=True):
        kept_run(folder / f"{method}-{draw}", method, draw, student, **settings)
    return folder


@pytest.fixture
def found(tmp_path, monkeypatch):
    """Where is kept what is found, with nothing there."""
    monkeypatch.setattr(texts, "FOUND", tmp_path / "texts.json")
    monkeypatch.setattr(shown, "FOLDER", tmp_path / "shown")
    return tmp_path / "texts.json"


PL, TD = (0.7, 0.6, 0.7, 0.6), (0.75, 0.7, 0.7, 0.65)


def interval(ours, theirs):
    """As the page has it, by SciPy."""
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    low, high = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    return f"{fmean(differences):+.3f} ({low:+.3f} to {high:+.3f})"


def test_ways_are_compared_with_the_answers_as_labels(tmp_path, found):
    assert texts_page.section() == ""
    texts.keep("ways", [sweep(tmp_path / "one", "pl", PL)])
    kept_run(tmp_path / "two" / "half", "td_aw", 100, 0.9, weight=1.0)
    texts.keep("ways", [sweep(tmp_path / "two", "td", TD)])
    text = texts_page.section()
    row = "| td | 0.9 | stage | 0.004 | 0.700 | 0.750 | 0.700 | 0.700 | 0.650 |"
    assert f"{row} {interval(TD, PL)} |" in text
    assert "| pl |  |  | 0.004 | 0.650 | 0.700 | 0.600 | 0.700 | 0.600 |  |" in text
    assert "| td_aw | 1 | stage | 0.004 |  | 0.900 |  |  |  |  |" in text
    missing = "Not measured on all draws yet: td with u = 1 at 0.004, td_aw with u = 1 at 0.004, td_aw with u = 0.9 at"
    assert missing in text
    assert f"the teacher has {TEACHER:.3f}, and the student fine-tuned on the rows alone\n{ANCHOR:.3f}" in text
    assert "Which rate" not in text


RATES = {  # Factor on the rate -> the rival's students, and those of the best way.
    1 / 3: (PL, (0.7, 0.7, 0.7, 0.7)),
    2 / 3: ((0.64, 0.64, 0.64, 0.64), (0.75, 0.75, 0.75, 0.74)),
    1.0: ((0.6, 0.68, 0.6, 0.7), (0.71, 0.7, 0.7, 0.7)),
}
FROM_BEST = (0.9, 0.9, 0.9, 0.89)


@pytest.fixture
def both(tmp_path, found):
    """Both series, with other teachers and anchors in each."""
    other = {"metrics": {"teacher": {"f1": 0.5}, "anchor": {"f1": 0.3}, "student": {"f1": 0.1}}}
    texts.keep("ways", [sweep(tmp_path / "ways", "pl", PL, changes=other)])
    sweeps = []
    for number, (scale, (rival, best)) in enumerate(RATES.items()):
        sweeps.append(sweep(tmp_path / f"pl-{number}", "pl", rival, scale=scale))
        sweeps.append(sweep(tmp_path / f"best-{number}", "scheduled_forward", best, scale=scale))
    settings = {"source": "best", "scale": 2 / 3}
    sweeps.append(sweep(tmp_path / "from-best", "scheduled_forward", FROM_BEST, **settings))
    texts.keep("rates", sweeps)
    return tmp_path


def test_series_have_tables_of_their_own(both):
    ways, rates = texts_page.section().split("### Which rate")
    assert "the teacher has 0.500, and the student fine-tuned on the rows alone\n0.300" in ways
    assert f"the teacher has {TEACHER:.3f}, and the student fine-tuned on the rows alone\n{ANCHOR:.3f}" in rates
    # At the rate that both series have, each has its own rival.
    assert "| pl |  |  | 0.004 | 0.100 |" in ways
    assert f"0.700 | 0.700 | 0.700 | 0.700 | {interval((0.7,) * 4, PL)} |" in rates
    assert f"| scheduled_forward | 0.9 | best | 0.008 | {fmean(FROM_BEST):.3f} |" in rates
    assert len(texts.read()) == 4 * 8


def test_the_demo_takes_the_best_rate_of_each_with_the_stage_s_distribution(both):
    text = texts_page.section()
    wanted = texts.read_wanted()
    assert texts_page.chosen_rates(texts.read(), wanted) == {"scheduled_forward": 0.008, "pl": 0.004}
    assert "- Each at its own rate, scheduled_forward at 0.008 is above `pl` at 0.004 by 0.09" in text
    assert "0.008 for `scheduled_forward`, 0.004 for `pl`." in text


def test_what_few_draws_do_not_tell_apart_is_said(both):
    by_best = next(line for line in texts_page.section().splitlines() if line.startswith("- scheduled_forward with"))
    assert "from the best checkpoint, at 0.008 has the highest mean of all by scheduled_forward. It is above" in by_best
    assert "Not told apart" not in by_best
    by_pl = next(line for line in texts_page.section().splitlines() if line.startswith("- pl at"))
    assert "- pl at 0.004 has the highest mean of all by pl. Not told apart from it: pl at 0.012" in by_pl


@pytest.mark.parametrize(
    ("method", "settings", "told"),
    [
        ("td", {"changes": {"evaluated_split": "test"}}, "evaluated split"),
        ("td", {"changes": {"seed": 10}}, "draw"),
        ("td", {"changes": {"budget": {"samples": None}}}, "samples"),
        ("td", {"changes": {"task": "qa"}}, "task"),
        ("scd", {}, "method, u, from or rate"),
        ("td", {"scale": 2 / 3}, "method, u, from or rate"),
        ("td", {"source": "best"}, "method, u, from or rate"),
        ("td", {"weight": 0.5}, "method, u, from or rate"),
    ],
)
def test_no_other_runs_are_kept_of_a_series(tmp_path, found, method, settings, told):
    kept_run(tmp_path / "sweep" / "0", method, 100, 0.7, **settings)
    with pytest.raises(ConfigError, match=f"no run of the candidates.*Got: {told}. Expected"):
        texts.keep("ways", [tmp_path / "sweep"])
    assert not found.exists()


def test_what_another_machine_has_made_is_not_taken_into_a_series(tmp_path, found):
    texts.keep("ways", [sweep(tmp_path / "one", "pl", PL)])
    other = {"metrics": {"teacher": {"f1": 0.8001}, "anchor": {"f1": ANCHOR}, "student": {"f1": 0.7}}}
    kept_run(tmp_path / "two" / "0", "td", 101, 0.7, changes=other)
    with pytest.raises(ConfigError, match="teacher or anchor is another"):
        texts.keep("ways", [tmp_path / "two"])
    kept_run(tmp_path / "three" / "0", "pl", 101, 0.7, changes=other)
    texts.keep("rates", [tmp_path / "three"])


def test_what_is_kept_is_what_was_to_be_measured():
    """The second series is about the best way of the first, and the demo has the best rates of the second."""
    records, wanted = texts.read(), texts.read_wanted()
    means: dict[texts.Way, list[float]] = {}
    for record in records:
        if record["series"] == "ways" and record["method"] != wanted.rival:
            means.setdefault(texts.way_of(record), []).append(record["student"])
    best = max(means, key=lambda way: fmean(means[way]))
    rates = wanted.series["rates"]
    assert (list(rates.methods), list(rates.weights)) == ([best.method], [best.weight])
    tuned = yaml.safe_load((ROOT / "conf/tuned/embedded_embedded_ner.yaml").read_text(encoding="utf-8"))
    [scale] = re.findall(r"^TEXTS_RATE_ner := method.lr_scale=(\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    rate = pytest.approx(float(scale) * tuned["student"]["optimizer"]["lr"], rel=1e-5)
    assert texts_page.chosen_rates(records, wanted) == {wanted.best: rate, wanted.rival: rate}


# On other draws


SHOWN = (10, 11, 12)
RIGHT = {"sft": (50, 52, 51), "td": (55, 54, 53), "scd_aw": (56, 54, 52), "pl": (60, 64, 62)}
RIGHT["scheduled_forward"] = (70, 71, 72)
TEACHERS = (61, 62, 69)


def shown_run(folder, method, draw, right, teacher, **changes):
    """A finished run whose student is right on so many of 100 samples."""
    with_texts = method in ("pl", "scheduled_forward")
    counts = {"teacher": teacher, "anchor": 50, "student": right}
    data = {"digest": f"draw {draw}", "sizes": {"train": 600}, "settings": {"labels": ["A", "B"], "ordered": False}}
    data |= {"generator": {"name": "embedded", "settings": {"train": 600}, "seed": draw}}
    data |= {"unlabelled": {"texts": 3000}} if with_texts else {}
    model = {"name": "m", "weights": "w", "parameters": 1, "tokenizer": "t"}
    results = {"task": "classification", "method": method, "seed": draw, "primary_metric": "accuracy", "data": data}
    results |= {"metrics": {name: {"accuracy": count / 100} for name, count in counts.items()}, "versions": {}}
    results |= {"models": {"teacher": model, "student": model}, "budget": {"samples": 57600}} | changes
    (folder / "predictions").mkdir(parents=True)
    for name, count in counts.items():
        rows = [
            {
                "id": f"{draw}-{i}",
                "answer": "A",
                "gold": "A",
                "correct": float(i < count),
                "loss": 1.0,
                "malformed": False,
            }
            for i in range(100)
        ]
        lines = "".join(f"{json.dumps(row)}\n" for row in rows)
        (folder / "predictions" / f"{name}.jsonl").write_text(lines)
    (folder / "results.json").write_text(json.dumps(results))
    config = {"student": {"optimizer": {"lr": 0.012}}, "method": {"lr_scale": 1 / 3}, "budget": {"lr_scale": 1.0}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    costs = {"teacher_sft": {"cpu_seconds": 70.0, "artifacts": {f"teacher-{draw}": 1.0}}}
    costs["distill"] = {"cpu_seconds": 100.0, "artifacts": {f"student-{draw}-{method}": 1.0}}
    if with_texts:
        costs["answer"] = {"cpu_seconds": 9.0, "artifacts": {f"answers-{draw}": 1.0}}
    (folder / "costs.json").write_text(json.dumps(costs))


@pytest.fixture
def sweeps(tmp_path):
    """The two of `make demo TEXTS=1`."""
    for place, (method, right) in enumerate(RIGHT.items()):
        folder = tmp_path / ("texts" if method in ("pl", "scheduled_forward") else "labels")
        for draw, count, teacher in zip(SHOWN, right, TEACHERS, strict=True):
            shown_run(folder / f"{place}{draw}", method, draw, count, teacher)
    return tmp_path / "labels", tmp_path / "texts"


def test_two_sweeps_are_kept_as_one_table(sweeps, found, capsys):
    assert main(["keep-texts", *map(str, sweeps), "--commit", "HEAD"]) == 0
    assert capsys.readouterr().out.strip().endswith("classification-texts.json")
    kept = shown.read("classification-texts")
    assert kept is not None
    assert [row["method"] for row in kept["comparison"]["rows"]] == list(RIGHT)
    assert kept["commit"] == commit()
    # An answer phase a draw, and two students.
    assert kept["added_cpu_seconds"] == 3 * (9 + 2 * 100)
    [text] = shown_texts.tables()[1:]
    assert "#### Classification" in text
    assert "| scheduled\\_forward | 0.710 ±0.010 | 0.700 | 0.710 | 0.720 |" in text
    ahead = [ours - theirs for ours, theirs in zip(RIGHT["scheduled_forward"], TEACHERS, strict=True)]
    low, high = stats.ttest_1samp(ahead, 0).confidence_interval(0.95)
    told = f"higher than its teacher by {fmean(ahead) / 100:.3f}, 3 of 3 draws, not told apart (95 % interval"
    assert f"above its teacher. Reached: it is {told} {low / 100:+.3f} to {high / 100:+.3f})." in text
    assert "5 points or more above pl. Reached: it is above pl by 0.090" in text
    assert "627 CPU-seconds" in text
    assert "5 minutes on 2\nidle cores" in text
    assert page._wrapped("\n".join(shown_texts.tables())).count("#### ") == 1


def test_what_was_expected_and_is_not_reached_is_said(sweeps, found):
    for folder in sweeps[1].glob("4*"):
        results = json.loads((folder / "results.json").read_text())
        results["metrics"]["student"] = results["metrics"]["teacher"]
        (folder / "results.json").write_text(json.dumps(results))
        (folder / "predictions/student.jsonl").write_text((folder / "predictions/teacher.jsonl").read_text())
    shown_texts.keep(sweeps[0], sweeps[1], "HEAD")
    text = shown_texts.tables()[1]
    assert "above its teacher. Not reached: it is equal to its teacher" in text
    assert "above pl. Not reached: it is higher than pl by 0.020" in text


@pytest.mark.parametrize(
    ("method", "changes", "told"),
    [
        ("pl", {"seed": 13}, "pl on [11, 12, 13]"),
        ("sft", {"budget": {"samples": None}}, "010 of sft"),
        ("scd_aw", {"method": "td_aw"}, "td_aw on [10]; scd_aw on [11, 12]; td_aw"),
    ],
)
def test_sweeps_that_are_not_the_demo_s_are_not_kept(sweeps, found, method, changes, told):
    folder = sweeps[method == "pl"] / f"{list(RIGHT).index(method)}10"
    results = json.loads((folder / "results.json").read_text())
    (folder / "results.json").write_text(json.dumps(results | changes))
    with pytest.raises(ConfigError, match=re.escape(f"Not so: {told}. They should be sft, td, scd_aw")):
        shown_texts.keep(sweeps[0], sweeps[1], "HEAD")


def test_a_commit_that_there_is_not(sweeps, found):
    with pytest.raises(ConfigError, match="no such commit"):
        shown_texts.keep(sweeps[0], sweeps[1], "nowhere")
    assert shown.read("classification-texts") is None
