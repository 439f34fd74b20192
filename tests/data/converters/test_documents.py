import pytest

from scd_lightning.data.converters import AskedEntities, DocumentGroups
from scd_lightning.data.converters.documents import quoted_document
from scd_lightning.errors import DataError

LABELS = {"d": "disease", "m-key": "medicine"}


def asked(tag, document, answer):
    return {"tag": tag, "question": f"何がありますか？\n「{document}」", "answer": answer}


@pytest.mark.parametrize(
    ("question", "document"),
    [
        ("どうですか？\n「元気。」", "元気。"),
        ("「熱」は有害事象ですか？\n「熱が出た。\n「寒い」と言う。」", "熱が出た。\n「寒い」と言う。"),
        ("どうですか？\n「「痛い」\n寝ている。」\n", "「痛い」\n寝ている。"),
        ("次の「文」は？", "文"),
        ("引用なし？", None),
        ("空？\n「 」", None),
        ("」逆「", None),
    ],
)
def test_the_outermost_quote_is_the_document(question, document):
    assert quoted_document(question) == document


def test_questions_about_one_document_form_a_group(convert):
    rows = [
        {"question": "甲？\n「一」"},
        {"question": "乙？\n「一」"},
        {"question": "自由な質問"},
        {"question": "丙？\n「一」", "group": "own"},
    ]
    done, _ = convert(DocumentGroups(), *rows)
    assert [row["group"] for row in done] == ["一", "一", "自由な質問", "own"]
    with pytest.raises(DataError, match=r'"question" is missing.*set\.jsonl:1 '):
        convert(DocumentGroups(), {"text": "a"})


def test_rows_about_one_document_become_one_row(convert):
    own = {"text": "own", "entities": []}
    rows = [
        asked("d", "熱と咳。\n「薬」を飲む。", "['熱', '咳']"),
        own,
        asked("d", "元気。", "[]"),
        asked("m-key", "熱と咳。\n「薬」を飲む。", "['薬\\u3000']"),
    ]
    [first, second, third], lost = convert(AskedEntities(LABELS), *rows)
    entities = [("disease", "熱"), ("disease", "咳"), ("medicine", "薬\u3000")]
    assert first["text"] == "熱と咳。\n「薬」を飲む。"
    assert [(e["label"], e["text"]) for e in first["entities"]] == entities
    assert (second, third, lost) == (own, {"text": "元気。", "entities": []}, {})
    assert set(first) == {"text", "entities"}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (asked("d", "熱。", "熱"), '"answer" is no list'),
        (asked("d", "熱。", "__import__('os')"), '"answer" is no list'),
        (asked("d", "熱。", "['熱', 5]"), '"answer" is no list'),
        (asked("d", "熱。", "['']"), '"answer" is no list'),
        (asked("d", "熱。", "[" * 5000), '"answer" is no list'),
        (asked("d", "熱。", ""), '"answer" is empty'),
        (asked("x", "熱。", "[]"), '"tag" is unknown.*one of d, m-key'),
        ({"tag": "d", "question": "引用なし？", "answer": "[]"}, '"question" quotes no document'),
        ({"tag": "d", "answer": "[]"}, '"question" is missing'),
    ],
)
def test_broken_rows_are_named_with_file_and_line(convert, row, said):
    with pytest.raises(DataError, match=said) as caught:
        convert(AskedEntities(LABELS), asked("d", "熱。", "[]"), row)
    assert "set.jsonl:2" in str(caught.value)
