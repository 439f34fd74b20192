"""Every command that README.md and docs/ show: it composes, its values fit, its options exist."""

import re
import shlex
from pathlib import Path

import pytest

from scd_lightning.cli.command import COMMANDS as SUBCOMMANDS
from scd_lightning.cli.evaluate import _parser as evaluate_parser
from scd_lightning.cli.export import _parser as export_parser
from scd_lightning.cli.overrides import flags_first, one_line
from scd_lightning.cli.predict import _check as check_predict
from scd_lightning.cli.predict import _parser as predict_parser
from scd_lightning.cli.report import _parser as report_parser
from scd_lightning.cli.serve import _access as access_of
from scd_lightning.cli.serve import _check as check_serve
from scd_lightning.cli.serve import _parser as serve_parser
from scd_lightning.cli.store import _parser as store_parser

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# What a page has its reader write or fill in.
OPEN = {"method=scd_aw_skew", "student=..."}


def commands():
    """All commands in code blocks: several lines where quotes or a backslash say so, without comments."""
    for page in PAGES:
        lines = iter(re.sub(r"\\\n\s*", " ", page.read_text(encoding="utf-8")).splitlines())
        for line in lines:
            if re.match(r"(\s{4,}|\$ )?([A-Z_]+=\S+ )*(python (run\.py|-m scd_lightning)|scd )", line):
                words = shlex.split(_whole(line, lines).strip().removeprefix("$ "), comments=True)
                words = words[words.index("python") + 1 :] if "python" in words else _as_module(words)
                if any(word.startswith("--config-dir") for word in words):
                    continue  # With options that the page has its reader write: tests/test_architecture.py runs it.
                yield pytest.param(words, id=f"{page.name}: {shlex.join(words)}")


def _as_module(words):
    """What the command scd is in a clone."""
    command, *others = words[1:]
    return ["-m", f"scd_lightning.{command}", *others] if command in SUBCOMMANDS else ["run.py", *words[1:]]


def _whole(line, following):
    """The line, and those after it for as long as a quotation is open."""
    while True:
        try:
            shlex.split(line, comments=True)
        except ValueError:
            line += "\n" + next(following)
        else:
            return line


COMMANDS = list(commands())


def jobs(overrides):
    """Jobs of a sweep that have each choice of each override at least once."""
    choices = []
    for override in overrides:
        name, _, value = override.partition("=")
        parts = [value] if re.search(r"[\[{(']", value) else value.split(",")
        choices.append([f"{name}={part}" for part in parts])
    return [[each[i % len(each)] for each in choices] for i in range(max(map(len, choices)))]


def test_there_are_commands():
    assert len(COMMANDS) > 10


@pytest.mark.parametrize("words", [each for each in COMMANDS if each.values[0][0] == "run.py"])
def test_a_command_composes_and_its_values_fit(make_job, words):
    arguments = [one_line(each) for each in flags_first(words[1:])]
    flags = [each for each in arguments if each.startswith("-")]
    assert set(flags) <= {"-m", "--help", "--info", "--cfg", "--hydra-help"}
    overrides = [each for each in arguments if "=" in each and not each.startswith("hydra")]
    sweep = "-m" in flags
    for job in jobs(overrides) if sweep else [overrides]:
        make_job(*[each for each in job if each not in OPEN], prepared=False)


@pytest.mark.parametrize("words", [each for each in COMMANDS if each.values[0][1:2] == ["scd_lightning.store"]])
def test_a_store_command_has_its_options(words):
    store_parser().parse_args(words[2:])


@pytest.mark.parametrize("words", [each for each in COMMANDS if each.values[0][1:2] == ["scd_lightning.report"]])
def test_a_report_command_has_its_options(words):
    report_parser().parse_args(words[2:])


@pytest.mark.parametrize("words", [each for each in COMMANDS if each.values[0][1:2] == ["scd_lightning.predict"]])
def test_a_predict_command_has_its_options(words):
    check_predict(predict_parser().parse_args(words[2:]))


@pytest.mark.parametrize("words", [each for each in COMMANDS if each.values[0][1:2] == ["scd_lightning.evaluate"]])
def test_an_evaluate_command_has_its_options(words):
    evaluate_parser().parse_args(words[2:])


@pytest.mark.parametrize("words", [each for each in COMMANDS if each.values[0][1:2] == ["scd_lightning.export"]])
def test_an_export_command_has_its_options(words):
    export_parser().parse_args(words[2:])


def _anchors(page):
    """What a page's headings are linked by."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md", ROOT / "SECURITY.md"], ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


def test_the_index_has_every_page():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"} == set(
        re.findall(r"\]\((.+?)\)", index)
    )


@pytest.mark.parametrize("words", [each for each in COMMANDS if each.values[0][1:2] == ["scd_lightning.serve"]])
def test_a_serve_command_has_its_options(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token").write_text("what-the-page-has-its-reader-make")
    options = serve_parser().parse_args(words[2:])
    check_serve(options)
    access_of(options)
