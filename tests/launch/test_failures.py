"""Of the errors of several processes, the one that is the cause is told, once."""

import signal

import pytest
import torch.distributed as dist

from scd_lightning.errors import DataError, Preempted, RankDied
from scd_lightning.launch import failures, preemption, ranks
from scd_lightning.launch.failures import RankFailed, find_failures, first_to_tell, record
from scd_lightning.store.making import claim
from scd_lightning.store.ownership import MARK

LOST = (
    RuntimeError("[/pytorch/gloo/transport/tcp/pair.cc:550] Connection closed by peer [127.0.0.1]:3821"),
    dist.DistBackendError("NCCL communicator was aborted on rank 0."),
    dist.DistNetworkError("failed to recv, got 0 bytes"),
    ConnectionResetError("Connection reset by peer"),
)


@pytest.mark.parametrize("lost", LOST, ids=lambda error: type(error).__name__)
def test_the_cause_goes_before_what_followed(tmp_path, lost):
    record(tmp_path, 0, lost)
    record(tmp_path, 2, ValueError("the cause"))
    record(tmp_path, 1, ValueError("later"))
    assert [failure.message for failure in find_failures(tmp_path)][:2] == ["the cause", "later"]
    with pytest.raises(RankFailed, match="the cause") as raised:
        ranks.raise_error(tmp_path, [1, 1, 1], preempted=75)
    assert "ValueError: the cause" in raised.value.failure.traceback


def test_an_error_that_can_be_mended_keeps_its_kind(tmp_path):
    record(tmp_path, 1, DataError("The row is wrong", where="train.jsonl:3", remedy="mend it"))
    with pytest.raises(DataError, match=r"^The row is wrong\. Where: train\.jsonl:3\. Remedy: mend it\.$"):
        ranks.raise_error(tmp_path, [-15, 2], preempted=75)


def test_data_that_speaks_of_sockets_is_no_lost_connection(tmp_path):
    assert not record(tmp_path, 0, DataError("The label socket is unknown")).lost_another


@pytest.mark.parametrize(("code", "said"), [(-9, "SIGKILL.*memory"), (-11, "SIGSEGV"), (4, "exit code 4")])
def test_a_process_that_left_no_error_is_named(tmp_path, code, said):
    record(tmp_path, 0, LOST[0])
    with pytest.raises(RankDied, match=f"Process 1 of 2.*{said}"):
        ranks.raise_error(tmp_path, [1, code], preempted=75)


def test_a_process_that_was_ended_because_another_died_is_no_end_by_a_signal(tmp_path):
    with pytest.raises(RankDied, match="Process 1 of 2 was ended by SIGKILL"):
        ranks.raise_error(tmp_path, [75, -9], preempted=75)


def test_a_lost_connection_alone_is_told(tmp_path):
    record(tmp_path, 0, LOST[0])
    with pytest.raises(RankFailed, match="Connection closed"):
        ranks.raise_error(tmp_path, [1, 0], preempted=75)


def test_a_process_that_a_signal_has_ended_is_no_failure(tmp_path):
    record(tmp_path, 0, LOST[0])
    with pytest.raises(Preempted, match="another process"):
        ranks.raise_error(tmp_path, [1, 75], preempted=75)


def test_what_ends_around_a_signal_is_its_doing(tmp_path):
    def run() -> None:
        with preemption.watch(["SIGUSR1"]), preemption.deferred():
            signal.raise_signal(signal.SIGUSR1)
            ranks.raise_error(tmp_path, [1, -9], preempted=75)

    record(tmp_path, 0, LOST[0])
    with pytest.raises(Preempted, match="SIGUSR1"):
        run()


WAITED = (
    RuntimeError("[/pytorch/gloo/transport/tcp/unbound_buffer.cc:81] Timed out waiting 1800000ms for recv operation"),
    dist.DistStoreError("Timed out after 1801 seconds waiting for clients. 1/2 clients joined."),
)


