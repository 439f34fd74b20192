"""Values as people, Python and JSON write them; each is held against what Hydra makes of it and of its own print."""

import json
import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from hypothesis import given as drawn
from hypothesis import settings, strategies

from scd_lightning.cli.overrides import one_line, swept_jobs
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
    # Tuples, as Python writes them, and other text in brackets.
    "a=('q_proj', 'v_proj')": ["q_proj", "v_proj"],
    "a=(0.9, -1e-2, None, True)": [0.9, -1e-2, "None", True],
    "a=('one',)": ["one"],
    "a=[('a', 1), (2, ['b'])]": [["a", 1], [2, ["b"]]],
    "a=('one')": "('one')",
    "a=(x, y)": "(x, y)",
    "a=('a' b, 1)": "('a' b, 1)",
    # Keys in quotes are text.
    "a={'7': x, \"true\": y, 'a\\\\': z}": {"7": "x", "true": "y", "a\\": "z"},
    # Functions of Hydra's.
    "a.b=str(7)": "7",
    "a.b=str(None)": "None",
    "a=[str(1e3), str(true), 2]": ["1e3", "true", 2],
    "a={x: str(007), y: 7}": {"x": "007", "y": 7},
    "a=int('7')": 7,
    "a.b=str([1.50, {null: 0452}])": ["1.50", {"null": "0452"}],
    "a=str('a, b')": "a, b",
    "a.b=str(null)": "null",
    "a=str(a (b))": "a (b)",
    "a=str(int(7))": "7",
    # Names of options and of folders.
    "experiment=2024": "2024",
    "task=1e3": "1e3",
    "hydra.run.dir=1_000": "1_000",
    "seed=7": 7,
    # Prompts.
    "task.template={text} {labels}": "{text} {labels}",
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


SIGNS = strategies.text(" ,='\"$\\!\n\t()[]{}:;#&|<>`*?~%é本None7.-+", min_size=1, max_size=7)


@settings(max_examples=60, deadline=None)
@drawn(SIGNS, strategies.sampled_from(Quote))
def test_any_text_in_quotes_goes_through_a_sweep(text, quote):
    written = f"a.b={QuotedString(text, quote).with_quotes()}"
    assert parsed(written).value() == text
    for (job,) in (swept_jobs([written])[0], swept_jobs([f"{written},x"])[0]):
        assert parsed(job).value() == text


@settings(max_examples=60, deadline=None)
@drawn(SIGNS.filter(lambda text: not set(text) & set("\\\n\t")))
def test_any_text_within_what_python_and_json_print(text):
    for value in ([text, 1], {text: None}, {"a": [{text: [text]}]}):
        for written in (f"a.b={value}", f"a.b={json.dumps(value, ensure_ascii=False)}"):
            ((job,),) = swept_jobs([written])
            assert parsed(job).value() == parsed(written).value() == value


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


@pytest.mark.parametrize("value", ["1.50", "1e3", "1_000", "True", "-.5", "NaN", "{a: 1e3, 1.0: TRUE}", "[1_0, [2.0]]"])
def test_numbers_stay_as_they_were_written_in_a_sweep(value):
    ((job,),) = swept_jobs([f"a={value}"])
    assert job.replace(" ", "") == f"a={value}".replace(" ", "")
    jobs = swept_jobs([f"a={value},x", "b=y"])
    assert [each.replace(" ", "") for each, _ in jobs] == [f"a={value}".replace(" ", ""), "a=x"]


def test_several_that_are_cast_are_several_texts():
    for given, first in (
        ("a.b=str(1e3),str(None),str(007)", "1e3"),
        # Hydra's own reading.
        ("a.b=str(1e3, None,007)", "1000.0"),
        ("a.b=str(choice(1e3, None, 007))", "1000.0"),
    ):
        assert [parsed(job).value() for (job,) in swept_jobs([given])] == [first, "None", "007"]


def test_keys_that_are_one_number_are_no_defect():
    assert parsed("a={1: x, 1.0: y}").value() == {1: "y"}
    assert len(swept_jobs(["a={1: x, 1.0: y},{b: c}"])) == 2


def test_optunas_sweeper_prints_what_was_written():
    sweeper = pytest.importorskip("hydra_plugins.hydra_optuna_sweeper._impl")
    texts = ["a, b", "x (y)", "0452", "it's", "$HOME", "1.50", "None", "[a]"]
    quoted = ",".join(QuotedString(text, Quote.single).with_quotes() for text in texts)
    found = sweeper.create_params_from_overrides([f"a.b={quoted}", "a.c=str(7)", "a.d='x, y'", "a.e=b\\,c,None,1e-4"])
    choices, fixed = found[0], found[1]
    assert [parsed(f"a.b={each}").value() for each in choices["a.b"].choices] == texts
    assert [parsed(f"a.e={each}").value() for each in choices["a.e"].choices] == ["b,c", None, 1e-4]
    assert {name: parsed(f"{name}={text}").value() for name, text in fixed.items()} == {"a.c": "7", "a.d": "x, y"}


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("task.template={text}\nQueue: {labels}\n", "{text}\nQueue: {labels}\n"),
        ("task.template=[INST] {text}\n[/INST]", "[INST] {text}\n[/INST]"),
        ("task.template='{text}\n'", "{text}\n"),
        ("a=Dear all,\n 'x'", None),
        ("a=two\nlines\n", "two\nlines"),
        ("a=one\n", "one"),
        ("a=[\n 'x\ny',\n 1\n]", ["x\ny", 1]),
        ("a={\n b: 1,\n}", {"b": 1}),
        ("a=choice(\n1,\n2)", None),
    ],
)
def test_line_breaks_of_a_text_are_meant(given, value):
    override = parsed(one_line(given))
    assert override.is_sweep_override() if value is None else override.value() == value


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
