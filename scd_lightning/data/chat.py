"""Chat templates: programs that come with a model, which write the prompt around a user's turn.

They are run by transformers, in a sandbox that lets them compute for as long as they like and read the clock. Here they
get bounds, and a clock that stands still.
"""

import json
import random
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scd_lightning.errors import ModelError, translated
from scd_lightning.launch.limits import bounded

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# Some templates write today's date into the prompt: a fixed one keeps prompts equal from day to day.
CHAT_DATE = "26 Jul 2024"
# The start of that day, as strftime has it in C's locale.
_CLOCK = {
    **{"a": "Fri", "A": "Friday", "b": "Jul", "B": "July", "c": "Fri Jul 26 00:00:00 2024", "C": "20", "d": "26"},
    **{"D": "07/26/24", "e": "26", "f": "000000", "F": "2024-07-26", "g": "24", "G": "2024", "h": "Jul", "H": "00"},
    **{"I": "12", "j": "208", "k": " 0", "l": "12", "m": "07", "M": "00", "n": "\\n", "p": "AM", "P": "am"},
    **{"r": "12:00:00 AM", "R": "00:00", "s": "1721952000", "S": "00", "t": "\\t", "T": "00:00:00", "u": "5"},
    **{"U": "29", "V": "30", "w": "5", "W": "30", "x": "07/26/24", "X": "00:00:00", "y": "24", "Y": "2024"},
    **{"z": "", "Z": ""},
}
# A number without leading zeros or blanks, as GNU's strftime writes it where a hyphen asks for that.
_SHORT = {name: text.strip().lstrip("0") or "0" for name, text in _CLOCK.items() if text.strip().isdigit()}
# Goes through a format sign by sign, and keeps what it has of a directive until that is whole.
_FORMAT = (
    "{%- set part = namespace(of='') -%}{%- for sign in format -%}"
    "{%- if not part.of and sign != '%' -%}{{ sign }}"
    "{%- elif not part.of or (part.of == '%' and sign == '-') -%}{%- set part.of = part.of ~ sign -%}"
    "{%- else -%}{{ known.get(part.of ~ sign, part.of ~ sign) }}{%- set part.of = '' -%}{%- endif -%}"
    "{%- endfor -%}{{ part.of }}"
)
_NAMES = ("date_string", "strftime_now")
_SET_ALREADY = {*_NAMES, "messages", "add_generation_prompt", "true", "false", "none", "and", "or", "not", "in", "is"}
_SET_ALREADY |= {"if", "else", "self", "loop", "namespace"}
# What so many prompts may take together; a template of the usual kind fills a thousand in a second.
_PROMPTS, _SECONDS, _MEBIBYTES = 100, 2.0, 1024
# What a template may add to a text, in characters, and how often it may repeat it.
_ADDED, _REPEATED = 100_000, 10
_PROBE = "a text to try the template with"
_REMEDY = (
    "put a template that takes one user turn into the model's folder, as chat_template.jinja; without one there and in "
    "tokenizer_config.json, prompts are plain text"
)
# Around what `with_settings` puts before a template.
_BEGIN, _END = "{# task.system, task.chat_template_kwargs #}", "{# until here #}"
_SETTINGS = re.compile(re.escape(_BEGIN) + ".*?" + re.escape(_END) + "\n", re.DOTALL)
_OBJECT = re.compile(r"\S* at 0x[0-9a-f]{6,}>")


def _still_clock() -> str:
    """A macro that goes before a template, in place of the clock that transformers gives it.

    A part of the template, so that a student that is used elsewhere gets the prompts that it was trained on.
    """
    fills = {"%%": "%"} | {f"%{name}": text for name, text in _CLOCK.items()}
    fills |= {f"%-{name}": text for name, text in _SHORT.items()}
    known = ", ".join(f"'{directive}': '{text}'" for directive, text in fills.items())
    # The line break goes with the tag before it: what follows begins where it began.
    return f"{{%- macro strftime_now(format) -%}}{{%- set known = {{{known}}} -%}}{_FORMAT}{{%- endmacro %}}\n"


