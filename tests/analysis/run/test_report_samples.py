from scd_lightning.analysis.records import RunRecord
from scd_lightning.analysis.run import report_samples
from scd_lightning.analysis.run.report_samples import sample_table


def record(differences: list[float]) -> RunRecord:
    results = {"primary_metric": "accuracy", "metrics": {}, "data": {}}
    rows = {
        name: [
            {"id": str(i), "answer": "a", "gold": "a", "correct": 1.0, "malformed": False, "loss": 5 + share * each}
            for i, each in enumerate(differences)
        ]
        for name, share in (("teacher", 0), ("student", 1))
    }
    return RunRecord(results, {}, {}, [], {}, rows, [], {})


def kept(found) -> list[str]:
    return [row["id"] for row in found["rows"]]


def test_too_many_samples_leave_the_largest_differences_in_their_order(monkeypatch):
    monkeypatch.setattr(report_samples, "MAX_ROWS", 3)
    found = sample_table(record([0.1, -2.0, 0.0, 3.0, 1.0]))
    assert found is not None
    assert (kept(found), found["total"]) == (["1", "3", "4"], 5)


def test_too_many_characters_leave_fewer(monkeypatch):
    monkeypatch.setattr(report_samples, "MAX_CHARACTERS", 450)
    found = sample_table(record([0.1, -2.0, 0.0, 3.0, 1.0]))
    assert found is not None
    assert kept(found) == ["1", "3"]


def test_no_predictions_no_table():
    assert sample_table(record([])) is None
