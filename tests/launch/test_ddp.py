"""The command line as users type it, on one process and on two; tests/pipeline compares them in one process, faster."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from scd_lightning.launch import preemption

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
    assert artifacts(tmp_path / "store") == {
        "anchor": 1,
        "confidence": 3,
        "evaluation": 4,
        "student": 2,
        "teacher": 1,
        "gold": 1,
        "tokenizer": 1,
    }
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
    assert artifacts(tmp_path / "store") == {
        "anchor": 1,
        "confidence": 1,
        "evaluation": 3,
        "student": 1,
        "teacher": 1,
        "gold": 1,
        "tokenizer": 1,
    }
    assert (runs[0] / "results.json").read_bytes() == (runs[1] / "results.json").read_bytes()
    for kind in ("teacher_sft", "student_sft", "distill"):
        assert sorted(read(run / "costs.json")[kind]["reused"] for run in runs) == [False, True]
    assert any("Waiting for" in output and str(tmp_path) in output for output in outputs)


def wait_for(what: Callable[[], bool], process: subprocess.Popen[str] | None = None, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert process is None or process.poll() is None
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


@pytest.mark.parametrize(
    ("callback", "said", "code"),
    [
        ("DyingRank", "RankDied: Process 1 of 2 was ended by SIGKILL", 1),
        ("FailingRank", "ConfigError: A callback has failed. Where: callbacks, FailingRank", 2),
    ],
)
def test_a_rank_that_fails_ends_the_job_and_its_error_is_told_once(command, tmp_path, ledger, callback, said, code):
    run = tmp_path / "run"
    failing = f"+callbacks.failing={{_target_: conftest.{callback}, _partial_: true}}"
    done = command("trainer=ddp_cpu", "method=td", f"hydra.run.dir={run}", failing, check=False)
    failed_at = min(read(path)["at"] for path in run.glob("failures/rank-*.json"))
    assert time.time() - failed_at < 60
    assert done.returncode == code
    assert done.stderr.count(said) == 1
    # The other process's lost connection, and whatever a launcher would say.
    assert "Connection closed" not in done.stderr
    assert "torch.distributed.run" not in done.stderr
    assert read(run / "failure.json")["type"] == said.partition(":")[0]
    assert artifacts(tmp_path / "store") == {"teacher": 1, "gold": 1, "tokenizer": 1}
    # The teacher was whole, and is found; the rest is made now.
    command("trainer=ddp_cpu", "method=td", f"hydra.run.dir={run}")
    costs = read(run / "costs.json")
    assert [costs[stage]["reused"] for stage in ("teacher_sft", "student_sft", "distill")] == [True, False, False]
    assert not (run / "failures").exists()
    fault = "one of two processes killed" if callback == "DyingRank" else "an error in one of two processes"
    ledger.record(fault, True, "the steps since the last save")


@pytest.mark.parametrize("to", ["parent", "rank"])
def test_a_signal_ends_all_ranks_and_the_same_command_goes_on(start, command, tmp_path, to):
    run = tmp_path / "run"
    arguments = ("trainer=ddp_cpu", "method=td", f"hydra.run.dir={run}", "budget.stage_epochs=30")
    parent = start(*arguments, "resume.exit_code=85")
    wait_for(lambda: bool(list((tmp_path / "store").glob("student-*.partial/weights/checkpoint-*"))), parent)
    target = parent.pid if to == "parent" else psutil.Process(parent.pid).children()[-1].pid
    os.kill(target, signal.SIGUSR1)
    _, error = parent.communicate(timeout=60)
    assert parent.returncode == 85
    assert f"Ended by {'SIGUSR1' if to == 'parent' else 'a signal'}" in error
    assert "Traceback" not in error
    assert not processes(run)
    assert not (run / "failure.json").exists()
    assert read(run / "run.json")["ended"] == ("SIGUSR1" if to == "parent" else preemption.ANOTHER)

    done = command(*arguments)
    assert "goes on after optimizer step" in done.stdout
    assert "ended" not in read(run / "run.json")


def ranks_of(parent: "subprocess.Popen[str]") -> list[psutil.Process]:
    """The processes that a job's parent has started."""
    wait_for(lambda: len(psutil.Process(parent.pid).children()) == 2, parent, seconds=300)
    return psutil.Process(parent.pid).children()


