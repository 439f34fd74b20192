import json
import re
from pathlib import Path

import pytest

from scd_lightning.analysis import pages
from scd_lightning.analysis.pages import script_json

BASE = (Path(pages.__file__).parent / "templates" / "base.html.j2").read_text(encoding="utf-8")


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_colour_of_text_stands_out_from_page_and_panel(theme):
    block = BASE.split(f"{{% set {theme} %}}")[1].split("{% endset %}")[0]
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
    assert {"ink", "soft", "teacher", "anchor", "student", "good", "extra", "missed"} <= set(colours)
    for name in set(colours) - {"page", "panel", "grid"}:
        for behind in ("page", "panel"):
            high, low = sorted((luminance(colours[name]), luminance(colours[behind])), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 4.5, (theme, name, behind)


def test_json_in_a_script_ends_nothing_and_reads_back():
    value = {"text": "</script><!-- & \u2028\u2029 \ud800 日本", "number": [1, None]}
    text = script_json(value)
    assert not set("<&\u2028\u2029\ud800") & set(text)
    assert json.loads(text) == value
    text.encode("utf-8")
