"""Two runs on one store at once."""

import shutil

import pytest

SIDE_BY_SIDE = "two runs on one store at once"


@pytest.fixture
def together(start, tmp_path):
    """Starts commands at the same time in folders of their own, on one store; waits for all."""

    def run(*methods):
        started = [start(f"method={method}", f"hydra.run.dir={i}") for i, method in enumerate(methods)]
        for process in started:
            out, err = process.communicate(timeout=300)
            assert process.returncode == 0, out + err
        return [tmp_path / str(i) for i in range(len(methods))]

    return run


@pytest.mark.slow
def test_the_same_command_twice(together, whole, ledger, tmp_path):
    with ledger.attempt(SIDE_BY_SIDE):
        for run in together("scd_aw", "scd_aw"):
            whole.same(run)
        assert len(list((tmp_path / "store").glob("teacher-*"))) == 1


@pytest.mark.slow
def test_two_methods(together, whole, run_job, make_job, ledger, tmp_path):
    with ledger.attempt(SIDE_BY_SIDE):
        first, second = together("scd_aw", "td")
        whole.same(first)
        # Alone, on another store.
        run_job(make_job("method=td", run="alone", store="another"))
        for name in ("results.json", "student/model.safetensors"):
            assert (second / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
        assert len(list((tmp_path / "store").glob("student-*"))) == 2


@pytest.mark.slow
def test_a_damaged_store(together, whole, ledger, tmp_path, capsys):
    """One of the two makes anew what is damaged, and the other waits for it."""
    whole.copy(tmp_path)
    for path in [*(tmp_path / "store").glob("student-*"), *(tmp_path / "store").glob("evaluation-*")]:
        shutil.rmtree(path)
    for pattern in ("teacher-*/trajectory/checkpoint-4.safetensors", "anchor-*/train_losses.npy"):
        [path] = (tmp_path / "store").glob(pattern)
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    with ledger.attempt("two runs on one damaged store at once") as attempt:
        for run in together("scd_aw", "scd_aw"):
            whole.same(run)
        attempt.lost = "what was damaged, made anew"


@pytest.mark.slow
def test_several_processes_on_a_damaged_store(command, ledger, tmp_path):
    """Process 0 decides for all, on behalf of a parent that has looked before."""
    options = ("method=scd_aw", "trainer=ddp_cpu")
    command(*options, "hydra.run.dir=first")
    for path in [*(tmp_path / "store").glob("student-*"), *(tmp_path / "store").glob("evaluation-*")]:
        shutil.rmtree(path)
    for pattern in ("teacher-*/trajectory/checkpoint-4.safetensors", "signals/*/hidden.npy", "tokenizer-*/*.json"):
        path = sorted((tmp_path / "store").glob(pattern))[-1]
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    with ledger.attempt("a damaged store under two processes") as attempt:
        done = command(*options, "hydra.run.dir=second")
        assert [done.stdout.count(f"{name} damaged and") for name in ("is", "are")] == [2, 1]
        for name in ("results.json", "student/model.safetensors"):
            assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
        attempt.lost = "what was damaged, made anew"
