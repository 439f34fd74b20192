"""Which classes and functions a configuration may have called."""

import functools
import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from lightning.pytorch.callbacks import Timer
from torch.optim import SGD

import scd_lightning
from scd_lightning.config import build
from scd_lightning.config.targets import CONFIGURABLE, find_target
from scd_lightning.errors import ConfigError
from scd_lightning.losses.divergences import forward_kl

DELETING = ("best_weights.BestWeights", "step_timer.StepTimer")
HARMFUL = {
    "os.system": "posix.system",
    "logging.os.system": "posix.system",
    "scd_lightning.store.manifest.os.system": "posix.system",
    "scd_lightning.store.layout.Path": "pathlib.Path",
    "builtins.eval": "builtins.eval",
    "builtins.exec": "builtins.exec",
    "builtins.open": "io.open",
    "builtins.__import__": "builtins.__import__",
    "builtins.getattr": "builtins.getattr",
    "subprocess.run": "subprocess.run",
    "subprocess.Popen": "subprocess.Popen",
    "functools.partial": "functools.partial",
    "hydra.utils.instantiate": "hydra._internal.instantiate._instantiate2.instantiate",
    "torch.load": "torch.serialization.load",
    "torch.hub.load": "torch.hub.load",
    "torch.jit.load": "torch.jit._serialization.load",
    "torch.ops.load_library": "torch._ops._Ops.load_library",
    "torch.utils.cpp_extension.load": "torch.utils.cpp_extension.load",
    "torch.nn.Linear": "torch.nn.modules.linear.Linear",
    "torch.optim.Optimizer.load_state_dict": "torch.optim.optimizer.Optimizer.load_state_dict",
    "torch.optim.AdamW.__class__": "builtins.type",
    "torch.optim.AdamW.__subclasses__": "builtins.AdamW.__subclasses__",
    "lightning.pytorch.Trainer": "lightning.pytorch.trainer.trainer.Trainer",
    "lightning.pytorch.callbacks.timer.time.sleep": "time.sleep",
    "transformers.optimization.Adafactor.load_state_dict": "torch.optim.optimizer.Optimizer.load_state_dict",
    "scd_lightning.store.manifest.write_json": "scd_lightning.store.manifest.write_json",
    "scd_lightning.store.removal.delete": "scd_lightning.store.removal.delete",
    **{f"scd_lightning.training.callbacks.{name}": f"scd_lightning.training.callbacks.{name}" for name in DELETING},
    "scd_lightning.launch.ranks.end": "scd_lightning.launch.ranks.end",
    "scd_lightning.losses.objective.Objective.__init__.__globals__": "builtins.dict",
    "scd_lightning.losses.objective": "builtins.module",
}


@pytest.mark.parametrize(("path", "name"), HARMFUL.items())
def test_what_lies_elsewhere_is_refused_under_its_own_name(path, name):
    with pytest.raises(ConfigError) as raised:
        find_target(path, [], "callbacks.mine")
    assert raised.value.where == "callbacks.mine"
    assert raised.value.got == (path if path == name else f"{path}, which is {name}")
    assert "allowed_targets=[" in str(raised.value)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("torch.optim.SGD", SGD),
        ("lightning.pytorch.callbacks.Timer", Timer),
        ("scd_lightning.losses.divergences.forward_kl", forward_kl),
    ],
)
def test_what_is_configured_is_found(path, target):
    assert find_target(path, [], "here") is target


@pytest.fixture
def own(monkeypatch):
    """A module of the user's own, with what it imported."""
    module: Any = types.ModuleType("own_module")
    exec("class Thing:\n    def call(self): pass\n    @classmethod\n    def make(cls): pass", module.__dict__)
    module.system = os.system
    module.listing = functools.partial(functools.partial(os.system), "ls")
    module.made = functools.partial(module.Thing)
    module.thing = module.Thing().call
    monkeypatch.setitem(sys.modules, "own_module", module)
    return module


