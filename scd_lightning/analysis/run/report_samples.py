"""The test samples of a run as its report shows them: who answered what, at which loss."""

from typing import Any

from scd_lightning.analysis.pages import script_json
from scd_lightning.analysis.records import RunRecord

# More rows, or more characters of them, would make the page slow to open on a phone.
MAX_ROWS = 2000
MAX_CHARACTERS = 3_000_000

Row = dict[str, Any]


def sample_table(record: RunRecord) -> Row | None:
    """Gives what the page's table is made from, or None where no predictions were saved.

    Returns:
        {"rows", "total", "models", "strings"}: a row holds id, input, labels, gold, entities (where known) and, by
        model, what it answered. Of too many samples, those stay on which student and teacher differ most in loss.
    """
    models = list(record.predictions)
    if not models or not record.predictions[models[0]]:
        return None
    rows = [_row(record, index) for index in range(len(record.predictions[models[0]]))]
    kept = _most_telling(rows)
    strings = record.by_label is not None and record.by_label.strings
    return {"rows": kept, "total": len(rows), "models": models, "strings": strings}


def _row(record: RunRecord, index: int) -> Row:
    of_models = {name: rows[index] for name, rows in record.predictions.items()}
    sample = record.samples[index] if record.samples else {}
    row = {
        "id": next(iter(of_models.values()))["id"],
        "input": sample.get("input", ""),
        "labels": list(dict.fromkeys(sample.get("labels", []))),
        "gold": next(iter(of_models.values()))["gold"],
        "models": {name: _answer(each) for name, each in of_models.items()},
    }
    return row | ({"entities": sample["entities"]} if "entities" in sample else {})


def _answer(row: Row) -> Row:
    kept = {name: row[name] for name in ("answer", "correct", "malformed", "entities") if name in row}
    return kept | {"loss": float(f"{row['loss']:.7g}"), "correct": round(row["correct"], 4)}


def _most_telling(rows: list[Row]) -> list[Row]:
    def difference(index: int) -> float:
        losses = [rows[index]["models"].get(name, {}).get("loss", 0.0) for name in ("student", "teacher")]
        return -abs(losses[0] - losses[1])

    kept: list[int] = []
    characters = 0
    for index in sorted(range(len(rows)), key=difference)[:MAX_ROWS]:
        characters += len(script_json(rows[index]))
        if kept and characters > MAX_CHARACTERS:
            break
        kept.append(index)
    return [rows[index] for index in sorted(kept)]
