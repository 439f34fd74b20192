"""What changes an artifact's digest, and what does not; nothing is trained."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from scd_lightning.data.synthetic import generate
from scd_lightning.pipeline.runner import plan

Digests = dict[str, str]
TEACHER = frozenset({"teacher", "evaluation of teacher"})
ANCHOR = frozenset({"anchor", "evaluation of anchor"})
STUDENT = frozenset({"student", "evaluation of student", "confidence of student"})
EVERYTHING = TEACHER | ANCHOR | STUDENT
EVALUATIONS = frozenset(name for name in EVERYTHING if name.startswith("evaluation"))
BASE = frozenset({"evaluation of base_teacher", "evaluation of base_student"})


@pytest.fixture(scope="module")
def digests(make_job_in, tmp_path_factory) -> Callable[..., Digests]:
    """Digests of a job's artifacts, by name."""
    make = make_job_in(tmp_path_factory.mktemp("keys"))

    def of(*overrides: str, **folders: str) -> Digests:
        return {step.name: step.key.digest for step in plan(make(*overrides, **folders))}

    return of


@pytest.fixture(scope="module")
def plain(digests) -> Digests:
    return digests("method=scd_aw")


def changed(before: Digests, after: Digests) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize(
    "overrides",
    [
        ["logger=csv"],
        ["budget.warn=false"],
        ["logger=tensorboard"],
        ["trainer=ddp_cpu"],
        ["trainer.devices=4"],
        ["trainer.micro_batches=2"],
        ["trainer.log_every_n_steps=1", "+trainer.profiler=simple", "+trainer.detect_anomaly=true"],
        ["+trainer.num_sanity_val_steps=0", "+trainer.enable_progress_bar=false", "+trainer.fast_dev_run=false"],
        ["trainer.strategy=ddp", "+trainer.default_root_dir=elsewhere"],
        ["trainer.precision=32", "+trainer.deterministic=false", "+trainer.benchmark=null"],
        ["+trainer.gradient_clip_algorithm=norm", "+trainer.check_val_every_n_epoch=1"],
        ["teacher.name=another", "student.name=another", "method.name=another"],
        ["teacher.gradient_checkpointing=true"],
        ["phases=[evaluate,report]"],
        ["allowed_targets=[my_package]"],
        ["teacher.allow_pickle=true", "student.trust_remote_code=true"],
        ["+callbacks.timer={_target_: lightning.pytorch.callbacks.Timer, _partial_: true}"],
        ["+callbacks.rate={_target_: lightning.pytorch.callbacks.LearningRateMonitor, _partial_: true}"],
    ],
    ids=lambda overrides: overrides[0].split("=")[0] + "=" + overrides[0].split("=")[1][:12],
)
def test_where_and_how_change_nothing(digests, plain, overrides):
    assert changed(plain, digests("method=scd_aw", *overrides)) == set()


CALLBACK = "+callbacks.{}={{_partial_: true, _target_: {}}}"
STOPPING = "lightning.pytorch.callbacks.EarlyStopping"
MINE = """
from lightning import Callback
from torch.optim import SGD
from scd_lightning.losses.divergences import forward_kl
from scd_lightning.losses.objective import Objective
from scd_lightning.losses.weighting import ConstantWeight
from scd_lightning.tasks.ner import NER

class MySGD(SGD): pass
class MyNER(NER): pass
class MyPatientNER(NER):
    def __init__(self, data, patience=1, **settings): super().__init__(data, **settings)
class MyWeight(ConstantWeight): pass
class MyObjective(Objective): pass
def my_divergence(teacher_logits, student_logits, temperature=1.0):
    return forward_kl(teacher_logits, student_logits, temperature)

class Changes(Callback):
    def __init__(self, folder=""): pass

class Watches(Changes):
    only_watches = True
"""
_BARE = ["~{}.optimizer.betas", "~{}.optimizer.fused"]
OWN = {
    "student.optimizer._target_=MODULE.MySGD": ANCHOR | STUDENT,
    "teacher.optimizer._target_=MODULE.MySGD": TEACHER | STUDENT,
    "method.weighting._target_=MODULE.MyWeight": STUDENT,
    "objective.divergence._target_=MODULE.my_divergence": STUDENT,
    "objective._target_=MODULE.MyObjective": EVERYTHING,
    "task._target_=MODULE.MyNER": EVERYTHING,
    CALLBACK.format("mine", "MODULE.Changes"): EVERYTHING,
    CALLBACK.format("mine", "MODULE.Watches"): set(),
}


