"""Prompt templates in each language, and how they are filled.

Every template ends with an answer cue and a line break, so that no tokenizer merges across the border between prompt
and completion. They are short, because a model trained from scratch pays for every token and learns the task from its
data.
"""

import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scd_lightning.errors import ConfigError

LANGUAGES = ("en", "ja")
_JAPANESE_SHARE = 0.2


@dataclass(frozen=True)
class Prompt:
    """The wording of a kind of prompt.

    Attributes:
        kind: What results call it.
        wordings: Language -> template.
        required: Fields that a template must use.
        optional: Fields that it may use.
    """

    kind: str
    wordings: Mapping[str, str]
    required: frozenset[str]
    optional: frozenset[str] = frozenset()


def fixed_wording(prompts: Iterable[Prompt]) -> list[str]:
    """What templates say besides their fields."""
    found = {
        part[0].strip()
        for prompt in prompts
        for text in prompt.wordings.values()
        for part in string.Formatter().parse(text)
    }
    return sorted(found - {""})


def choose_template(prompt: Prompt, language: str, override: str | None = None) -> str:
    """The template of a kind of prompt, or the user's own if it is usable.

    Args:
        prompt: The kind.
        language: "en" or "ja".
        override: The user's template, or None.

    Raises:
        ConfigError: There is no wording in the language; or the template lacks a required field, has an unknown one, or
            is not a format string.
    """
    if override is not None:
        return _checked(override, prompt, "task.template")
    if language not in prompt.wordings:
        raise ConfigError(
            "The prompt has no wording in the language of the data",
            where=f"the prompt of the kind {prompt.kind}, task.language",
            got=language,
            expected=", ".join(prompt.wordings) or "a wording",
            remedy="give it one, or set task.language to one that it has, or task.template to one of your own",
        )
    return _checked(prompt.wordings[language], prompt, f"the prompt of the kind {prompt.kind}, its wording {language}")


def _checked(template: str, prompt: Prompt, where: str) -> str:
    """The template, if it can be filled with the prompt's fields."""
    required, allowed = prompt.required, prompt.required | prompt.optional

    def wrong(what: str, remedy: str = "write a literal brace twice, as {{ or }}") -> ConfigError:
        expected = f"fields {_braced(allowed)}, of which {_braced(required)} must be there"
        return ConfigError(what, where=where, got=repr(template), expected=expected, remedy=remedy)

    try:
        parsed = [part[1:] for part in string.Formatter().parse(template) if part[1] is not None]
    except ValueError as error:
        raise wrong(f"The template can't be read ({error})") from error
    names = {name for name, _, _ in parsed}
    if names - allowed or any(spec or conversion for _, spec, conversion in parsed):
        raise wrong("The template has unknown fields")
    if required - names:
        missing = _braced(required - names)
        raise wrong(
            f"The template lacks {sorted(required - names)}", f"write {missing} where the row's own is to stand"
        )
    return template


def _braced(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))


def render(template: str, fields: Mapping[str, str]) -> str:
    """Fills a template; a line that holds nothing but an empty field goes, line break included."""
    for name, value in fields.items():
        if not value:
            template = "".join(line for line in template.splitlines(keepends=True) if line.strip() != f"{{{name}}}")
    return template.format_map(fields)


def detect_language(texts: Iterable[str]) -> str:
    """Tells the language of the texts: "ja" where over a fifth of the characters are kana or kanji, else "en".

    There must be kana among them: they tell Japanese from Chinese, which has no templates of its own and gets the
    English ones.
    """
    total = kana = kanji = 0
    for text in texts:
        total += len(text)
        kana += sum("\u3040" <= char <= "\u30ff" for char in text)
        kanji += sum("\u4e00" <= char <= "\u9fff" or "\u3400" <= char <= "\u4dbf" for char in text)
    return "ja" if kana and kana + kanji > _JAPANESE_SHARE * total else "en"