@pytest.mark.parametrize("waited", WAITED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("code", [-9, -15, 75])
def test_a_process_that_the_others_have_waited_for_is_named(tmp_path, waited, code):
    record(tmp_path, 0, waited)
    record(tmp_path, 2, LOST[0])
    with pytest.raises(RankDied, match=r"^Process 1 of 3 hung.*trainer\.wait_minutes"):
        ranks.raise_error(tmp_path, [1, code, 1], preempted=75, left=[1])


def test_a_process_that_does_not_end_when_the_others_are_done_is_named(tmp_path):
    with pytest.raises(RankDied, match="^Process 1 of 2 hung"):
        ranks.raise_error(tmp_path, [0, -15], preempted=75, left=[1])


def test_a_process_that_had_no_time_to_fail_has_not_hung(tmp_path):
    record(tmp_path, 0, ValueError("a defect"))
    with pytest.raises(RankFailed, match="a defect"):
        ranks.raise_error(tmp_path, [1, -15], preempted=75, left=[1])
    record(tmp_path, 0, LOST[1])
    with pytest.raises(RankFailed, match="NCCL communicator"):
        ranks.raise_error(tmp_path, [1, -15], preempted=75, left=[1])


def test_how_nccl_ends_a_wait_in_vain_tells_of_the_process_that_may_hang(tmp_path):
    with pytest.raises(RankDied, match="Process 0 of 2 was ended by SIGABRT.*process 1 was still running"):
        ranks.raise_error(tmp_path, [-6, -9], preempted=75, left=[1])


@pytest.mark.usefixtures("_no_wait")
def test_without_a_parent_a_process_that_left_no_word_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    own = record(tmp_path, 0, WAITED[0])
    record(tmp_path, 2, LOST[0])
    assert first_to_tell(tmp_path, own)
    assert "Process 1 of 3 hung" in str(ranks.blame(tmp_path, WAITED[0], own))
    # All have failed, or it was no wait: the error is what there is to tell.
    lost = record(tmp_path, 1, LOST[0])
    assert ranks.blame(tmp_path, WAITED[0], own) is WAITED[0]
    assert ranks.blame(tmp_path, LOST[0], lost) is LOST[0]


def test_a_file_of_a_process_that_the_job_does_not_have_is_none_of_it(tmp_path):
    record(tmp_path, 7, ValueError("of another job"))
    with pytest.raises(RankDied, match="Process 1 of 2"):
        ranks.raise_error(tmp_path, [0, -9], preempted=75)


def test_good_ends_raise_nothing(tmp_path):
    ranks.raise_error(tmp_path, [0, 0], preempted=75)


@pytest.fixture
def _no_wait(monkeypatch):
    monkeypatch.setattr(failures, "_WAIT", 0)


@pytest.mark.usefixtures("_no_wait")
def test_without_a_parent_one_process_tells(tmp_path):
    same = [record(tmp_path, rank, DataError("The row is wrong")) for rank in range(3)]
    assert [first_to_tell(tmp_path, failure) for failure in same] == [True, False, False]
    cause, lost = record(tmp_path, 1, ValueError("the cause")), record(tmp_path, 0, LOST[0])
    assert first_to_tell(tmp_path, cause)
    assert not first_to_tell(tmp_path, lost)


@pytest.mark.usefixtures("_no_wait")
def test_without_a_parent_a_lost_connection_is_told_once(tmp_path):
    lost = [record(tmp_path, rank, error) for rank, error in enumerate(LOST)]
    assert [first_to_tell(tmp_path, failure) for failure in lost] == [True, False, False, False]


def test_an_earlier_run_s_errors_are_forgotten(tmp_path):
    claim(tmp_path, {}, "hydra.run.dir")  # As a run does: in a folder that is none of a run's nothing is forgotten.
    record(tmp_path, 3, ValueError("old"))
    failures.forget(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [MARK]
