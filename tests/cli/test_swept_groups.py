"""Settings that come with an option of a group, in a sweep over the group."""

import pytest

from scd_lightning.cli.swept_groups import fit_to_options
from scd_lightning.errors import ConfigError
from tests.conftest import ROOT

CONF = ROOT / "conf"


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        # The default method has no weight, the default objective no share, the default teacher a path.
        ("-m method=td,scd method.weighting.weight=0.9 seed=0,1", "method.weighting.weight=0.9"),
        ("objective=skew_kl,skew_reverse_kl objective.divergence.alpha=0.3 -m", "objective.divergence.alpha=0.3"),
        ("-m student=smollm2,qwen3 student.lora.r=4", None),
        ("-m objective=glob(skew*) objective.divergence.alpha=0.2,0.3", None),
        ("-m method=td,scd seed=0,1", None),
        # Not a sweep, no group, nothing that is known: what Hydra makes of it is right.
        ("method=td method.weighting.weight=0.9", None),
        ("-m seed=0,1 budget.stages=2", None),
        ("-m method=td,scd method.wieght=1", None),
        ("-m method=[", None),
    ],
)
def test_a_setting_that_each_option_has_is_given_to_each(line, changed):
    arguments = line.split()
    wanted = [f"++{each}" if each == changed else each for each in arguments]
    assert fit_to_options(arguments, CONF) == wanted


@pytest.mark.parametrize(
    ("line", "lacking", "having"),
    [
        ("-m method=sft,td,scd_aw method.weighting.weight=0.9", "method=sft, method=scd_aw", "method=td"),
        ("-m task=ner,qa,banking77 task.format=choice,auto", "task=ner, task=banking77", "task=qa"),
    ],
)
def test_an_option_that_lacks_a_setting_is_named_before_any_job(line, lacking, having):
    with pytest.raises(ConfigError) as caught:
        fit_to_options(line.split(), CONF)
    assert f"Got: none of {lacking}. " in str(caught.value)
    assert f"a sweep over {having} alone" in str(caught.value)


def test_options_of_ones_own_folder_are_asked_too(tmp_path):
    (tmp_path / "method").mkdir()
    text = "defaults: [/shared/method@_here_, _self_]\nname: {}\nown: {{share: 0.5}}\n"
    for name in ("first", "second"):
        (tmp_path / "method" / f"{name}.yaml").write_text(text.format(name))
    line = ["--config-dir", str(tmp_path), "-m", "method=first,second", "method.own.share=0.1"]
    assert fit_to_options(line, CONF) == [*line[:-1], "++method.own.share=0.1"]


def test_a_sweep_over_methods_with_a_setting_of_theirs(run_py, tmp_path):
    # Refused by each job, and by none of Hydra's checks.
    line = ("-m", "hydra.sweep.dir=sweep", "method=td,scd", "method.weighting.weight=0.9", "seed=-1")
    code, out, error = run_py(*line)
    assert code == 2
    assert error.count("The seed can't be used") == 2
    assert [each for each in out.splitlines() if each.startswith("job ")] == ["job 0: method=td", "job 1: method=scd"]
    code, _, error = run_py(*line[:2], "method=td,sft", *line[3:])
    assert code == 2
    assert error.startswith("ConfigError: Not all options of the sweep have the setting method.weighting.weight. ")
    assert error.count("\n") == 1
