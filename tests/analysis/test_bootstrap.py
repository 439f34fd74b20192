import numpy as np
import pytest
from scipy.stats import norm

from scd_lightning.analysis.bootstrap import SampleScores, paired_bootstrap


def scores(hits, weight=None) -> SampleScores:
    values = np.asarray(hits, dtype=float)
    return SampleScores(values, np.ones_like(values) if weight is None else np.asarray(weight, dtype=float))


@pytest.fixture
def draw():
    generator = np.random.default_rng(3)
    return lambda share, samples=400: scores(generator.random(samples) < share)


def test_value_is_the_ratio_of_sums():
    assert scores([1, 0, 2], [2, 0, 4]).value == 0.5
    assert scores([0, 0], [0, 0]).value == 1.0


def test_one_seed_has_the_width_that_theory_gives(draw):
    ours, theirs = draw(0.7), draw(0.6)
    found = paired_bootstrap([ours], [theirs])
    difference = ours.hits - theirs.hits
    half = norm.ppf(0.975) * difference.std() / np.sqrt(len(difference))
    assert found.value == pytest.approx(difference.mean())
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=0.006)
    assert (found.seeds, found.samples, found.level) == (1, 400, 0.95)


def test_a_constant_lead_of_each_seed_leaves_the_seeds_variance():
    """Every sample of a seed has the same difference: the interval is the normal one of a mean over seeds."""
    leads = [0.1, 0.2, 0.3, 0.15, 0.25, 0.05]
    ours, theirs = [scores([lead] * 50) for lead in leads], [scores([0] * 50) for _ in leads]
    found = paired_bootstrap(ours, theirs)
    half = norm.ppf(0.975) * np.std(leads, ddof=1) / np.sqrt(len(leads))
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=0.01)


def test_equal_seeds_are_not_independent_samples(draw):
    """Three seeds with the same answers know no more than one: seeds share the samples that are drawn."""
    ours, theirs = draw(0.7), draw(0.6)
    one, three = paired_bootstrap([ours], [theirs]), paired_bootstrap([ours] * 3, [theirs] * 3)
    assert three.high - three.low == pytest.approx(one.high - one.low, rel=0.01)


def test_a_model_against_itself_differs_by_nothing(draw):
    one = draw(0.5)
    found = paired_bootstrap([one], [one])
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_equal_input_gives_an_equal_interval_however_it_is_cut(draw, monkeypatch):
    ours, theirs = [draw(0.7), draw(0.6)], [draw(0.6), draw(0.6)]
    whole = paired_bootstrap(ours, theirs)
    assert paired_bootstrap(ours, theirs) == whole
    monkeypatch.setattr("scd_lightning.analysis.bootstrap._CELLS", 400 * 300)
    cut = paired_bootstrap(*([scores(each.hits) for each in models] for models in (ours, theirs)))
    assert (cut.low, cut.high) == pytest.approx((whole.low, whole.high), abs=0.01)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [([[1, 0]], [[1, 0, 1]]), ([[1]], [[1], [0]]), ([[]], [[]]), ([], [])],
    ids=["samples", "seeds", "empty", "nothing"],
)
def test_scores_that_do_not_pair_are_refused(ours, theirs):
    with pytest.raises(ValueError, match="same seeds and S > 0 samples"):
        paired_bootstrap([scores(each) for each in ours], [scores(each) for each in theirs])
