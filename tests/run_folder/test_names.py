"""The names of a run's files are those that the parts of the package write."""

from scd_lightning.analysis import records
from scd_lightning.analysis.comparison import draws
from scd_lightning.analysis.search import TRIAL, search_summary
from scd_lightning.data.unlabelled import UNLABELLED
from scd_lightning.launch import failures
from scd_lightning.loggers.tensorboard import RESULTS as TENSORBOARD_RESULTS
from scd_lightning.pipeline import report, unfinished
from scd_lightning.pipeline.heal import log_name
from scd_lightning.pipeline.prepare import REJECTED
from scd_lightning.run_folder import names
from scd_lightning.store.ownership import MARK


def test_each_part_writes_under_a_known_name():
    written = {records.RESULTS, records.PARTIAL, failures.FAILURE, REJECTED, TRIAL, *unfinished._MADE}
    written |= {f"predictions/{name}.jsonl" for name in (*report.MODELS, *records.PREDICTORS, UNLABELLED, "samples")}
    written |= {f"{name}.json" for name in records._TABLES} | {f"tensorboard/{TENSORBOARD_RESULTS}/hparams.yaml"}
    assert written <= set(names.FILES)
    assert names.may_be_own(f"{failures.FAILURES}/rank-12.json")


def test_a_round_of_healing_has_logs_of_its_own(tmp_path):
    written = {f"logs/{log_name(15)}/{name}" for name in ("metrics.csv", "hparams.yaml")}
    written |= {f"tensorboard/{log_name(7)}/{name}" for name in ("events.out.tfevents.1", "hparams.yaml")}
    for name in (*written, "logs/heal_mine/metrics.csv", "logs/heal_7/mine.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert names.present(tmp_path) == written
    assert all(map(names.may_be_own, written))


def test_what_the_end_of_a_search_writes_is_known():
    assert {search_summary.SEARCH, search_summary.OVERRIDE, search_summary.PLOT} <= set(names.FOUND)
    assert draws._NOTES not in names.FOUND  # It is the running sweep's, which takes it away itself.


def test_no_other_name_is_own():
    for name in (
        "/results.json",
        "../run/results.json",
        "student",
        "student/",
        "student/../x",
        "logs/mine/metrics.csv",
    ):
        assert not names.may_be_own(name)
    for name in ("wandb", "wandb/run-1", "wandb/run-20301231_235959-a/files", "predictions/mine.jsonl", "", "."):
        assert not names.may_be_own(name)


def test_a_command_s_files_are_all_noted(run_py, tmp_path):
    code, _, error = run_py("method=td", "logger=[csv,tensorboard]", "debug=smoke", "hydra.run.dir=run")
    assert code == 0, error
    run = tmp_path / "run"
    left = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    noted = set(records.read_json(run / "run.json", {})["files"])
    assert left - {MARK} <= noted  # The mark says that the folder is ours, run by run.
    assert {name.partition("-")[0] for name in noted - left} == {"step"}  # Read at the end, and taken away.
