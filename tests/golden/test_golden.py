"""The commands of `commands.py` say and leave what was recorded of them.

On one machine they do so byte for byte. Another kind of CPU adds up in another order, which shows in a number's last
digits, and after a training in its fifth: those may differ, and nothing that is counted, answered, chosen or said.
"""

import re

import pytest

from tests.golden.commands import CASES, observe_all, recorded

_NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]?\d+)?|-?\d+e[+-]?\d+")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    return observe_all(tmp_path_factory.mktemp("golden"))


@pytest.mark.parametrize("name", CASES)
def test_a_command_does_what_was_recorded(name, seen):
    expected = recorded(name)
    assert seen[name].keys() == expected.keys()
    for file, text in expected.items():
        found = seen[name][file]
        assert _NUMBER.sub("NUMBER", found) == _NUMBER.sub("NUMBER", text), file
        numbers = [list(map(float, _NUMBER.findall(each))) for each in (found, text)]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-3, abs=1e-6), file
