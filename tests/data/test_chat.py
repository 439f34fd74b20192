"""Chat templates: bounded, refused where they lose the text, and given a clock that stands still."""

import datetime
import time

import pytest
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from scd_lightning.data import chat
from scd_lightning.data.chat import (
    CHAT_DATE,
    check_template,
    date_of,
    fill,
    is_argument,
    with_settings,
    with_still_clock,
)
from scd_lightning.errors import ModelError

PLAIN = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<answer>{% endif %}"
)
# As models of several families have them, shortened: a system turn of its own, dates, namespaces, macros.
FAMILIES = {
    "dated": "{%- if not date_string is defined %}{%- set date_string = strftime_now('%d %b %Y') %}{%- endif %}\n"
    "Today: {{ date_string }}\n" + PLAIN,
    "clock": "\n  {% if strftime_now is defined %}{% set now = strftime_now('%A, %-d. %B %Y, 100%%d') %}{% endif %}\n"
    "  {{ now }}{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}"
    + PLAIN,
    "macro": "{% macro turn(m) %}[{{ m.role | upper }}|{{ strftime_now(format='%Y') | int + 1 }}]{{ m.content | trim }}"
    "{% endmacro %}{% for m in messages %}{% if loop.first %}{{ turn(m) }}{% else %}{% break %}{% endif %}{% endfor %}",
}


@pytest.fixture
def with_template(byte_tokenizer):
    def make(template):
        made = PreTrainedTokenizerFast(tokenizer_object=byte_tokenizer._tokenizer, bos_token="<s>", eos_token="</s>")
        made.chat_template = template
        return made

    return make


@pytest.fixture
def short_bounds(monkeypatch):
    monkeypatch.setattr(chat, "_SECONDS", 0.05)
    monkeypatch.setattr(chat, "_MEBIBYTES", 64)


def at(monkeypatch, year):
    class Then(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(year, 7, 26)

    monkeypatch.setattr(chat_template_utils, "datetime", Then)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_prompt_is_that_of_transformers_on_the_pinned_day(monkeypatch, with_template, family):
    at(monkeypatch, 2024)
    turn = [{"role": "user", "content": " a text "}]
    expected = with_template(FAMILIES[family]).apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    at(monkeypatch, 2031)
    assert fill(with_template(with_still_clock(FAMILIES[family])), [" a text "]) == [expected]
    assert "24" in expected or "25" in expected


def test_every_form_of_a_date(with_template):
    directives = [*"aAbBcCdDeFfgGhHIjklmMnpPrRStTuUVwWxXyYzZ", *(f"-{each}" for each in "dejHIklmMSUVWy")]
    form = "".join(f"[%{each}]%%{each}[%{each}%{each}]" for each in directives)
    template = with_still_clock(f"{{{{ strftime_now('{form}100%') }}}}")
    assert fill(with_template(template), ["x"]) == [datetime.datetime(2024, 7, 26).strftime(f"{form}100%")]


def test_a_clock_is_stopped_once_and_only_where_there_is_one():
    assert with_still_clock(PLAIN) == PLAIN
    assert with_still_clock(None) is None
    stopped = with_still_clock(FAMILIES["clock"])
    assert with_still_clock(stopped) == stopped
    assert with_still_clock({"default": FAMILIES["clock"], "tool_use": PLAIN}) == {
        "default": stopped,
        "tool_use": PLAIN,
    }


def test_a_date_is_told_where_the_template_writes_one():
    assert date_of(None) is date_of("") is date_of(PLAIN) is None
    assert date_of(FAMILIES["dated"]) == date_of(with_still_clock(FAMILIES["clock"])) == CHAT_DATE
    assert date_of({"default": FAMILIES["dated"]}) == CHAT_DATE


def test_texts_are_filled_in_order(with_template):
    texts = [f"text {i}" for i in range(250)]
    assert fill(with_template(PLAIN), texts) == [f"<user>{text}<answer>" for text in texts]


NESTED = "{% for a in range(99999) %}{% for b in range(99999) %}{{ '' }}{% endfor %}{% endfor %}"
TAKES_TOO_MUCH = {
    "nested loops": NESTED,
    "calls that double": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "a power": "{{ 7 ** (7 ** 12) }}",
    "a long text": "{{ 'x' * (10 ** 10) }}",
    "a wide field": "{{ '%2000000000d' | format(1) }}",
    "many characters": "{% for a in range(99999) %}{{ 'and again ' }}{% endfor %}",
}


@pytest.mark.parametrize("kind", TAKES_TOO_MUCH)
def test_what_takes_too_much_is_ended(with_template, short_bounds, kind):
    began = time.process_time()
    with pytest.raises(ModelError, match="chat template can't be filled") as raised:
        fill(with_template(TAKES_TOO_MUCH[kind] + PLAIN), ["a text"])
    assert time.process_time() - began < 2
    assert "chat_template.jinja" in str(raised.value.remedy)


def test_many_prompts_that_are_slow_together_are_ended(with_template, short_bounds):
    slow = "{% for a in range(99999) %}{{ '' }}{% endfor %}" + PLAIN
    fill(with_template(slow), ["a text"])
    with pytest.raises(ModelError, match=r"more than 0\.05 seconds"):
        fill(with_template(slow), ["a text"] * 100)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ raise_exception('Conversations start with a system turn.') }}", "Conversations start with a system turn"),
        ("{% if messages | length < 2 %}{{ raise_exception('two turns') }}{% endif %}", "two turns"),
        ("{{ messages[1].content }}", "no element 1"),
        ("{{ messages[0].content.missing.more }}", "no attribute 'missing'"),
        ("{% for m in messages %}{{ m.content }}", "endfor"),
        ("{{ " + "(" * 5000, ""),
        ("{{ messages[0].content.__class__.__mro__ }}", "unsafe"),
        ("{{ 1 // 0 }}", "by zero"),
        ("{% include 'other' %}", "no loader"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
        ({"tool_use": PLAIN}, "multiple chat templates"),
        (7, ""),
        (["a"], ""),
    ],
)
def test_its_own_words_are_told(with_template, template, said):
    with pytest.raises(ModelError, match="The chat template can't be filled") as raised:
        check_template(with_template(template))
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{% for m in messages %}{% for part in m.content %}{{ part.text }}{% endfor %}{% endfor %}", "leaves out"),
        ("{% for m in messages if m.role == 'human' %}{{ m.content }}{% endfor %}", "leaves out"),
        (PLAIN + "{{ messages | map(attribute='role') }}", "prints an object.* at 0x"),
        (PLAIN + "{{ raise_exception }}", "prints an object"),
        (PLAIN + "{{ ['Hello', 'Good day'] | random }}", "draws at random"),
        (PLAIN + "{{ lipsum(1) }}", "draws at random"),
        (PLAIN + "{{ [['a', 'b']] | map('random') | first }}", "draws at random"),
    ],
)
def test_a_prompt_that_could_not_be_learnt_from_is_refused(with_template, template, said):
    with pytest.raises(ModelError, match=f"The chat template {said}"):
        check_template(with_template(template))