def test_data_that_change_under_a_job_end_it_by_name(start, tmp_path, ledger):
    data, run = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    for split, count in {"train": 48, "validation": 8, "test": 8}.items():
        rows = [{"text": f"{split} {i} of {'ab'[i % 2]}", "label": "ab"[i % 2]} for i in range(count)]
        (data / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ("trainer=ddp_cpu", "method=td", "task=classification", f"task.data.path={data}")
    for number in range(10):
        with ledger.attempt("data changed under a job of two processes"):
            split = ("train", "validation", "test")[number % 3]
            parent = start(*arguments, f"hydra.run.dir={run}")
            ranks_of(parent)
            with (data / f"{split}.jsonl").open("a") as file:
                file.write(json.dumps({"text": f"one more, {number}", "label": "a"}) + "\n")
            _, error = parent.communicate(timeout=120)
            assert parent.returncode == 2, error
            assert error.count("do not see the same data") == 1
            assert f"Where: task.data: {split}." in error
            assert read(run / "failure.json")["type"] == "DataError"
            assert not processes(run)
    assert artifacts(tmp_path / "store").keys() <= {"gold", "tokenizer"}


def test_a_process_that_hangs_is_named(start, command, tmp_path, ledger):
    run = tmp_path / "run"
    arguments = ("trainer=ddp_cpu", "method=td", f"hydra.run.dir={run}", "teacher.epochs=30")
    parent = start(*arguments, "trainer.wait_minutes=0.2")
    wait_for(lambda: bool(list((tmp_path / "store").glob("teacher-*.partial/trajectory/checkpoint-*"))), parent)
    with ledger.attempt("one of two processes stopped"):
        os.kill(ranks_of(parent)[1].pid, signal.SIGSTOP)
        _, error = parent.communicate(timeout=120)
        assert parent.returncode == 1
        assert error.count("RankDied: Process 1 of 2 hung") == 1
        assert "Traceback" not in error
        assert not processes(run)
        command(*arguments)


def test_all_processes_of_a_job_listen_on_loopback_alone(start, tmp_path):
    parent = start("trainer=ddp_cpu", "method=td", f"hydra.run.dir={tmp_path / 'run'}")
    seen: dict[int, set[str]] = {}
    while parent.poll() is None:
        for each in [psutil.Process(parent.pid), *psutil.Process(parent.pid).children(recursive=True)]:
            with suppress(psutil.Error):
                listening = [one for one in each.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
                if listening:
                    seen.setdefault(each.pid, set()).update(one.laddr.ip for one in listening)
        time.sleep(0.1)
    assert parent.returncode == 0
    assert len(seen) == 3
    assert set().union(*seen.values()) <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize("ignored", [False, True])
def test_sighup_saves_unless_it_was_ignored_from_the_start(start, tmp_path, ignored):
    run = tmp_path / "run"
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:  # What nohup does; a process that is started takes it over.
        parent = start(
            "trainer=ddp_cpu", "method=td", f"hydra.run.dir={run}", "teacher.epochs=300", "resume.every_steps=5"
        )
    finally:
        signal.signal(signal.SIGHUP, before)
    wait_for(lambda: bool(list((tmp_path / "store").glob("teacher-*.partial/resume/step-*"))), parent)
    parent.send_signal(signal.SIGHUP)
    if ignored:
        time.sleep(3)
        parent.send_signal(signal.SIGTERM)
    _, error = parent.communicate(timeout=120)
    assert parent.returncode == 75, error
    assert f"Ended by {'SIGTERM' if ignored else 'SIGHUP'}" in error
    (unfinished,) = [each for each in read(run / "partial.json")["phases"] if each["state"] == "unfinished"]
    assert unfinished["saved"]["step"] > 0


def test_machines_with_other_commands_are_refused(start, tmp_path):
    done = nodes(start, tmp_path / "run", "method=td", second=("resume.every_steps=3",))
    assert 0 not in [each.returncode for each in done]
    said = "".join(each.stderr for each in done)
    assert said.count("do not see the same settings. Where: the configuration: resume.every_steps.") == 1
    assert not artifacts(tmp_path / "store")


def nodes(start, run: Path, *arguments: str, second: tuple[str, ...] = ()) -> list[subprocess.CompletedProcess[str]]:
    """Two machines with a process each, here on one: what the user's own torchrun does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for node in range(2):
        where = f"--nnodes=2 --nproc-per-node=1 --master-addr=127.0.0.1 --master-port={port} --node-rank={node}"
        sizes = ("trainer=ddp_cpu", "trainer.devices=1", "trainer.num_nodes=2", f"hydra.run.dir={run}")
        started.append(start(*sizes, *arguments, *second * node, torchrun=where.split()))
    done = []
    for process in started:
        out, error = process.communicate(timeout=200)
        done.append(subprocess.CompletedProcess("", process.returncode, out, error))
    return done


def test_two_machines_do_what_two_devices_do(start, command, tmp_path):
    done = nodes(start, tmp_path / "nodes", "method=td")
    assert [each.returncode for each in done] == [0, 0], done[0].stderr + done[1].stderr
    assert "report:" in done[0].stdout
    assert not done[1].stdout
    command("trainer=ddp_cpu", "method=td", f"hydra.run.dir={tmp_path / 'run'}", f"paths.store={tmp_path / 'other'}")
    for name in ("results.json", "schedule.json", "student/model.safetensors"):
        assert (tmp_path / "nodes" / name).read_bytes() == (tmp_path / "run" / name).read_bytes(), name


def test_of_two_machines_the_one_that_fails_tells(start, tmp_path):
    failing = "+callbacks.failing={_target_: conftest.FailingRank, _partial_: true}"
    done = nodes(start, tmp_path / "run", "method=td", failing)
    assert 0 not in [each.returncode for each in done]
    assert "Where: callbacks, FailingRank.on_train_batch_end. Got: a defect in one process" in done[1].stderr
    assert "RuntimeError" not in done[0].stderr
    assert "a defect" not in done[0].stderr
    assert read(tmp_path / "run" / "failure.json")["type"] == "ConfigError"


def test_a_signal_to_two_machines_ends_them_and_the_same_commands_go_on(start, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "60")
    run, found = tmp_path / "run", []

    def end_both() -> None:
        wait_for(lambda: bool(list((tmp_path / "store").glob("student-*.partial/weights/checkpoint-*"))))
        for process in psutil.process_iter(["cmdline"]):
            line = process.info["cmdline"] or []
            if "torch.distributed.run" in line and f"hydra.run.dir={run}" in line:
                found.append(process)
                process.send_signal(signal.SIGTERM)

    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(end_both)
        done = nodes(start, run, "method=td", "budget.stage_epochs=30")
        ending.result()
    assert len(found) == 2
    assert 0 not in [each.returncode for each in done]
    assert not (run / "failure.json").exists()
    assert read(run / "run.json")["ended"] in ("SIGTERM", preemption.ANOTHER)

    done = nodes(start, run, "method=td", "budget.stage_epochs=30")
    assert [each.returncode for each in done] == [0, 0], done[0].stderr + done[1].stderr
    assert "goes on after optimizer step" in done[0].stdout


def test_submitit_s_signal_saves_and_queues_the_job_again(start, tmp_path):
    sweep = tmp_path / "sweep"
    arguments = ("method=td", "budget.stage_epochs=30", f"hydra.sweep.dir={sweep}", "hydra/launcher=submitit_local")
    parent = start("-m", "trainer=ddp_cpu", *arguments)
    wait_for(lambda: bool(list((tmp_path / "store").glob("student-*.partial/weights/checkpoint-*"))), parent)
    (job,) = [
        process
        for process in psutil.Process(parent.pid).children(recursive=True)
        if "submitit.core._submit" in process.cmdline()
    ]
    job.send_signal(signal.SIGUSR2)
    _, error = parent.communicate(timeout=120)
    assert parent.returncode == 0, error
    assert (sweep / "0" / "results.json").is_file()
    said = "".join(path.read_text() for path in sweep.rglob("*_log.out"))
    assert "goes on after optimizer step" in said
