"""Whole sweeps under Hydra's plugins: side by side, as SLURM jobs, and searched by Optuna."""

import json
import os
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

CONF = Path(__file__).parents[2] / "conf"

# SLURM as far as submitit needs it: jobs of an array run at once, each with the environment that srun gives.
_SBATCH = """#!{python}
import os, re, subprocess, sys
text = open(sys.argv[-1]).read()
open(os.environ["FAKE_SLURM"] + "/script", "w").write(text)
last = int(re.search(r"--array=0-(\\d+)", text)[1])
for index in range(last + 1):
    tasks = re.search(r"--ntasks-per-node=(\\d+)", text)[1]
    job = {{"SLURM_JOB_ID": str(100 + index), "SLURM_ARRAY_JOB_ID": "77", "SLURM_ARRAY_TASK_ID": str(index)}}
    job |= {{"SLURM_JOB_NAME": "run", "SLURM_JOB_NODELIST": "localhost", "SLURM_NODEID": "0", "SLURM_PROCID": "0"}}
    job |= {{"SLURM_LOCALID": "0", "SLURM_NTASKS": tasks, "SLURM_NTASKS_PER_NODE": tasks, "SLURM_NNODES": "1"}}
    job |= {{"SLURM_JOB_NUM_NODES": "1"}}
    null = subprocess.DEVNULL
    subprocess.Popen(["bash", sys.argv[-1]], env=os.environ | job, start_new_session=True, stdout=null, stderr=null)
print("Submitted batch job 77")
"""
_SRUN = """#!{python}
import os, subprocess, sys
words = sys.argv[1:]
folder, index = os.environ["FAKE_SLURM"], os.environ["SLURM_ARRAY_TASK_ID"]
files = {{}}
while words[0].startswith("--"):
    name = words.pop(0)
    if name in ("--output", "--error"):
        path = words.pop(0).replace("%A", "77").replace("%a", index).replace("%t", "0")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        files[name] = open(path, "w")
code = subprocess.call(words, stdout=files.get("--output"), stderr=files.get("--error"))
open(f"{{folder}}/{{index}}.done", "w").write(str(code))
sys.exit(code)
"""
_SACCT = """#!{python}
import glob, os
print("JobID|State|NodeList")
for path in glob.glob(os.environ["FAKE_SLURM"] + "/*.done"):
    print(f"77_{{os.path.basename(path)[:-5]}}|COMPLETED|localhost")
"""


@pytest.fixture
def fake_slurm(tmp_path, monkeypatch):
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, text in {"sbatch": _SBATCH, "srun": _SRUN, "sacct": _SACCT}.items():
        (folder / name).write_text(text.format(python=sys.executable))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SLURM", str(folder))
    return folder


def read(path: Path):
    return json.loads(path.read_text())


def test_a_slurm_job_gets_as_many_gpus_as_it_has_devices():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose(
            "config", ["hydra/launcher=slurm", "trainer=ddp", "trainer.devices=4"], return_hydra_config=True
        )
        config.hydra.sweep.dir, config.hydra.job.name = "sweep", "run"
        params = instantiate(config.hydra.launcher).params
    assert params["gpus_per_node"] == 4
    assert params["tasks_per_node"] == 1
    assert params["max_num_timeout"] > 0


@pytest.mark.slow
def test_a_sweep_side_by_side_finds_what_one_in_order_does(command, tmp_path):
    sweep = ("-m", "method=td,scd_aw", "trainer=ddp_cpu", "budget.stages=1")
    beside = command(*sweep, "hydra/launcher=side_by_side", "hydra.sweep.dir=beside", "paths.store=other")
    command(*sweep, "hydra.sweep.dir=in_order")
    results = [read(tmp_path / folder / job / "results.json") for job in "01" for folder in ("beside", "in_order")]
    assert results[0] == results[1]
    assert results[2] == results[3]
    stored = [path.name.partition("-")[0] for path in (tmp_path / "other").iterdir() if path.is_dir()]
    assert [stored.count(kind) for kind in ("teacher", "anchor", "student")] == [1, 1, 2]
    lines = beside.stdout.partition("test split, scratch teacher")[0].splitlines()
    assert all(line.startswith(("job 0: ", "job 1: ")) for line in lines[:-1])
    # Who waits for a teacher distils beside the other, rather than after it.
    waits = [line for line in lines if "Waiting for" in line]
    assert waits


@pytest.mark.slow
def test_jobs_side_by_side_are_bit_for_bit_those_of_a_sweep_in_order(command, tmp_path):
    draws = ("-m", "seed=0,1", "method=sft,scd_aw")
    beside = command(*draws, "hydra/launcher=side_by_side", "hydra.sweep.dir=beside", "paths.store=other")
    in_order = command(*draws, "hydra.sweep.dir=in_order")
    for job in "0123":
        files = [path for path in sorted((tmp_path / "in_order" / job).rglob("*")) if path.is_file()]
        for path in files:
            name = path.relative_to(tmp_path / "in_order")
            if path.name in ("results.json", "schedule.json") or path.suffix in (".jsonl", ".safetensors"):
                assert (tmp_path / "beside" / name).read_bytes() == path.read_bytes(), name
        assert {"results.json", "model.safetensors", "student.jsonl"} <= {path.name for path in files}
    for done in (beside, in_order):
        assert done.stdout.count("; more are running") == 1
    best = [read(tmp_path / folder / "best" / "best.json") for folder in ("beside", "in_order")]
    assert best[0] == best[1]


