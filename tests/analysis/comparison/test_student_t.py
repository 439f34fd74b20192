import pytest
from scipy.stats import t

from scd_lightning.analysis.comparison.student_t import two_sided_quantile


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 8, 9, 30, 101])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_quantiles_are_scipys(level, freedom):
    assert two_sided_quantile(level, freedom) == pytest.approx(t.ppf((1 + level) / 2, freedom), rel=1e-9)


@pytest.mark.parametrize(("level", "freedom"), [(0.0, 2), (1.0, 2), (0.95, 0)])
def test_what_has_no_quantile_is_refused(level, freedom):
    with pytest.raises(ValueError, match="level must be in"):
        two_sided_quantile(level, freedom)
