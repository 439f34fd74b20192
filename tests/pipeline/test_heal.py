"""Healing: a thinned student learns from its whole model first; what comes of it is what all students start from."""

import copy
import json
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Callback
from safetensors.torch import load_file
from scipy.special import rel_entr, softmax
from torch.optim import AdamW
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from scd_lightning.data.synthetic import generate
from scd_lightning.errors import ConfigError
from scd_lightning.models.spec import LoRA, StudentSpec
from scd_lightning.models.tokenizers import train_tokenizer
from scd_lightning.pipeline.heal import HEALED, healing_rounds
from scd_lightning.pipeline.keys import anchor_key, healed_key
from scd_lightning.pipeline.memory import remedies
from scd_lightning.pipeline.prepare import prepare
from scd_lightning.pipeline.runner import execute, plan
from scd_lightning.pipeline.student_training import WEIGHTS
from scd_lightning.pipeline.unfinished import write_partial

LAYERS, ROUNDS = 8, [[0, 2, 5, 7], [0, 7]]
FIRST = f"{HEALED}, round 1"
HEAL, EXACT = "phases=[heal]", "trainer.precision=64-true"


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A folder with a model whose every layer matters."""
    folder = tmp_path_factory.mktemp("pretrained")
    tokenizer = train_tokenizer([row["text"] for row in generate("ner", train=40)["train"]], 300)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        num_key_value_heads=1,
        initializer_range=0.2,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def options(pretrained):
    """Overrides of a job that heals a student in two rounds."""
    return healing(pretrained)


def healing(folder):
    return (
        "task=classification",
        "task.data.synthetic={train: 24, validation: 6, test: 6, unlabelled: 5}",
        *("teacher=hub", f"teacher.path={folder}", "teacher.epochs=1", "teacher.checkpoints=2"),
        *("student=hub", f"student.path={folder}", "student.keep_layers=2", "student.optimizer.lr=0.001"),
        *("student.heal_epochs=2", "student.heal_lr=0.01", "method=td"),
    )


class Steps(Callback):
    """Keeps, of trainings of some kinds, the weights before each step, and the step's samples and loss."""

    def __init__(self, kept: list, *phases: str) -> None:
        self.kept, self.phases = kept, phases

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        self.before = {name: p.detach().clone() for name, p in pl_module.lm.base.state_dict().items()}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        if pl_module.phase in self.phases:
            self.kept.append((pl_module.phase, self.before, batch.indices, float(outputs["loss"])))


def divergences(whole, student, ids):
    """KL of a student to the whole model on each token of a text but the first, by one unpadded pass of each."""
    with torch.no_grad():
        p, q = (softmax(each(input_ids=torch.tensor([ids])).logits[0, :-1].numpy(), -1) for each in (whole, student))
    return rel_entr(p, q).sum(-1)


def renumbered(weights, kept):
    """The weights of the kept layers under their new numbers, and all that belong to no layer."""
    layer = "model.layers.{}.".format
    found = {name: each for name, each in weights.items() if "layers" not in name}
    for place, i in enumerate(kept):
        found |= {
            name.replace(layer(i), layer(place), 1): each for name, each in weights.items() if name.startswith(layer(i))
        }
    return found


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def healed_weights(artifact):
    (file,) = (artifact.folder / WEIGHTS).glob("checkpoint-*.safetensors")
    found = {name.removeprefix("model."): each for name, each in load_file(file).items()}
    return found | {"lm_head.weight": found["model.embed_tokens.weight"]}


@pytest.fixture(scope="module")
def work(make_job_in, run_job, options, tmp_path_factory):
    """A finished healing in float64 in a folder of its own: its job, its artifacts and its optimizer steps."""
    job = make_job_in(tmp_path_factory.mktemp("healing"))(*options, HEAL, EXACT)
    steps: list = []
    job.callbacks = [lambda: Steps(steps, "heal")]
    return job, run_job(job), steps


def test_rounds_and_losses_by_hand(work, pretrained):
    job, made, steps = work
    whole = AutoModelForCausalLM.from_pretrained(pretrained, dtype=torch.float64)
    texts = [each.prompt_ids + each.completion_ids for each in job.data.tokenized["train"]]
    texts += [each.prompt_ids for each in job.data.tokenized["unlabelled"]]
    checked = [each.prompt_ids + each.completion_ids for each in job.data.tokenized["validation"]]
    assert [list(each) for each in job.healing] == ROUNDS
    assert len(texts) == 29

    before, length = whole.state_dict(), len(steps) // 2
    for number, name in enumerate((FIRST, HEALED)):
        result, own = made[name].result, steps[number * length : (number + 1) * length]
        kept = [i if number == 0 else ROUNDS[0].index(i) for i in ROUNDS[number]]
        assert same(own[0][1], renumbered(before, kept))
        model = LlamaForCausalLM(LlamaConfig(**whole.config.to_dict() | {"num_hidden_layers": len(kept)})).double()
        for _, weights, indices, loss in own:
            model.load_state_dict(weights)
            expected = np.concatenate([divergences(whole, model, texts[i]) for i in indices]).mean()
            assert loss == pytest.approx(expected, abs=1e-6)
        assert sorted(i for *_, indices, _ in own for i in indices) == sorted([*range(29)] * 2)
        after = healed_weights(made[name])
        for weights, told in ((own[0][1], result.thinned), (after, result.divergence)):
            model.load_state_dict(weights)
            assert told == pytest.approx(np.mean([divergences(whole, model, ids).mean() for ids in checked]), abs=1e-6)
        assert result.divergence < 0.7 * result.thinned
        assert (result.layers, result.of) == (len(kept), LAYERS)
        tokens = 2 * sum(map(len, texts))
        assert made[name].costs["tokens"] == tokens
        weights = [sum(p.numel() for p in each.parameters()) for each in (model, whole)]
        assert made[name].costs["flops"] == tokens * (6 * weights[0] + 2 * weights[1])
        before = after


