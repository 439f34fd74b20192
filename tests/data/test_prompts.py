import pytest

from scd_lightning.data.prompts import LANGUAGES, choose_template, detect_language, render
from scd_lightning.errors import ConfigError
from scd_lightning.tasks.classification import Classification
from scd_lightning.tasks.ner import NER
from scd_lightning.tasks.qa import PROMPTS

KINDS = {each.kind: each for each in (NER.prompt, Classification.prompt, *PROMPTS.values())}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_built_in_templates_pass_their_own_check_and_end_with_a_line_break(kind, language):
    template = choose_template(KINDS[kind], language)
    assert choose_template(KINDS[kind], language, template) == template
    assert template.endswith(":\n")


@pytest.mark.parametrize(
    ("kind", "template", "said"),
    [
        ("ner", "Entities?", "lacks"),
        ("choice", "{question}\n", r"lacks \['choices'\]"),
        ("ner", "{text} {labels} {nonsense}", "unknown fields"),
        ("ner", "{text!r}", "unknown fields"),
        ("ner", "{text:>10}", "unknown fields"),
        ("ner", "{text.__class__}", "unknown fields"),
        ("ner", "{text} {0}", "unknown fields"),
        ("ner", "{text} {", "can't be read"),
    ],
)
def test_unusable_templates(kind, template, said):
    with pytest.raises(ConfigError, match=said) as caught:
        choose_template(KINDS[kind], "en", template)
    assert caught.value.where == "task.template"


def test_render_fills_fields_literally_and_drops_lines_of_empty_ones():
    template = "{context}\nQuestion: {question}\nIn {{braces}}:\n"
    fields = {"context": "", "question": "why {context}?"}
    assert render(template, fields) == "Question: why {context}?\nIn {braces}:\n"
    assert render(template, {**fields, "context": "so"}).startswith("so\nQuestion")


@pytest.mark.parametrize(
    ("texts", "language"),
    [
        (["Plain English."], "en"),
        (["これは日本語です。"], "ja"),
        (["Mostly English with one かな in it, as it happens"], "en"),
        (["只有汉字的中文句子"], "en"),
        (["右肺下葉に結節影あり"], "ja"),
        ([], "en"),
    ],
)
def test_language(texts, language):
    assert detect_language(texts) == language
