"""What stands for the losses where no framework is: the same settings, and the same refusals."""

import inspect

import pytest
import torch

from scd_lightning.errors import ConfigError
from scd_lightning.loggers.wandb import WandbLogger
from scd_lightning.loggers.wandb_switches import Switches
from scd_lightning.losses import divergences, objective, outlines, weighting

DIVERGENCES = [name for name in vars(outlines) if inspect.isfunction(getattr(divergences, name, None))]
PAIRS = [(getattr(divergences, name), getattr(outlines, name)) for name in DIVERGENCES if not name.startswith("check")]
PAIRS += [(objective.Objective, outlines.Objective), (WandbLogger, Switches)]
PAIRS += [(getattr(weighting, name), getattr(outlines, name)) for name in ("ConstantWeight", "AdaptiveWeight")]


def settings(call):
    """Names, defaults and annotations of its parameters, tensors apart."""
    found = [each for each in inspect.signature(call).parameters.values() if not each.name.endswith("_logits")]
    return [(each.name, each.default, each.kind is each.KEYWORD_ONLY) for each in found]


def test_each_divergence_has_an_outline():
    own = {name for name, value in vars(divergences).items() if inspect.isfunction(value) and name[0] != "_"}
    assert own == set(DIVERGENCES)
    assert len(PAIRS) == 10


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].__name__)
def test_an_outline_has_the_same_settings(pair):
    assert settings(pair[0]) == settings(pair[1])


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("forward_kl", {"temperature": 0.0}),
        ("total_variation", {"temperature": float("inf")}),
        ("jensen_shannon", {"beta": 1.0}),
        ("skew_kl", {"alpha": 0.0}),
        ("skew_reverse_kl", {"alpha": 2.0, "temperature": 2.0}),
    ],
)
def test_an_outline_refuses_the_same(name, given):
    told = []
    for call in (getattr(outlines, name), lambda **it: getattr(divergences, name)(*[torch.zeros(1, 2)] * 2, **it)):
        with pytest.raises(ConfigError) as caught:
            call(**given)
        told.append(str(caught.value))
    assert told[0] == told[1]
