"""Each argument of Lightning's Trainer is honoured or refused, and known to change numbers or not."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from lightning import Trainer

from scd_lightning.config.build import TRAINER
from scd_lightning.config.trainer_options import (
    OPTIONS,
    Honoured,
    Ours,
    check_trainer,
    trainer_numbers,
    whole_precision,
)
from scd_lightning.errors import ConfigError
from scd_lightning.training.trainer import TrainerFactory

HONOURED = {name: option for name, option in OPTIONS.items() if isinstance(option, Honoured)}
OURS = {name for name, option in OPTIONS.items() if isinstance(option, Ours)}
CALL = {"_target_": "lightning.pytorch.profilers.SimpleProfiler", "dirpath": "profiles", "filename": "steps"}
# Values that can be used, and values that can't.
VALUES: dict[str, tuple[list[Any], list[Any]]] = {
    "accelerator": (["auto", "cpu", "gpu", "cuda", "mps"], ["tpu", "quantum", 1, True]),
    "strategy": (["auto", "ddp", {"_target_": "a.B", "_partial_": True}], ["fsdp", "deepspeed", "ddp_spawn", 2, True]),
    "devices": ([1, 8], [0, -1, "auto", True, 1.5]),
    "num_nodes": ([1, 2], [0, "two", True]),
    "precision": (["32-true", 32, "64", 64, "bf16", "bf16-true", "16-mixed"], ["transformer-engine", 8, True, "half"]),
    "gradient_clip_val": ([0, 0.5, 3], [-1, "1", True, float("nan"), float("inf")]),
    "gradient_clip_algorithm": (["norm", "value"], ["agc", True, 1]),
    "val_check_interval": ([1, 7, 0.25, 1.0], [0, -1, 0.0, 1.5, "00:00:10:00", {"minutes": 1}, True]),
    "check_val_every_n_epoch": ([1, 3], [0, -2, 1.5, True]),
    "deterministic": ([True, False, "warn"], ["yes", 1]),
    "benchmark": ([True, False], ["yes", 0]),
    "inference_mode": ([True, False], [1, "no"]),
    "plugins": ([[CALL], CALL, []], ["deepspeed", 1, True]),
    "log_every_n_steps": ([1, 50], [0, -1, 2.5, True]),
    "detect_anomaly": ([True, False], [1, "yes"]),
    "profiler": (["simple", "advanced", "pytorch", CALL], ["fast", True, 1]),
    "default_root_dir": (["some/folder"], [True, 1]),
}
# What each argument of ours is asked for, and a word of the way that works.
ASKED: dict[str, tuple[Any, str]] = {
    "accumulate_grad_batches": (4, "trainer.micro_batches"),
    "max_epochs": (3, "teacher.epochs"),
    "min_epochs": (1, "budget.stages"),
    "max_steps": (100, "budget.stage_epochs"),
    "min_steps": (5, "patience"),
    "max_time": ("00:01:00:00", "timeout"),
    "fast_dev_run": (True, "debug=smoke"),
    "limit_train_batches": (1, "task.data.max_samples"),
    "limit_val_batches": (0, "task.data.max_samples"),
    "limit_test_batches": (0.5, "task.data.max_samples"),
    "limit_predict_batches": (1, "task.data.max_samples"),
    "overfit_batches": (1, "task.data.max_samples"),
    "num_sanity_val_steps": (2, "debug=smoke"),
    "reload_dataloaders_every_n_epochs": (1, "order"),
    "use_distributed_sampler": (False, "share each batch"),
    "sync_batchnorm": (True, "leave it out"),
    "logger": (True, "logger=csv"),
    "callbacks": ([CALL], "+callbacks."),
    "enable_checkpointing": (False, "resume.every_minutes"),
    "enable_progress_bar": ("rich", "leave it out"),
    "enable_model_summary": (True, "RichModelSummary"),
    "enable_autolog_hparams": (False, "logger=none"),
    "model_registry": ("mine", "student/"),
    "barebones": (True, "logger=none"),
}


def told(**options: Any) -> dict[str, Any]:
    """What Lightning is told of some options."""
    return check_trainer(**options)


def test_the_list_is_that_of_this_lightning():
    assert set(OPTIONS) == set(inspect.signature(Trainer).parameters)


def test_the_tables_here_are_whole():
    assert set(VALUES) == set(HONOURED)
    assert set(ASKED) == OURS


@pytest.mark.parametrize("name", sorted(HONOURED))
def test_what_is_honoured_takes_these_values_and_no_others(name):
    good, bad = VALUES[name]
    for value in good:
        found = told(**{name: value})
        assert name in ("devices", "num_nodes", "strategy") or found == {name: value}
    for value in bad:
        with pytest.raises(ConfigError, match=rf"Where: trainer\.{name}\. Got: .* Expected: "):
            told(**{name: value})


@pytest.mark.parametrize("name", sorted(OURS))
def test_what_is_ours_is_refused_with_the_way_that_works(name):
    value, way = ASKED[name]
    with pytest.raises(ConfigError) as refused:
        told(**{name: value})
    for part in (f"Where: trainer.{name}.", f"Got: {value}", "Remedy: ", way):
        assert part in str(refused.value)


@pytest.mark.parametrize("name", sorted(OURS))
def test_nothing_and_lightning_s_own_default_ask_for_nothing(name):
    for value in (None, inspect.signature(Trainer).parameters[name].default):
        assert told(**{name: value}) == {}


def test_nothing_is_the_default_of_what_is_honoured_too():
    nothing = dict.fromkeys(set(HONOURED) - {"devices", "num_nodes", "strategy", "check_val_every_n_epoch"})
    assert told(**nothing) == {}


def test_accumulation_may_be_said_in_lightning_s_words_where_it_is_what_happens():
    assert check_trainer(micro_batches=4, accumulate_grad_batches=4) == {}
    with pytest.raises(ConfigError, match=r"accumulate_grad_batches\. Got: 1\. Remedy: trainer\.micro_batches"):
        check_trainer(micro_batches=4, accumulate_grad_batches=1)


def test_one_batch_is_not_all_of_them():
    assert check_trainer(limit_val_batches=1.0, overfit_batches=0.0, max_steps=-1, fast_dev_run=False) == {}
    for value in (1, True, 0.0):
        with pytest.raises(ConfigError, match="limit_val_batches"):
            check_trainer(limit_val_batches=value)


def test_a_name_that_is_nearly_right_is_told():
    with pytest.raises(ConfigError, match=r"no such argument \(did you mean gradient_clip_val\?\)"):
        check_trainer(gradient_clip_value=1.0)


def test_without_epochs_batches_are_counted():
    assert check_trainer(check_val_every_n_epoch=None, val_check_interval=4)
    for interval in ({}, {"val_check_interval": 0.5}):
        with pytest.raises(ConfigError, match="Nothing says when to validate"):
            told(check_val_every_n_epoch=None, **interval)


def test_the_page_names_each_argument_where_it_belongs():
    page = (Path(__file__).parents[2] / "docs" / "trainer.md").read_text(encoding="utf-8")
    _, can, refused, *_ = page.split("\n## ")
    for part, names in ((can, set(HONOURED)), (refused, OURS)):
        rows = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
        assert set(re.findall(r"`(\w+)`", " ".join(rows))) == names


def test_a_strategy_is_made_anew_for_each_trainer():
    with pytest.raises(ConfigError, match="_partial_: true"):
        check_trainer(strategy={"_target_": "lightning.pytorch.strategies.DDPStrategy"})


def test_numbers_are_those_of_what_may_change_them():
    settings = {name: VALUES[name][0][0] for name in HONOURED} | {name: None for name in OURS}
    settings |= {"gradient_clip_algorithm": "value", "check_val_every_n_epoch": 3, "inference_mode": False}
    found = trainer_numbers({"_target_": TRAINER, "micro_batches": 3, **settings})
    may = {name for name in HONOURED if not HONOURED[name].why} - {"precision"}
    assert set(found) == may | {"micro_batches"}
    assert found["micro_batches"] == 3
    assert trainer_numbers({"accelerator": "cpu", "devices": 2, "micro_batches": 4, "gradient_clip_val": 1.0}) == {
        "gradient_clip_val": 1.0
    }
    assert trainer_numbers({"own": 1}) == {"own": 1}


def test_what_happens_anyway_is_no_change():
    anyway = {"deterministic": False, "benchmark": None, "inference_mode": True, "gradient_clip_algorithm": "norm"}
    assert trainer_numbers({"val_check_interval": 1.0, "check_val_every_n_epoch": 1, **anyway}) == {}
    # Of these, null is another way to validate, and 1 is one batch.
    assert set(trainer_numbers({"check_val_every_n_epoch": None})) == {"check_val_every_n_epoch"}
    assert set(trainer_numbers({"val_check_interval": 1})) == {"val_check_interval", "micro_batches"}


@pytest.mark.parametrize("names", [("32", 32, "32-true", None), ("16", "16-mixed"), ("bf16", "bf16-mixed"), ("64", 64)])
def test_names_of_one_precision_are_one(names):
    assert len({whole_precision({"precision": name}) for name in names}) == 1
    assert trainer_numbers({"profiler": CALL}) == {}
    assert trainer_numbers({"profiler": {"_target_": "mine.Profiler"}}) == {"profiler": {"_target_": "mine.Profiler"}}


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ({"_target_": "lightning.pytorch.strategies.DDPStrategy", "_partial_": True, "static_graph": True}, {}),
        ({"_target_": "mine.Strategy", "_partial_": True}, {"strategy": {"_target_": "mine.Strategy"}}),
        (
            {"_target_": "lightning.pytorch.strategies.DDPStrategy", "ddp_comm_hook": "bf16"},
            {"strategy": {"ddp_comm_hook": "bf16"}},
        ),
    ],
)
def test_a_strategy_changes_numbers_by_what_it_computes(strategy, expected):
    assert trainer_numbers({"strategy": strategy}) == expected


def test_the_light_check_is_that_of_the_class_itself():
    assert f"{TrainerFactory.__module__}.{TrainerFactory.__qualname__}" == TRAINER
    light, own = (inspect.signature(each).parameters for each in (check_trainer, TrainerFactory))
    assert list(light) == list(own)


@pytest.mark.parametrize("name", ["LIMIT_PREDICT_BATCHES", "FAST_DEV_RUN", "DEVICES"])
def test_what_lightning_would_take_from_the_environment_is_refused(monkeypatch, name):
    monkeypatch.setenv(f"PL_TRAINER_{name}", "1")
    with pytest.raises(ConfigError, match=rf"PL_TRAINER_{name}.*unset.*\+\+trainer\.{name.lower()}="):
        check_trainer()
