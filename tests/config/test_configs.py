"""Every file under conf/ composes, and every constructor call in it fits its constructor."""

import inspect
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_object
from lightning import Trainer
from omegaconf import OmegaConf

from scd_lightning.config.batch_size import SampleCount, TokenBudget
from scd_lightning.config.build import GROUPS
from scd_lightning.errors import ConfigError
from scd_lightning.losses.objective import Objective
from scd_lightning.pipeline.method import Method
from scd_lightning.training.trainer import TrainerFactory

CONF = Path(__file__).parents[2] / "conf"
# What an option can't do without, because only the user knows it.
NEEDED = {"teacher=hub": ["teacher.path=x"], "teacher=hub_lora": ["teacher.path=x"], "student=hub": ["student.path=x"]}


def options():
    """Each `group=option`, subfolders too, but for what is half an option: others take that in."""
    files = sorted(file.relative_to(CONF).with_suffix("") for file in CONF.rglob("*.yaml"))
    return [f"{file.parent.as_posix()}={file.name}" for file in files if file.parent not in (Path("."), Path("shared"))]


def override(option):
    """`model` is no group of config.yaml: teachers and students take its files in."""
    return f"+{option}" if option.startswith("model=") else option


@pytest.fixture
def config():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield lambda *overrides: compose("config", list(overrides), return_hydra_config=True)


def problems(values, where=""):
    """What is wrong with the constructor calls in a configuration, each in a line that names it."""
    if isinstance(values, list):
        return [line for i, value in enumerate(values) for line in problems(value, f"{where}[{i}]")]
    if not isinstance(values, dict):
        return []
    found = [line for name, value in values.items() for line in problems(value, f"{where}.{name}".lstrip("."))]
    if "_target_" in values:
        found += [f"{where}: {error}" for error in misfit(values)]
    return found


def misfit(call):
    arguments = {name: value for name, value in call.items() if name not in ("_target_", "_partial_")}
    try:
        target = get_object(call["_target_"])
        signature = inspect.signature(target)
        (signature.bind_partial if call.get("_partial_") else signature.bind)(**arguments)
        if target is TrainerFactory:  # It hands on what it does not know.
            own = inspect.signature(TrainerFactory).parameters
            inspect.signature(Trainer).bind(**{name: v for name, v in arguments.items() if name not in own})
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        yield f"{call['_target_']}: {error}"


def test_walking_finds_the_groups_and_subfolders():
    assert set(GROUPS) <= {option.split("=")[0] for option in options()}
    assert len(options()) >= 30


def test_every_option_composes_and_fits_its_constructors(config):
    found = []
    for option in options():
        try:
            composed = config(override(option))
        except Exception as error:
            found.append(f"{option}: {error}")
            continue
        values = OmegaConf.to_container(composed, resolve=False)
        found += [f"{option}: {line}" for line in problems(values)]
    assert not found, "\n".join(sorted(set(found)))


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        ("+student.optimizer.learning_rate=1", "student.optimizer"),
        ("+budget.rounds=3", "budget"),
        ("+trainer.acelerator=cpu", "trainer"),
        ("~budget", None),
        ("method.policy._target_=scd_lightning.schedules.policies.Nothing", "method.policy"),
        ("~method.name", "method"),
    ],
)
def test_misfits_are_found(config, broken, named):
    found = problems(OmegaConf.to_container(config(broken), resolve=False))
    assert [line.split(":")[0] for line in found] == ([named] if named else [])


def test_every_option_builds_a_job(make_job):
    found = []
    for option in options():
        if option.split("=")[0] not in (*GROUPS, "experiment", "debug"):
            continue
        try:
            job = make_job(option, *NEEDED.get(option, []), prepared=False)
        except Exception as error:
            found.append(f"{option}: {type(error).__name__}: {error}")
            continue
        assert job.teacher.checkpoints >= 1
    assert not found, "\n".join(found)


def test_methods_are_objective_policy_and_weighting(make_job):
    names = {option.split("=")[1] for option in options() if option.startswith("method=")}
    assert names >= {"sft", "pl", "td", "cd", "scd", "td_aw", "cd_aw", "scd_aw", "scheduled_forward"}
    for name in sorted(names):
        job = make_job(f"method={name}", prepared=False)
        assert isinstance(job.method, Method)
        assert isinstance(job.objective, Objective)
        assert job.method.name == name
        assert (job.method.policy is None) == (job.method.weighting is None) == (name in ("sft", "pl"))
        assert job.method.trains_student == (name != "sft")
        assert job.method.needs_anchor == name.endswith("_aw")


@pytest.mark.parametrize(
    ("teacher", "student"), [("llama", "tinyllama"), ("llama3_8b", "llama3_3b"), ("qwen3", "qwen3")]
)
def test_pairs_of_a_family(config, teacher, student):
    composed = config(f"teacher={teacher}", f"student={student}")
    teacher, student = composed.teacher, composed.student
    assert (teacher.lora.r, student.lora.r) == (16, 0)
    assert (teacher.optimizer.lr, student.optimizer.lr) == (2e-4, 2e-5)
    assert teacher.gradient_checkpointing
    assert teacher.global_batch == 8
    assert teacher.path != student.path
    assert teacher.name == student.name == ""  # Their own, so.


@pytest.mark.parametrize(
    ("overrides", "stages", "stage_epochs", "lr_scale"),
    [
        ((), 4, 24, 1.0),
        (("student=scratch",), 4, 8, 1.0),
        (("student=smollm2_pruned",), 4, 2, 1.0),
        (("student=smollm2_small",), 4, 3, 1.0),
        (("student=tinyllama", "teacher=llama"), 4, 2, 1.0),
        (("student=tinyllama", "budget=scratch"), 4, 8, 1.0),
        (("student=scratch", "budget=paper"), 4, 2, 1.0),
        (("budget=patient", "student=scratch"), 4, 8, 2.0),
        (("budget=patient", "student=tinyllama"), 4, 8, 2.0),
        (("budget.stages=7", "student=scratch"), 7, 8, 1.0),
        (("experiment=paper",), 4, 2, 1.0),
        (("experiment=paper", "student=scratch"), 4, 2, 1.0),
        (("experiment=paper", "budget=patient"), 4, 8, 2.0),
        (("debug=smoke",), 2, 1, 1.0),
    ],
)
def test_the_budget_is_the_student_s_unless_one_is_asked_for(config, overrides, stages, stage_epochs, lr_scale):
    budget = config(*overrides).budget
    assert (budget.stages, budget.stage_epochs, budget.lr_scale) == (stages, stage_epochs, lr_scale)


def test_batches_are_samples_unless_they_are_tokens(make_job):
    for options in ((), ("teacher=hub", "teacher.path=some/model")):
        job = make_job(*options, "budget.global_batch=4", "teacher.global_batch=4", prepared=False)
        assert job.budget.batch == job.teacher.batch == SampleCount(4)
        job = make_job(*options, "budget.batch_tokens=512", "teacher.batch_tokens=4096", prepared=False)
        assert (job.budget.batch, job.teacher.batch) == (TokenBudget(512), TokenBudget(4096))


@pytest.mark.parametrize("group", ["teacher", "student"])
def test_hub_needs_a_path(make_job, group):
    with pytest.raises(ConfigError, match=f"Missing mandatory value.* Where: {group}.path"):
        make_job(f"{group}=hub", prepared=False)


def test_any_model_by_one_override(make_job):
    job = make_job("student.path=some/model", "teacher.lora.r=4", prepared=False)
    assert job.student.pretrained
    assert job.teacher.lora.r == 4
    assert not job.teacher.pretrained
