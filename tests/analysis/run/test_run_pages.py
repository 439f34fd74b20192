from scd_lightning.analysis.run.run_pages import write_run_pages


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