@pytest.mark.slow
def test_a_failed_job_side_by_side_does_not_stop_the_sweep(command, tmp_path):
    done = command(
        "-m",
        "method=sft",
        "teacher.checkpoints=2,1000,3",
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        "hydra.sweep.dir=sweep",
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "job 1: ConfigError: " in done.stderr
    assert "failed: 1 (teacher.checkpoints=1000): ConfigError: " in done.stdout
    (setting,) = read(tmp_path / "sweep" / "comparison.json")["settings"]
    assert len(setting["rows"]) == 2
    best = read(tmp_path / "sweep" / "best" / "best.json")
    assert (best["left_out"], len(best["candidates"])) == ([{"job": "1", "error": "ConfigError"}], 1)


@pytest.mark.slow
def test_a_killed_job_side_by_side_is_named_and_what_it_left_is_not_taken_for_results(command, tmp_path):
    dying = "+callbacks.die={_target_: conftest.DyingJob, _partial_: true, seed: '${seed}'}"
    sweep = ("-m", "method=sft", "hydra/launcher=side_by_side", "hydra.sweep.dir=sweep")
    (tmp_path / "sweep" / "1").mkdir(parents=True)
    (tmp_path / "sweep" / "1" / "results.json").write_text("{}")  # An earlier sweep's.
    done = command(*sweep, "seed=0,1", dying, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "The launcher broke off the sweep. TerminatedWorkerError: " in done.stderr
    assert "unfinished: 1 (seed=1): It started at " in " ".join(done.stdout.split())
    assert (tmp_path / "sweep" / "comparison.html").is_file()


@pytest.mark.slow
def test_submitted_jobs_run_with_one_device_and_with_two(command, tmp_path):
    command(
        "-m", "method=sft", "trainer=ddp_cpu,cpu", "hydra/launcher=submitit_local", "hydra.sweep.dir=sweep",
        "paths.store='store-${trainer.devices}'",
    )  # fmt: skip
    two, one = (read(tmp_path / "sweep" / job / "results.json") for job in "01")
    assert two["metrics"] == one["metrics"]
    assert (tmp_path / "sweep" / "best" / "student" / "model.safetensors").is_file()
    assert read(tmp_path / "sweep" / "0" / "run.json")["command"].startswith("python run.py ")


@pytest.mark.slow
def test_slurm_jobs_run_with_one_device_and_with_two(command, tmp_path, fake_slurm):
    command(
        "-m", "method=sft", "trainer=ddp_cpu,cpu", "hydra/launcher=slurm", "hydra.launcher.gpus_per_node=null",
        "hydra.sweep.dir=sweep", "paths.store='store-${trainer.devices}'",
    )  # fmt: skip
    two, one = (read(tmp_path / "sweep" / job / "results.json") for job in "01")
    assert two["metrics"] == one["metrics"]
    assert (tmp_path / "sweep" / "best" / "student" / "model.safetensors").is_file()
    script = (fake_slurm / "script").read_text()
    assert "#SBATCH --signal=USR2@120" in script
    assert "#SBATCH --time=240" in script


@pytest.mark.slow
def test_the_two_commands_of_a_search(command, tmp_path):
    rates = "student.optimizer.lr=tag(log,interval(1e-3,1e-2))"
    search = ("-m", "hparams_search=lr", "method=td", "budget.stages=1", "hydra.sweeper.n_trials=3")
    command(*search, rates, "hydra.sweep.dir=search")
    found = read(tmp_path / "search" / "search.json")
    assert len(found["candidates"]) == 3
    # Its anchors are among them.
    assert len(read(tmp_path / "search" / "best" / "best.json")["candidates"]) == 6
    command(*search, rates, "hydra.sweep.dir=again", "paths.store=other")
    assert read(tmp_path / "again" / "search.json") == found
    (override,) = (tmp_path / "search" / "override.txt").read_text().split()
    command("-m", "method=td,scd", "budget.stages=1", override, "hydra.sweep.dir=sweep")
    done = [read(tmp_path / "sweep" / job / "results.json") for job in "01"]
    assert [results["method"] for results in done] == ["td", "scd"]


@pytest.mark.slow
def test_a_search_goes_on_after_trials_that_diverge(command, tmp_path):
    done = command(
        "-m", "hparams_search=lr", "method=sft", "budget.stages=1", "hydra.sweeper.n_trials=3",
        "student.optimizer.lr=tag(log,interval(1e25,1e30))", "hydra.sweep.dir=search", check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert read(tmp_path / "search" / "search.json")["chosen"] is None
    assert done.stdout.count("failed: ") == 3
