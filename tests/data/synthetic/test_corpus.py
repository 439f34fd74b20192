"""The base models' text: sentences about the world in documents, and not a word of labels."""

import re

from scd_lightning.data.synthetic.corpus import write_documents, write_sentences
from scd_lightning.data.synthetic.world import TYPES

SENTENCES = write_sentences("corpus", 1200, 0)
TEXTS = {sentence.text for sentence in SENTENCES}
DOCUMENTS = [document.split("\n") for document in write_documents(SENTENCES, 90, 0)]


def test_documents_about_one_name():
    for lines in DOCUMENTS[0::3]:
        assert len(lines) == 4
        assert set(lines) <= TEXTS
        mentioned = [{m.text for s in SENTENCES if s.text == line for m in s.mentions} for line in lines]
        assert set.intersection(*mentioned)


def test_documents_with_quotations():
    for text, *quotes in DOCUMENTS[1::3]:
        assert text in TEXTS
        assert quotes
        assert all(quote in text for quote in quotes)
    assert len({len(quotes) for _, *quotes in DOCUMENTS[1::3]}) > 1


def test_documents_of_two_sentences():
    for lines in DOCUMENTS[2::3]:
        assert len(lines) == 2
        assert set(lines) <= TEXTS


def test_quotations_are_no_list_of_names():
    """A span of a text says nothing of what a gold answer holds: most are no name at all."""
    names = {mention.text for sentence in SENTENCES for mention in sentence.mentions}
    quotes = [quote for _, *found in DOCUMENTS[1::3] for quote in found]
    assert sum(quote in names for quote in quotes) / len(quotes) < 0.15


def test_no_label_is_in_the_text():
    everything = "\n".join("\n".join(lines) for lines in DOCUMENTS)
    assert not re.search("|".join(TYPES), everything)
    assert not re.search("Entities|Class|Question|固有表現|分類|質問", everything)


def test_equal_seeds_give_equal_documents():
    assert write_documents(SENTENCES, 30, 5) == write_documents(SENTENCES, 30, 5)
    assert write_documents(SENTENCES, 30, 5) != write_documents(SENTENCES, 30, 6)