def test_a_package_is_allowed_with_what_it_defines_and_not_with_what_it_imports(own):
    for name in ("Thing", "made", "thing", "Thing.make"):
        with pytest.raises(ConfigError, match=r"own_module\.Thing.*allowed_targets=\[own, own_module\]"):
            find_target(f"own_module.{name}", ["own"], "here")
        find_target(f"own_module.{name}", ["own_module"], "here")
    for name in ("system", "listing"):
        with pytest.raises(ConfigError, match=f"own_module.{name}, which is posix.system"):
            find_target(f"own_module.{name}", ["own_module"], "here")
        assert find_target(f"own_module.{name}", ["own_module", "posix.system"], "here") is getattr(own, name)


def test_a_single_object_may_be_allowed():
    name = "torch.nn.modules.linear.Linear"
    assert find_target("torch.nn.Linear", [name], "here").__name__ == "Linear"
    with pytest.raises(ConfigError, match="Bilinear"):
        find_target("torch.nn.Bilinear", [name], "here")


def test_a_package_that_is_not_allowed_is_not_even_imported(tmp_path, monkeypatch):
    (tmp_path / "unknown_package.py").write_text(
        f"import os\nos.mkdir({str(tmp_path / 'harm')!r})\nclass Thing: pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"Got: unknown_package\.Thing\. .*allowed_targets=\[unknown_package\]"):
        find_target("unknown_package.Thing", [], "here")
    assert not (tmp_path / "harm").exists()
    assert find_target("unknown_package.Thing", ["unknown_package"], "here").__name__ == "Thing"
    assert (tmp_path / "harm").exists()
    del sys.modules["unknown_package"]


def test_nothing_is_made_before_all_is_allowed(request, monkeypatch, tmp_path):
    monkeypatch.setattr(build, "instantiate", lambda *_, **__: pytest.fail("something was made"))
    call = "{_target_: subprocess.run, _partial_: true}"
    with initialize_config_dir(str(request.config.rootpath / "conf"), version_base="1.3"):
        composed = compose("config", [f"paths.run={tmp_path}", f"anchor.path={call}"])
    with pytest.raises(ConfigError, match=r"Where: anchor\.path\. Got: subprocess\.run\."):
        build.build_parts(build.read_settings(composed))


@pytest.mark.parametrize("odd", ["_args_", "_kwargs_", "_mode_"])
@pytest.mark.parametrize("place", ["student.optimizer", "+callbacks.mine", "student"])
def test_arguments_have_names(request, tmp_path, monkeypatch, odd, place):
    """Whatever Hydra would hand on without a name of the signature is refused, and so is what it may come to know."""
    monkeypatch.setattr(build, "instantiate", lambda *_, **__: pytest.fail("something was made"))
    call = "{_target_: lightning.pytorch.callbacks.Timer, _partial_: true, " + odd + ": [1]}"
    override = f"{place}={call}" if place.startswith("+") else f"+{place}.{odd}=[1]"
    with initialize_config_dir(str(request.config.rootpath / "conf"), version_base="1.3"):
        composed = compose("config", [f"paths.run={tmp_path}", override])
    with pytest.raises(ConfigError, match=f"by their names alone. Where: {place.lstrip('+')}. Got: {odd}"):
        build.build_parts(build.read_settings(composed))


def test_nothing_that_may_be_called_deletes():
    """Whoever may delete is told where by this package, and never by a configuration."""
    package = Path(scd_lightning.__file__).parent
    places = [place.removeprefix("scd_lightning.").replace(".", "/") for place in CONFIGURABLE if "scd_" in place]
    files = [file for place in places for file in (package / f"{place}.py", *(package / place).rglob("*.py"))]
    found = [file for file in files if file.is_file()]
    assert len(found) > 30
    assert [str(file) for file in found if "store.removal" in file.read_text(encoding="utf-8")] == []
