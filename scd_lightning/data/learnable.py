"""Whether anything can be learnt of samples: what makes a run meaningless is refused, what makes it doubtful, said."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from scd_lightning.data.converters.labels import merging
from scd_lightning.data.rows import Row, shorten
from scd_lightning.data.samples import Sample
from scd_lightning.data.spelling import alike, told_apart
from scd_lightning.data.splits import SPLITS
from scd_lightning.errors import DataError

Samples = Mapping[str, Sequence[Sample]]
# The labels of a row as it has them; None of a task that is not about a set of labels.
Written = Callable[[Row], Sequence[object] | None]
_SHOWN = 3


def examine(samples: Samples, written: Written) -> list[str]:
    """What is doubtful of samples, a sentence each.

    Args:
        samples: Split -> samples, each with its row.
        written: The labels of a row as it has them.

    Raises:
        DataError: There is nothing to learn, or nothing that is learnt is asked for.
    """
    train = samples["train"]
    has_labels = written(_row(train[0])) is not None
    same = refuse_nothing_to_learn(train, has_labels=has_labels)
    if not has_labels:
        return [*same, *contradictions(samples)]
    apart = refuse_nothing_in_common(samples)
    return [*same, *apart, *respelled_labels(samples, written), *label_doubts(samples), *contradictions(samples)]


def refuse_nothing_to_learn(train: Sequence[Sample], *, has_labels: bool) -> list[str]:
    """A sentence where all training samples have one answer.

    Args:
        train: The training samples.
        has_labels: Whether the task is about a set of labels.

    Raises:
        DataError: They have no label at all; or one answer, and the task is to find which of several is right.
    """
    # Of a single row nothing can be said.
    if len(train) == 1 or len({sample.completion for sample in train}) > 1:
        return []
    answer, entities = shorten(train[0].completion), has_labels and train[0].candidates is None
    if entities and train[0].labels:
        return [f"All {len(train)} training rows have the same answer ({answer}): little can be learnt of them."]
    raise DataError(
        "There is nothing to learn: " + ("no training row has an entity" if entities else "all answers are the same"),
        where=_row(train[0]).file,
        got=f"{answer} in all of {len(train)} training rows",
        expected="training rows with different answers",
        remedy="check the column of the answers, task.data.columns and task.data.converters",
    )


def refuse_nothing_in_common(samples: Samples) -> Iterator[str]:
    """A sentence for each of validation and test where its one row with labels has none that train has.

    Raises:
        DataError: There are more such rows.
    """
    known = _labels(samples["train"])
    for split in SPLITS[1:]:
        asked = _labels(samples[split])
        if not asked or asked.keys() & known.keys():
            continue
        what = f"Train and {split} have no label in common, so every answer would be wrong"
        got = f"{_counted(known)} in train, {_counted(asked)} in {split}"
        # A split that was cut from few rows may be so by chance.
        if sum(bool(sample.labels) for sample in samples[split]) == 1:
            yield f"{what}: {got}."
            continue
        same = alike([*_by_count(known), *_by_count(asked)])
        otherwise = "correct the labels, or the split (task.data.split_seed, where it is cut from train)"
        raise DataError(
            what,
            where=", ".join(_row(samples[each][0]).file for each in ("train", split)),
            got=got,
            expected=f"{split} rows with labels that train has",
            remedy=f"write them in one way; {merging(same)}" if same else otherwise,
        )


def label_doubts(samples: Samples) -> Iterator[str]:
    """A sentence where different labels look alike."""
    counts: Counter[str] = sum((_labels(samples[split]) for split in SPLITS), Counter())
    groups = alike(_by_count(counts))
    if groups:
        shown = told_apart(counts)
        listed = "; ".join(
            ", ".join(f"{shorten(shown[name])} ({counts[name]})" for name in group) for group in groups[:_SHOWN]
        )
        more = _more(groups)
        yield f"Labels that look alike count as different ones: {listed}{more}. To make them one: {merging(groups)}."


def respelled_labels(samples: Samples, written: Written) -> Iterator[str]:
    """A sentence where labels had invisible characters, or accents in another form, which are not kept."""
    found = {split: [text for sample in samples[split] for text in _respelled(sample, written)] for split in SPLITS}
    counts = ", ".join(f"{len(texts)} in {split}" for split, texts in found.items() if texts)
    if counts:
        example = next(text for texts in found.values() for text in texts).encode("ascii", "backslashreplace").decode()
        yield (
            "Labels are read without invisible characters and with composed accents, which changed some: "
            f"{counts}, such as {shorten(example)}."
        )


def _respelled(sample: Sample, written: Written) -> list[str]:
    texts = [text for text in written(_row(sample)) or () if isinstance(text, str)]
    return [text for text in texts if " ".join(text.split()) not in sample.labels]


def contradictions(samples: Samples) -> Iterator[str]:
    """A sentence for each split in which equal inputs have different answers."""
    for split in SPLITS:
        groups: dict[str, list[Sample]] = {}
        for sample in samples[split]:
            groups.setdefault(_row(sample).input_key, []).append(sample)
        torn = [group for group in groups.values() if not set.intersection(*map(_answers, group))]
        if torn:
            first, *others = torn[0]
            other = next((each for each in others if not _answers(each) & _answers(first)), others[0])
            examples = " and ".join(f"{shorten(each.id)} ({shorten(each.completion)})" for each in (first, other))
            yield (
                f"In {split}, {sum(map(len, torn))} of {len(samples[split])} rows have an input that stands there with "
                f"another answer too, such as {examples}: no model can be right on all of them."
            )


def _answers(sample: Sample) -> set[str]:
    """The answers that are right: of a list of texts any will do."""
    texts = isinstance(sample.gold, list) and all(isinstance(each, str) for each in sample.gold)
    return set(sample.gold) if texts and sample.gold else {sample.completion}


def recall_left(dropped: Mapping[str, int], samples: Samples, parts: Callable[[Sample], int]) -> dict[str, float]:
    """The most recall that a model can reach, by evaluated split, where parts of gold answers were cut away.

    Args:
        dropped: Split -> parts of gold answers that can't be seen in what is left of their texts.
        samples: Split -> samples.
        parts: How many there are of a sample.
    """
    lost = {split: dropped[split] for split in SPLITS[1:] if dropped[split]}
    return {split: 1 - count / max(sum(map(parts, samples[split])), 1) for split, count in lost.items()}


def cut_doubts(dropped: Mapping[str, int], left: Mapping[str, float], max_length: int) -> list[str]:
    """A sentence where parts of gold answers were cut away, with the recall that this leaves.

    Args:
        dropped: As in `recall_left`.
        left: What it gave.
        max_length: The setting.
    """
    counts = ", ".join(f"{split} {dropped[split]}" for split in SPLITS if dropped[split])
    if not counts:
        return []
    most = " and ".join(f"{share:.3f} on {split}" for split, share in left.items())
    bound = f" No model can reach a recall above {most}." if most else ""
    return [
        f"Texts are cut to task.max_length={max_length}, so that entities or answers in them can't be seen any more: "
        f"{counts}.{bound}"
    ]


def _labels(samples: Sequence[Sample]) -> Counter[str]:
    """Label -> samples that have it."""
    return Counter(label for sample in samples for label in set(sample.labels))


def _by_count(labels: Counter[str]) -> list[str]:
    return sorted(labels, key=lambda label: (-labels[label], label))


def _counted(labels: Counter[str]) -> str:
    shown = told_apart(labels)
    listed = ", ".join(f"{shorten(shown[label])} ({labels[label]})" for label in _by_count(labels)[:_SHOWN])
    return listed + _more(labels)


def _more(items: Sequence[object] | Mapping[str, int]) -> str:
    return f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""


def _row(sample: Sample) -> Row:
    assert sample.row is not None
    return sample.row
