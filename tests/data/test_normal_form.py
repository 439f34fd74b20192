"""Normal forms of real normalisers, and where strings stand in texts under them."""

import pickle
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, normalizers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from scd_lightning.data.normal_form import NFC, NormalForm, normal_form_of
from scd_lightning.data.occurrences import SearchedText
from scd_lightning.models.tokenizers import train_tokenizer


def of(normaliser) -> NormalForm:
    backend = Tokenizer(BPE())
    if normaliser is not None:
        backend.normalizer = normaliser
    return normal_form_of(PreTrainedTokenizerFast(tokenizer_object=backend))


NESTED = normalizers.Sequence([normalizers.NFKC(), normalizers.Sequence([normalizers.Lowercase()])])
FOLDING = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), "▁")])
BERT = normalizers.BertNormalizer()


@pytest.mark.parametrize(
    ("normaliser", "text", "form"),
    [
        (None, "Cafe\u0301", "Café"),
        (None, "か\u3099\u1100\u1161\u11a8", "が각"),
        (normalizers.NFC(), "Cafe\u0301 Ｌ", "Café Ｌ"),
        (normalizers.NFD(), "Café 각", "Café 각"),
        (normalizers.NFKC(), "ＡＢＣ ｶﾞ①㌔\u3000ﾡￂ", "ABC ガ1キロ 가"),
        (normalizers.NFKD(), "ﾊﾟﾘ ﬁ", "パリ fi"),
        (normalizers.Lowercase(), "ÉCOLE Lyon", "école lyon"),
        (normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]), "Gebrüder が", "Gebruder か"),
        (BERT, "Zoë\u200b\tＡ 東京", "zoe ａ 東京"),
        (NESTED, "ＡＢＣ", "abc"),
        (FOLDING, "a  b\u3000 c", "a b c"),
        (normalizers.Replace("–", "-"), "a–b", "a-b"),
    ],
)
def test_forms(normaliser, text, form):
    made = of(normaliser)
    assert made(text) == form
    assert made(form) == form
    assert pickle.loads(pickle.dumps(made))(text) == form


@pytest.mark.parametrize(
    "normaliser",
    [
        None,
        normalizers.Prepend("▁"),
        normalizers.Replace(" ", "▁"),
        normalizers.ByteLevel(),
        normalizers.Strip(),
        normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
        normalizers.NFC(),
        normalizers.Sequence([normalizers.NFD(), normalizers.Replace(" ", "▁")]),
    ],
)
def test_what_serves_tokens_alone_or_composes_changes_no_form(normaliser):
    assert of(normaliser) is NFC


def test_of_a_tokenizer_that_was_trained_here():
    assert normal_form_of(train_tokenizer(["some text"], 300)) is NFC


@given(st.text())
def test_composing_piece_by_piece_is_composing(text):
    assert NFC(text) == unicodedata.normalize("NFC", text)
    assert "".join(piece for _, _, piece in NFC.pieces(text)) == unicodedata.normalize("NFC", text)


@given(st.text(alphabet="ａAé e\u0301\u0323カｶﾞ\u3099각\u1100\u1161\u11a8ﾡￂ\u0e01\u0e33Ⅳ"))
def test_a_text_has_one_form_however_it_was_normalised(text):
    form = of(normalizers.NFKC())
    for kind in ("NFC", "NFD", "NFKC", "NFKD"):
        assert form(unicodedata.normalize(kind, text)) == form(text)


@given(st.text())
def test_pieces_are_the_text(text):
    for form in (NFC, of(BERT), of(FOLDING)):
        ends = [0]
        for start, end, _ in form.pieces(text):
            assert start == ends[-1]
            ends.append(end)
        assert ends[-1] == len(text)


def test_names_of_one_form():
    form = of(BERT)
    assert form.among("cafe", ["Tea", "Café", "CAFE"]) == "Café"
    assert form.among("milk", ["Tea", "Café"]) == "milk"


@pytest.mark.parametrize(
    ("normaliser", "string", "text", "found"),
    [
        (None, "Lyon", "Lyon, Lyon", ["Lyon", "Lyon"]),
        (None, "aa", "aaa", ["aa", "aa"]),
        (None, "Café", "Cafe\u0301 and Café", ["Cafe\u0301", "Café"]),
        (None, "Cafe\u0301", "the Café", ["Café"]),
        (None, "가", "\u1100\u1161 \u1100\u1161\u11a8", ["\u1100\u1161"]),
        (None, "e", "e\u0301 e", ["e", "e"]),  # half a character, where nothing else begins there
        (None, "Paris", "Lyon", []),
        (normalizers.NFKC(), "ガンダム", "ｶﾞﾝﾀﾞﾑとガンダム", ["ｶﾞﾝﾀﾞﾑ", "ガンダム"]),
        (normalizers.NFKC(), "キ", "㌔とキ", ["キ"]),
        (normalizers.NFKC(), "山田 太郎", "山田\u3000太郎", ["山田\u3000太郎"]),
        (normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]), "e", "e\u0301 é", ["e\u0301", "é"]),
        (FOLDING, "New York", "to New \u3000York", ["New \u3000York"]),
        (BERT, "zoe", "ZOË Zo\u200be", ["ZOË", "Zo\u200be"]),
    ],
)
def test_places(normaliser, string, text, found):
    places = SearchedText(text, of(normaliser)).places(string)
    assert [text[start:end] for start, end in places] == found
    assert places == sorted(places)
