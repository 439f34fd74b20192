import shutil
import xml.etree.ElementTree as ET

import pytest

from scd_lightning.analysis.comparison.compare import compare
from scd_lightning.analysis.comparison.comparison_plots import gains_plot, leads_plot, seeds_plot

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def sweep(make_run):
    return [make_run(f"{method}-{seed}", method=method, seed=seed) for method in ("td", "scd") for seed in (0, 1, 2)]


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()).strip() for node in ET.fromstring(svg).iter(f"{SVG}text")]


def marks(svg: str) -> int:
    return sum(node.tag == f"{SVG}use" for node in ET.fromstring(svg).iter())


@pytest.mark.parametrize("draw", [seeds_plot, leads_plot, gains_plot])
def test_each_row_is_named(sweep, draw):
    (setting,) = compare(sweep).settings
    assert {"td", "scd"} <= set(texts(draw(setting)))


@pytest.mark.parametrize("draw", [seeds_plot, leads_plot, gains_plot])
def test_each_seed_is_a_mark(sweep, draw):
    """One more run is as many marks more as a run has."""
    more, fewer = (marks(draw(compare(runs).settings[0])) for runs in (sweep, sweep[:-1]))
    assert more - fewer == (3 if draw is seeds_plot else 1)


def test_a_picture_knows_nothing_of_where_the_runs_are(sweep, tmp_path):
    elsewhere = [shutil.copytree(run, tmp_path / "elsewhere" / run.name) for run in sweep]
    (here,), (there,) = compare(sweep).settings, compare(elsewhere).settings
    assert seeds_plot(here) == seeds_plot(there)
    assert leads_plot(here) == leads_plot(there)


def test_plots_name_the_split(sweep, make_answered):
    (setting,) = compare([make_answered("run", 60, evaluated="validation")]).settings
    assert "validation accuracy" in texts(seeds_plot(setting))
    assert "difference in validation accuracy" in texts(gains_plot(setting) or "")


def test_fine_tuning_alone_has_nothing_to_gain_on(make_run):
    (setting,) = compare([make_run("run", method="sft")]).settings
    assert gains_plot(setting) is None
    assert leads_plot(setting) is not None


def test_a_name_from_data_is_neither_markup_nor_mathematics(make_run):
    (setting,) = compare([make_run("run", method="<b>$x$ 蒸留")]).settings
    assert "<b>$x$ 蒸留" in texts(seeds_plot(setting))
