"""`scd predict`: what it prints, the file that it fills, and what it refuses before anything is loaded."""

import json
import re
import shutil
import sys
from contextlib import closing

import numpy as np
import pytest

from scd_lightning.analysis.confidence.measured import CONFIDENCE, measure
from scd_lightning.analysis.confidence.units import Units
from scd_lightning.cli import command, predict
from scd_lightning.errors import ConfigError
from scd_lightning.store.manifest import write_json
from scd_lightning.use import student as students
from scd_lightning.use.answers_given import Found, Given, Mention
from scd_lightning.use.output import Output


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
    code, lines, _ = ask(*line, interrupted)
    assert code == 0
    assert "goes on after 4 of 8 rows" in lines
    assert re.fullmatch(
        r"7 rows answered in \d+ s; 4 of all were there before; 1 can't be used; the first, r7: .*", lines[-2]
    )
    assert interrupted.read_bytes() == whole
    assert not list(tmp_path.glob("*.partial"))


def test_what_is_left_of_a_file_does_not_speak_for_all_of_it(ask, student, rows, tmp_path, monkeypatch):
    """The last row is empty: to go on with that one alone is no command in vain."""
    monkeypatch.setattr(students, "CHUNK", 7)
    output, line = tmp_path / "answers.jsonl", (student, "--file", rows, "--columns", "text=body", "--output")
    ask(*line, output)
    monkeypatch.setattr(Output, "finish", lambda self: None)
    cut = tmp_path / "cut.jsonl"
    ask(*line, cut)
    monkeypatch.undo()
    (partial,) = tmp_path.glob("cut.jsonl.*.partial")
    partial.write_bytes(b"".join(partial.read_bytes().splitlines(keepends=True)[:7]))
    code, lines, _ = ask(*line, cut)
    assert code == 0
    assert "goes on after 7 of 8 rows" in lines
    assert cut.read_bytes() == output.read_bytes()


def test_a_file_is_written_by_one_command_at_a_time(tmp_path):
    path = tmp_path / "answers.jsonl"
    first = Output(path, "0123456789ab")
    first.add([{"id": "a"}])
    with pytest.raises(ConfigError, match=r"Another command is writing the same answers.*--output.*\.partial"):
        Output(path, "0123456789ab")
    Output(path, "ba9876543210").close()
    first.close()
    with closing(Output(path, "0123456789ab")) as second:
        assert second.rows == [{"id": "a"}]
        second.add([{"id": "b"}])
        second.finish()
    assert path.read_text() == '{"id": "a"}\n{"id": "b"}\n'


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


def test_texts_may_stand_behind_options(ask, student):
    between = ask(student, "one text", "--json")
    assert ask(student, "--json", "one text")[:2] == between[:2]
    assert between[0] == 0


def test_a_column_that_no_row_has_is_refused(ask, student, rows):
    code, _, error = ask(student, "--file", rows, "--columns", "text=boddy")
    assert code == 2
    assert "No row has a column that is named" in error
    assert "Got: text=boddy. Expected: columns of the file: " in error


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


def test_entities_are_shown_with_their_places():
    garuma, act = Mention("PERSON", "Garuma", 0, 6, 0.9, 0.8), Mention("LAW", "Act")
    found = Found("r", "PERSON: Garuma\nLAW: Act", 0.5, entities=(garuma, act))
    assert predict._shown(found) == "PERSON: Garuma  [0:6]\nLAW: Act"
    assert found.row()["entities"] == [
        {"start": 0, "end": 6, "label": "PERSON", "text": "Garuma", "probability": 0.9, "confidence": 0.8},
        {"start": None, "end": None, "label": "LAW", "text": "Act"},
    ]
    part = Found("r", None, 0.5, guess="PERSON: Garuma\nLAW: Act", entities=(garuma,), unsure=(act,))
    assert predict._shown(part) == "PERSON: Garuma  [0:6]\nnot sure: LAW: Act"
    assert part.row()["unsure"] == [act.row()]
    assert predict._shown(Found("r", "none", 0.5)) == "none"
    assert Given("r", error="why").row() == {"id": "r", "answer": None, "probability": None, "error": "why"}


def test_what_is_not_sure_enough_stays_open(ask, student, rows, tmp_path):
    # The run's own confidence proves nothing of a student that has learnt nothing; this one says how sure is enough.
    sure = shutil.copytree(student / "student", tmp_path / "sure")
    draw = np.random.default_rng(0)
    probability = np.concatenate([draw.uniform(0, 0.4, 100), draw.uniform(0.6, 1, 100)])
    right = (probability > 0.5).astype(float)
    units = Units(probability, right, np.arange(200))
    write_json(sure / CONFIDENCE, measure("answer", units, units, chosen=True).as_json())
    asked = ("--file", rows, "--columns", "text=body")
    code, lines, _ = ask(sure, *asked, "--at-least", "0.9")
    assert code == 0
    assert re.fullmatch(r"taken: answers from a probability of 0\.\d+ on\. .* 90\.0% or more, with 95 % .*", lines[0])
    assert re.fullmatch(r"The test split says: .*% taken, of which .*% are right\.", lines[1])
    assert sum("not sure: " in line for line in lines[2:]) == 7
    # Programs get the rows alone.
    _, printed, _ = ask(sure, *asked, "--at-least", "0.9", "--json")
    found = [json.loads(line) for line in printed]
    assert [each["answer"] for each in found] == [None] * 8
    assert all(each["guess"] and each["confidence"] < 0.5 for each in found[:7])
    output = tmp_path / "answers.jsonl"
    _, lines, _ = ask(sure, *asked, "--at-least", "0.9", "--fallback", student, "--output", output)
    assert "7 answered by the fallback" in lines[2]
    answers = [json.loads(line) for line in output.read_text().splitlines()]
    assert [each.get("by") for each in answers] == ["fallback"] * 7 + [None]
    assert [each["answer"] for each in answers[:7]] == [each["guess"] for each in found[:7]]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--at-least", "1"), "above 0 and below 1"),
        (("--at-least", "0"), "above 0 and below 1"),
        (("--fallback", "."), "--at-least beside it"),
        (("--at-least", "0.9", "--fallback", "nowhere"), "no such folder"),
        (("--at-least", "0.999"), "at most"),
    ],
)
def test_what_cannot_be_that_sure_is_refused(ask, student, arguments, complaint):
    code, _, err = ask(student, "a text", *arguments)
    assert code == 2
    assert complaint in err


def test_a_student_without_a_confidence_can_be_asked_all_the_same(ask, student, tmp_path):
    bare = shutil.copytree(student / "student", tmp_path / "bare")
    (bare / CONFIDENCE).unlink()
    assert ask(bare, "a text")[0] == 0
    code, _, err = ask(bare, "a text", "--at-least", "0.9")
    assert code == 2
    assert "evaluate.confidence=true" in err
    (bare / CONFIDENCE).write_text('{"unit": "answer"}')
    code, _, err = ask(bare, "a text")
    assert code == 2
    assert "take the file of its run, or delete it" in err


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
