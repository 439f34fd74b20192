"""Two runs at once where both would have one folder: each folder is one run's, whole."""

import json
import time

import pytest
import yaml

from scd_lightning.store.ownership import MARK

METHODS = ("sft", "td")
# Pairs of each kind.
PAIRS = 10
# Seconds from the first start to the second, for two that are given one folder: from both at once to one after another.
DELAYS = [0, 0.5, 1, 2, 3, 4, 6, 8, 10, 12]
GIVEN, DEFAULT = "two runs at once in one folder", "two runs of one second without a folder"


@pytest.fixture(scope="module")
def alone(make_job_in, run_job, tmp_path_factory):
    """The folder of each method's run that nothing happened to."""
    folder = tmp_path_factory.mktemp("alone")
    for method in METHODS:
        run_job(make_job_in(folder)(f"method={method}", run=method))
    return folder


@pytest.fixture
def pair(start):
    """Starts a command of each method; gives both exit codes and what they said."""

    def run(*overrides, delay=0.0):
        first = start("method=sft", "logger=csv", *overrides)
        time.sleep(delay)
        started = [first, start("method=td", "logger=tensorboard", *overrides)]
        said = ["".join(process.communicate(timeout=300)) for process in started]
        return [process.returncode for process in started], said

    return run


def whose(folder, alone):
    """The method whose run a folder is, once all in it was found to be that run's."""
    method = json.loads((folder / "results.json").read_text())["method"]
    run = json.loads((folder / "run.json").read_text())
    assert f"method={method}" in run["command"]
    assert run["finished"]
    assert yaml.safe_load((folder / "config.yaml").read_text())["method"]["name"] == method
    assert f"method={method}" in yaml.safe_load((folder / ".hydra" / "overrides.yaml").read_text())
    for path in (alone / method).rglob("*"):
        if path.suffix in (".jsonl", ".safetensors") or path.name in ("results.json", "trajectory.json"):
            assert (folder / path.relative_to(alone / method)).read_bytes() == path.read_bytes(), path
    kinds = {"schedule.json": "td", "tensorboard": "td", "logs": "sft"}
    assert {name for name in kinds if (folder / name).exists()} == {name for name in kinds if kinds[name] == method}
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert left == {*run["files"], MARK}
    return method


@pytest.mark.slow
@pytest.mark.parametrize("delay", DELAYS)
def test_in_one_folder(pair, alone, ledger, tmp_path, delay):
    with ledger.attempt(GIVEN) as attempt:
        codes, said = pair("hydra.run.dir=run", delay=delay)
        assert 0 in codes, said
        for code, text in zip(codes, said, strict=True):
            assert code == 0 or (code == 2 and "Another command is running in this folder" in text), text
        last = METHODS[codes.index(0)] if 2 in codes else METHODS[1]
        # Of two that went through, one after the other, it is the later one's.
        assert whose(tmp_path / "run", alone) == last or codes == [0, 0]
        attempt.lost = "nothing: the second is refused" if 2 in codes else "nothing: the second came later"


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(PAIRS))
def test_of_one_second(pair, alone, ledger, tmp_path, turn):
    with ledger.attempt(DEFAULT):
        codes, said = pair("hydra.run.dir='outputs/${now:%Y}'")  # A year is a longer second.
        assert codes == [0, 0], said
        folders = list((tmp_path / "outputs").iterdir())
        assert sorted(whose(folder, alone) for folder in folders) == list(METHODS)
