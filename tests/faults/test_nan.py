"""Numbers that stop being finite in the middle of a training."""

from functools import partial

import pytest
import torch
from lightning import Callback

from scd_lightning.errors import NotFinite
from scd_lightning.pipeline.prepare import prepare

RUN = ("method=scd_aw", "resume.every_steps=1", "resume.every_minutes=null")


class NaN(Callback):
    """Makes one phase's model know a token of the next batch as NaN."""

    def __init__(self, phase: str, step: int) -> None:
        self.phase, self.step = phase, step

    @torch.no_grad()
    def on_train_batch_start(self, trainer, pl_module, batch, *_) -> None:
        if pl_module.phase == self.phase and trainer.global_step == self.step:
            pl_module.lm.base.get_input_embeddings().weight[batch.input_ids[0, -1]] = torch.nan


@pytest.fixture(scope="module")
def undisturbed(make_job_in, run_job, outcome, tmp_path_factory) -> dict:
    job = make_job_in(tmp_path_factory.mktemp("undisturbed"))(*RUN)
    run_job(job)
    return outcome(job)


@pytest.mark.parametrize(
    ("phase", "step"),
    [
        *(pytest.param(*each, marks=pytest.mark.slow) for each in (("teacher_sft", 3), ("student_sft", 8))),
        ("distill", 10),
    ],
)
def test_the_last_good_state_stays(make_job, run_job, outcome, undisturbed, ledger, phase, step):
    with ledger.attempt("NaN in a batch") as attempt:
        job = make_job(*RUN, prepared=False)
        job.callbacks = [partial(NaN, phase, step)]
        job = prepare(job)
        with pytest.raises(NotFinite, match=rf"Where: {phase}, .* optimizer step {step + 1}\. Got: not finite in \d"):
            run_job(job)
        (state,) = job.store.root.glob("*.partial/resume/*/state.ckpt")
        content = torch.load(state, weights_only=True)
        assert content["global_step"] == step
        assert all(value.isfinite().all() for value in content["state_dict"].values())

        again = make_job(*RUN)
        run_job(again)
        assert outcome(again) == undisturbed
        attempt.lost = "the step that failed"