def test_anchor_and_students_start_from_the_healed_weights(make_job, run_job, options, capsys):
    job = make_job(*options)
    steps: list = []
    job.callbacks = [lambda: Steps(steps, "student_sft", "distill")]
    made = run_job(job)
    weights = healed_weights(made[HEALED])
    starts = {phase: [before for of, before, *_ in steps if of == phase][0] for phase in ("student_sft", "distill")}
    assert same(starts["student_sft"], weights)
    assert same(starts["distill"], weights)

    results = json.loads((job.run_dir / "results.json").read_text())
    assert [(each["layers"], each["of"]) for each in results["healing"]] == [(4, 8), (2, 8)]
    assert results["models"]["student"]["name"].endswith(", 2 layers, healed")
    costs = json.loads((job.run_dir / "costs.json").read_text())["heal"]
    for name in ("seconds", "tokens", "flops", "samples"):
        assert costs[name] == pytest.approx(made[FIRST].costs[name] + made[HEALED].costs[name])
    assert len(costs["artifacts"]) == 2
    assert "heal: healed, 2 of 8 layers, validation KL to the whole model" in capsys.readouterr().out
    assert "2 of 8: " in (job.run_dir / "report.html").read_text()
    assert "has 2 of the 8 layers" in (job.run_dir / "student" / "README.md").read_text()
    exported = AutoModelForCausalLM.from_pretrained(job.run_dir / "student")
    assert exported.config.num_hidden_layers == 2

    # Other methods and rates take what there is.
    other = ("method=sft", "student.optimizer.lr=0.002", "student.init=anchor", "evaluate.base=true")
    again = make_job(*options, *other, HEAL, run="again")
    assert all(each.reused for each in run_job(again).values())
    base = {step.name: step for step in plan(again)}["evaluation of base_student"]
    assert base.needs == (HEALED,)
    assert base.key.fields["weights"] == made[HEALED].key.digest


def changed(job, part, **values):
    """A job with some settings of one part changed."""
    settings = {**job.settings, part: copy.deepcopy(job.settings[part])}
    for name, value in values.items():
        *place, last = name.split("__")
        inner = settings[part]
        for each in place:
            inner = inner[each]
        inner[last] = value
    own = {name: value for name, value in values.items() if "__" not in name}
    return replace(job, settings=settings, **{part: replace(getattr(job, part), **own)})


def test_what_healing_depends_on(make_job, options):
    job = make_job(*options)

    def digests(of):
        return {step.name: step.key.digest for step in plan(of)}

    plain = digests(job)
    students = {name for name in plain if "teacher" not in name and name != "answers"}
    later = students - {FIRST, HEALED}
    cases: tuple[tuple[Any, set[str]], ...] = (
        (changed(job, "student", heal_epochs=3), students),
        (changed(job, "student", heal_lr=0.02), students),
        (changed(job, "student", warmup=0.2), students),
        (changed(job, "budget", global_batch=4), students),
        (changed(job, "student", optimizer__lr=0.002), later),
        (changed(job, "budget", stages=3), later),
        (changed(job, "method", lr_scale=2.0), {"student", "evaluation of student", "confidence of student"}),
        (changed(job, "student", gradient_checkpointing=True), set()),
        (replace(job, healing=[[0, 3, 5, 7], [0, 7]]), students),
        (replace(job, healing=[ROUNDS[0], [0, 5]]), students - {FIRST}),
    )
    for number, (other, expected) in enumerate(cases):
        found = digests(other)
        assert {name for name in plain if found[name] != plain[name]} == expected, number
    one, two = (changed(job, "student", heal_lr=None, optimizer__lr=rate) for rate in (0.1, 0.2))
    assert healed_key(one) != healed_key(two)
    texts = make_job(*options, "task.data.synthetic.unlabelled=6")
    assert healed_key(texts) != healed_key(job)
    assert not {"budget", "objective", "method"} & healed_key(job).fields.keys()
    without = changed(replace(job, healing=()), "student", heal_epochs=0, heal_lr=None)
    assert HEALED not in anchor_key(without).fields


class Crash(RuntimeError):
    """What ends a training in these tests."""


