"""Signals stored in another dtype, and heads that no step casts."""

import json
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import torch

from scd_lightning.lm_head import Unprojected
from scd_lightning.losses.divergences import forward_kl, reverse_kl
from scd_lightning.losses.logits import autocast_dtype
from scd_lightning.losses.objective import Objective
from scd_lightning.teachers.cached import CachedSource
from scd_lightning.teachers.signals import SignalStore, stored_dtype

CPU = torch.device("cpu")


def autocast():
    return torch.autocast("cpu", torch.bfloat16)


def cached(made, samples, dtype="auto", context=nullcontext):
    source = CachedSource(made.store, SignalStore(made.root, "32-true", dtype=dtype), samples, made.live, CPU, context)
    source.load(1)
    source.release()
    return source


def answers(helpers, source):
    """Hidden states and losses of all samples, in an order of training."""
    batches = list(helpers.batches([7, 3, 10, 0, 5, 1, 2, 9, 4, 8, 6], size=3))
    hidden = torch.cat([source.hidden(batch) for batch in batches])
    return hidden, torch.cat([source.losses(batch, source.outputs(batch)) for batch in batches])


def files(made, source, samples):
    folder = source.signals.folder(made.store.digest(1), samples)
    return folder, json.loads((folder / "manifest.json").read_text())


def test_bfloat16_signals_are_the_exact_ones_rounded_once(helpers, make_teacher):
    made, samples = make_teacher(), helpers.sample_set()
    exact, rounded = cached(made, samples), cached(made, samples, "bfloat16")
    (hidden, losses), (found, found_losses) = answers(helpers, exact), answers(helpers, rounded)
    assert found.dtype == hidden.dtype == torch.float32
    assert not torch.equal(found, hidden)
    # Round to nearest, ties to even, by integer arithmetic on the bits.
    bits = hidden.numpy().view(np.uint32).astype(np.uint64)
    expected = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32)
    assert np.array_equal(found.numpy().view(np.uint32), expected)
    # What a loss says of the teacher is said of the teacher, not of its rounded hidden states.
    assert torch.equal(found_losses, losses)
    assert torch.equal(rounded.head.weight, exact.head.weight)


def test_bfloat16_signals_take_half_the_space(helpers, make_teacher):
    made, samples = make_teacher(), helpers.sample_set()
    arrays = []
    for dtype in ("auto", "bfloat16"):
        folder, manifest = files(made, cached(made, samples, dtype), samples)
        arrays.append(np.load(folder / "hidden.npy"))
        assert (manifest["dtype"], manifest["stored"]) == ("float32", "float32" if dtype == "auto" else dtype)
    assert arrays[0].nbytes == 2 * arrays[1].nbytes
    assert len(list(made.root.glob("signals-*/manifest.json"))) == 2
    assert len(list(made.root.glob("head-*"))) == 1


@pytest.mark.parametrize("teacher", [torch.bfloat16, torch.float64])
def test_float32_signals_come_back_in_the_teachers_dtype(helpers, make_teacher, teacher):
    made, samples = make_teacher(teacher), helpers.sample_set()
    exact, found = (answers(helpers, cached(made, samples, dtype))[0] for dtype in ("auto", "float32"))
    assert found.dtype == teacher
    assert torch.equal(found, exact.float().to(teacher))


@pytest.mark.parametrize(
    ("choice", "expected"), [("auto", "float64"), ("float32", "float32"), ("bfloat16", "bfloat16")]
)
def test_the_choice_of_a_dtype(choice, expected):
    assert stored_dtype(choice, torch.float64) == getattr(torch, expected)


def test_under_bfloat16_arithmetic_half_the_space_costs_nothing(helpers, make_teacher):
    made, samples = make_teacher(context=autocast), helpers.sample_set()
    exact, rounded = (cached(made, samples, dtype, autocast) for dtype in ("auto", "bfloat16"))
    for batch in helpers.batches(range(11)):
        assert torch.equal(exact.outputs(batch).logits(), rounded.outputs(batch).logits())


# Heads


@pytest.mark.parametrize("kind", ["live", "cached"])
@pytest.mark.parametrize("divergence", [forward_kl, partial(reverse_kl)])
def test_a_head_cast_before_changes_no_bit(helpers, make_teacher, kind, divergence):
    made, samples = make_teacher(context=autocast), helpers.sample_set()
    plain = made.live()
    plain.load(1)
    source = made.live() if kind == "live" else cached(made, samples, context=autocast)
    source.load(1)
    student = helpers.make_model(seed=5)
    student.eval()
    for batch in helpers.batches(range(11)):
        results = []
        # As it was: the teacher's float32 weights and hidden states, cast by the objective.
        for teacher in (Unprojected(plain.hidden(batch), plain.own_head), source.outputs(batch)):
            student.zero_grad()
            with autocast():
                result = Objective(divergence, 2.0)(
                    student.outputs(batch),
                    batch.targets,
                    batch.rows,
                    batch.sample_weight,
                    window_samples=2,
                    window_tokens=9,
                    teacher=teacher,
                    weight=torch.tensor([0.3, 0.8]),
                )
            result.loss.backward()
            results.append((result.loss, *(p.grad.clone() for p in student.parameters() if p.grad is not None)))
        assert len(results[0]) > 5
        assert all(torch.equal(first, second) for first, second in zip(*results, strict=True))


@pytest.mark.parametrize("kind", ["live", "cached"])
def test_a_step_finds_the_head_in_its_own_dtype(helpers, make_teacher, kind):
    made, samples = make_teacher(context=autocast), helpers.sample_set()
    source = made.live() if kind == "live" else cached(made, samples, context=autocast)
    source.load(1)
    first = source.head.weight
    assert first.dtype == torch.bfloat16
    for batch in helpers.batches(range(11)):
        outputs = source.outputs(batch)
        with autocast():
            cast = outputs.to(autocast_dtype(outputs.hidden))
        assert cast.head.weight is first
    source.load(2)
    assert not torch.equal(source.head.weight, first)


def test_the_stored_head_is_the_teachers_own(helpers, make_teacher):
    made, samples = make_teacher(context=autocast), helpers.sample_set()
    source = cached(made, samples, context=autocast)
    live = made.live()
    live.load(1)
    assert live.own_head.weight.dtype == torch.float32
    assert source.signals.complete(files(made, source, samples)[0])
    uncast = cached(made, samples)
    assert torch.equal(uncast.head.weight, live.own_head.weight)


def test_a_float32_head_shares_the_models_memory(make_teacher):
    live = make_teacher().live()
    live.load(0)
    assert live.head.weight.data_ptr() == live.own_head.weight.data_ptr() == live.teacher.base.lm_head.weight.data_ptr()


# Space


@pytest.mark.parametrize("dtype", ["auto", "bfloat16"])
@pytest.mark.parametrize("teacher", [torch.float32, torch.bfloat16, torch.float64])
def test_missing_bytes_are_those_of_the_files(helpers, make_teacher, teacher, dtype):
    made, samples = make_teacher(teacher), helpers.sample_set()
    store, digest = SignalStore(made.root, "32-true", dtype=dtype), made.store.digest(1)
    missing = store.missing_bytes(digest, samples, 16, teacher)
    cached(made, samples, dtype)
    folder = store.folder(digest, samples)
    assert missing == sum(path.stat().st_size for path in folder.glob("*.npy"))
    assert store.missing_bytes(digest, samples, 16, teacher) == 0
    # As a killed run leaves it: its files are written over, so they take no further space.
    (folder / "manifest.json").unlink()
    (folder / "losses.npy").unlink()
    assert 0 < store.missing_bytes(digest, samples, 16, teacher) < 300