@pytest.mark.parametrize("template", [PLAIN, *(with_still_clock(each) for each in FAMILIES.values())])
def test_templates_of_the_usual_kind_pass(with_template, template):
    check_template(with_template(template))
    check_template(with_template({"default": template, "tool_use": "{{ raise_exception('no tools') }}"}))


THINKING = "  {% if enable_thinking is defined and not enable_thinking %}quick{% else %}slow{% endif %}"
SYSTEMS = ["You label.", 'It\'s "quoted" \\ {{ braces }} {% and more %}\nand 日本語 😀', ""]


@pytest.mark.parametrize("family", [*FAMILIES, "plain"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_systems_turn_and_arguments_are_those_of_transformers(monkeypatch, with_template, family, system):
    at(monkeypatch, 2024)
    template = THINKING + FAMILIES.get(family, PLAIN)
    turns = [{"role": "system", "content": system}, {"role": "user", "content": " a text "}]
    words = {"tokenize": False, "add_generation_prompt": True, "date_string": CHAT_DATE}
    expected = with_template(template).apply_chat_template(turns, enable_thinking=False, **words)
    made = with_settings(with_still_clock(template), system, {"enable_thinking": False})
    assert fill(with_template(made), [" a text "]) == [expected]
    # Taken up again, as an exported student's is, it is the same, and another one takes its place.
    assert with_settings(with_still_clock(made), system, {"enable_thinking": False}) == made
    other = with_settings(with_still_clock(made), None, {"enable_thinking": True})
    expected = with_template(template).apply_chat_template(turns[1:], enable_thinking=True, **words)
    assert fill(with_template(other), [" a text "]) == [expected]


def test_what_jinja_or_this_package_sets_is_no_argument():
    assert [
        name for name in ("true", "messages", "strftime_now", "1", "a b", "enable_thinking") if is_argument(name)
    ] == ["enable_thinking"]


def test_arguments_of_every_kind(with_template):
    given = {"a": None, "b": True, "c": 1.5, "d": ["x", {"y": "z"}]}
    template = "{{ a is none }} {{ b }} {{ c }} {{ d[1].y }}" + PLAIN
    assert fill(with_template(with_settings(template, None, given)), ["t"]) == ["True True 1.5 z<user>t<answer>"]
