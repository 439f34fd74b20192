import xml.etree.ElementTree as ET

import pytest

from scd_lightning.analysis import plots

SVG = "{http://www.w3.org/2000/svg}"
STAGES = [
    {"stage": 0, "epochs": [0, 1], "checkpoint": 0, "score": [0.1, 0.5]},
    {"stage": 1, "epochs": [2, 3], "checkpoint": 1, "score": [0.9, 0.01]},
]
TRAJECTORY = [{"index": i, "step": 10 * i, "metrics": {"f1": 0.1 * i}} for i in range(3)]
CURVES = {"student": [{"epoch": 0, "step": 5, "train_loss": 1.0, "validation_loss": None, "validation_metric": None}]}


def drawn() -> dict[str, str]:
    return {
        "trajectory": plots.trajectory_plot(TRAJECTORY, "f1", 2),
        "schedule": plots.schedule_plot(STAGES, 1),
        "scores": plots.scores_plot(STAGES),
        "losses": plots.loss_curves_plot(CURVES),
        "metrics": plots.metric_curves_plot(CURVES | {"teacher": [{"epoch": 0, "validation_metric": 0.5}]}),
        "scatter": plots.loss_scatter_plot([0.0, 0.2, 0.5], [0.1, 0.2, 0.3]),
        "advantage": plots.advantage_plot([{"epoch": 0, "advantage": 0.1, "deficit": 0.2}, {"epoch": 1}]),
        "precision": plots.precision_plot([(0.5, 0.9, 0.8), (1.0, 0.7, 0.1)], (0.6, 0.85, 0.7, 0.95), 0.7),
        "weights 0": plots.weights_plot([5, 0, 5], 0, 0.5),
        "weights 1": plots.weights_plot([2, 4, 4], 1, 0.5),
    }


@pytest.fixture(scope="module")
def svgs() -> dict[str, str]:
    return drawn()


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()).strip() for node in ET.fromstring(svg).iter(f"{SVG}text")]


def test_plots_are_svg_elements_in_the_colours_of_the_page(svgs):
    for svg in svgs.values():
        assert ET.fromstring(svg).tag == f"{SVG}svg"
        assert "var(--ink)" in svg
        assert not any(stand_in in svg for stand_in in plots.CSS_NAMES)


def test_ids_of_one_page_are_unique_and_references_resolve(svgs):
    roots = [ET.fromstring(svg) for svg in svgs.values()]
    ids = [node.attrib["id"] for root in roots for node in root.iter() if "id" in node.attrib]
    assert len(ids) == len(set(ids))
    references = {
        value for root in roots for node in root.iter() for key, value in node.attrib.items() if "href" in key
    }
    assert {reference.removeprefix("#") for reference in references} <= set(ids)


def test_equal_input_gives_equal_text(svgs):
    assert drawn() == svgs


def test_text_from_data_is_neither_markup_nor_mathematics():
    svg = plots.trajectory_plot(TRAJECTORY, "f1", None)
    renamed = [{**entry, "metrics": {"<b>$x$ 蒸留": 0.5}} for entry in TRAJECTORY]
    assert svg != plots.trajectory_plot(renamed, "<b>$x$ 蒸留", None)
    assert "validation <b>$x$ 蒸留" in texts(plots.trajectory_plot(renamed, "<b>$x$ 蒸留", None))


def test_scatter_names_both_sides_with_their_shares():
    labels = texts(plots.loss_scatter_plot([0.0, 0.2, 0.5, 0.1], [0.1, 0.2, 0.3, 0.3]))
    assert {"SFS, student better: 50.0 %", "TFS, teacher better: 25.0 %", "equal: 25.0 %"} <= set(labels)


@pytest.mark.parametrize("losses", [[0.0], [1e-12, 0.0], [0.3, 0.3]])
def test_scatter_of_zeros_and_ties(losses):
    assert "equal: 100.0 %" in texts(plots.loss_scatter_plot(losses, losses))


def test_scatter_draws_at_most_so_many_points():
    count = 3 * plots.MAX_POINTS + 1
    svg = plots.loss_scatter_plot([0.1 + 1e-6 * i for i in range(count)], [1.0] * count)
    points = sum(node.tag == f"{SVG}use" for node in ET.fromstring(svg).iter())
    assert plots.MAX_POINTS / 2 < points < plots.MAX_POINTS + 100


def test_trajectory_marks_the_best_checkpoint(svgs):
    assert "best" in texts(svgs["trajectory"])
    assert "best" not in texts(plots.trajectory_plot(TRAJECTORY, "f1", None))


def test_schedule_of_a_policy_without_scores():
    stages = [{**stage, "score": None} for stage in STAGES]
    assert {"stage 0", "stage 1"} <= set(texts(plots.schedule_plot(stages, None)))
