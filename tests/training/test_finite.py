"""A watch over a training's numbers finds the first step that went wrong, and asks for none before."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from scd_lightning.training.finite import FiniteWatch, Trouble, explain

ASKING = ("item", "tolist", "cpu", "numpy", "nonzero", "__bool__", "__int__", "__float__", "__index__")
NAN, INF = float("nan"), float("inf")


def micro_batch(*indices, filler=()):
    every = (*indices, *filler)
    return SimpleNamespace(indices=every, real=tuple(index in indices for index in every))


def watched(steps):
    """A watch of steps, each {position: loss} in micro-batches and a norm."""
    watch = FiniteWatch()
    for number, (batches, norm) in enumerate(steps):
        for losses in batches:
            watch.add(micro_batch(*losses), torch.tensor(list(losses.values())))
        watch.close(number, None if norm is None else torch.tensor(norm))
    return watch


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], None),
        ([([{0: 1.0}], 2.0)], None),
        ([([{0: 1.0}], 2.0), ([{3: 1.0, 1: NAN}, {2: 1.0}], NAN), ([{0: NAN}], NAN)], Trouble(1, [1, 2, 3], [1])),
        ([([{0: 1.0}], INF)], Trouble(0, [0], [])),
        ([([{0: 1.0}], None), ([{1: INF, 2: 1.0}], None)], Trouble(1, [1, 2], [1])),
        ([([{0: 1.0}, {1: NAN}], None)], Trouble(0, [0, 1], [1])),
    ],
)
@pytest.mark.parametrize("shared", [True, False])
def test_the_first_step_that_is_not_finite(steps, expected, shared):
    watch = watched(steps)
    assert watch.pending == len(steps)
    assert watch.look(shared=shared) == expected
    assert watch.pending == 0
    assert watch.look(shared=shared) is None


def test_samples_that_only_fill_a_batch_are_none():
    watch = FiniteWatch()
    watch.add(micro_batch(4, filler=(7,)), torch.tensor([NAN, NAN]))
    watch.close(0, torch.tensor(NAN))
    assert watch.look(shared=True) == Trouble(0, [4], [4])


def test_watching_asks_for_no_value(monkeypatch):
    losses = torch.tensor([1.0, NAN])
    for name in ASKING:
        if hasattr(torch.Tensor, name):
            monkeypatch.setattr(torch.Tensor, name, lambda *_, name=name, **__: pytest.fail(f"asked by {name}"))
    watch = FiniteWatch()
    for step, norm in enumerate((None, losses[1])):
        watch.add(micro_batch(0, 1), losses)
        watch.close(step, norm)
    monkeypatch.undo()
    assert watch.look(shared=True) == Trouble(0, [0, 1], [1])


DATA: Any = SimpleNamespace(
    samples={
        "train": [SimpleNamespace(id=f"row-{i}", row=SimpleNamespace(where=f"train.jsonl:{i + 1}")) for i in range(20)]
    },
)


@pytest.mark.parametrize(
    ("trouble", "precision", "parts", "absent"),
    [
        (
            Trouble(6, [3, 4, 5], [4]),
            "32-true",
            ["optimizer step 7", "1 of its 3 samples: row-4 (train.jsonl:5).", "student.optimizer.lr", "these samples"],
            ["float16"],
        ),
        (
            Trouble(6, [3, 4], []),
            "16-mixed",
            ["The gradients are", "finite losses in all of its samples: row-3", "float16"],
            ["loss is"],
        ),
        (Trouble(2, list(range(12)), list(range(12))), "32-true", ["row-7", "and 4 more"], ["row-8", "these samples"]),
        (Trouble(0, [1], [1]), "bf16-mixed", ["no step was taken", "student.path"], ["optimizer.lr", "float16"]),
    ],
)
def test_the_message_names_samples_and_likely_causes(trouble, precision, parts, absent):
    text = str(
        explain(
            trouble,
            DATA,
            where="student_sft",
            role="student",
            setting="student.optimizer.lr",
            rate=0.1,
            precision=precision,
        )
    )
    for part in parts:
        assert part in text
    for part in absent:
        assert part not in text
