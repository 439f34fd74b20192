"""Settings that come with an option of a group, in a sweep over the group."""

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl

from scd_lightning.cli.swept_groups import fit_to_options
from scd_lightning.errors import ConfigError
from tests.conftest import ROOT

CONF = ROOT / "conf"


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        # The default method has no weight; the default student has adapters.
        ("method=td,scd method.weighting.weight=0.9 seed=0,1 -m", "method.weighting.weight=0.9"),
        ("-m student=smollm2,qwen3 student.lora.r=4", None),
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


def test_an_option_that_lacks_a_setting_is_named_before_any_job():
    with pytest.raises(ConfigError) as caught:
        fit_to_options(
            ["-m", "objective=skew_kl,skew_reverse_kl,forward_kl", "objective.divergence.alpha=0.2,0.3"], CONF
        )
    assert "Got: none of objective=forward_kl. " in str(caught.value)
    assert "a sweep over objective=skew_kl, objective=skew_reverse_kl alone" in str(caught.value)


def test_options_of_ones_own_folder_are_asked_too(tmp_path):
    (tmp_path / "method").mkdir()
    text = "defaults: [/shared/method@_here_, _self_]\nname: {}\nown: {{share: 0.5}}\n"
    for name in ("first", "second"):
        (tmp_path / "method" / f"{name}.yaml").write_text(text.format(name))
    line = ["--config-dir", str(tmp_path), "-m", "method=first,second", "method.own.share=0.1"]
    assert fit_to_options(line, CONF) == [*line[:-1], "++method.own.share=0.1"]


def test_such_a_sweep_ends_at_once(run_py):
    code, out, error = run_py("-m", "method=td,sft", "method.weighting.weight=0.9", "hydra.sweep.dir=sweep")
    assert code == 2
    assert error.startswith("ConfigError: Not all options of the sweep have the setting method.weighting.weight. ")
    assert error.count("\n") == 1
    assert not out


def test_each_option_is_composed_once(monkeypatch):
    composed, load = [], ConfigLoaderImpl.load_configuration

    def counted(self, *arguments, **named):
        composed.append(named)
        return load(self, *arguments, **named)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", counted)
    line = ["-m", "method=td,scd", "method.weighting.weight=0.9"]
    fit_to_options(line, CONF)
    once = len(composed)
    fit_to_options([*line, "seed=0,1,2", "task=classification", "budget.stages=2"], CONF)
    assert 0 < len(composed) - once <= once