class Crashes(Callback):
    """Ends a round of healing at a hook of a step."""

    def __init__(self, layers: int, step: int, hook: str) -> None:
        self.layers, self.step = layers, step
        setattr(self, hook, self._look)

    def _look(self, trainer, pl_module, *_) -> None:
        layers = pl_module.lm.base.config.num_hidden_layers
        if pl_module.phase == "heal" and (layers, trainer.global_step) == (self.layers, self.step):
            raise Crash


@pytest.fixture(scope="module")
def forgetful(pretrained, tmp_path_factory):
    """Overrides of a model with dropout, whose draws a state has to bring back."""
    folder = tmp_path_factory.mktemp("dropout")
    for file in pretrained.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"attention_dropout": 0.2}))
    return (*healing(folder), "phases=[heal]", "resume.every_steps=1", "resume.every_minutes=null")


def work_on(job):
    prepared = prepare(job)
    execute(prepared, plan(prepared))


@pytest.mark.slow
def test_resumed_equals_uninterrupted(make_job, forgetful):
    whole = make_job(*forgetful, prepared=False, store="whole")
    work_on(whole)
    job = make_job(*forgetful, prepared=False)
    for layers, step, hook in ((4, 3, "on_train_batch_end"), (2, 5, "on_train_batch_start"), (2, 8, "on_train_end")):
        job = make_job(*forgetful, prepared=False)
        job.callbacks = [partial(Crashes, layers, step, hook)]
        with pytest.raises(Crash) as crash:
            work_on(job)
        assert len(list(job.store.root.glob("healed-*.partial/resume/state.json"))) == 1
    prepared = prepare(job)
    page = write_partial(prepared, plan(prepared), crash.value)
    assert page is not None
    partial_results = json.loads((job.run_dir / "partial.json").read_text())
    (phase,) = [each for each in partial_results["phases"] if each["phase"] == "heal"]
    assert (phase["state"], list(phase["made"]), phase["missing"]) == ("unfinished", [FIRST], [HEALED])
    assert phase["saved"]["step"] == 8
    assert "healed" not in json.loads((job.run_dir / "curves.json").read_text())

    last = make_job(*forgetful, prepared=False)
    work_on(last)
    for name in (FIRST, HEALED):
        one, other = (found(each, name) for each in (whole, last))
        assert same(healed_weights(one), healed_weights(other))
        assert one.result == other.result


def found(job, name):
    prepared = job if hasattr(job, "healing") else prepare(job)
    artifact = prepared.store.find({step.name: step for step in plan(prepared)}[name].key)
    assert artifact is not None
    return artifact


def alone(make) -> None:
    job = make(prepared=False)
    job.store.locking = False
    work_on(job)


@pytest.mark.slow
@pytest.mark.parametrize("trainer", ["ddp_cpu", "fsdp_cpu"])
def test_two_processes_come_to_the_same(make_job, in_two_processes, options, work, trainer):
    make = partial(make_job, *options, HEAL, EXACT, f"trainer={trainer}")
    assert in_two_processes(partial(alone, make)) == [0, 0]
    for name in (FIRST, HEALED):
        expected, other = work[1][name], found(make(), name)
        assert other.key.digest == found(work[0], name).key.digest
        weights = healed_weights(other)
        for tensor, value in healed_weights(expected).items():
            torch.testing.assert_close(weights[tensor], value, rtol=0, atol=1e-9)
        assert other.result.divergence == pytest.approx(expected.result.divergence, abs=1e-9)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"keep_layers": None}, "layers are taken out of"),
        ({"lora": LoRA(r=4)}, "student.lora.r=0"),
        ({"heal_epochs": -1}, "0 or more"),
        ({"heal_lr": 0.0}, "above 0"),
        ({"heal_epochs": 0, "heal_lr": 0.1}, "nothing is healed.*heal_epochs=1"),
    ],
)
def test_what_can_not_be_healed(given, words):
    spec = partial(StudentSpec, name="", optimizer=AdamW, path="owner/model")
    assert spec(keep_layers=2, heal_epochs=1).name == "owner/model, 2 layers, healed"
    with pytest.raises(ConfigError, match=words):
        spec(**{"keep_layers": 2, "heal_epochs": 1} | given)


def test_a_model_that_keeps_all_layers_is_told_before_anything_is_made(make_job, options):
    with pytest.raises(ConfigError, match="keeps all of its layers"):
        make_job(*options, "student.keep_layers=8")


def test_nothing_is_healed_for_nobody(make_job, options, work):
    """An anchor from elsewhere starts from no weights of ours; students that go on from it neither."""
    for words, rounds in (
        (["method=sft"], 0),
        (["student.init=anchor"], 0),
        (["method=sft", "evaluate.base=true"], 2),
        (["student.init=base"], 2),
    ):
        job = make_job(*options, *words, prepared=False)
        for own_anchor in (True, False):
            found = healing_rounds(job, work[0].tokenizer, own_anchor=own_anchor)
            assert len(found) == (2 if own_anchor else rounds), words


def test_adapters_are_no_remedy_for_a_healed_student(work):
    job = replace(work[0], task=copy.copy(work[0].task))
    job.task.evaluation_batch = 1
    assert not [each for each in remedies(job, "heal", job.student) if "lora" in each]