@pytest.fixture
def mine(request, tmp_path, monkeypatch) -> Path:
    """A module of one's own, under a name that no other test has."""
    module = tmp_path / f"{request.node.name.partition('[')[0]}_{len(list(tmp_path.parent.iterdir()))}.py"
    module.write_text(MINE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return module


@pytest.mark.parametrize("override", OWN)
def test_code_of_one_s_own_that_was_edited_is_other_code(digests, mine, override):
    asked = ["method=td", f"allowed_targets=[{mine.stem}]", override.replace("MODULE", mine.stem)]
    asked += [each.format(override.partition(".")[0]) for each in _BARE if "optimizer" in override]
    before = digests(*asked)
    mine.write_text(MINE + "# edited")
    assert changed(before, digests(*asked)) == OWN[override]


def test_settings_of_a_task_of_one_s_own_count_whether_or_not_it_names_them(digests, mine):
    asked = ["method=td", f"allowed_targets=[{mine.stem}]", f"task._target_={mine.stem}.MyPatientNER"]
    before = digests(*asked)
    assert changed(before, digests(*asked, "+task.patience=2")) == EVERYTHING
    assert changed(before, digests(*asked, "task.name=another")) == set()


def test_a_callback_that_may_change_a_training_changes_all_of_them(digests, plain, mine):
    stopping = CALLBACK.format("a", f"{STOPPING}, monitor: validation_loss")
    before = digests("method=scd_aw", stopping)
    assert changed(plain, before) == EVERYTHING
    assert changed(before, digests("method=scd_aw", stopping.replace("}", ", patience: 9}"))) == EVERYTHING
    # What it is called does not matter; its place among others does.
    assert changed(before, digests("method=scd_aw", stopping.replace(".a=", ".b="))) == set()
    own, other = ("method=scd_aw", f"allowed_targets=[{mine.stem}]"), CALLBACK.format("b", f"{mine.stem}.Changes")
    assert changed(digests(*own, stopping, other), digests(*own, other, stopping)) == EVERYTHING


def test_what_is_hidden_of_a_key_is_part_of_its_digest_wherever_it_came_from(digests, mine, monkeypatch):
    """Whether something is known as a secret changes nothing: else a run would not find what another has made."""
    monkeypatch.setenv("HERON", "heron-of-the-river")

    def of(value):
        call = CALLBACK.format("mine", f"{mine.stem}.Changes, folder: {value}")
        return digests("method=scd_aw", f"allowed_targets=[{mine.stem}]", call)

    written = of("heron-of-the-river")
    assert of("'${oc.env:HERON}'") == written
    monkeypatch.setenv("MY_TOKEN", "heron-of-the-river")
    assert of("heron-of-the-river") == written
    assert changed(written, of("another")) == EVERYTHING


def test_a_callback_that_is_null_is_left_out(digests, plain):
    assert changed(plain, digests("method=scd_aw", "+callbacks.early=null")) == set()


def test_a_callback_that_writes_into_the_run_s_folder_is_the_same_in_each_run(digests, mine):
    asked = [f"allowed_targets=[{mine.stem}]", CALLBACK.format("x", f"{mine.stem}.Changes, folder: '${{paths.run}}/x'")]
    assert changed(digests("method=td", *asked), digests("method=td", *asked, run="another")) == set()
    assert changed(digests("method=td"), digests("method=td", *asked)) == EVERYTHING


def test_folders_change_nothing(digests, plain):
    assert changed(plain, digests("method=scd_aw", run="elsewhere", store="another")) == set()


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("seed=1", EVERYTHING),
        ("objective.reduction=token", EVERYTHING),
        ("trainer.gradient_clip_val=0.5", EVERYTHING),
        ("trainer.precision=64-true", EVERYTHING),
        ("+trainer.gradient_clip_algorithm=value", EVERYTHING),
        ("+trainer.val_check_interval=3", EVERYTHING),
        ("+trainer.check_val_every_n_epoch=2", EVERYTHING),
        ("+trainer.deterministic=true", EVERYTHING),
        ("+trainer.plugins=[{_target_: lightning.fabric.plugins.TorchCheckpointIO}]", EVERYTHING),
        ("task.max_length=300", EVERYTHING),
        ("task.evaluation_batch=4", EVERYTHING),
        ("task.data.synthetic.seed=1", EVERYTHING),
        ("task.data.synthetic.train=47", EVERYTHING),
        ("task.data.synthetic.label_noise=0.5", EVERYTHING),
        ("task.data.synthetic.validation=11", EVERYTHING),
        ("task.data.synthetic.test=13", EVALUATIONS),
        ("task.data.max_samples={test: 3}", EVALUATIONS),
        ("task.template='{text}: {labels}\n'", EVERYTHING),
        ("teacher.optimizer.lr=0.1", TEACHER | STUDENT),
        ("teacher.global_batch=6", TEACHER | STUDENT),
        ("teacher.batch_tokens=5000", TEACHER | STUDENT),
        ("teacher.checkpoints=2", TEACHER | STUDENT),
        ("teacher.epochs=3", TEACHER | STUDENT),
        ("teacher.warmup=0.3", TEACHER | STUDENT),
        ("teacher.architecture.hidden_size=64", TEACHER | STUDENT),
        ("teacher.attention=eager", TEACHER | STUDENT),
        ("teacher.dtype=float64", TEACHER | STUDENT),
        ("teacher.lora.r=2", TEACHER | STUDENT),
        ("student.optimizer.lr=0.1", ANCHOR | STUDENT),
        ("student.optimizer.weight_decay=0", ANCHOR | STUDENT),
        ("student.architecture.num_hidden_layers=2", ANCHOR | STUDENT),
        ("budget.global_batch=6", ANCHOR | STUDENT),
        ("budget.batch_tokens=5000", ANCHOR | STUDENT),
        ("budget.stages=3", ANCHOR | STUDENT),
        ("budget.stage_epochs=2", ANCHOR | STUDENT),
        ("budget.lr_scale=2.0", ANCHOR | STUDENT),
        ("method.lr_scale=2.0", STUDENT),
        ("objective.temperature=2", STUDENT),
        ("objective=reverse_kl", STUDENT),
        ("method.teacher=live", STUDENT),
        ("method.signals_dtype=bfloat16", STUDENT),
        ("budget.probe_samples=7", STUDENT),
    ],
)
def test_what_changes_numbers_changes_the_digest_of_just_these(digests, plain, override, expected):
    assert changed(plain, digests("method=scd_aw", override)) == expected


