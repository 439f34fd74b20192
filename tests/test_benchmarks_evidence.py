"""The evidence's plan, its statistics and its page, on made-up blocks; nothing is trained here."""

import math
import random
import re
from dataclasses import replace

import pytest
from hydra import compose, initialize_config_dir
from scipy import stats

from benchmarks.evidence import page, real, tuning
from benchmarks.evidence.blocks import digest
from benchmarks.evidence.contrasts import Contrast, contrast, holm
from benchmarks.evidence.found import Found, gap_closed
from benchmarks.evidence.grounds import Sizes, embedded
from benchmarks.evidence.kept import read, write
from benchmarks.evidence.parts import PARTS
from benchmarks.evidence.primary import best_with_texts, primaries
from benchmarks.evidence.rates import NotChosen, Rates
from benchmarks.evidence.repeats import repeats, repeats_section
from benchmarks.evidence.study import Study, tiny
from benchmarks.evidence.work import state
from benchmarks.settings import ROOT
from scd_lightning.config.build import read_settings
from scd_lightning.training.pretraining import read_record

# What a model of this name is worth, on average.
WORTH = {"teacher": 0.8, "sft": 0.5, "sft_total": 0.55, "td": 0.6, "scd_aw": 0.65, "pl": 0.7, "scheduled_forward": 0.75}


def model(value, samples=20):
    hits = [float(index < round(value * samples)) for index in range(samples)]
    return {"metrics": {"accuracy": value}, "scores": hits, "losses": [1 - hit for hit in hits]}


def content(block, runs, worth):
    rng = random.Random(f"{block.part} {block.name}")
    metric = {run.name: worth(block, run.name) + rng.uniform(-0.01, 0.01) for run in runs}
    models = {"teacher": model(WORTH["teacher"]), "anchor": model(WORTH["sft"])}
    models |= {name: model(value) for name, value in metric.items()}
    part = {"deficit": 0.2, "advantage": 0.1}
    costs = {phase: {"reused": False} for phase in ("teacher_sft", "student_sft")}
    one = {"teacher": "teacher", "anchor": "anchor", "convergence": [], "costs": costs}
    one |= {"subdomains": {"student_vs_teacher": {"error": part}}}
    return {
        **{"part": block.part, "kind": block.kind, "task": block.task, "draw": block.draw, "split": block.split},
        **{"settings": digest(runs), "commit": "abc", "numeric_format": 6, "seconds": 60, "metric": "accuracy"},
        "machine": {"cores": 2, "cpu": "Fast"},
        "models": models,
        "runs": {run.name: {**one, "student": run.name, "overrides": list(run.overrides)} for run in runs},
    }


def worth_of(block, name):
    method, _, rate = re.split(r", ", name)[0].partition("@")
    # The rate in the middle is the best of all.
    return WORTH.get(method, 0.58) - (0.1 if rate and float(rate) not in (0.008, 6e-4) else 0.0)


def fill(study, parts=PARTS, worth=worth_of):
    rates = Rates(study)
    for number in parts:
        for block in PARTS[number].blocks(study):
            runs = block.runs(rates)
            write(study.kept, block, content(block, runs, worth))


def unwrapped(path):
    """A page's text, wherever its lines end."""
    return " ".join(path.read_text(encoding="utf-8").split())


@pytest.fixture
def study(tmp_path):
    """One of which there is no block yet."""
    return Study(tmp_path / "blocks")


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """One of which all blocks are there; for looking at."""
    study = Study(tmp_path_factory.mktemp("evidence") / "blocks")
    fill(study)
    return study


def every_block(study):
    return [block for part in PARTS.values() for block in part.blocks(study)]


def test_what_is_chosen_by_looks_at_validation_alone_and_what_is_shown_has_draws_of_its_own(filled):
    rates = Rates(filled)
    for block in every_block(filled):
        chooses = block.part in (1, 7) or block.kind == "rates"
        assert block.split == ("validation" if chooses else "test")
        for run in block.runs(rates):
            assert f"evaluate.split={block.split}" in run.overrides
            assert f"seed={block.draw}" in run.overrides
        if block.data is None:
            assert block.draw in (filled.tuning if chooses else filled.shown)
    assert not set(filled.tuning) & set(filled.shown)


def test_names_of_blocks_and_runs_are_their_own(filled):
    blocks = every_block(filled)
    assert len({(block.part, block.name) for block in blocks}) == len(blocks)
    for block in blocks:
        names = [run.name for run in block.runs(Rates(filled))]
        assert len(set(names)) == len(names)


