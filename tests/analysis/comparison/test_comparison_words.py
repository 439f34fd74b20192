import json

from scd_lightning.analysis.comparison.compare import compare
from scd_lightning.analysis.comparison.comparison_words import caption, heading, methods_note, shared_line, warnings


def test_warnings_name_what_makes_rows_less_comparable(make_run):
    runs = [make_run("a", method="td", seed=0), make_run("b", method="td", seed=1), make_run("c", method="scd", seed=0)]
    seeds, picked = warnings(compare(runs).settings[0])
    assert "do not have the same seeds (td: 0, 1; scd: 0)" in seeds
    assert picked.startswith("No method is picked")
    (one,) = warnings(compare(runs[:1]).settings[0])
    assert "one run: how much another seed would change is unknown" in one


def test_scores_of_the_validation_split_are_named_as_such(make_answered):
    (setting,) = compare([make_answered("run", 60, evaluated="validation")]).settings
    assert "accuracy on the validation split" in heading(setting)
    assert "too good to report" in warnings(setting)[0]
    assert "test" not in methods_note(setting)


def test_an_anchor_that_was_brought_along_has_a_budget_of_its_own(make_answered):
    folder = make_answered("run", 60)
    results = json.loads((folder / "results.json").read_text())
    (folder / "results.json").write_text(json.dumps(results | {"imported": {"anchor": {}}}))
    assert any("tuned elsewhere" in text for text in warnings(compare([folder]).settings[0]))


def test_what_methods_share_is_said_in_a_line(make_answered):
    runs = [
        make_answered(f"{method}-{draw}", 60, anchor=40 + draw, draw=draw, seed=draw, method=method)
        for method in ("td", "scd")
        for draw in (10, 12)
    ]
    (setting,) = compare(runs).settings
    assert shared_line(setting) == (
        "Shared by all methods: teacher 0.500 ±0.000 (draws 10: 0.500, 12: 0.500), anchor 0.510 ±0.014 (draws 10: "
        "0.500, 12: 0.520)."
    )


def test_one_method_shares_nothing(make_answered):
    assert shared_line(compare([make_answered("run", 60)]).settings[0]) == ""


def test_what_intervals_are_made_of_is_said(make_answered):
    draws = [make_answered(f"draw {draw}", 60, draw=draw, seed=draw) for draw in (10, 11)]
    seeds = [make_answered(f"seed {seed}", 60, seed=seed) for seed in (0, 1)]
    (of_draws, of_seeds) = compare([*draws, *seeds]).settings
    assert "each draw has test samples of its own" in methods_note(of_draws)
    assert "widened by what other test samples would change for all seeds alike" in methods_note(of_seeds)
    assert "bootstrap" not in methods_note(of_draws)
    assert "paired bootstrap over its test samples" in methods_note(compare(draws[:1]).settings[0])
    assert "A draw is a seed" in caption(compare(draws))
    assert "draw" not in caption(compare(seeds))
