"""The table of samples on which student and teacher differ."""

import json

from scd_lightning.analysis.run.differences import COLUMNS, differing_samples


def write(folder, name, rows):
    (folder / "predictions").mkdir(exist_ok=True)
    lines = [json.dumps(row) for row in rows]
    (folder / "predictions" / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


def predictions(*rows):
    names = ("id", "answer", "gold", "correct", "loss", "malformed")
    return [dict(zip(names, (*row, False), strict=True)) for row in rows]


def test_only_differing_samples_the_greatest_loss_difference_first(tmp_path):
    student = predictions(("a", "x", "x", 1.0, 0.1), ("b", "x", "y", 0.0, 2.0), ("c", "", ["p", "q"], 0.5, 0.2))
    teacher = predictions(("a", "x", "x", 1.0, 9.0), ("b", "y", "y", 1.0, 1.5), ("c", "p", ["p", "q"], 0.5, 3.0))
    write(tmp_path, "student", student)
    write(tmp_path, "teacher", teacher)
    write(tmp_path, "samples", [{"id": name, "input": f"text of {name}", "labels": []} for name in "abc"])
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in differing_samples(tmp_path, 5)]
    assert [row["id"] for row in rows] == ["c", "b"]
    assert rows[0]["input"] == "text of c"
    assert rows[0]["gold"] == "p | q"
    assert [row["loss_difference"] for row in rows] == [0.2 - 3.0, 0.5]
    assert [row["student_answer"] for row in rows] == ["", "x"]
    assert len(differing_samples(tmp_path, 1)) == 1
