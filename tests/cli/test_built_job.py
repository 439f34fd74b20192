"""What a job's settings become where they are read: on a machine with GPUs, and on one without."""

import pytest

from scd_lightning.cli import built_job

LORA = {"dtype": "auto", "lora": {"r": 8}}
WHOLE = {"dtype": "auto", "lora": {"r": 0}}


@pytest.fixture
def gpus(monkeypatch):
    return lambda count: monkeypatch.setattr("torch.cuda.is_available", lambda: count > 0)


@pytest.mark.parametrize(
    ("accelerator", "there", "dtype"), [("auto", 1, "bfloat16"), ("auto", 0, "float32"), ("cpu", 1, "float32")]
)
def test_frozen_weights_have_one_dtype_wherever_the_run_is_read_later(gpus, accelerator, there, dtype):
    gpus(there)
    settings = {"trainer": {"accelerator": accelerator}, "teacher": LORA, "student": WHOLE, "seed": 0}
    settled = built_job.settled_dtypes(settings)
    assert settled["teacher"] == {**LORA, "dtype": dtype}
    assert (settled["student"], settled["seed"]) == (WHOLE, 0)
    gpus(1 - there)
    assert built_job.settled_dtypes(settled) == settled


def test_a_run_of_gpus_is_read_where_there_are_none(gpus):
    gpus(0)
    trainer = {"accelerator": "gpu", "precision": "bf16-mixed"}
    assert built_job._anywhere(trainer) == {"accelerator": "auto", "precision": "bf16-mixed"}
    assert built_job._anywhere({"accelerator": "cpu"}) == {"accelerator": "cpu"}
    gpus(1)
    assert built_job._anywhere(trainer) == trainer
