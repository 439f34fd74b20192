"""The rule by which the demo's ground is chosen, on made-up measurements; nothing is trained here."""

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.demo import page, shown
from benchmarks.demo.__main__ import CANDIDATES, main
from benchmarks.demo.rule import Candidate, Measured, Missing, Search, choose, choose_so_far, read_search
from scd_lightning.errors import ConfigError

CANDIDATE = Candidate("a", "student", 600, 0.02, 10, 5, (1.0, 2.0, 3.0), (10.0, 20.0, 30.0))
SEARCH = Search((100, 101), 400, 0.01, 0.03, 0.03, (CANDIDATE, replace(CANDIDATE, name="b", rows=900)))


class World:
    """Gives each trial a metric, and notes which were asked for."""

    def __init__(self, **scores):
        # Rows, or rows and doubled epochs -> teacher, anchor, student at their best rates.
        self.scores = {600: (0.8, 0.7, 0.75), 900: (0.8, 0.7, 0.75), "longer": (0.0, 0.0)}
        self.scores |= {int(key.strip("r")) if key.startswith("r") else key: value for key, value in scores.items()}
        self.asked = []

    def measure(self, trial):
        values = dict(each.split("=") for each in trial.overrides)
        rows = int(values["task.data.synthetic.train"])
        index = ("teacher", "anchor", "student").index(trial.model)
        rate = float(values["teacher.optimizer.lr" if trial.model == "teacher" else "student.optimizer.lr"])
        if trial.model == "student":
            rate *= float(values["method.lr_scale"])
        best = (2.0, 20.0, 30.0)[index]
        score = self.scores[rows][index] - (0.1 if rate != best else 0.0)
        longer = values.get("teacher.epochs") == "20" or values.get("budget.stage_epochs") == "10"
        score += self.scores["longer"][index] if longer else 0.0
        return score + (0.01 if trial.draw == 100 else -0.01)

    def choose(self, search=SEARCH):
        records: list[dict[str, Any]] = []
        while True:
            try:
                return choose(search, Measured(records))
            except Missing as error:
                self.asked.append([(each.model, each.draw) for each in error.trials])
                records += [vars(each) | {"metric": self.measure(each)} for each in error.trials]


class Uneven(World):
    """A world in which distillation gains on one draw and loses on the other."""

    def measure(self, trial):
        return super().measure(trial) + ({100: 0.07, 101: -0.06}[trial.draw] if trial.model == "student" else 0.0)


def test_the_first_candidate_that_passes_is_taken_and_no_other_is_looked_at():
    world = World()
    choice = world.choose()
    assert (choice.met, choice.chosen.candidate.name, len(choice.outcomes)) == (True, "a", 1)
    assert choice.chosen.rates == {"teacher": 2.0, "anchor": 20.0, "student": 30.0}
    assert choice.chosen.lead == pytest.approx(0.1)
    assert choice.chosen.gains == pytest.approx([0.05, 0.05])
    models = [{model for model, _ in asked} for asked in world.asked]
    assert models == [{"anchor"}, {"anchor"}, {"teacher"}, {"teacher"}, {"student"}]
    assert [len(asked) for asked in world.asked] == [6, 2, 6, 2, 6]


@pytest.mark.parametrize("longer", [(0.0, 0.02), (0.02, 0.0)], ids=["the anchor", "the teacher"])
def test_where_none_has_converged_one_student_is_distilled_and_nothing_has_passed(longer):
    world = World(longer=longer)
    choice = world.choose()
    assert (choice.met, choice.chosen.converged(SEARCH)) == (False, False)
    assert choice.chosen.rates.keys() == {"teacher", "anchor", "student"}
    assert [outcome.by_rate.keys() for outcome in choice.outcomes if outcome is not choice.chosen] == [
        {"anchor"} if longer[1] else {"anchor", "teacher"}
    ]
    assert "nearest to convergence" in page._caveat(SEARCH, choice)
    assert "taken, though not converged" in page._candidates(SEARCH, choice)


def test_nothing_is_distilled_before_all_candidates_were_looked_at():
    world = World(longer=(0.0, 0.02))
    world.choose()
    assert [{model for model, _ in asked} for asked in world.asked[:4]] == [{"anchor"}] * 4


@pytest.mark.parametrize(
    "weak", [(0.72, 0.7, 0.78), (0.8, 0.7, 0.72)], ids=["the teacher is hardly ahead", "the gain is small"]
)
def test_a_candidate_that_does_not_pass_is_left_for_the_next(weak):
    choice = World(r600=weak).choose()
    assert (choice.met, choice.chosen.candidate.name) == (True, "b")


def test_a_gain_on_average_is_not_enough_where_one_draw_has_none():
    choice = Uneven().choose()
    assert not choice.met
    assert sum(choice.chosen.gains) / 2 > SEARCH.gain > 0 > min(choice.chosen.gains)


