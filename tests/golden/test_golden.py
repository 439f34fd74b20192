"""The commands of `commands.py` say and leave what was recorded of them.

On one machine they do so byte for byte. Another kind of CPU adds up in another order, which shows in a number's last
digits, and after a training in its fifth: those may differ, and nothing that is counted, answered, chosen or said.
"""

import re

import pytest

from tests.golden.commands import CASES, observe, recorded

_NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]?\d+)?|-?\d+e[+-]?\d+")


# Whole runs take minutes; of each kind of thing that happens in one, some other has it too.
_SLOW = ("ner_sft", "classification_scd_aw_live", "ner_lora", "ner_killed_and_gone_on")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in _SLOW else ()) for name in CASES]
)
def test_a_command_does_what_was_recorded(name, tmp_path):
    expected = recorded(name)
    seen = observe(CASES[name], tmp_path)
    assert seen.keys() == expected.keys()
    for file, text in expected.items():
        found = seen[file]
        assert _NUMBER.sub("NUMBER", found) == _NUMBER.sub("NUMBER", text), file
        numbers = [list(map(float, _NUMBER.findall(each))) for each in (found, text)]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-3, abs=1e-6), file
