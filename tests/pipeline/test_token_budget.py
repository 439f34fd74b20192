"""Whole trainings whose optimizer steps hold a number of tokens."""

import json
from collections import defaultdict
from functools import partial

import pytest

from scd_lightning.errors import ConfigError

TOKENS = ("budget.batch_tokens=700", "teacher.batch_tokens=500")
TRAININGS = {
    "FineTuning of scratch teacher": ("teacher_sft", 500),
    "FineTuning of scratch student": ("student_sft", 700),
    "Distillation of scratch student": ("distill", 700),
}


@pytest.fixture
def steps_of(make_job, run_job, recorder, read_losses):
    """Runs a job: training -> optimizer step -> the samples that took part in it; and the job itself."""

    def call(*overrides, **folders):
        job = make_job("method=td", *TOKENS, *overrides, **folders)
        job.callbacks = [partial(recorder, str(job.run_dir))]
        run_job(job)
        steps: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for kind, step, index in read_losses(job.run_dir):
            steps[kind][step].append(index)
        return steps, job

    return call


def test_a_run_of_two_token_budgets(steps_of):
    steps, job = steps_of()
    lengths = [len(sample) for sample in job.data.tokenized["train"]]
    costs = json.loads((job.run_dir / "costs.json").read_text())
    assert steps.keys() == TRAININGS.keys()
    for kind, (stage, tokens) in TRAININGS.items():
        batches = [steps[kind][step] for step in range(len(steps[kind]))]
        padded = [len(batch) * max(lengths[i] for i in batch) for batch in batches]
        half = len(batches) // 2
        for epoch in (batches[:half], batches[half:]):
            assert sorted(index for batch in epoch for index in batch) == list(range(48))
        assert max(padded) <= tokens
        assert len({len(batch) for batch in batches}) > 1
        assert costs[stage]["padding_share"] == pytest.approx(1 - 2 * sum(lengths) / sum(padded), abs=1e-4)
        assert (costs[stage]["samples"], costs[stage]["tokens"]) == (96, 2 * sum(lengths))
    last = json.loads((job.run_dir / "trajectory.json").read_text())[-1]["step"]
    assert last == len(steps["FineTuning of scratch teacher"])


def test_padding_is_that_of_the_micro_batches(steps_of):
    """They hold samples of similar length each, so that less is padded."""
    shares = []
    for parts in (1, 3):
        _, job = steps_of(
            f"trainer.micro_batches={parts}", "phases=[teacher_sft]", run=f"run_{parts}", store=f"store_{parts}"
        )
        [manifest] = job.store.root.glob("teacher-*/artifact.json")
        shares.append(json.loads(manifest.read_text())["costs"]["padding_share"])
    assert shares[1] < shares[0]


@pytest.mark.parametrize("part", ["budget", "teacher"])
def test_a_sample_that_is_longer_than_a_step(make_job, part):
    data = make_job().data
    longest = max(data.tokenized["train"], key=len)
    name = data.samples["train"][longest.index].id
    make_job(f"{part}.batch_tokens={len(longest)}")
    with pytest.raises(ConfigError) as raised:
        make_job(f"{part}.batch_tokens={len(longest) - 1}")
    assert str(raised.value) == (
        f"A training sample is longer than an optimizer step may be. Where: {part}.batch_tokens. "
        f"Got: {len(longest) - 1} tokens. Expected: {len(longest)} or more, for the sample {name}. "
        f"Remedy: {part}.batch_tokens={len(longest)} or more, or a lower task.max_length."
    )


def test_an_existing_trajectory_is_in_no_need_of_a_batch(make_imported, full):
    assert make_imported(f"teacher.trajectory='{full}'", "teacher.batch_tokens=1").trajectory
