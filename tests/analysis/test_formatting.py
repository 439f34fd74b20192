import pytest

from scd_lightning.analysis.formatting import count, duration, mean_count, number, share, signed, size


@pytest.mark.parametrize("format_value", [number, signed, share, count, mean_count, duration, size])
@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_what_is_no_number_is_a_dash(format_value, value):
    assert format_value(value) == "–"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (number(-0.00001), "-1.0e-05"),
        (number(0.0005), "0.001"),
        (signed(0.25), "+0.250"),
        (signed(-0.25), "-0.250"),
        (signed(0.0), "0.000"),
        (share(0.125), "12.5 %"),
        (count(1234567), "1,234,567"),
        (mean_count(191.0), "191"),
        (mean_count(20.0), "20"),
        (mean_count(1190.5), "1,190.5"),
        (duration(59.96), "60.0 s"),
        (duration(3599.7), "1 h 0 min"),
        (size(1023), "1023 B"),
        (size(2**50), "1024.0 TiB"),
    ],
)
def test_formats(text, expected):
    assert text == expected