def test_a_number_of_samples_is_nothing_beside_a_token_budget(digests):
    tokens = ("teacher.batch_tokens=5000", "budget.batch_tokens=5000")
    samples = ("teacher.global_batch=6", "budget.global_batch=6")
    assert changed(digests("method=scd_aw", *tokens), digests("method=scd_aw", *tokens, *samples)) == set()


def test_samples_count_by_the_epochs_that_they_come_to(digests, plain):
    epochs = digests("method=scd_aw", "budget.stage_epochs=3")
    # 48 rows in 2 stages: 288 are 3 epochs a stage, and 240 are 2.5, which go up.
    for samples in (240, 288, 335):
        assert changed(epochs, digests("method=scd_aw", f"budget.samples={samples}")) == set()
    assert changed(epochs, digests("method=scd_aw", "budget.samples=239")) == ANCHOR | STUDENT
    assert changed(plain, digests("method=scd_aw", "budget.samples=1", "budget.stage_epochs=9")) == set()


def test_validations_between_batches_depend_on_the_micro_batches(digests):
    between = ("method=scd_aw", "+trainer.val_check_interval=4")
    assert changed(digests(*between), digests(*between, "trainer.micro_batches=2")) == EVERYTHING


def test_a_strategy_s_hook_may_round_gradients(digests, plain):
    hook = "+trainer.strategy.model_averaging_period=5"
    assert changed(plain, digests("method=scd_aw", "trainer=ddp_cpu", hook)) == EVERYTHING


