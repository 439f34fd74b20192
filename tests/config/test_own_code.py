"""What tells the code that a configuration names from other code."""

import functools
import importlib
import shutil
import sys
import types

import pytest
import torch

from scd_lightning.config.own_code import codes, sources
from scd_lightning.errors import ConfigError

FILES = {
    "single.py": "import beside\nimport json\nimport scd_lightning\n\n\nclass Mine:\n    pass\n",
    "beside.py": "def lazily():\n    from far import value\n",
    "far.py": "value = 1\n",
    "unused.py": "value = 2\n",
    "pack/__init__.py": "",
    "pack/deep/__init__.py": "from pack import constants\n",
    "pack/deep/policy.py": "from ..shared import *\nfrom . import near\n\n\nclass Mine:\n    pass\n",
    "pack/deep/near.py": "import single\n",
    "pack/constants.py": "x = 1\n",
    "pack/shared.py": "y = 1\n",
    "pack/unused.py": "z = 1\n",
    "pack/cycle.py": "import pack.cycle\n\n\nclass Mine:\n    pass\n\n\ndef make(x):\n    return Mine()\n",
    "scd_lightning/__init__.py": "",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with code of one's own, which Python finds, and forgets afterwards."""
    for name, content in FILES.items():
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    monkeypatch.syspath_prepend(str(tmp_path / "mine"))
    yield tmp_path / "mine"
    for name in ("single", "beside", "far", "pack"):
        for module in [each for each in sys.modules if each == name or each.startswith(f"{name}.")]:
            del sys.modules[module]


def test_one_s_own_code_is_its_file_and_what_that_imports_from_beside_it(folder):
    assert set(sources(folder / "single.py", folder)) == {"single.py", "beside.py", "far.py"}
    deep = {"pack/__init__.py", "pack/deep/__init__.py", "pack/deep/policy.py", "pack/deep/near.py"}
    assert set(sources(folder / "pack/deep/policy.py", folder)) == deep | {
        *("pack/constants.py", "pack/shared.py", "single.py", "beside.py", "far.py")
    }
    assert set(sources(folder / "pack/cycle.py", folder)) == {"pack/__init__.py", "pack/cycle.py"}


@pytest.mark.parametrize("target", ["single.Mine", "pack.deep.policy.Mine", "pack.cycle.make"])
def test_it_changes_with_any_of_these_files_and_with_no_other(folder, tmp_path, target):
    part = {"parts": [{"_target_": target}, {"x": {"_target_": "scd_lightning.losses.weighting.ConstantWeight"}}]}
    before = codes(part, ["single", "pack"], "method")
    assert list(before) == [target]
    for name in FILES:
        path = folder / name
        path.write_text(path.read_text() + "# edited\n")
        edited = codes(part, ["single", "pack"], "method")
        assert (edited != before) == (name in before[target]), name
        path.write_text(FILES[name])
    assert str(tmp_path) not in repr(before)


@pytest.mark.parametrize("content", [b"print 'of another Python'\n", b"x = '\xe9'\n", b"x = 1\0\n"])
def test_a_file_that_python_cannot_read_counts_and_imports_nothing(folder, content):
    """It stands in an import that is never run, as in a function for another version."""
    (folder / "far.py").write_bytes(content)
    before = sources(folder / "single.py", folder)
    assert set(before) == {"single.py", "beside.py", "far.py"}
    (folder / "far.py").write_bytes(content + b"# edited\n")
    assert sources(folder / "single.py", folder) != before


def test_the_same_code_elsewhere_is_the_same(folder, tmp_path, monkeypatch):
    before = sources(folder / "pack/deep/policy.py", folder)
    shutil.copytree(folder, tmp_path / "moved")
    assert sources(tmp_path / "moved/pack/deep/policy.py", tmp_path / "moved") == before


def test_an_installed_distribution_is_its_version():
    adam = {"a": {"_target_": "torch.optim.AdamW"}, "b": {"_target_": "lightning.pytorch.callbacks.EarlyStopping"}}
    found = codes(adam, [], "x")
    assert found["torch.optim.adamw.AdamW"] == {"torch": torch.__version__}
    assert set(found["lightning.pytorch.callbacks.early_stopping.EarlyStopping"]) == {"lightning"}
    # A module of another name than its distribution.
    assert set(codes({"_target_": "yaml.YAMLError"}, ["yaml"], "x")["yaml.error.YAMLError"]) == {"PyYAML"}


def test_this_package_s_own_has_a_format_instead():
    assert codes({"_target_": "scd_lightning.losses.divergences.forward_kl"}, [], "objective") == {}


def test_a_wrapped_function_is_what_it_wraps(folder):
    cycle = importlib.import_module("pack.cycle")
    cycle.__dict__["wrapped"] = functools.partial(functools.partial(cycle.make, 1))
    assert "pack/cycle.py" in codes({"_target_": "pack.cycle.wrapped"}, ["pack"], "x")["pack.cycle.make"]


def test_code_in_no_file_is_refused(monkeypatch):
    module = types.ModuleType("typed_in")
    exec("class Mine:\n    pass", module.__dict__)
    monkeypatch.setitem(sys.modules, "typed_in", module)
    with pytest.raises(ConfigError, match=r"is in no file.*callbacks\.mine.*Got: typed_in"):
        codes({"mine": {"_target_": "typed_in.Mine"}}, ["typed_in"], "callbacks")
