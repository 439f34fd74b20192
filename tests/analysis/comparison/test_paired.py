from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import norm, ttest_1samp

from scd_lightning.analysis.comparison.paired import paired_interval
from scd_lightning.analysis.statistics import Statistic, sample_score


def scores(hits) -> Statistic:
    return sample_score([{"correct": hit} for hit in hits])


@pytest.fixture
def draw():
    generator = np.random.default_rng(3)
    return lambda share, samples=400: scores(generator.random(samples) < share)


def test_one_seed_has_the_width_that_theory_gives(draw):
    ours, theirs = draw(0.7), draw(0.6)
    found = paired_interval([ours], [theirs], ["test"])
    difference = ours.columns[:, 0] - theirs.columns[:, 0]
    half = norm.ppf(0.975) * difference.std() / np.sqrt(len(difference))
    assert found.value == pytest.approx(difference.mean())
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=0.006)
    assert (found.seeds, found.samples, found.level, found.by_seed) == (1, 400, 0.95, [found.value])


def test_draws_of_data_have_the_t_interval_of_their_differences(draw):
    ours, theirs = [draw(0.7) for _ in range(3)], [draw(0.6) for _ in range(3)]
    found = paired_interval(ours, theirs, [10, 11, 12])
    by_seed = [a.value - b.value for a, b in zip(ours, theirs, strict=True)]
    expected = ttest_1samp(by_seed, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.value, found.by_seed) == (pytest.approx(np.mean(by_seed)), by_seed)
    assert (found.seeds, found.samples) == (3, 1200)


def test_samples_that_seeds_share_widen_it(draw):
    """The samples on which a method is lucky are lucky for all its seeds: their spread does not show it."""
    ours, theirs = draw(0.7), draw(0.6)
    one = paired_interval([ours], [theirs], ["test"])
    three = paired_interval([ours] * 3, [theirs] * 3, ["test"] * 3)
    assert three.high - three.low == pytest.approx(one.high - one.low, rel=0.05)
    assert three.samples == 400


def test_a_constant_difference_of_each_seed_leaves_their_spread_alone():
    leads = [0.1, 0.2, 0.3, 0.15]
    ours, theirs = [scores([lead] * 50) for lead in leads], [scores([0] * 50) for _ in leads]
    found = paired_interval(ours, theirs, ["test"] * 4)
    expected = ttest_1samp(leads, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-6)


@dataclass(frozen=True)
class Normal:
    """Scores whose resampled means are drawn as the bootstrap's are, but from the exact normal law, which is fast."""

    hits: np.ndarray
    draws: np.ndarray

    @property
    def value(self) -> float:
        return float(self.hits.mean())

    @property
    def samples(self) -> int:
        return len(self.hits)

    @property
    def resampled(self) -> np.ndarray:
        centred = self.hits - self.hits.mean()
        return self.value + self.draws @ centred / len(self.hits)


@pytest.mark.parametrize("seeds", [2, 3, 8])
@pytest.mark.parametrize(
    ("of_seed", "of_sample", "of_both"), [(0.03, 0.0, 0.3), (0.0, 0.5, 0.1), (0.02, 0.4, 0.3)], ids=str
)
@pytest.mark.parametrize("shared", [True, False])
def test_it_covers_the_truth_as_often_as_it_says(seeds, of_seed, of_sample, of_both, shared):
    """Differences of known means: mu + a seed's part + a sample's part, the same for all seeds where they share it."""
    generator, samples, trials, truth = np.random.default_rng(seeds), 120, 600, 0.1
    draws = generator.normal(size=(300, samples))
    none = Normal(np.zeros(samples), draws)
    covered = 0
    for _ in range(trials):
        luck = generator.normal(0, of_sample, (1 if shared else seeds, samples))
        own = generator.normal(0, of_seed, (seeds, 1)) + generator.normal(0, of_both, (seeds, samples))
        ours = [Normal(hits, draws) for hits in truth + luck + own]
        found = paired_interval(ours, [none] * seeds, [0] * seeds if shared else range(seeds))
        covered += found.low <= truth <= found.high
    # Three standard errors below 95 %; two uncertain parts together may cover more than one alone, never less.
    assert 0.923 <= covered / trials <= (0.995 if shared else 0.977)


def test_a_model_against_itself_differs_by_nothing(draw):
    one = draw(0.5)
    for seeds in (1, 3):
        found = paired_interval([one] * seeds, [one] * seeds, ["test"] * seeds)
        assert (found.value, found.low, found.high) == (0, 0, 0)


def test_equal_input_gives_an_equal_interval_however_it_is_cut(draw, monkeypatch):
    ours, theirs = [draw(0.7), draw(0.6)], [draw(0.6), draw(0.6)]
    whole = paired_interval(ours, theirs, [0, 0])
    assert paired_interval(ours, theirs, [0, 0]) == whole
    monkeypatch.setattr("scd_lightning.analysis.bootstrap._CELLS", 400 * 300)
    first, second = ([scores(each.columns[:, 0]) for each in models] for models in (ours, theirs))
    cut = paired_interval(first, second, [0, 0])
    assert (cut.low, cut.high) == pytest.approx((whole.low, whole.high), abs=0.01)


@pytest.mark.parametrize(
    ("ours", "theirs", "tests"),
    [([[1, 0]], [[1, 0, 1]], [0]), ([[1]], [[1], [0]], [0]), ([[]], [[]], [0]), ([], [], []), ([[1]], [[1]], [0, 1])],
    ids=["samples", "seeds", "empty", "nothing", "tests"],
)
def test_scores_that_do_not_pair_are_refused(ours, theirs, tests):
    with pytest.raises(ValueError, match="same seeds and S > 0 samples"):
        paired_interval([scores(each) for each in ours], [scores(each) for each in theirs], tests)