def test_methods_share_teacher_and_anchor(digests, plain):
    found = {
        method: digests(f"method={method}") for method in ("td", "cd", "scd", "scheduled_forward", "td_aw", "cd_aw")
    }
    assert all(changed(plain, each) == STUDENT for each in found.values())
    assert len({each["student"] for each in found.values()}) == len(found)


TEXTS = ("task.data.synthetic.unlabelled=8", "method=pl")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("unlabelled.weight=0.5", set()),
        ("unlabelled.from=best", set()),
        ("method.teacher=live", set()),
        ("method.signals_dtype=bfloat16", set()),
        ("objective.temperature=2", set()),
        ("objective=reverse_kl", set()),
        ("budget.probe_samples=7", set()),
        ("method.lr_scale=2.0", STUDENT),
        ("unlabelled.keep=confident", STUDENT),
        ("student.init=anchor", STUDENT),
        ("student.optimizer.lr=0.1", ANCHOR | STUDENT),
        ("teacher.epochs=3", TEACHER | STUDENT | {"answers"}),
        ("objective.reduction=token", EVERYTHING | {"answers"}),
    ],
)
def test_answers_that_stand_as_labels_have_no_distribution_to_depend_on(digests, override, expected):
    assert changed(digests(*TEXTS), digests(*TEXTS, override)) == expected


@pytest.mark.parametrize("override", ["unlabelled.weight=0.5", "unlabelled.from=best", "unlabelled.keep=confident"])
def test_what_becomes_of_texts_is_part_of_a_distillation(digests, override):
    texts = (TEXTS[0], "method=td")
    assert changed(digests(*texts), digests(*texts, override)) == STUDENT


def test_a_constant_weight_is_part_of_the_method(digests):
    assert changed(digests("method=td"), digests("method=td", "method.weighting.weight=0.25")) == STUDENT


@pytest.mark.parametrize("method", ["td", "cd", "td_aw", "cd_aw"])
def test_probe_set_is_the_schedule_s_alone(digests, method):
    assert changed(digests(f"method={method}"), digests(f"method={method}", "budget.probe_samples=7")) == set()


def test_plain_fine_tuning_reports_the_anchor(digests, plain):
    found = digests("method=sft")
    assert "student" not in found
    assert found["evaluation of student"] == found["evaluation of anchor"] == plain["evaluation of anchor"]


def test_content_of_the_data_counts_and_not_its_place(digests, tmp_path):
    splits = generate("classification", train=20, validation=6, test=6)
    first, second = _write(tmp_path / "first", splits), _write(tmp_path / "second", splits)
    splits["train"][3]["text"] += "!"
    third = _write(tmp_path / "third", splits)
    before, moved, edited = (
        digests("task=classification", f"task.data.path={folder}") for folder in (first, second, third)
    )
    assert changed(before, moved) == set()
    assert changed(before, edited) == EVERYTHING


