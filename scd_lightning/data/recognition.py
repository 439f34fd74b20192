"""What other tools write of a task's rows, to our form: all of it, for each task."""

from collections.abc import Callable, Sequence

from scd_lightning.data.annotations import check_places, recognise_entities
from scd_lightning.data.choice_forms import recognise_questions
from scd_lightning.data.converters.base import Converter
from scd_lightning.data.converters.entities import TaggedTokens
from scd_lightning.data.label_lists import recognise_labels
from scd_lightning.data.offsets import recount
from scd_lightning.data.prodigy import keep_accepted
from scd_lightning.data.rows import Row
from scd_lightning.data.splits import Splits, as_lists
from scd_lightning.data.tagging import find_tags, joined_tokens

_PACKAGE = __name__.partition(".")[0] + "."
_OF_TASK: dict[str, tuple[Callable[[Splits, list[str]], dict[str, list[Row]]], ...]] = {
    "ner": (keep_accepted, recognise_entities, recount),
    "classification": (keep_accepted, recognise_labels),
    "qa": (recognise_questions,),
}


def recognise(
    task: str, splits: Splits, notes: list[str], converters: Sequence[Converter] = ()
) -> dict[str, list[Row]]:
    """Rows in our form, where those of the data are in one that is known; others stay as they are.

    Args:
        task: "ner", "qa" or "classification".
        splits: Split -> rows, columns renamed.
        notes: Takes a sentence for what was recognised.
        converters: The data's own; where one takes the answers of questions, or may do so, they are left to it.

    Raises:
        DataError: The rows together are in a form that can't be read with certainty.
    """
    rows = as_lists(splits)
    if task == "qa" and (_are_unknown(converters) or any("answer" in each.answers for each in converters)):
        return rows
    for each in _OF_TASK.get(task, ()):
        rows = each(rows, notes)
    return rows


def find_converters(
    task: str, splits: Splits, notes: list[str], converters: Sequence[Converter]
) -> Sequence[Converter]:
    """The converters that rows need besides their own; arguments and errors as in `recognise`."""
    if task == "ner" and not converters:
        check_places(splits)
    found = find_tags(splits, converters, notes) if task == "ner" and not _are_unknown(converters) else None
    return [] if found is None else [found]


def _are_unknown(converters: Sequence[Converter]) -> bool:
    """Whether one is of another package, which may take columns that it does not name."""
    return any(not type(each).__module__.startswith(_PACKAGE) for each in converters)


def recognise_texts(task: str, rows: Sequence[Row], notes: list[str], converters: Sequence[Converter]) -> list[Row]:
    """Texts without labels in our form; what labels they have all the same is left alone.

    Args:
        task: "ner", "qa" or "classification".
        rows: The texts, columns renamed.
        notes: Takes a sentence for what was recognised.
        converters: Those of the labelled rows.
    """
    if task == "ner":
        tagged = next((each for each in converters if isinstance(each, TaggedTokens)), TaggedTokens())
        return joined_tokens(rows, tagged)
    return recognise(task, {"": rows}, notes, converters)[""] if task == "qa" else [*rows]
