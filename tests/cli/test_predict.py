"""`scd predict`: what it prints, the file that it fills, and what it refuses before anything is loaded."""

import json
import sys

import pytest

from scd_lightning.cli import command, predict
from scd_lightning.use import student as students
from scd_lightning.use.answers_given import Given


@pytest.fixture(scope="module")
def student(make_job_in, tmp_path_factory):
    """The folder of a finished run."""
    from scd_lightning.pipeline.report import report
    from scd_lightning.pipeline.runner import execute, plan

    make = make_job_in(tmp_path_factory.mktemp("asked"))
    job = make("task=classification", "method=sft", "budget.stages=1", "teacher.epochs=1", "teacher.checkpoints=1")
    steps = plan(job)
    report(job, steps, execute(job, steps))
    return job.run_dir


@pytest.fixture
def ask(capsys):
    """Runs the command; its exit code, lines and complaint."""

    def call(*arguments):
        code = predict.main([str(each) for each in arguments])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err

    return call


@pytest.fixture
def rows(tmp_path):
    file = tmp_path / "rows.jsonl"
    texts = [f"text number {number}" for number in range(7)] + [""]
    file.write_text("".join(json.dumps({"id": f"r{i}", "body": text}) + "\n" for i, text in enumerate(texts)))
    return file


def test_texts_are_answered_on_the_command_line(ask, student):
    code, lines, _ = ask(student, "one text", "another")
    assert code == 0
    assert len(lines) == 2
    code, printed, _ = ask(student / "student", "one text", "another", "--json")
    found = [json.loads(line) for line in printed]
    assert [line.split("  (")[0] for line in lines] == [each["answer"] for each in found]
    assert all(0 < each["probability"] <= 1 for each in found)


def test_a_file_is_answered_into_another(ask, student, rows, tmp_path):
    output = tmp_path / "answers.jsonl"
    code, lines, _ = ask(student, "--file", rows, "--columns", "text=body", "--output", output)
    assert code == 0
    found = [json.loads(line) for line in output.read_text().splitlines()]
    assert [each["id"] for each in found] == [f"r{i}" for i in range(8)]
    assert all(each["answer"] for each in found[:7])
    assert "is empty" in found[7]["error"]
    assert "7 rows answered" in lines[-2]
    assert "1 can't be used; the first, r7" in lines[-2]
    assert [path.name for path in tmp_path.glob("answers*")] == ["answers.jsonl"]
    code, lines, _ = ask(student, "--file", rows, "--columns", "text=body")
    assert lines[0].startswith(f"r0: {found[0]['answer']}")


def test_an_interrupted_file_goes_on(ask, student, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(students, "CHUNK", 2)
    output, line = tmp_path / "answers.jsonl", (student, "--file", rows, "--columns", "text=body", "--output")
    ask(*line, output)
    whole = output.read_bytes()
    interrupted = tmp_path / "interrupted.jsonl"
    real, asked = students.Student._judge, []

    def stop(self, part, *how, **named):
        asked.append(len(part))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return real(self, part, *how, **named)

    monkeypatch.setattr(students.Student, "_judge", stop)
    with pytest.raises(KeyboardInterrupt):
        ask(*line, interrupted)
    (partial,) = tmp_path.glob("interrupted.jsonl.*.partial")
    # Killed in the middle of a line.
    partial.write_bytes(partial.read_bytes() + b'{"id": "r4", "ans')
    _, lines, _ = ask(*line, interrupted)
    assert "goes on after 4 of 8 rows" in lines
    assert interrupted.read_bytes() == whole
    assert not list(tmp_path.glob("*.partial"))


def test_answers_of_another_student_or_file_are_not_gone_on_from(ask, student, rows, tmp_path):
    output = tmp_path / "answers.jsonl"
    (tmp_path / "answers.jsonl.0123456789ab.partial").write_text('{"id": "r0"}\n')
    _, lines, _ = ask(student, "--file", rows, "--columns", "text=body", "--output", output)
    assert not any("goes on" in line for line in lines)
    assert len(output.read_text().splitlines()) == 8


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "nothing to answer"),
        (["text", "--file", "rows.jsonl"], "texts and a file"),
        (["text", "--output", "answers.jsonl"], "--output"),
        (["text", "--batch", "0"], "--batch"),
        (["--file", "rows.jsonl", "--columns", "body"], "NAME=COLUMN"),
        (["--file", "rows.jsonl", "--output", "no/such/folder/answers.jsonl"], "a folder that is not there"),
        (["--file", "nowhere.jsonl"], "nowhere.jsonl"),
    ],
)
def test_what_cannot_work_is_refused_before_a_model_is_loaded(ask, student, monkeypatch, arguments, told):
    monkeypatch.setattr(students.Student, "load", None)
    code, _, error = ask(student, *arguments)
    assert code == 2
    assert told in error


def test_a_file_of_answers_is_not_written_over_unasked(ask, student, rows, tmp_path):
    output = tmp_path / "answers.jsonl"
    output.write_text("mine")
    line = (student, "--file", rows, "--columns", "text=body", "--output", output)
    code, _, error = ask(*line)
    assert code == 2
    assert "--overwrite" in error
    assert output.read_text() == "mine"
    assert ask(*line, "--overwrite")[0] == 0
    assert len(output.read_text().splitlines()) == 8


def test_no_usable_row_is_an_error(ask, student):
    code, lines, _ = ask(student, " ")
    assert code == 2
    assert lines[0].startswith("no answer: ")


def test_entities_are_shown_with_their_places(monkeypatch):
    from scd_lightning.tasks.entity_scores import Entity
    from scd_lightning.use.answers_given import Found

    entities = (Entity("PERSON", "Garuma", 0, 6), Entity("LAW", "Act"))
    found = Found("r", "PERSON: Garuma\nLAW: Act", 0.5, entities=entities)
    assert predict._shown(found) == "PERSON: Garuma  [0:6]\nLAW: Act"
    assert predict._shown(Found("r", "none", 0.5)) == "none"
    assert Given("r", error="why").row() == {"id": "r", "answer": None, "probability": None, "error": "why"}


def test_commands_are_found_by_their_first_word(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/scd", "predict", "--help"])
    with pytest.raises(SystemExit):
        command.run()
    assert "usage: scd predict" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["run.py", "report", "--help"])
    with pytest.raises(SystemExit):
        command.run()
    assert "usage: python -m scd_lightning.report" in capsys.readouterr().out


def test_the_help_of_the_command_is_in_its_own_words(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/scd", "--help"])
    with pytest.raises(SystemExit, match="0"):
        command.run()
    out = capsys.readouterr().out
    assert "python" not in out
    lines = out.splitlines()
    first = next(line for line in lines if line.startswith("  scd  "))
    second = next(line for line in lines if line.startswith("  scd -m method"))
    assert first.index("the embedded data") == second.index("a sweep")
    commands = ", ".join(f"scd {name}" for name in command.COMMANDS)
    assert lines[-1] == f"Other commands, each with a --help of its own: {commands}"