def with_still_clock(template: Any) -> Any:
    """A chat template, or several by name, for which it is always the start of `CHAT_DATE`; others as they are."""
    if isinstance(template, dict):
        return {name: with_still_clock(each) for name, each in template.items()}
    clock = _still_clock()
    needs = isinstance(template, str) and "strftime_now" in template and not template.startswith(clock)
    return clock + template if needs else template


def is_argument(name: str) -> bool:
    """Whether a chat template can be told something by a name: a word, and none that Jinja or this package sets."""
    return name.isidentifier() and name.lower() not in _SET_ALREADY


def with_settings(template: str, system: str | None, arguments: Mapping[str, Any]) -> str:
    """A chat template that has a system's turn before the user's, and takes arguments, as a part of itself.

    So a student that is used elsewhere gets the prompts that it was trained on.

    Args:
        template: The template, perhaps of a student that was trained with others.
        system: What the system's turn says, or None.
        arguments: Name -> value of what `apply_chat_template` would be told, such as `enable_thinking`.
    """
    clock = _still_clock()
    head, rest = (clock, template.removeprefix(clock)) if template.startswith(clock) else ("", template)
    own = [f"{{%- set {name} = {_literal(value)} -%}}" for name, value in arguments.items()]
    if system is not None:
        turn = _literal({"role": "system", "content": system})
        own.append(f"{{%- set messages = [{turn}] + messages -%}}")
    return f"{head}{_BEGIN}{''.join(own)}{_END}\n{_SETTINGS.sub('', rest, count=1)}"


def _literal(value: Any) -> str:
    """A value in Jinja's notation, which is JSON's but for null, and for characters that are escaped by halves."""
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_literal(str(name))}: {_literal(each)}' for name, each in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_literal, value))}]"
    return json.dumps(value, ensure_ascii=False)


def date_of(template: Any) -> str | None:
    """The date that a chat template may write into prompts; None of one that asks for none."""
    return CHAT_DATE if any(name in str(template or "") for name in _NAMES) else None


def fill(tokenizer: "PreTrainedTokenizerFast", texts: Sequence[str]) -> list[str]:
    """Each text as the one user turn of a tokenizer's chat template, up to where the answer begins.

    Raises:
        ModelError: The template refuses it, fails, or takes far more time, memory or room than any template needs.
    """
    return [
        prompt
        for start in range(0, len(texts), _PROMPTS)
        for prompt in _fill(tokenizer, texts[start : start + _PROMPTS])
    ]


def check_template(tokenizer: "PreTrainedTokenizerFast") -> None:
    """Tries a tokenizer's chat template on a text.

    Raises:
        ModelError: As `fill`; or the text is not in the prompt, or something is that differs from run to run.
    """
    before = random.getstate()
    [prompt] = fill(tokenizer, [_PROBE])
    wrong = None
    if _PROBE not in prompt:
        wrong = "leaves out what the user says, so that a model would never see a sample's text"
    elif found := _OBJECT.search(prompt):
        wrong = f"prints an object in place of its content, which differs from run to run: {found[0]}"
    elif random.getstate() != before:
        wrong = "draws at random, so that no prompt could be had again"
    if wrong is not None:
        raise ModelError(f"The chat template {wrong}", where=_where(tokenizer), got=repr(prompt[:200]), remedy=_REMEDY)


def _fill(tokenizer: "PreTrainedTokenizerFast", texts: Sequence[str]) -> list[str]:
    what = "The chat template can't be filled with a prompt as its only turn, a user's"
    with translated(what, where=_where(tokenizer), remedy=_REMEDY), bounded(_SECONDS, _MEBIBYTES):
        return [_filled(tokenizer, text) for text in texts]


def _filled(tokenizer: "PreTrainedTokenizerFast", text: str) -> str:
    turn = [{"role": "user", "content": text}]
    prompt = str(tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True, date_string=CHAT_DATE))
    if len(prompt) > _ADDED + _REPEATED * len(text):
        raise ValueError(f"it makes {len(prompt)} characters of a text of {len(text)}")
    return prompt


def _where(tokenizer: "PreTrainedTokenizerFast") -> str:
    return f"the tokenizer of {tokenizer.name_or_path}" if tokenizer.name_or_path else "the tokenizer"
