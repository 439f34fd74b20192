import json

from scd_lightning.analysis.run.run_pages import write_run_pages

OUTSIDE = """
from scd_lightning.tasks.classification import Classification

class Tickets(Classification):
    task = "tickets"
"""


def test_report_and_verdict_say_the_same(full_run):
    page, sentence = write_run_pages(full_run)
    assert page.read_text(encoding="utf-8").count(sentence.replace("'", "&#39;")) == 1
    assert "95 % interval" in sentence


def test_a_student_folder_gets_its_card(full_run):
    (full_run / "student").mkdir()
    write_run_pages(full_run)
    assert (full_run / "student" / "README.md").exists()


def test_a_run_without_saved_rows_has_the_numbers_alone(make_run):
    folder = make_run("bare", method="sft")
    _, sentence = write_run_pages(folder)
    assert "interval" not in sentence
    assert sentence.endswith("The student, fine-tuned alone, is higher than its teacher by 0.021.")


def test_a_task_from_outside_has_its_table_by_label_where_it_is_allowed(make_answered, tmp_path, monkeypatch):
    folder = make_answered("outside", 60)
    results = json.loads((folder / "results.json").read_text()) | {"task": "tickets"}
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "config.yaml").write_text("task: {_target_: outside_tickets.Tickets}\n")
    (tmp_path / "outside_tickets.py").write_text(OUTSIDE)
    monkeypatch.syspath_prepend(tmp_path)
    pages = [write_run_pages(folder, allowed)[0].read_text(encoding="utf-8") for allowed in ((), ["outside_tickets"])]
    assert [page.count('<h2 id="labels">') for page in pages] == [0, 1]
