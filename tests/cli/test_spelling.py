"""Values as people, Python and JSON write them; each is held against what Hydra makes of it and of its own print."""

import json
import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from scd_lightning.cli.overrides import swept_jobs
from scd_lightning.cli.reading import read_more
from scd_lightning.cli.spelling import Unreadable, decoded, in_hydras_words

read_more()
READ = {
    # A W&B agent writes Python's str() of values, without quotes around texts.
    "a.b=None": None,
    "a=None": "None",
    "a={'r': 4, 'alpha': None}": {"r": 4, "alpha": None},
    "a=['q_proj', 'v_proj']": ["q_proj", "v_proj"],
    "a=[None, 'None', good]": ["None", "None", "good"],
    "a=1.7e-05": 1.7e-05,
    "a=True": True,
    "a='None'": "None",
    "a=../my data (v2)": "../my data (v2)",
    "a=runs [old]/x": "runs [old]/x",
    "a=[old]/x": "[old]/x",
    "a=it's": "it's",
    "a=C:\\data (x)\\": "C:\\data (x)\\",
    # Other scripts, signs and `=`.
    "a=データ/2024": "データ/2024",
    "a=[苦情, 'ご 要望', (др.)]": ["苦情", "ご 要望", "(др.)"],
    "a=year=2024/month=1": "year=2024/month=1",
    "a=#5; 50 % & more!": "#5; 50 % & more!",
    "a=${b}/é": "${b}/é",
    # Keys of dictionaries.
    "a={本文: text, ข้อความ: label}": {"本文": "text", "ข้อความ": "label"},
    'a={"نص": text, "b": {"c d": [1, "é"]}}': {"نص": "text", "b": {"c d": [1, "é"]}},
    "a={Ticket text (EN): text, Queue #: label}": {"Ticket text (EN)": "text", "Queue #": "label"},
    "a={'a: b, c': text, \"it's\": label}": {"a: b, c": "text", "it's": "label"},
    "a={Text \\(EN\\): text}": {"Text (EN)": "text"},
    # As before.
    "a=0452": "0452",
    "a=[0452,yes,no,on,off]": ["0452", "yes", "no", "on", "off"],
    "a=null": None,
    "a=": "",
    "a='x, y'": "x, y",
    "a=\\n": "\\n",
}
UNCERTAIN = [
    "a=[x",
    "a={x: 1",
    "a='x",
    "a=x)",
    "a=(x",
    "a=[a b] c]",
    "a=choice(é,b)",
    "a={text} {labels}",
    "a=['x' 'y']",
]


def parsed(text):
    return OverridesParser.create().parse_override(text)


@pytest.mark.parametrize("text", READ)
def test_a_value_means_what_was_written(text):
    override = parsed(text)
    assert override.value() == READ[text]
    assert type(override.value()) is type(READ[text])
    assert override.input_line == text


@pytest.mark.parametrize("text", READ)
def test_a_sweeps_job_has_the_same_value(text):
    ((job,),) = swept_jobs([text])
    assert parsed(job).value() == READ[text]


@pytest.mark.parametrize("value", [{"x": None}, ["a b", "it's", 'say "x"'], True, None, -2e-07, {"y": ["p", 1, 0.5]}])
def test_pythons_and_jsons_print_of_a_value(value):
    assert parsed(f"a.b={value}").value() == parsed(f"a.b={json.dumps(value)}").value() == value


@pytest.mark.parametrize("text", UNCERTAIN)
def test_what_is_uncertain_stays_an_error(text):
    with pytest.raises(Unreadable):
        in_hydras_words(text)
    with pytest.raises(HydraException):
        parsed(text)


def test_each_value_of_a_sweep_is_read():
    assert swept_jobs(["a.c=苦情,None,(x, y),[é,b]", "b=1"]) == [
        [f"a.c={value}", "b=1"] for value in ("'苦情'", "null", "'(x, y)'", "['é',b]")
    ]
    assert [parsed(job).value() for (job,) in swept_jobs(["a={é: 1},{b: 2}"])] == [{"é": 1}, {"b": 2}]


def test_dotted_keys_in_any_script():
    assert parsed("+task.data.columns.Text (EN)=text").get_key_element() == "+task.data.columns.Text (EN)"
    ((job,),) = swept_jobs(["++a.本文.b=x"])
    assert job == "++a.本文.b=x"
    assert decoded("a.b") == "a.b"


@pytest.mark.parametrize("template", ['"{text}\\nQueue:\\n"', "'{text}\\nQueue:\\n'", "{text}\\nQueue:\\n"])
def test_a_prompt_given_in_a_shell_has_line_breaks(template):
    expected = "{text}\nQueue:" + "\n"
    assert parsed(f"task.template={template}").value() == expected
    for (job,) in swept_jobs([f"task.template={template},'x {{text}}'"])[:1]:
        assert parsed(job).value() == parsed(shlex.split(shlex.quote(job))[0]).value() == expected


def test_only_prompts_have_signs_for_line_breaks():
    assert parsed("task.data.path='C:\\new\\table'").value() == "C:\\new\\table"
    assert parsed("task.template='a\\tb\\\\n'").value() == "a\tb\\\\n"
    assert parsed("task.template=None").value() is None
