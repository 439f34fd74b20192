"""What a search makes of its jobs."""

import json
import shlex
import subprocess

import pytest
import yaml
from rich.console import Console

from scd_lightning.analysis.search.search_summary import show_search, write_search
from scd_lightning.analysis.search.trials import Candidate, Search, read_trials, summarize
from scd_lightning.cli.report import main as report
from scd_lightning.errors import ConfigError

RATE = "student.optimizer.lr"


@pytest.fixture
def make_search(tmp_path):
    """Makes the search of jobs (rate, seed, metric, loss); a job without a metric has failed."""

    def make(*jobs: tuple[str, int, float | None, float | None]) -> Search:
        for number, (rate, seed, metric, loss) in enumerate(jobs):
            folder = tmp_path / str(number)
            (folder / ".hydra").mkdir(parents=True)
            overrides = ["hparams_search=lr", "method=td", f"{RATE}={rate}", f"seed={seed}"]
            (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(overrides))
            trial = {"metric": "f1", "validation_metric": metric, "validation_loss": loss}
            (folder / "trial.json").write_text(json.dumps(trial))
            if metric is None:
                failure = {"type": "NotFinite", "message": "The loss is no finite number any more."}
                (folder / "failure.json").write_text(json.dumps(failure))
        return summarize(read_trials(tmp_path), [RATE])

    return make


def shown(search: Search) -> str:
    console = Console(width=100)
    with console.capture() as captured:
        console.print(show_search(search), crop=False)
    return captured.get()


def test_the_highest_metric_wins_and_the_lower_loss_among_equals(make_search):
    search = make_search(("1e-4", 0, 0.5, 1.0), ("1e-3", 0, 0.8, 0.9), ("3e-3", 0, 0.8, 0.7), ("1e-2", 0, 0.6, 0.1))
    assert search.chosen is not None
    assert search.chosen.override == f"{RATE}=3e-3"
    assert search.edges() == {}


def test_of_wholly_equal_ones_the_first_is_taken(make_search):
    search = make_search(("1e-4", 0, 0.5, 1.0), ("1e-3", 0, 0.5, 1.0))
    assert search.chosen.override == f"{RATE}=1e-4"


def test_seeds_are_averaged_and_one_that_failed_rules_a_value_out(make_search):
    search = make_search(
        ("1e-3", 0, 0.5, 1.0), ("1e-3", 1, 0.7, 1.0), ("3e-3", 0, 0.5, 1.0), ("3e-3", 1, 0.6, 1.0),
        ("1e-2", 0, 0.9, 0.1), ("1e-2", 1, None, None),
    )  # fmt: skip
    assert [(each.jobs, each.metric) for each in search.candidates] == [
        (["0", "1"], pytest.approx(0.6)),
        (["2", "3"], pytest.approx(0.55)),
        (["4", "5"], None),
    ]
    assert search.chosen.override == f"{RATE}=1e-3"
    assert search.edges() == {RATE: "lowest"}
    text = shown(search)
    assert "failed: 5 (student.optimizer.lr=1e-2 seed=1): NotFinite: The loss is no finite number" in text
    assert f"alone: python run.py hparams_search=lr method=td {RATE}=1e-2 seed=1 hydra.mode=RUN" in text
    assert f"Best on the validation split: {RATE}=1e-3. It is the lowest {RATE} tried" in " ".join(text.split())


def test_a_value_that_is_no_number_counts_as_failed(make_search):
    search = make_search(("1e-4", 0, float("nan"), 1.0), ("1e-3", 0, 0.1, float("nan")))
    assert search.chosen.override == f"{RATE}=1e-3"
    assert [failure.type for failure in search.failures] == ["unfinished"]


def test_where_all_failed_nothing_is_chosen(make_search, tmp_path):
    search = make_search(("1e-4", 0, None, None))
    write_search(search, tmp_path)
    (tmp_path / "override.txt").write_text("of an earlier search")
    write_search(search, tmp_path)
    assert search.chosen is None
    assert not (tmp_path / "override.txt").exists()
    assert json.loads((tmp_path / "search.json").read_text())["chosen"] is None
    assert "nothing is chosen" in shown(search)


