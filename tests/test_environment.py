"""The three files that name packages agree, so that pip, conda and the tests get the same versions."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


def pins(lines: list[str]) -> dict[str, str]:
    """Maps canonical names to versions; anything but an exact pin fails."""
    found: dict[str, str] = {}
    for line in lines:
        match = re.fullmatch(r"([\w.-]+)==([\w.]+)", line)
        assert match, f"not an exact pin: {line}"
        assert canonicalize_name(match[1]) not in found, f"pinned twice: {line}"
        found[canonicalize_name(match[1])] = match[2]
    return found


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return pins([line for line in lines if line and not line.startswith("#")])


@pytest.fixture(scope="module")
def conda() -> list:
    return yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]


@pytest.fixture(scope="module")
def requirements(project) -> list[Requirement]:
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    return [Requirement(line) for line in project["dependencies"] + extras]


def test_constraints_pin_exactly_what_the_project_names(requirements, constraints):
    assert {canonicalize_name(requirement.name) for requirement in requirements} == set(constraints)


def test_pins_lie_within_the_bounds_of_the_project(requirements, constraints):
    outside = [str(r) for r in requirements if constraints[canonicalize_name(r.name)] not in r.specifier]
    assert not outside


def test_every_extra_is_part_of_the_development_environment(project):
    extras = project["optional-dependencies"]
    assert all(set(lines) <= set(extras["dev"]) for lines in extras.values())


def test_conda_environment_has_the_same_pins(conda, constraints):
    own, *packages = next(entry["pip"] for entry in conda if isinstance(entry, dict))
    assert own == "-e .[dev]"
    assert pins(packages) == constraints


def test_conda_environment_has_a_python_that_the_project_allows(project, conda):
    version = next(entry for entry in conda if str(entry).startswith("python=")).removeprefix("python=")
    assert project["requires-python"] == f">={version}"