def test_where_none_passes_the_largest_gain_of_the_converged_ones_is_taken():
    choice = World(r600=(0.72, 0.7, 0.705), r900=(0.72, 0.7, 0.71)).choose()
    assert (choice.met, choice.chosen.candidate.name) == (False, "b")
    assert [each.gains[0] for each in choice.outcomes] == pytest.approx([0.005, 0.01])


def test_the_page_has_all_candidates_losing_ones_too():
    choice = World(r600=(0.8, 0.7, 0.71)).choose()
    table = page._candidates(SEARCH, choice)
    assert "| a | student | 600 | 2% | 10, 4 x 5 | 16 | 0.800 | +0.000 | 0.700 | +0.000 | +0.100 | +0.010 |" in table
    assert "gain too small" in table
    assert "taken" in table.splitlines()[-1]


def test_a_candidate_that_is_left_out_is_not_looked_at_and_says_why():
    search = replace(SEARCH, first=(replace(CANDIDATE, left_out="too slow"), SEARCH.candidates[1]))
    choice = World().choose(search)
    assert (choice.met, choice.chosen.candidate.name) == (True, "b")
    assert "too slow |" in page._candidates(search, choice).splitlines()[2]


def test_the_extension_is_looked_at_where_none_of_the_first_is_taken():
    search = replace(SEARCH, first=(CANDIDATE,), extension=(SEARCH.candidates[1],))
    assert len(World().choose(search).outcomes) == 1
    choice = World(r600=(0.8, 0.7, 0.71)).choose(search)
    assert (choice.met, choice.chosen.candidate.name) == (True, "b")
    assert "extended, once: b." in page._rule(search, choice)


def test_as_far_as_measurements_go():
    world = World(longer=(0.0, 0.02))
    records: list[dict[str, Any]] = []
    for _ in range(2):
        with pytest.raises(Missing) as error:
            choose(SEARCH, Measured(records))
        records += [vars(each) | {"metric": world.measure(each)} for each in error.value.trials]
    choice = choose_so_far(SEARCH, Measured(records))
    assert choice.chosen is None
    assert [each.candidate.name for each in choice.outcomes] == ["a"]
    assert page._candidates(SEARCH, choice).splitlines()[-2].endswith("not converged |")
    assert page._candidates(SEARCH, choice).splitlines()[-1].endswith("not reached |")


def test_the_candidates_are_at_most_six_and_three_more_on_the_tuning_draws():
    search = read_search(CANDIDATES)
    assert search.draws == (100, 101, 102, 103)
    assert len(search.first) <= 6
    assert len(search.extension) <= 3
    assert all(len(each.teacher_rates) == len(each.student_rates) == 3 for each in search.candidates)


@pytest.mark.parametrize("folder", ["nowhere", "empty"])
def test_what_is_no_sweep_is_not_kept(tmp_path, capsys, folder):
    (tmp_path / "empty").mkdir()
    assert main(["keep", str(tmp_path / folder), "--commit", "HEAD"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(
        f"ConfigError: There are no runs. Where: sweep. Got: {tmp_path / folder}. Expected: the folder"
    )


ROW = {
    "method": "td",
    "seeds": [10, 11],
    "values": {f"metrics.{model}.f1": {"mean": 0.5, "spread": 0.1} for model in ("teacher", "student")},
}
KEPT = {
    "task": "ner",
    "commit": "0a1b2c3",
    "machine": {"cpu": "Abacus 9", "cores": 2, "kernels": "AVX2"},
    "versions": {},
    "models": {"student": "small"},
    "data": {"train": 600},
    "unconverged": {},
    "table": "| a table |\n\na verdict",
    "comparison": {"rows": [ROW]},
}


def test_the_demo_of_another_machine_stands_beside_the_one_that_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(shown, "FOLDER", tmp_path)
    monkeypatch.setattr(shown, "compare_finished", lambda sweeps: None)
    monkeypatch.setattr(shown, "about", lambda comparison, made_at: KEPT | {"commit": made_at})
    with pytest.raises(ConfigError, match="not the demo that is kept"):
        shown.keep_elsewhere(tmp_path / "sweep", "4d5e6f7")
    shown.write("ner", KEPT)
    shown.keep_elsewhere(tmp_path / "sweep", "4d5e6f7")
    shown.keep_elsewhere(tmp_path / "sweep", "89abcde")
    kept = shown.read("ner")
    assert kept is not None
    assert kept["commit"] == "0a1b2c3"
    assert [each["commit"] for each in kept["elsewhere"]] == ["4d5e6f7", "89abcde"]
    assert "otherwise, which a training amplifies ([docs/demo.md]" in page._short(kept)
    assert "td 0.500 ±0.100, teacher 0.500 ±0.100" in page._short(kept)
    assert "Measured at commit 4d5e6f7 on 2 cores of Abacus 9 (AVX2)." in "\n".join(page._tables())
    monkeypatch.setattr(shown, "about", lambda *_: KEPT | {"data": {"train": 900}})
    with pytest.raises(ConfigError, match="not the demo that is kept"):
        shown.keep_elsewhere(tmp_path / "sweep", "4d5e6f7")