def test_every_run_composes_and_says_what_it_means(filled):
    kinds = {}
    for block in every_block(filled):
        # The pair of the real sets is looked at where it is made.
        for run in block.runs(Rates(filled)) if block.data is None else ():
            words = [each for each in run.overrides if each.startswith(("method=", "objective=", "+", "method.policy"))]
            names = [each.partition("=")[0] for each in run.overrides]
            kinds[(*words, *names)] = block, run
    assert len(kinds) > 20
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        for block, run in kinds.values():
            settings = read_settings(compose("config", [*run.overrides, "paths.run=r", "paths.store=s"]))
            assert settings["seed"] == block.draw
            assert settings["evaluate"]["split"] == block.split
            rate = settings["student"]["optimizer"]["lr"]
            if settings["method"]["name"] != "sft":
                rate *= settings["method"]["lr_scale"]
            tried = re.search(r"@([\d.e-]+)$", run.name)
            assert tried is None or rate == pytest.approx(float(tried[1]), rel=1e-5)


def test_the_ground_is_the_demos():
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        for task in ("ner", "qa", "classification"):
            ground = [*embedded(task, Sizes(), tuning=False).overrides, "paths.run=r", "paths.store=s"]
            ours, demo = (read_settings(compose("config", each)) for each in (ground, [f"task={task}", *ground[-2:]]))
            ours["task"]["data"].pop("synthetic"), demo["task"]["data"].pop("synthetic")
            assert ours == demo


def test_fine_tuning_at_the_total_operations_has_those_of_anchor_and_distillation_and_of_the_signals():
    sizes, models = Sizes(), read_record()["models"]
    teacher, student = (models[name]["parameters"] for name in ("teacher", "student_small"))
    # Operations by parameters: 6 a sample that is trained on, 2 a sample that is asked of.
    budget = sizes.stages * sizes.stage_epochs * sizes.train
    total = 2 * 6 * student * budget + 2 * teacher * sizes.checkpoints * sizes.train
    alone = 6 * student * sizes.stages * sizes.train * sizes.total_stage_epochs
    assert 1 <= alone / total < 1 + 1 / sizes.total_stage_epochs


def test_rates_are_those_with_the_best_mean_and_wait_for_all_draws(study):
    rates = Rates(study)
    with pytest.raises(NotChosen, match="sft-ner-100"):
        tuning.best(study, rates, "ner", "sft")
    last = tuning.fine_tuning(study, "ner")[-1]
    for block in tuning.fine_tuning(study, "ner"):
        # One draw alone prefers the highest rate.
        def worth(block, name):
            return worth_of(block, name) + (0.2 if block.draw == 100 and name.endswith("0.012") else 0.0)

        if block is not last:
            write(study.kept, block, content(block, block.runs(rates), worth))
    with pytest.raises(NotChosen, match="sft-ner-103"):
        tuning.best(study, rates, "ner", "sft")
    write(study.kept, last, content(last, last.runs(rates), worth))
    assert tuning.best(study, rates, "ner", "sft") == 0.008


def test_a_block_of_other_settings_is_none_of_todays(study):
    fill(study, parts=[1])
    block = tuning.fine_tuning(study, "qa")[0]
    assert state(study, block, Rates(study)) == "done"
    kept = read(study.kept, block)
    assert kept is not None
    write(study.kept, block, {**kept.content, "settings": "other"})
    assert state(study, block, Rates(study)) == "other settings"
    assert state(study, PARTS[2].blocks(study)[1], Rates(study)) == "waits"
    longer = replace(study, sizes=replace(study.sizes, stage_epochs=25))
    assert state(longer, tuning.fine_tuning(longer, "ner")[0], Rates(longer)) == "other settings"


def test_contrasts_are_paired_t_intervals():
    rng = random.Random(0)
    ours = {draw: rng.gauss(0.6, 0.05) for draw in range(10, 18)}
    theirs = {draw: rng.gauss(0.55, 0.05) for draw in range(9, 17)}
    found = contrast(ours, theirs, 0.99)
    assert found is not None
    shared = range(10, 17)
    expected = stats.ttest_rel([ours[draw] for draw in shared], [theirs[draw] for draw in shared])
    low, high = expected.confidence_interval(0.99)
    assert found.interval == pytest.approx((low, high))
    assert found.p == pytest.approx(expected.pvalue)
    assert contrast({10: 1.0}, {11: 1.0}) is None


def test_one_draw_and_equal_differences_prove_nothing_by_themselves():
    assert (Contrast({10: 0.3}).interval, Contrast({10: 0.3}).p, Contrast({10: 0.3}).side) == (None, 1.0, 0)
    assert Contrast({10: 0.0, 11: 0.0}).p == 1.0


def test_holm_never_rejects_more_often_than_it_may():
    rng = random.Random(1)
    false = 0
    for _ in range(4000):
        # Four are null, two are not.
        p_values = [rng.random() for _ in range(4)] + [rng.random() / 1000 for _ in range(2)]
        false += min(holm(p_values)[:4]) < 0.05
    assert false / 4000 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 4000)
    assert holm([0.01], family=6) == [pytest.approx(0.06)]


