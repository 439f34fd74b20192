"""What is made of a batch: losses and answers share a pass, and only what is asked for is paid for."""

import pytest
import torch

from benchmarks.contenders.exhaustive import all_scores
from scd_lightning.losses.reduction import per_sample_mean
from scd_lightning.losses.token_scores import chunked_cross_entropy
from scd_lightning.training.predictor import Prediction, Predictor

CHOICE = ("task=classification", "task.evaluation_batch=7", "task.data.synthetic.test=14")


@pytest.fixture
def student(make_job):
    """Overrides -> the job, its student, and what is asked for -> predictions on test, and shapes of forward passes."""

    def make(*overrides):
        job = make_job(*overrides)
        model, passes = job.build(job.student).eval(), []
        with torch.no_grad():  # of random weights all candidates are nearly as probable
            model.base.get_output_embeddings().weight.mul_(20)
        model.register_forward_pre_hook(lambda _, __, given: passes.append(given["input_ids"].shape), with_kwargs=True)

        def ask(losses=True, answers=True, probabilities=False):
            found: list[Prediction] = []
            asked = {"losses": losses, "answers": answers, "probabilities": probabilities}
            passes.clear()
            predictor = Predictor(model, job.data, job.tokenizer, "test", **asked, keep=found.extend)
            for i, batch in enumerate(job.data.evaluation_loader("test")):
                predictor.predict_step(batch, i)
            return found, list(passes)

        return job, model, ask

    return make


def test_losses_and_choices_are_those_of_passes_of_their_own(student):
    job, model, ask = student(*CHOICE)
    found, passes = ask()
    assert len(found) == 14
    by_index = {each.index: each for each in found}
    for batch in job.data.evaluation_loader("test"):
        with torch.no_grad():
            losses = per_sample_mean(chunked_cross_entropy(model.outputs(batch), batch.targets), batch.rows, batch.size)
        assert [by_index[index].loss for index in batch.indices] == losses.tolist()
        samples = [job.data.tokenized["test"][index] for index in batch.indices]
        for sample, scores in zip(samples, all_scores(model, samples, job.data.pad_id), strict=True):
            assert scores[by_index[sample.index].answer] == pytest.approx(max(scores), abs=1e-4)
    assert all(each.probability is None for each in found)
    # Of the two batches, no prompt is read twice.
    shortest = min(len(sample.prompt_ids) for sample in job.data.tokenized["test"])
    assert sum(places >= shortest for _, places in passes) == 2


def test_what_is_not_asked_for_is_not_paid_for(student):
    *_, ask = student(*CHOICE)
    plain, few = ask(losses=False)
    sure, more = ask(losses=False, probabilities=True)
    assert [each.answer for each in sure] == [each.answer for each in plain]
    assert all(each.loss is None and each.probability is None for each in plain)
    assert all(0 < each.probability <= 1 for each in sure)
    assert sum(rows * places for rows, places in few) < sum(rows * places for rows, places in more)
    alone, passes = ask(answers=False)
    assert len(passes) == 2
    assert all(each.answer is None and each.probability is None for each in alone)


def test_the_probability_of_a_text_is_always_told(student):
    *_, ask = student("task=ner", "task.data.synthetic.test=6", "task.max_new_tokens=4")
    assert all(0 < each.probability <= 1 for each in ask()[0])
