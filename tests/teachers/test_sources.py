"""Live and cached teachers answer alike; what is computed once stays so, and what is damaged is made anew."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from scd_lightning.batch import Batch
from scd_lightning.errors import StoreError
from scd_lightning.losses.weighting import AdaptiveWeight
from scd_lightning.teachers import signal_files
from scd_lightning.teachers.cached import CachedSource
from scd_lightning.teachers.live import LiveSource
from scd_lightning.teachers.signals import SignalStore
from scd_lightning.training.distillation import Distillation

CPU = torch.device("cpu")


def cached(made, samples, precision="32-true"):
    return CachedSource(made.store, SignalStore(made.root, precision), samples, made.live, CPU)


def other_batches(helpers):
    """The training order knows nothing of the order that signals were computed in."""
    return list(helpers.batches([7, 3, 10, 0, 5, 5, 1, 2, 9, 4, 8, 6], size=3))


def manifests(root):
    return sorted(path.parent.name for path in root.glob("*/manifest.json"))


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4), (torch.bfloat16, 0.1)])
def test_live_and_cached_answer_alike(helpers, make_teacher, dtype, tolerance, lora):
    made = make_teacher(dtype, lora=lora)
    live, source = made.live(), cached(made, helpers.sample_set())
    for checkpoint in (0, 2, 1):
        live.load(checkpoint)
        source.load(checkpoint)
        source.release()
        torch.testing.assert_close(source.head.weight, live.head.weight, rtol=0, atol=0)
        for batch in other_batches(helpers):
            hidden, logits = live.hidden(batch), live.outputs(batch).logits()
            assert source.hidden(batch).dtype == hidden.dtype == dtype
            torch.testing.assert_close(source.hidden(batch), hidden, rtol=tolerance, atol=tolerance)
            torch.testing.assert_close(source.outputs(batch).logits(), logits, rtol=tolerance, atol=10 * tolerance)
            losses = source.losses(batch, source.outputs(batch))
            torch.testing.assert_close(
                losses, live.losses(batch, live.outputs(batch)), rtol=tolerance, atol=10 * tolerance
            )


def test_they_are_the_checkpoints_own_answers(helpers, make_teacher):
    made = make_teacher(torch.float64)
    source = cached(made, helpers.sample_set())
    source.load(1)
    model = helpers.make_model(torch.float64, seed=9).eval()
    made.store.load_into(model, 1)
    for batch in helpers.batches(range(11)):
        for row, index in enumerate(batch.index.tolist()):
            sample = helpers.samples()[index]
            ids = torch.tensor([sample.prompt_ids + sample.completion_ids])
            with torch.no_grad():
                logits = model.base(input_ids=ids, use_cache=False).logits[0, len(sample.prompt_ids) - 1 : -1, :50]
            expected = cross_entropy(logits, torch.tensor(sample.completion_ids))
            torch.testing.assert_close(
                source.outputs(batch).logits()[batch.rows == row], logits, rtol=1e-10, atol=1e-10
            )
            torch.testing.assert_close(source.losses(batch, source.outputs(batch))[row], expected, rtol=1e-10, atol=0)


def test_bfloat16_comes_back_bit_by_bit(helpers, make_teacher):
    made = make_teacher(torch.bfloat16)
    live, source = made.live(), cached(made, helpers.sample_set())
    live.load(0)
    source.load(0)
    for batch in helpers.batches(range(11)):  # As they were computed: equal batches round alike.
        assert torch.equal(source.hidden(batch), live.hidden(batch))
        assert torch.equal(source.losses(batch, live.outputs(batch)), live.losses(batch, live.outputs(batch)))
    assert np.load(next(made.root.glob("*/hidden.npy"))).dtype == np.int16
    assert np.load(next(made.root.glob("*/losses.npy"))).dtype == np.float32


def test_mixed_precision_losses_are_those_of_a_training_step(helpers, make_teacher):
    def autocast():
        return torch.autocast("cpu", torch.bfloat16)

    made = make_teacher(context=autocast)
    live, source = made.live(), cached(made, helpers.sample_set(), "bf16-mixed")
    live.load(2)
    source.load(2)
    for batch in helpers.batches(range(11)):
        with autocast():
            logits = live.outputs(batch).logits()
            assert logits.dtype == torch.bfloat16
            assert torch.equal(source.outputs(batch).logits(), logits)
            assert torch.equal(source.losses(batch, source.outputs(batch)), live.losses(batch, live.outputs(batch)))


def test_padding_rows_overwrite_nothing(helpers, make_teacher, monkeypatch):
    made = make_teacher(torch.float64)
    plain = cached(made, helpers.sample_set())
    plain.load(0)
    (folder,) = made.root.glob("signals-*/")
    expected = {name: np.load(folder / f"{name}.npy") for name in ("hidden", "losses")}
    assert not any((array == 0).all(axis=-1).any() for array in (expected["hidden"], expected["losses"]))
    poisoned = replace(helpers.sample_set(), digest="poisoned", batches=lambda: map(poison, helpers.batches(range(11))))
    other = cached(made, poisoned)
    other.load(0)
    found = other.signals.folder(made.store.digest(0), poisoned)
    np.testing.assert_array_equal(np.load(found / "hidden.npy"), expected["hidden"])
    np.testing.assert_array_equal(np.load(found / "losses.npy"), expected["losses"])


def poison(batch):
    """Gives rows of weight 0 other tokens."""
    ids = batch.input_ids.clone()
    ids[batch.sample_weight == 0] = 7
    return replace(batch, input_ids=ids)


def test_counts_are_of_real_samples_and_of_real_work(helpers, make_teacher):
    made = make_teacher()
    source = cached(made, helpers.sample_set())
    source.load(0)
    assert (source.counts.loads, source.counts.forward_samples) == (1, 11)
    list(map(source.outputs, helpers.batches(range(11))))
    source.load(0)
    assert (source.counts.loads, source.counts.forward_samples) == (1, 11)
    source.load(1)
    assert (source.counts.loads, source.counts.forward_samples) == (2, 22)
    live = made.live()
    live.load(0)
    for batch in helpers.batches(range(11)):
        live.outputs(batch).logits()
    assert (live.counts.loads, live.counts.forward_samples) == (1, 11)
    size = sum(parameter.nbytes for parameter in live.model.parameters())
    assert (live.counts.loaded_bytes, source.counts.loaded_bytes) == (size, 2 * size)
    assert live.counts.load_seconds > 0


def test_another_source_reuses_what_is_there(helpers, make_teacher):
    made = make_teacher()
    cached(made, helpers.sample_set()).load(0)

    def no_teacher():
        raise AssertionError("a teacher was made")

    source = CachedSource(made.store, SignalStore(made.root, "32-true"), helpers.sample_set(), no_teacher, CPU)
    source.load(0)
    assert source.counts.forward_samples == 0


def test_the_teacher_is_let_go_of(helpers, make_teacher):
    source = cached(make_teacher(), helpers.sample_set())
    source.load(0)
    source.load(1)
    live = source._live
    source.release()
    assert live is not None
    assert source._live is None
    source.outputs(next(iter(helpers.batches([3]))))


def test_asking_before_loading_is_a_defect(helpers, make_teacher):
    with pytest.raises(RuntimeError, match="load a checkpoint"):
        cached(make_teacher(), helpers.sample_set()).outputs(next(iter(helpers.batches([0]))))


def test_a_part_of_the_samples_has_signals_of_its_own(helpers, make_teacher):
    made = make_teacher(torch.float64)
    live, source = made.live(), cached(made, helpers.sample_set([8, 2, 5]))
    live.load(1)
    source.load(1)
    batch = next(iter(helpers.batches([2, 5, 8], size=3)))
    torch.testing.assert_close(source.hidden(batch), live.hidden(batch), rtol=1e-12, atol=1e-12)
    with pytest.raises(KeyError):
        source.hidden(next(iter(helpers.batches([0]))))


# On the disk


def test_a_frozen_head_is_stored_once(helpers, make_teacher):
    made = make_teacher(lora=True)
    source = cached(made, helpers.sample_set())
    for checkpoint in range(3):
        source.load(checkpoint)
    assert len(list(made.root.glob("head-*.safetensors"))) == 1
    assert len(manifests(made.root)) == 3


def test_a_trained_head_is_stored_for_each_checkpoint(helpers, make_teacher):
    made = make_teacher()
    source = cached(made, helpers.sample_set())
    for checkpoint in range(3):
        source.load(checkpoint)
    assert len(list(made.root.glob("head-*.safetensors"))) == 3


def test_what_changes_signals_changes_their_folder(helpers, make_teacher):
    made = make_teacher()
    for checkpoint in (0, 1):
        cached(made, helpers.sample_set()).load(checkpoint)
    cached(made, helpers.sample_set(), "bf16-mixed").load(0)
    cached(made, helpers.sample_set([1, 2])).load(0)
    assert len(manifests(made.root)) == 4
    cached(made, replace(helpers.sample_set(), name="another name")).load(0)
    assert len(manifests(made.root)) == 4


@pytest.mark.parametrize("file", ["hidden.npy", "losses.npy", "head"])
@pytest.mark.parametrize("damage", ["truncated", "emptied", "removed", "another length", "another end"])
def test_damaged_files_are_made_anew(helpers, make_teacher, file, damage):
    made = make_teacher()
    source = cached(made, helpers.sample_set())
    source.load(0)
    batch = other_batches(helpers)[0]
    hidden, losses = source.hidden(batch).clone(), source.losses(batch, source.outputs(batch)).clone()
    (path,) = made.root.glob("head-*") if file == "head" else made.root.glob(f"*/{file}")
    if damage == "removed":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-64])
    elif damage == "emptied":
        path.write_bytes(b"")
    else:  # A bit of what the header says of the length, or of its own end, in a file of the right size.
        content = bytearray(path.read_bytes())
        places = {"another length": (0, b"(", 1), "another end": (7, b"}", 0)}[damage]
        content[places[0] if file == "head" else content.index(places[1]) + places[2]] ^= 1
        path.write_bytes(content)
    again = cached(made, helpers.sample_set())
    again.load(0)
    assert again.counts.forward_samples == 11
    assert torch.equal(again.hidden(batch), hidden)
    assert torch.equal(again.losses(batch, again.outputs(batch)), losses)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"head": 3, "shapes": {}}', '{"head": "none", "shapes": [1]}'])
def test_a_damaged_manifest_is_made_anew(helpers, make_teacher, content):
    made = make_teacher()
    cached(made, helpers.sample_set()).load(0)
    (path,) = made.root.glob("*/manifest.json")
    before = path.read_text()
    path.write_text(content)
    source = cached(made, helpers.sample_set())
    source.load(0)
    assert source.counts.forward_samples == 11
    assert path.read_text() == before


def test_an_interrupted_pass_leaves_nothing_complete(helpers, make_teacher):
    made = make_teacher()

    def interrupted():
        for i, batch in enumerate(helpers.batches(range(11))):
            if i == 3:
                raise KeyboardInterrupt
            yield batch

    with pytest.raises(KeyboardInterrupt):
        cached(made, replace(helpers.sample_set(), batches=interrupted)).load(0)
    assert manifests(made.root) == []
    source = cached(made, helpers.sample_set())
    source.load(0)
    assert source.counts.forward_samples == 11


def test_the_manifest_says_what_is_there(helpers, make_teacher):
    made = make_teacher(torch.bfloat16)
    cached(made, helpers.sample_set()).load(0)
    (path,) = made.root.glob("*/manifest.json")
    manifest = json.loads(path.read_text())
    assert manifest["dtype"] == "bfloat16"
    tokens = sum(len(sample.completion_ids) for sample in helpers.samples())
    assert np.load(path.parent / "hidden.npy").shape == (tokens, 16)
    assert set(manifest["bytes"]) == {"hidden.npy", "losses.npy", manifest["head"]}


def test_a_full_disk_is_said_at_the_beginning(helpers, make_teacher, monkeypatch):
    def full(descriptor, offset, length):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(signal_files.os, "posix_fallocate", full)
    with pytest.raises(StoreError, match=r"signals can't be written.*No space left.*method\.teacher=live"):
        cached(make_teacher(), helpers.sample_set()).load(0)


def test_batches_go_to_where_the_teacher_is(helpers, make_teacher, monkeypatch):
    devices = []

    def to(batch, device):
        devices.append(device)
        return batch

    monkeypatch.setattr(Batch, "to", to)
    made = make_teacher()
    cached(made, helpers.sample_set()).load(0)
    assert devices == [CPU] * 6


def test_a_batch_moves_as_a_whole(helpers):
    batch = next(iter(helpers.batches([1, 2])))
    moved = batch.to(torch.device("meta"))
    tensors = {name: value for name, value in vars(moved).items() if isinstance(value, torch.Tensor)}
    assert len(tensors) == 6
    assert all(value.device.type == "meta" for value in tensors.values())
    assert (moved.window_samples, moved.window_tokens, moved.size) == (2, 1, 2)


# In the student


@pytest.mark.parametrize("kind", ["live", "cached"])
def test_no_teacher_weight_enters_the_student(helpers, make_teacher, kind):
    made = make_teacher()
    source = made.live() if kind == "live" else cached(made, helpers.sample_set())
    source.load(0)
    student = helpers.make_model(seed=5)
    data = SimpleNamespace(task=SimpleNamespace(validation="teacher_forced"), samples={"validation": [None] * 3})
    module = Distillation(
        source,
        AdaptiveWeight(),
        torch.zeros(11),
        torch.zeros(3),
        model=student,
        spec=None,
        data=data,
        tokenizer=None,
        objective=None,
        stage_steps=1,
    )
    assert set(module.state_dict()) == {f"lm.{name}" for name in student.state_dict()}
    assert {id(p) for p in module.parameters()} == {id(p) for p in student.parameters()}
    module.train()
    if kind == "live":
        assert not source.model.training
        assert not any(parameter.requires_grad for parameter in source.model.parameters())
    for batch in other_batches(helpers):
        assert not source.outputs(batch).logits().requires_grad


def test_a_live_teacher_is_deterministic_and_frozen(helpers, make_teacher):
    made = make_teacher()
    live = made.live()
    assert isinstance(live, LiveSource)
    live.load(2)
    batch = other_batches(helpers)[0]
    assert torch.equal(live.outputs(batch).logits(), live.outputs(batch).logits())
    assert live.num_checkpoints == 3
    assert not live.head.weight.requires_grad