@pytest.fixture(scope="module")
def existing(make_imported, full, adapters) -> Callable[..., Digests]:
    """Digests of a job with an existing trajectory."""

    def of(*overrides: str, trajectory: Path = full) -> Digests:
        job = make_imported("method=scd_aw", "evaluate.base=true", f"teacher.trajectory='{trajectory}'", *overrides)
        return {step.name: step.key.digest for step in plan(job)}

    return of


@pytest.fixture(scope="module")
def existing_plain(existing) -> Digests:
    return existing()


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("teacher.optimizer.lr=0.1", set()),
        ("teacher.epochs=3", set()),
        ("teacher.checkpoints=2", set()),
        ("teacher.global_batch=3", set()),
        ("teacher.batch_tokens=5000", set()),
        ("teacher.lora.r=16", set()),
        ("seed=1", ANCHOR | STUDENT),
        ("objective.reduction=token", ANCHOR | STUDENT),
        ("student.init=anchor", STUDENT),
        ("trainer.precision=64-true", EVERYTHING | BASE),
        ("task.max_length=300", EVERYTHING | BASE),
        # Its checkpoints are validated, and trained on nothing.
        ("task.data.synthetic.train=47", ANCHOR | STUDENT),
        ("task.data.synthetic.validation=11", EVERYTHING),
        ("task.data.synthetic.test=13", EVALUATIONS | BASE),
        ("teacher.attention=eager", TEACHER | STUDENT | {"evaluation of base_teacher"}),
    ],
)
def test_of_an_existing_trajectory_its_training_is_no_part(existing, existing_plain, override, expected):
    assert changed(existing_plain, existing(override)) == expected


def test_other_checkpoints_of_an_existing_trajectory(existing, existing_plain, full, adapters, tmp_path):
    before = existing_plain
    assert changed(before, existing(trajectory=full / "checkpoint-2")) == TEACHER | STUDENT
    assert changed(before, existing(trajectory=adapters)) == TEACHER | STUDENT
    shutil.copytree(full, tmp_path / "copy")
    assert changed(before, existing(trajectory=tmp_path / "copy")) == set()
    state = tmp_path / "copy" / "checkpoint-6" / "trainer_state.json"
    state.write_text(json.dumps({"global_step": 7}))
    assert changed(before, existing(trajectory=tmp_path / "copy")) == TEACHER | STUDENT


@pytest.mark.parametrize("change", [{"decoder": None}, {"model": {"ignore_merges": True}}])
def test_the_student_s_tokenizer_is_the_teacher_s_too(make_imported, work, tmp_path, change):
    """Whatever both have in common, and however small the difference: the teacher reads and writes by it."""

    def of(student: Path) -> Digests:
        return {step.name: step.key.digest for step in plan(make_imported("method=td", f"student.path='{student}'"))}

    copy = tmp_path / "student"
    shutil.copytree(work.student, copy)
    file = copy / "tokenizer.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(content | change | {"model": content["model"] | change.get("model", {})}))
    assert changed(of(work.student), of(copy)) == EVERYTHING


def test_an_existing_anchor_is_no_matter_of_the_budget(existing, existing_plain, work):
    anchor = f"anchor.path='{work.student}'"
    before = existing(anchor)
    assert changed(existing_plain, before) == ANCHOR | STUDENT
    assert changed(before, existing(anchor, "budget.stages=3")) == STUDENT
    assert changed(before, existing(anchor, "student.optimizer.lr=0.1")) == STUDENT
    assert changed(before, existing(anchor, "seed=1")) == STUDENT


def test_a_start_from_the_anchor_is_no_matter_of_the_anchor_or_of_plain_fine_tuning(digests, plain):
    assert changed(plain, digests("method=scd_aw", "student.init=anchor")) == STUDENT
    assert changed(digests("method=sft"), digests("method=sft", "student.init=anchor")) == set()


def _write(folder: Path, splits: dict[str, list[dict]]) -> Path:
    folder.mkdir()
    for split, rows in splits.items():
        (folder / f"{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return folder
