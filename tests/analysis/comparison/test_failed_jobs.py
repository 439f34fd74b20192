"""Why a run did not finish, from what it left."""

import json

import pytest
import yaml

from scd_lightning.analysis.comparison.failed_jobs import describe_failures


def describe(tmp_path, **files):
    folder = tmp_path / "3"
    folder.mkdir()
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    (failure,) = describe_failures({folder: None}, [folder])
    return failure


@pytest.mark.parametrize(
    ("files", "kind", "part"),
    [
        ({"failure": {"type": "DataError", "message": "A row lacks x."}}, "DataError", "A row lacks x."),
        (
            {"partial": {"ended": {"type": "KeyboardInterrupt", "message": "Interrupted.", "when": "now"}}},
            "KeyboardInterrupt",
            "Interrupted.",
        ),
        ({"run": {"started": "10:00", "finished": None}}, "unfinished", "started at 10:00"),
        ({"run": {"started": "10:00", "finished": "11:00"}}, "unfinished", "without the phase report"),
        ({}, "unfinished", "before its first phase"),
    ],
    ids=["failed", "interrupted", "killed", "other stages", "nothing"],
)
def test_the_reason_is_what_is_known(tmp_path, files, kind, part):
    failure = describe(tmp_path, **files)
    assert failure.type == kind
    assert part in failure.message


def test_damaged_notes_are_a_reason_too(tmp_path):
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "failure.json").write_text("{")
    (failure,) = describe_failures({tmp_path / "0": None}, [tmp_path / "0"])
    assert failure.type == "StoreError"


def test_a_run_is_named_by_what_others_do_not_have(tmp_path):
    folders = [tmp_path / str(number) for number in range(3)]
    for folder, rate in zip(folders, ("1e-3", "1", "1e-2"), strict=True):
        (folder / ".hydra").mkdir(parents=True)
        overrides = ["task=ner", f"student.optimizer.lr={rate}", "task.instruction='a b'"]
        (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(overrides))
    (failure,) = describe_failures({folders[1]: None}, folders)
    assert failure.name == "1 (student.optimizer.lr=1)"
    assert failure.command == """python run.py task=ner student.optimizer.lr=1 'task.instruction='"'"'a b'"'"''"""


def test_the_command_says_which_variable_to_set_for_what_is_hidden(tmp_path):
    (tmp_path / "3" / ".hydra").mkdir(parents=True)
    overrides = ["seed=1", "+x.token=(hidden)", "+y='${oc.env:HERON}'"]
    (tmp_path / "3" / ".hydra" / "overrides.yaml").write_text(f"# a remark\n{yaml.safe_dump(overrides)}")
    (failure,) = describe_failures({tmp_path / "3": None}, [tmp_path / "3"])
    command, _, remark = failure.command.partition("  # ")
    assert command == "python run.py seed=1 '+x.token=(hidden)' '+y='\"'\"'${oc.env:HERON}'\"'\"''"
    assert "${oc.env:X_TOKEN} in +x.token" in remark