def test_primary_comparisons_are_the_two_of_each_task_with_the_method_that_tuning_prefers(filled):
    found = Found(filled)
    every = primaries(found)
    assert len(every) == 6
    assert best_with_texts(found, "ner") == "scheduled_forward"
    assert [each.verdict for each in every] == ["above", "below"] * 3
    method, texts = every[:2]
    assert method.contrast is not None
    assert method.contrast.interval is not None
    assert method.later is not None
    assert texts.contrast is not None
    assert method.contrast.mean == pytest.approx(0.15, abs=0.02)
    assert texts.contrast.mean == pytest.approx(-0.05, abs=0.02)
    assert sorted(method.later.by_draw) == [13, 14, 15, 16, 17]
    low, high = method.contrast.interval
    half = stats.t.ppf(1 - 0.05 / 12, 7) * stats.sem(list(method.contrast.by_draw.values()))
    assert (high - low) / 2 == pytest.approx(half)


def test_the_part_of_a_gap_is_told_where_there_surely_is_one():
    plain, student = {10: 0.5, 11: 0.52}, {10: 0.6, 11: 0.62}
    assert gap_closed(student, plain, {10: 0.9, 11: 0.92}) == pytest.approx(0.25)
    assert gap_closed(student, plain, {10: 0.9, 11: 0.5}) is None


def test_the_page_says_what_the_blocks_say(filled, tmp_path):
    written = page.write(filled, tmp_path / "results.md")
    text = unwrapped(written[0])
    assert "Measured: 6 of 6 primary comparisons." in text
    assert "Surely above zero, all 6 taken together: Named entity recognition: scd_aw - sft" in text
    assert "All planned blocks are there." in text
    assert "Of 9 grounds" in text
    values = Found(filled).values(2, "main", "qa", "cd")
    assert f"| cd | {sum(values.values()) / 8:.3f} ±" in text
    assert {path.name for path in written[1:]} == {"where.svg", "methods.svg"}
    again = [path.read_bytes() for path in written]
    assert [path.read_bytes() for path in page.write(filled, tmp_path / "results.md")] == again


def test_what_several_blocks_have_trained_is_held_against_one_another(study):
    fill(study, parts=[1])
    teachers = {each: len(models) for each, models in repeats(Found(study)).items() if each.role == "teacher"}
    assert {(each.task, each.draw) for each in teachers} == {
        (task, draw) for task in study.tasks for draw in range(100, 104)
    }
    # Fine-tuning, methods and texts; who has texts has the same teacher.
    assert set(teachers.values()) == {3}
    # Anchors have the rate that was chosen, of three that were tried, and the budget of students, not of all together.
    anchors = [each for each in repeats(Found(study)) if each.role == "anchor"]
    assert all("student.optimizer.lr=0.008" in each.settings for each in anchors)
    assert {each.draw for each in anchors} == {100, 101, 102, 103}
    assert "| Extractive question answering | teacher | 100 to 103 | 4 | 0 | 0 |" in repeats_section(Found(study))
    block = tuning.texts(study, "qa")[0]
    kept = read(study.kept, block)
    assert kept is not None
    other = dict(kept.content) | {"models": dict(kept.content["models"]) | {"teacher": model(WORTH["teacher"] - 0.25)}}
    write(study.kept, block, other)
    assert "| Extractive question answering | teacher | 100 to 103 | 4 | 0.25 |" in repeats_section(Found(study))
    # What was found in the store was not trained again.
    for run in other["runs"].values():
        run["costs"]["teacher_sft"]["reused"] = True
    write(study.kept, block, other)
    assert "| Extractive question answering | teacher | 100 to 103 | 4 | 0 | 0 |" in repeats_section(Found(study))


def test_the_plot_has_every_cell(filled):
    panels = page.where_panels(Found(filled))
    assert len(panels) == 3
    assert all(seen is not None for panel in panels for line in panel.series.values() for seen in line)
    assert all(len(line) == 3 for panel in panels for line in panel.series.values())


def test_with_few_blocks_the_page_says_what_is_missing(study, tmp_path):
    fill(study, parts=[1])
    block = PARTS[2].blocks(study)[0]
    write(study.kept, block, content(block, block.runs(Rates(study)), worth_of))
    text = unwrapped(page.write(study, tmp_path / "results.md")[0])
    assert "Measured: 1 of 6 primary comparisons." in text
    assert "Not on all draws yet: Named entity recognition: scd_aw - sft, without texts (1 of 8)." in text
    assert "part 2, main, qa, draws 10 to 17" in text
    assert "(one draw)" in text


def test_real_sets_have_two_draws_and_their_rates_first(study):
    kinds = [block.kind for block in real.blocks_of(real.BANKING77, study)]
    assert kinds == ["rates", "rates", "methods", "methods"]


def test_the_committed_page_is_what_its_command_makes():
    made = page.text(Found(Study()))
    assert page.PAGE.read_text(encoding="utf-8") == made + "\n"


def test_a_tiny_study_has_all_parts(tmp_path):
    study = tiny(tmp_path)
    fill(study)
    assert {block.part for block in every_block(study)} == set(PARTS)
