"""TensorBoard's event files, read back by TensorBoard itself."""

import json
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

LIVE_ONLY = {"learning_rate", "batch_loss"}


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder))
    events.Reload()
    # An epoch's number is logged with its validation and with its training.
    return {tag: sorted({(e.step, e.value) for e in events.Scalars(tag)}) for tag in events.Tags()["scalars"]}


def read(path: Path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_tensorboard_shows_the_trainings_the_schedule_and_the_results(run_py, tmp_path):
    code, _, error = run_py("logger=[tensorboard,csv]", "hydra.run.dir=run")
    assert code == 0, error
    run = tmp_path / "run"
    assert list((run / "logs").rglob("metrics.csv"))
    curves, stages = read(run / "curves.json"), read(run / "schedule.json")["stages"]
    folders = {"teacher": "teacher_sft", "anchor": "student_sft", "student": "distill"}
    for model, folder in folders.items():
        found = scalars(run / "tensorboard" / folder)
        assert found.keys() >= LIVE_ONLY
        names = set().union(*curves[model]) - {"step"}
        for name in names if model != "teacher" else {"train_loss"}:
            assert found[name] == [(point["step"], pytest.approx(point[name], abs=1e-6)) for point in curves[model]]
    teacher = scalars(run / "tensorboard/teacher_sft")
    assert [step for step, _ in teacher["validation_loss"]] == [4, 8, 12]

    distill = scalars(run / "tensorboard/distill")
    assert distill["checkpoint"] == [(6 * stage["stage"], stage["checkpoint"]) for stage in stages]
    assert distill["score_1"] == [(6 * stage["stage"], pytest.approx(stage["score"][1], abs=1e-6)) for stage in stages]
    events = EventAccumulator(str(run / "tensorboard/distill"), {"histograms": 0})
    events.Reload()
    histograms = events.Histograms("weights")
    assert [each.step for each in histograms] == [6, 12]
    for each, stage in zip(histograms, stages, strict=True):
        assert each.histogram_value.num == sum(stage["weights"]) == 48

    # A job that finds everything in the store shows the same curves.
    code, _, error = run_py("logger=tensorboard", "hydra.run.dir=again")
    assert code == 0, error
    for folder in folders.values():
        live = scalars(run / "tensorboard" / folder)
        again = scalars(tmp_path / "again/tensorboard" / folder)
        for name in live.keys() - LIVE_ONLY:
            assert again[name] == [(step, pytest.approx(value, abs=1e-6)) for step, value in live[name]], name

    events = EventAccumulator(str(run / "tensorboard/results"))
    events.Reload()
    results = read(run / "results.json")
    (final,) = events.Scalars("test/f1")
    assert final.value == pytest.approx(results["metrics"]["student"]["f1"])
    content = HParamsPluginData.FromString(events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content)
    assert content.session_start_info.hparams["method"].string_value == "scd_aw"
    assert content.session_start_info.hparams["budget.stages"].number_value == 2
    (text,) = events.Tensors("verdict/text_summary")
    assert b"student" in text.tensor_proto.string_val[0]
