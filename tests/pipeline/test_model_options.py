"""What a model's own options do to whole runs: padding, dtype, attention kernel, checkpointing, adapters, thinning."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, Qwen3Config

from scd_lightning.data.synthetic import generate
from scd_lightning.models.tokenizers import train_tokenizer
from scd_lightning.pipeline.runner import plan

TINY = (
    "task.data.synthetic={train: 24, validation: 6, test: 6}",
    "task.max_new_tokens=12",
    "teacher.epochs=1",
    "teacher.checkpoints=2",
)
LORA = "{_target_: scd_lightning.models.spec.LoRA, r: 2}"


def save_pair(folder, paddings):
    """A teacher and a student of one family, whose embeddings have more rows than the tokenizer has tokens.

    What is in the rows of no token would win every argmax and fill every softmax.
    """
    tokenizer = train_tokenizer([row["text"] for row in generate("ner", train=40)["train"]], 300)
    for name, width, padding in (("teacher", 32, paddings[0]), ("student", 16, paddings[1])):
        torch.manual_seed(width)
        config = Qwen3Config(
            vocab_size=len(tokenizer) + 30,
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=3,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            tie_word_embeddings=False,
            initializer_range=0.2,
        )
        model = AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            model.lm_head.weight[len(tokenizer) :] *= 100
        model.resize_token_embeddings(len(tokenizer) + padding)
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return [f"{name}={each}" for name, each in (("teacher", "hub"), ("student", "hub"))] + [
        f"{name}.path={folder / name}" for name in ("teacher", "student")
    ]


@pytest.fixture(scope="module")
def padded(tmp_path_factory):
    """Overrides of a pair with 20 and 10 rows of no token."""
    return save_pair(tmp_path_factory.mktemp("padded"), (20, 10))


def results(job):
    return json.loads((job.run_dir / "results.json").read_text())


def flat(values, path=""):
    """All numbers of nested values, by their place."""
    if isinstance(values, dict):
        return {k: v for name, value in values.items() for k, v in flat(value, f"{path}.{name}").items()}
    if isinstance(values, list):
        return {k: v for i, value in enumerate(values) for k, v in flat(value, f"{path}.{i}").items()}
    return {path: values}


def assert_same_numbers(found, expected, tolerance):
    for part in ("metrics", "subdomains", "schedule"):
        found_part, expected_part = flat(found[part]), flat(expected[part])
        assert found_part.keys() == expected_part.keys()
        for place, value in expected_part.items():
            assert found_part[place] == pytest.approx(value, rel=tolerance, abs=tolerance), place


@pytest.mark.parametrize(("task", "source"), [("ner", "cached"), pytest.param("qa", "live", marks=pytest.mark.slow)])
def test_a_padded_vocabulary_is_cut_everywhere(make_job, run_job, padded, tmp_path, task, source):
    """Generating and choosing, cached and live: the same run as with the rows of no token taken off."""
    made = []
    for name, pair in (("cut", save_pair(tmp_path, (0, 0))), ("padded", padded)):
        job = make_job(*TINY, *pair, f"task={task}", f"method.teacher={source}", run=name)
        run_job(job)
        made.append(results(job))
    assert_same_numbers(made[1], made[0], 1e-4)


def test_equal_models_in_other_folders_are_one(make_job, padded, tmp_path):
    """Their names are in results.json, and their contents in the digests; where they are is in neither."""
    found = []
    for run in ("here", "there"):
        pair = save_pair(tmp_path / run / "models", (20, 10))
        job = make_job(*TINY, *pair, run=run, store=f"store of {run}")
        found.append(([step.key.digest for step in plan(job)], job.teacher.name, job.student.name))
    assert found[0] == found[1]
    assert found[0][1:] == ("teacher", "student")


def test_thinning_is_in_the_student_s_digests_alone(make_job, padded):
    before, after = (
        {step.name: step.key.digest for step in plan(make_job(*TINY, *padded, f"student.keep_layers={keep}"))}
        for keep in ("null", "2")
    )
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {name for name in before if "teacher" not in name}


def both(*options):
    return [f"{name}.{option}" for name in ("teacher", "student") for option in options]


@pytest.mark.filterwarnings("error::FutureWarning")
def test_checkpointing_and_kernel_change_no_result(make_job, run_job):
    made = []
    for name, options in (("plain", []), ("other", both("gradient_checkpointing=true", "attention=eager"))):
        job = make_job(*TINY, *options, run=name)
        run_job(job)
        made.append(results(job))
    assert_same_numbers(made[1], made[0], 1e-3)


@pytest.mark.filterwarnings("error::FutureWarning")
@pytest.mark.parametrize(
    ("pretrained", "source", "options"),
    [
        pytest.param(False, "live", both("dtype=bfloat16"), id="scratch"),
        pytest.param(
            True, "cached", both("dtype=bfloat16", "gradient_checkpointing=true"), marks=pytest.mark.slow, id="hub"
        ),
        pytest.param(
            True,
            "live",
            both("dtype=bfloat16", "gradient_checkpointing=true", "attention=eager", f"lora={LORA}"),
            marks=pytest.mark.slow,
            id="adapters",
        ),
        pytest.param(True, "cached", ["teacher.dtype=bfloat16", "student.keep_layers=2"], id="thinned"),
    ],
)
def test_half_precision_runs_through(make_job, run_job, padded, pretrained, source, options):
    job = make_job(*TINY, *(padded if pretrained else ()), *options, f"method.teacher={source}")
    made = run_job(job)
    (checkpoint, *_) = sorted((made["teacher"].folder / "trajectory").glob("checkpoint-*.safetensors"))
    dtypes = {tensor.dtype for tensor in load_file(checkpoint).values()}
    # Adapters are trained in float32 on weights of any kind.
    assert dtypes == {torch.float32 if job.teacher.lora.r else torch.bfloat16}
    student = AutoModelForCausalLM.from_pretrained(job.run_dir / "student", dtype="auto")
    assert student.dtype == (torch.bfloat16 if "student.dtype=bfloat16" in options else torch.float32)
    if "student.keep_layers=2" in options:
        assert student.config.num_hidden_layers == 2
        assert results(job)["models"]["student"]["name"] == "student, 2 layers"


@pytest.mark.parametrize("precision", [pytest.param("bf16-true", marks=pytest.mark.slow), "bf16-mixed"])
def test_a_trainer_in_half_precision_runs_through(make_job, run_job, precision):
    job = make_job(*TINY, "method=scd_aw", f"trainer.precision={precision}")
    made = run_job(job)
    losses = np.load(made["teacher"].folder / "validation_losses.npy")
    assert losses.dtype == np.float32
    assert np.isfinite(losses).all()
    # More digits than the precision of the models has: sums over samples are not made in it.
    curve = made["student"].result.curve
    assert any(torch.tensor(point["train_loss"]).bfloat16().item() != point["train_loss"] for point in curve)
