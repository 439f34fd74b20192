"""The command line as users type it, on one process and on two; tests/pipeline compares them in one process, faster."""

import json
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

RECORD = "+callbacks.record={{_target_: conftest.LossRecorder, _partial_: true, folder: '{}'}}"


def read(path: Path):
    return json.loads(path.read_text(encoding="utf-8"))


def artifacts(store: Path) -> dict[str, int]:
    names = [path.parent.name.rsplit("-", 1)[0] for path in store.glob("*/artifact.json")]
    return {name: names.count(name) for name in sorted(set(names))}


@pytest.mark.parametrize(("precision", "tolerance", "steps"), [("64-true", 1e-9, 10**9), ("32-true", 1e-5, 20)])
def test_two_processes_train_as_one(command, tmp_path, read_losses, precision, tolerance, steps):
    losses, results = [], []
    for trainer in ("cpu", "ddp_cpu"):
        run = tmp_path / trainer
        run.mkdir()
        command(
            f"hydra.run.dir='{run}'",
            f"paths.store='{tmp_path / 'store'}_{trainer}'",
            f"trainer={trainer}",
            f"trainer.precision={precision}",
            "budget.stage_epochs=2",
            RECORD.format(run),
        )
        losses.append(read_losses(run))
        results.append(read(run / "results.json"))
    assert len(list((tmp_path / "ddp_cpu").glob("losses-*.jsonl"))) == 2
    assert losses[0].keys() == losses[1].keys()
    early = [key for key in losses[0] if key[1] < steps]
    assert max(abs(losses[0][key] - losses[1][key]) for key in early) <= tolerance
    assert [stage["checkpoint"] for stage in results[0]["schedule"]] == [
        stage["checkpoint"] for stage in results[1]["schedule"]
    ]
    rows = [
        [json.loads(line)["loss"] for line in (tmp_path / trainer / "predictions/student.jsonl").open()]
        for trainer in ("cpu", "ddp_cpu")
    ]
    assert rows[0] == pytest.approx(rows[1], abs=tolerance if precision == "64-true" else 1e-3, rel=0)


@pytest.mark.parametrize("trainer", ["cpu", "ddp_cpu"])
def test_two_commands_leave_the_same_bytes(command, tmp_path, trainer):
    runs = [tmp_path / name for name in ("first", "deeper/second")]
    for run in runs:
        command(f"hydra.run.dir='{run}'", f"paths.store='{run}_store'", f"trainer={trainer}")
    for name in ("results.json", "schedule.json", "predictions/student.jsonl", "student/model.safetensors"):
        assert (runs[0] / name).read_bytes() == (runs[1] / name).read_bytes(), name


@pytest.mark.parametrize("trainer", ["cpu", "ddp_cpu"])
def test_a_sweep_trains_teacher_and_anchor_once(command, tmp_path, trainer):
    sweep = tmp_path / "sweep"
    done = command("-m", "method=sft,td,scd_aw", f"trainer={trainer}", f"hydra.sweep.dir='{sweep}'")
    assert artifacts(tmp_path / "store") == {"anchor": 1, "evaluation": 4, "student": 2, "teacher": 1, "tokenizer": 1}
    for number, method in enumerate(("sft", "td", "scd_aw")):
        results, costs = read(sweep / str(number) / "results.json"), read(sweep / str(number) / "costs.json")
        assert results["method"] == method
        assert costs["teacher_sft"]["reused"] is costs["student_sft"]["reused"] is (number > 0)
        if method != "sft":
            assert costs["distill"]["reused"] is False
    assert not list(sweep.glob("*/failure.json"))
    assert all(method in done.stdout for method in ("sft", "td", "scd_aw"))

    # The same again makes nothing, and starts no process for it.
    command("-m", "method=sft,td,scd_aw", f"trainer={trainer}", f"hydra.sweep.dir='{tmp_path / 'again'}'")
    for number in range(3):
        costs = read(tmp_path / "again" / str(number) / "costs.json")
        assert all(cost["reused"] for cost in costs.values())
        assert (tmp_path / "again" / str(number) / "results.json").read_bytes() == (
            sweep / str(number) / "results.json"
        ).read_bytes()


def test_two_runs_side_by_side_share_the_work(command, tmp_path):
    runs = [tmp_path / "one", tmp_path / "two"]
    with ThreadPoolExecutor(2) as pool:
        outputs = list(pool.map(lambda run: command(f"hydra.run.dir='{run}'", "method=td").stdout, runs))
    assert artifacts(tmp_path / "store") == {"anchor": 1, "evaluation": 3, "student": 1, "teacher": 1, "tokenizer": 1}
    assert (runs[0] / "results.json").read_bytes() == (runs[1] / "results.json").read_bytes()
    for kind in ("teacher_sft", "student_sft", "distill"):
        assert sorted(read(run / "costs.json")[kind]["reused"] for run in runs) == [False, True]
    assert any("Waiting for" in output and str(tmp_path) in output for output in outputs)


def wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end
        time.sleep(0.1)


def processes(run: Path) -> list[str]:
    """Command lines of the living processes of a run."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # It has just ended.
            continue
    return [line for line in lines if str(run) in line]


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks into /proc")
def test_a_killed_parent_takes_its_ranks_along(start, command, tmp_path):
    run = tmp_path / "run"
    arguments = ("trainer=ddp_cpu", "method=td", f"hydra.run.dir={run}", "teacher.epochs=30")
    parent = start(*arguments)
    wait_for(lambda: bool(list((tmp_path / "store").glob("teacher-*.partial/trajectory/checkpoint-*"))))
    assert len(processes(run)) == 3
    parent.send_signal(signal.SIGKILL)
    wait_for(lambda: not processes(run))
    assert "teacher" not in artifacts(tmp_path / "store")

    command(*arguments)
    assert artifacts(tmp_path / "store")["teacher"] == 1
    assert not list((tmp_path / "store").glob("*.partial"))


def test_a_dead_rank_ends_the_job(command, tmp_path):
    dying = "+callbacks.dying={_target_: conftest.DyingRank, _partial_: true}"
    done = command("trainer=ddp_cpu", "method=td", f"hydra.run.dir={tmp_path / 'run'}", dying, check=False)
    assert done.returncode == 1
    assert artifacts(tmp_path / "store") == {"teacher": 1, "tokenizer": 1}
    # The teacher was whole, and is found; the rest is made now.
    command("trainer=ddp_cpu", "method=td", f"hydra.run.dir={tmp_path / 'run'}")
    costs = read(tmp_path / "run" / "costs.json")
    assert [costs[stage]["reused"] for stage in ("teacher_sft", "student_sft", "distill")] == [True, False, False]
