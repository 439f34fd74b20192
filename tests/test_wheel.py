"""The wheel has all that the package reads, and works from an empty folder without a clone."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What a build reads: built in the clone itself, it would leave folders there.
_SOURCES = ("scd_lightning", "conf", "setup.py", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    source = tmp_path_factory.mktemp("source")
    for name in _SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    made = tmp_path_factory.mktemp("wheel")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(made),
        str(source),
    ]
    subprocess.run(pip, check=True, capture_output=True)
    [found] = made.glob("*.whl")
    return found


def test_the_wheel_has_every_file_that_is_no_code(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "scd_lightning").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert package - names == set()
    configuration = {f"scd_lightning/{path.relative_to(ROOT)}" for path in (ROOT / "conf").rglob("*.yaml")}
    assert configuration - names == set()


@pytest.mark.slow
def test_the_wheel_works_from_an_empty_folder(wheel, tmp_path):
    # The dependencies are those of this environment; the package is the wheel's.
    site, home = tmp_path / "site", tmp_path / "home"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    home.mkdir()
    environment = os.environ | {"PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}

    def scd(*arguments):
        command = [sys.executable, str(site / "bin" / "scd"), *arguments]
        done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    scd("debug=smoke", "task=classification", "hydra.run.dir=run")
    assert (home / "run" / "report.html").is_file()
    assert scd("predict", "run", "one text").strip()
    assert "teacher" in scd("store", "ls")
    where = [sys.executable, "-c", "import scd_lightning; print(scd_lightning.__file__)"]
    found = subprocess.run(where, cwd=home, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.startswith(str(site))
