"""Own data with neither model named gets models from scratch; in all other cases the configuration stays as it is."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import open_dict

from scd_lightning.cli.default_models import settle_models

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture
def settled():
    def settle(*overrides):
        cfg = compose("config", list(overrides), return_hydra_config=True)
        HydraConfig.instance().set_config(cfg)
        with open_dict(cfg):
            del cfg["hydra"]
        return settle_models(cfg, overrides)[0]

    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield settle
    HydraConfig.instance().cfg = None


@pytest.mark.parametrize("own", ["task.data.path=/data/mine", "task.data.hub=someone/set", "task=banking77"])
def test_own_data_gets_models_from_scratch_and_keeps_the_other_overrides(settled, own):
    cfg = settled(own, "seed=3", "teacher.epochs=5", "budget.stages=2")
    assert (cfg.teacher.name, cfg.student.name) == ("scratch teacher", "scratch student")
    assert (cfg.teacher.path, cfg.student.path) == (None, None)
    assert (cfg.seed, cfg.teacher.epochs, cfg.budget.stages, cfg.budget.stage_epochs) == (3, 5, 2, 8)


@pytest.mark.parametrize("task", ["ner", "qa", "classification"])
def test_the_embedded_data_get_the_embedded_pair(settled, task):
    cfg = settled(f"task={task}")
    assert (cfg.teacher.name, cfg.student.name) == ("embedded teacher", "embedded student")


@pytest.mark.parametrize(
    "named", ["teacher=embedded", "student=smollm2", "teacher=scratch", "teacher.path=/models/big", "experiment=paper"]
)
def test_a_model_that_is_named_is_taken(settled, named):
    cfg = settled("task.data.path=/data/mine", named)
    scratch = settled("task.data.path=/data/mine")
    assert cfg.student.name != scratch.student.name


def test_a_budget_that_is_named_goes_before_the_students_own(settled):
    assert settled("task.data.path=/data/mine", "budget=patient").budget.stage_epochs == 8
    assert settled("task.data.path=/data/mine", "budget=paper").budget.stage_epochs == 2


def test_references_in_overrides_stay_references(settled):
    cfg = settled("task.data.path=/data/mine", "student.optimizer.lr=${teacher.optimizer.lr}")
    assert cfg.student.optimizer.lr == cfg.teacher.optimizer.lr


def test_a_path_alone_has_the_settings_of_any_model_and_not_of_the_embedded_one(settled):
    cfg = settled("teacher.path=/models/big", "student.path=some/small", "teacher.epochs=2")
    hub = settled("teacher=hub", "teacher.path=/models/big", "student=hub", "student.path=some/small")
    assert (cfg.teacher.path, cfg.student.path, cfg.teacher.epochs) == ("/models/big", "some/small", 2)
    assert (cfg.student, cfg.budget, cfg.teacher.optimizer) == (hub.student, hub.budget, hub.teacher.optimizer)


def test_a_path_alone_beside_a_model_that_is_named(settled):
    cfg = settled("teacher=qwen3", "student.path=some/small")
    assert cfg.student == settled("teacher=qwen3", "student=hub", "student.path=some/small").student


@pytest.mark.parametrize("path", [(), ("teacher.path=null",)])
def test_a_gguf_file_alone(settled, path):
    cfg = settled("teacher.gguf=big.gguf", *path)
    assert cfg.teacher == settled("teacher=hub", "teacher.path=null", "teacher.gguf=big.gguf").teacher


@pytest.mark.parametrize(
    "asked", [["student=embedded", "student.path=/mine"], ["student.path=scd_lightning:models/embedded/teacher"]]
)
def test_the_embedded_settings_where_they_are_asked_for(settled, asked):
    cfg, embedded = settled(*asked), settled()
    assert (cfg.student.optimizer, cfg.budget) == (embedded.student.optimizer, embedded.budget)
    assert cfg.student.path == asked[-1].partition("=")[2]
