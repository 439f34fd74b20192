from pathlib import Path

import pytest

import scd_lightning
from scd_lightning.errors import ConfigError
from scd_lightning.models.packaged import find_packaged

PACKAGE = Path(scd_lightning.__file__).parent


def test_a_folder_of_a_package():
    assert find_packaged("scd_lightning:models/embedded", "teacher.path") == PACKAGE / "models" / "embedded"


@pytest.mark.parametrize("name", ["meta-llama/Llama-3.1-8B", "/models/big", "models/big", "../a:b"])
def test_hub_ids_and_paths_are_none(name):
    assert find_packaged(name, "teacher.path") is None


def test_a_path_that_exists_is_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("scd_lightning:models").mkdir()
    assert find_packaged("scd_lightning:models", "teacher.path") is None


def test_a_missing_package_is_named_with_the_remedy():
    with pytest.raises(ConfigError, match="no_such_thing") as error:
        find_packaged("no_such_thing:model", "student.path")
    assert "student.path" in str(error.value)
    assert "pip install no-such-thing" in str(error.value)