def test_what_no_search_has_written_stays(make_search, tmp_path):
    (tmp_path / "override.txt").write_text("mine")
    with pytest.raises(ConfigError, match="hydra.sweep.dir.* Got: override.txt"):
        write_search(make_search(("1e-4", 0, 0.5, 1.0)), tmp_path)
    assert (tmp_path / "override.txt").read_text() == "mine"
    assert not (tmp_path / "search.json").exists()


def test_what_is_left_for_other_runs(make_search, tmp_path):
    write_search(make_search(("1e-4", 0, 0.5, 1.0), ("1e-3", 0, 0.8, 0.9), ("1", 0, None, None)), tmp_path)
    found = json.loads((tmp_path / "search.json").read_text())
    assert found["chosen"] == {RATE: "1e-3"}
    assert found["metric"] == "f1"
    assert [each["metric"] for each in found["candidates"]] == [0.5, 0.8, None]
    assert (tmp_path / "override.txt").read_text() == f"{RATE}=1e-3\n"
    assert (tmp_path / "search.png").read_bytes().startswith(b"\x89PNG")


def test_values_that_are_no_numbers_are_searched_without_a_picture(tmp_path, make_search):
    search = make_search(("warm", 0, 0.5, 1.0), ("cold", 0, 0.8, 0.9))
    write_search(search, tmp_path)
    assert search.chosen.override == f"{RATE}=cold"
    assert not (tmp_path / "search.png").exists()


def test_the_report_command_shows_a_search_again(make_search, tmp_path, capsys):
    write_search(make_search(("1e-4", 0, 0.5, 1.0), ("1e-3", 0, 0.8, 0.9)), tmp_path)
    before = (tmp_path / "search.json").read_bytes()
    assert report([str(tmp_path)]) == 0
    assert f"Best on the validation split: {RATE}=1e-3" in capsys.readouterr().out
    assert (tmp_path / "search.json").read_bytes() == before


def test_the_report_command_shows_what_a_search_that_was_cut_off_has_tried(make_search, tmp_path, capsys):
    make_search(("1e-4", 0, 0.5, 1.0), ("1e-3", 0, None, None))
    write_search(summarize([], [RATE]), tmp_path)  # As at its beginning.
    assert report([str(tmp_path)]) == 0
    assert f"Best on the validation split: {RATE}=1e-4" in capsys.readouterr().out


@pytest.mark.parametrize(
    "values",
    [
        {"student.optimizer.betas": "[0.9,0.95]", RATE: "1e-3"},
        {"student.keep_layers": "[0,4,9]", "task.data.path": "/daten/Übung"},
    ],
)
def test_the_best_settings_are_words_where_a_shell_takes_no_quotes_away(values, tmp_path):
    found = Candidate(values, ["0"], 1.0, 0.0)
    (tmp_path / "override.txt").write_text(found.words + "\n", encoding="utf-8")
    line = f"printf '%s|' $(cat {tmp_path / 'override.txt'})"
    said = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True).stdout
    assert said.split("|")[:-1] == [f"{name}={value}" for name, value in values.items()]


def test_settings_that_need_quotes_have_them():
    found = Candidate({"task.data.path": "/a b", RATE: "1e-3"}, ["0"], 1.0, 0.0)
    assert found.words == found.override
    assert shlex.split(found.words) == ["task.data.path=/a b", f"{RATE}=1e-3"]


def test_the_best_settings_are_for_a_shell():
    values = {"student.lora.target_modules": "['q_proj','v_proj']", "task.template": "'{text}\n'", RATE: "1e-3"}
    found = Candidate(values, ["0"], 1.0, 0.0).override
    assert shlex.split(found.replace("$'", "'").replace("\\'", "@")) == [
        "student.lora.target_modules=['q_proj','v_proj']",
        "task.template=@{text}\\n@",
        f"{RATE}=1e-3",
    ]
