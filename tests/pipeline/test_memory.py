"""Running out of memory ends a run with the overrides that would help, on real failures of the allocator."""

import json
from pathlib import Path

import pytest
import torch
from lightning import Callback
from torch.optim import AdamW

from scd_lightning.errors import OutOfMemory
from scd_lightning.launch import ranks
from scd_lightning.launch.failures import record
from scd_lightning.models.spec import LoRA, StudentSpec, TeacherSpec
from scd_lightning.pipeline.memory import explained, remedies


class Greedy(Callback):
    """Asks for more memory than any machine has."""

    def on_train_batch_start(self, *_) -> None:
        torch.empty(2**60, dtype=torch.uint8)


def test_an_allocation_that_fails_in_training(run_py, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    greedy = "+callbacks.greedy={_target_: test_memory.Greedy, _partial_: true}"
    code, _, error = run_py("hydra.run.dir=run", greedy, "teacher.global_batch=8")
    assert code == 2
    assert "Traceback" not in error
    message = "OutOfMemory: The memory of this machine does not suffice for the phase teacher_sft"
    for part in (message, "with the teacher scratch teacher", "1152921504606846976", "trainer.micro_batches=2"):
        assert part in error
    assert "teacher.gradient_checkpointing=true, task.evaluation_batch=16" in error
    failure = json.loads((tmp_path / "run" / "failure.json").read_text())
    assert failure["type"] == "OutOfMemory"
    assert not list((tmp_path / "store").glob("teacher-*/artifact.json"))


def test_a_rank_s_message_is_its_parent_s(tmp_path):
    record(tmp_path, 1, OutOfMemory("No room", remedy="less"))
    with pytest.raises(OutOfMemory, match=r"^No room\. Remedy: less\.$"):
        ranks.raise_error(tmp_path, [0, 2], preempted=75)


@pytest.mark.parametrize(
    ("error", "where"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), "the GPU"),
        (MemoryError("Unable to allocate 8.00 EiB for an array"), "this machine"),
        (MemoryError(), "this machine"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried"), "this machine"),
    ],
)
def test_what_is_about_memory(make_job, error, where):
    job, message = make_job(), f"The memory of {where} .* phase distill.*Remedy"
    with pytest.raises(OutOfMemory, match=message) as raised, explained(job, "distill", job.student):
        raise error
    assert raised.value.__cause__ is error


def test_other_errors_stay(make_job):
    job = make_job()
    with pytest.raises(RuntimeError, match="shapes"), explained(job, "distill", job.student):
        raise RuntimeError("shapes")


def hub(kind, **arguments):
    return kind(name="", optimizer=AdamW, path="owner/model", **arguments)


def test_what_helps_depends_on_the_place(make_job):
    job = make_job("budget.global_batch=4", "teacher.global_batch=4", "task.evaluation_batch=8")
    longest = max(len(sample) for samples in job.data.tokenized.values() for sample in samples)
    shorter = f"task.max_length={longest * 3 // 4}"
    assert remedies(job, "evaluate", job.student) == ["task.evaluation_batch=4", shorter, "student.dtype=bfloat16"]
    job.teacher, job.student = hub(TeacherSpec, global_batch=4), hub(StudentSpec)
    checkpointing = "teacher.gradient_checkpointing=true"
    assert remedies(job, "teacher_sft", job.teacher) == ["trainer.micro_batches=2", checkpointing, "teacher.lora.r=16"]
    job.trainer.micro_batches = 4
    job.teacher = hub(TeacherSpec, lora=LoRA(r=4), gradient_checkpointing=True)
    assert remedies(job, "teacher_sft", job.teacher)[:2] == ["trainer.micro_batches=8", "teacher.quantization=4bit"]
    assert remedies(job, "student_sft", job.student)[:2] == ["student.gradient_checkpointing=true", "student.lora.r=16"]
    object.__setattr__(job.method, "teacher", "live")
    assert remedies(job, "distill", job.student)[0] == "method.teacher=cached"


def test_more_micro_batches_help_where_the_heaviest_gets_smaller(make_job):
    longest = max(map(len, make_job().data.tokenized["train"]))
    jobs = [make_job(f"budget.batch_tokens={n * longest}") for n in (1, 2)]
    found = [remedies(job, "student_sft", job.student)[0] for job in jobs]
    assert found == ["student.gradient_checkpointing=true", "trainer.micro_batches=2"]
