"""The commands of `commands.py` say and leave what was recorded of them, byte for byte."""

import pytest

from tests.golden.commands import CASES, observe_all, recorded


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    return observe_all(tmp_path_factory.mktemp("golden"))


@pytest.mark.parametrize("name", CASES)
def test_a_command_does_what_was_recorded(name, seen):
    expected = recorded(name)
    assert seen[name].keys() == expected.keys()
    for file, text in expected.items():
        assert seen[name][file] == text, file
