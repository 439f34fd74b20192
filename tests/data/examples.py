"""Sentences with marked parts, for tests of the forms that tools give them."""

NAMES = ["Ida Berg", "Omar Aziz", "Li Na"]
TOWNS = ["Oslo", "Cairo"]


def sentence(i):
    """A text and the parts of it that are marked: (start, end, label)."""
    if i % 5 == 4:
        return f"Nobody came on day {i}.", []
    name, town = NAMES[i % 3], TOWNS[i % 2]
    text = f"On day {i} {name} left {town}."
    return text, [(text.index(s), text.index(s) + len(s), label) for s, label in ((name, "WHO"), (town, "TOWN"))]


SENTENCES = [sentence(i) for i in range(20)]
OWN = [{"text": t, "entities": [{"start": a, "end": b, "label": c} for a, b, c in marks]} for t, marks in SENTENCES]


def tags(text, marks):
    """The words of a text, and a tag of BIO for each."""
    words, found, at = text.split(), [], 0
    for word in words:
        at = text.index(word, at)
        inside = [(start, label) for start, end, label in marks if start <= at < end]
        found += [("B-" if start == at else "I-") + label for start, label in inside[:1]] or ["O"]
        at += len(word)
    return words, found


# With full stops as words of their own.
TAGGED = [tags(text.replace(".", " ."), marks) for text, marks in SENTENCES]
