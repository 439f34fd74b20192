"""Which student of a sweep is the best: by validation, and the anchors are among them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from scd_lightning.analysis.comparison.students_made import candidates

TASK = {"_target_": "scd_lightning.tasks.ner.NER", "name": None, "validation": "teacher_forced"}


def curve(*points: tuple[float | None, float | None]) -> list[dict[str, Any]]:
    return [{"validation_metric": metric, "validation_loss": loss} for metric, loss in points]


@pytest.fixture
def job(tmp_path):
    """Leaves the folder of a finished run."""

    def leave(number: str, curves: dict[str, Any], method: str = "td", anchor: str = "anchor-a", **task: Any) -> Path:
        folder = tmp_path / number
        (folder / ".hydra").mkdir(parents=True)
        (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump([f"method={method}", "task=ner"]))
        data = {"path": task.pop("path", None), "hub": None}
        config = {"task": TASK | task | {"data": data}, "method": {"name": method}, "seed": 3}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        costs = {"student_sft": {"artifacts": {anchor: 1}}, "distill": {"artifacts": {f"student-{number}": 1}}}
        files = {"results": {"primary_metric": "f1"}, "curves": curves, "costs": costs, "run": {"finished": "now"}}
        for file, content in files.items():
            (folder / f"{file}.json").write_text(json.dumps(content))
        return folder

    return leave


def names(found: dict[Any, list[Any]]) -> list[list[str]]:
    return [[f"{each.run.name} {each.role} {each.method} {each.metric}" for each in group] for group in found.values()]


def test_the_highest_metric_wins_then_the_lowest_loss_then_the_first_job(job):
    folders = [
        job("0", {"student": curve((0.5, 1.0), (0.7, 0.9), (0.6, 0.1)), "anchor": curve((0.7, 0.8))}),
        job("1", {"student": curve((None, None), (0.7, 0.9)), "anchor": curve((0.2, 1.0))}, anchor="anchor-b"),
        job("2", {"student": curve((0.9, 3.0)), "anchor": curve((float("nan"), 1.0))}, anchor="anchor-c"),
    ]
    assert names(candidates(folders)) == [
        ["2 student td 0.9", "0 anchor sft 0.7", "0 student td 0.7", "1 student td 0.7", "1 anchor sft 0.2"]
    ]


def test_an_anchor_that_jobs_share_is_one_and_that_of_plain_fine_tuning_if_there_is_such_a_job(job):
    shared = {"anchor": curve((0.8, 0.1))}
    folders = [
        job("0", shared | {"student": curve((0.1, 1.0))}),
        job("1", shared, "sft"),
        job("2", shared | {"student": curve((0.2, 1.0))}, "cd"),
    ]
    ((best, *others),) = candidates(folders).values()
    assert (best.run.name, best.role, best.method, sorted(best.jobs)) == ("1", "student", "sft", ["0", "1", "2"])
    assert best.name == "job 1 (method=sft)"
    assert [each.run.name for each in others] == ["2", "0"]
    (found,) = candidates([folders[0], folders[2]]).values()
    assert found[0].name == "the anchor of job 0 (method=td), which is fine-tuned alone"
    assert found[0].to_dict()["plain_fine_tuning"]


def test_tasks_data_and_metrics_are_told_apart_and_student_sizes_are_not(job):
    own = {"student": curve((0.5, 1.0)), "anchor": []}
    folders = [
        job("0", own),
        job("1", own),
        job("2", own, path="/data/other"),
        job("3", own, validation="task"),
        job("4", own, name="tickets"),
    ]
    found = candidates(folders)
    assert [len(each) for each in found.values()] == [2, 1, 1, 1]
    assert [group[0].metric_name for group in found.values()] == ["exact match", "exact match", "f1", "exact match"]
    assert [group[0].task for group in found.values()] == ["ner", "ner", "ner", "tickets"]


def test_jobs_that_failed_and_models_from_elsewhere_are_left_out(job):
    failed = job("0", {"student": curve((0.9, 1.0))})
    (failed / "failure.json").write_text(json.dumps({"type": "DataError", "message": ""}))
    damaged = job("1", {"student": curve((0.9, 1.0))})
    (damaged / "curves.json").write_text("{")
    imported = job("2", {"anchor": []}, "sft")
    assert candidates([failed, damaged, imported]) == {}
