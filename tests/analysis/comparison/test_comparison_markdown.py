from scd_lightning.analysis.comparison.compare import compare
from scd_lightning.analysis.comparison.comparison_markdown import markdown_table


def test_table_has_every_draw_both_differences_and_the_verdict(make_answered):
    runs = [
        make_answered(f"{method}-{draw}", right, anchor=60, draw=draw, seed=draw, method=method)
        for method, rights in (("sft", (60, 60)), ("scd_aw", (64, 66)))
        for draw, right in zip((10, 11), rights, strict=True)
    ]
    text = markdown_table(compare(runs).settings[0])
    lines = text.splitlines()
    assert lines[:4] == [
        "| method | accuracy, test | draw 10 | draw 11 | against fine-tuning | against teacher |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| sft | 0.600 ±0.000 | 0.600 | 0.600 | – | +0.100 (+0.100 to +0.100) |",
        "| scd\\_aw | 0.650 ±0.014 | 0.640 | 0.660 | +0.050 (-0.077 to +0.177) | +0.150 (+0.023 to +0.277) |",
    ]
    assert lines[5].startswith("Shared by all methods: teacher 0.500 ±0.000 (draws 10: 0.500, 11: 0.500), anchor 0.600")
    assert lines[7] == "accuracy on the test split, 2 draws:"
    assert lines[-1].startswith(
        "- scd\\_aw (best on validation) is higher than plain fine-tuning by 0.050, 2 of 2 draws"
    )
    assert text.endswith(".\n")


def test_a_seed_that_a_method_lacks_is_an_empty_cell(make_run):
    runs = [make_run("a", method="td", seed=0), make_run("b", method="a|b", seed=1)]
    lines = markdown_table(compare(runs).settings[0]).splitlines()
    assert lines[2] == "| td | 0.842 | 0.842 |  | +0.087 | +0.021 |"
    assert lines[3] == "| a\\|b | 0.842 |  | 0.842 | +0.087 | +0.021 |"
