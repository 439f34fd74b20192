"""The checkpoint store: what it keeps, what it refuses, and that nothing half-done is ever seen."""

import hashlib
import math
import resource
import shutil

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from scd_lightning.errors import StoreError
from scd_lightning.store import checkpoints, manifest
from scd_lightning.store.checkpoints import CheckpointStore, required_bytes
from scd_lightning.store.layout import ARTIFACT
from scd_lightning.store.making import make_folder


class Model(nn.Module):
    """Tied head, a frozen layer, a persistent and a passing buffer."""

    def __init__(self, seed=0, width=3, dtype=torch.float32):
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = nn.Embedding(5, width, dtype=dtype)
        self.middle = nn.Linear(width, width, bias=False, dtype=dtype)
        self.head = nn.Linear(width, 5, bias=False, dtype=dtype)
        self.head.weight = self.embedding.weight
        self.middle.weight.requires_grad_(False)
        self.register_buffer("scale", torch.randn(2, dtype=dtype))
        self.register_buffer("cache", torch.randn(2, dtype=dtype), persistent=False)


def snapshot(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def train(module):
    with torch.no_grad():
        module.embedding.weight.add_(1)
    return module


@pytest.fixture
def root(tmp_path):
    return make_folder(tmp_path / f"teacher-{'0' * 24}", ARTIFACT, tmp_path) / "trajectory"


@pytest.fixture
def filled(root):
    """Three checkpoints of one model, with their states."""
    model, states = Model(), []
    for step in (10, 20, 30):
        CheckpointStore(root).save(train(model), step, {"loss": 1 / step})
        states.append(snapshot(model))
    return CheckpointStore(root), states


def contents(root):
    return {path.name: path.read_bytes() for path in root.iterdir()}


def test_entries_tell_step_file_digest_and_metrics(filled, root):
    entries = filled[0].entries
    assert [(entry.index, entry.step, entry.file) for entry in entries] == [
        (0, 10, "checkpoint-10.safetensors"),
        (1, 20, "checkpoint-20.safetensors"),
        (2, 30, "checkpoint-30.safetensors"),
    ]
    for entry in entries:
        assert entry.sha256 == hashlib.sha256((root / entry.file).read_bytes()).hexdigest()
        assert entry.metrics == {"loss": 1 / entry.step}


def test_a_new_store_is_empty_and_makes_no_folder(root):
    empty = CheckpointStore(str(root))
    assert empty.entries == []
    assert not root.exists()
    for use in (empty.verify, lambda: empty.load_into(Model(), 0), lambda: empty.digest(0)):
        with pytest.raises(StoreError, match="^Checkpoints are missing. Where: "):
            use()


def test_frozen_tensors_are_stored_once_and_tied_ones_under_one_name(filled, root):
    assert {path.name for path in root.iterdir()} == {
        "manifest.json",
        "frozen.safetensors",
        *(f"checkpoint-{step}.safetensors" for step in (10, 20, 30)),
    }
    assert load_file(root / "checkpoint-20.safetensors").keys() == {"embedding.weight"}
    assert load_file(root / "frozen.safetensors").keys() == {"middle.weight", "scale"}


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize("frozen", [False, True])
def test_load_restores_every_tensor_in_place(filled, index, frozen):
    other = Model(seed=1).requires_grad_(not frozen)
    before = {name: (id(tensor), tensor.data_ptr()) for name, tensor in other.state_dict(keep_vars=True).items()}
    filled[0].load_into(other, index)
    for name, tensor in other.state_dict(keep_vars=True).items():
        assert torch.equal(tensor, filled[1][index][name])
        assert (id(tensor), tensor.data_ptr()) == before[name]
    assert other.head.weight is other.embedding.weight
    assert all(parameter.requires_grad != frozen for parameter in other.parameters())


def test_a_loaded_model_trains_without_touching_the_file(filled):
    model = Model(seed=1)
    filled[0].load_into(model, 0)
    train(model)
    filled[0].verify()


def test_adapters_only(root):
    model = Model()
    adapters = CheckpointStore(root)
    adapters.save(model, 1, {}, keep_frozen=False)
    assert {path.name for path in root.iterdir()} == {"manifest.json", "checkpoint-1.safetensors"}
    other = Model(seed=1)
    middle = other.middle.weight.clone()
    adapters.load_into(other, 0)
    assert torch.equal(other.embedding.weight, model.embedding.weight)
    assert torch.equal(other.middle.weight, middle)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_dtypes_survive(root, dtype):
    model, other = Model(dtype=dtype), Model(seed=1, dtype=dtype)
    CheckpointStore(root).save(model, 1, {})
    CheckpointStore(root).load_into(other, 0)
    assert torch.equal(other.embedding.weight, model.embedding.weight)


def test_annotate_adds_and_replaces(filled):
    filled[0].annotate(1, {"f1": 0.5, "loss": 0.25})
    assert filled[0].entries[1].metrics == {"loss": 0.25, "f1": 0.5}
    assert filled[0].entries[0].metrics == {"loss": 0.1}
    with pytest.raises(IndexError, match="checkpoint -1 does not exist"):
        filled[0].annotate(-1, {})


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_metric_must_be_finite(filled, root, value):
    before = contents(root)
    with pytest.raises(StoreError) as error:
        filled[0].save(Model(), 40, {"loss": value})
    assert str(error.value) == (
        f"A checkpoint's metric is not a finite number. Where: loss at step 40. Got: {value}. "
        "Remedy: the training has diverged: lower the learning rate."
    )
    with pytest.raises(StoreError, match="Where: f1 at step 20"):
        filled[0].annotate(1, {"f1": value})
    assert contents(root) == before


def test_other_trainable_names_are_refused(filled, root):
    before = contents(root)
    model = Model()
    model.middle.weight.requires_grad_(True)
    with pytest.raises(StoreError) as error:
        filled[0].save(model, 40, {})
    assert str(error.value) == (
        f"A checkpoint has other trainable tensors than the ones stored before it. Where: {root}. Got: middle.weight. "
        "Expected: the same names in every checkpoint. Remedy: start the training again with an empty folder."
    )
    assert contents(root) == before


def test_a_step_that_comes_again_replaces_itself_and_what_followed(filled, root):
    model = Model(seed=5)
    assert filled[0].save(model, 20, {"loss": 9.0}) == 1
    assert [(entry.step, entry.metrics["loss"]) for entry in filled[0].entries] == [(10, 0.1), (20, 9.0)]
    assert not (root / "checkpoint-30.safetensors").exists()
    filled[0].verify()
    other = Model()
    filled[0].load_into(other, 1)
    assert torch.equal(other.embedding.weight, model.embedding.weight)


def test_equal_weights_give_equal_files(filled, root, tmp_path):
    model = Model()
    for step in (10, 20, 30):
        CheckpointStore(tmp_path / "again").save(train(model), step, {"loss": 1 / step})
    assert contents(tmp_path / "again") == contents(root)


def test_a_full_disk_is_told_and_earlier_checkpoints_stay(filled, root):
    before = contents(root)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))  # a write past it fails, as on a full disk
    try:
        with pytest.raises(
            StoreError, match=r"can't be written. Where: .*checkpoint-40.safetensors. .* Remedy: free some"
        ):
            filled[0].save(Model(), 40, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert contents(root) == before
    filled[0].verify()


def test_a_crash_before_the_manifest_leaves_the_store_as_it_was(filled, monkeypatch):
    def crash(path, content):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "write_sealed", crash)
    with pytest.raises(KeyboardInterrupt):
        filled[0].save(Model(), 40, {})
    monkeypatch.undo()
    assert [entry.step for entry in filled[0].entries] == [10, 20, 30]
    filled[0].verify()
    assert filled[0].save(Model(), 40, {}) == 3


@pytest.mark.parametrize("file", ["checkpoint-20.safetensors", "frozen.safetensors"])
class TestDamage:
    """A flipped byte and a lost file, in a checkpoint and in what they share."""

    def test_verify_and_load_name_a_damaged_file(self, filled, root, file):
        content = bytearray((root / file).read_bytes())
        content[-1] ^= 1
        (root / file).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        expected = f"Where: {root / file}. Got: {digest}. Expected: "
        model = Model(seed=1)
        before = snapshot(model)
        with pytest.raises(StoreError, match="^A file's digest does not match: it is damaged") as error:
            filled[0].load_into(model, 1)
        assert expected in str(error.value)
        with pytest.raises(StoreError, match="digest does not match") as error:
            filled[0].verify()
        assert expected in str(error.value)
        assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())

    def test_verify_and_load_name_a_missing_file(self, filled, root, file):
        (root / file).unlink()
        message = f"A file of the store is missing. Where: {root / file}. Remedy: delete its folder, so that it is made"
        with pytest.raises(StoreError) as error:
            filled[0].verify()
        assert str(error.value).startswith(message)
        with pytest.raises(StoreError, match="is missing"):
            filled[0].load_into(Model(), 1)

    def test_a_file_is_hashed_once(self, filled, file, monkeypatch):
        hashed: list[str] = []
        monkeypatch.setattr(manifest, "_known", {})
        sha256_file = manifest.sha256_file

        def count(path):
            hashed.append(path.name)
            return sha256_file(path)

        monkeypatch.setattr(manifest, "sha256_file", count)
        filled[0].load_into(Model(), 1)
        CheckpointStore(filled[0].root).load_into(Model(), 1)
        assert hashed.count(file) == 1
        filled[0].verify()
        assert hashed.count(file) == 1


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            Model(width=4),
            r"tensor does not fit the model. Where: .* in .*. Got: \[.*3\] .* Expected: \[.*4\] torch.float32",
        ),
        (Model(dtype=torch.float64), "tensor does not fit .* Got: .* torch.float32. Expected: .* torch.float64"),
        (
            nn.Linear(2, 2),
            "that the model lacks: embedding.weight, middle.weight, scale; that the checkpoint lacks: bias, weight",
        ),
    ],
)
def test_a_module_that_does_not_fit_is_refused_untouched(filled, module, message):
    before = snapshot(module)
    with pytest.raises(StoreError, match=message):
        filled[0].load_into(module, 0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_a_trained_layer_that_the_file_lacks_is_refused(filled):
    model = Model()
    model.extra = nn.Linear(1, 1)
    with pytest.raises(
        StoreError, match="that the model lacks: none; that the checkpoint lacks: extra.bias, extra.weight"
    ):
        filled[0].load_into(model, 0)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("entries"),
        lambda content: content.pop("frozen"),
        lambda content: content["entries"][0].pop("sha256"),
        lambda content: content["entries"].pop(0),
        lambda content: content.update(extra=1),
    ],
)
def test_a_manifest_of_another_form_is_refused(filled, root, change):
    content = manifest.read_sealed(root / "manifest.json")
    change(content)
    manifest.write_sealed(root / "manifest.json", content)
    with pytest.raises(StoreError, match="manifest has another format than expected. Where: .*manifest.json"):
        _ = filled[0].entries


def test_digest_covers_the_checkpoint_and_the_frozen_file(filled, tmp_path):
    first, second, third = (filled[0].digest(index) for index in range(3))
    assert len({first, second, third}) == 3
    shutil.copytree(filled[0].root, tmp_path / "copy")
    assert CheckpointStore(tmp_path / "copy").digest(1) == second
    model = Model()
    with torch.no_grad():
        model.get_buffer("scale").add_(1)
    other = CheckpointStore(tmp_path / "other")
    other.save(train(model), 10, {})
    assert other.entries[0].sha256 == filled[0].entries[0].sha256
    assert other.digest(0) != first


def test_required_bytes_is_what_the_files_take(filled, root):
    tensors = sum(tensor.nbytes for path in root.glob("*.safetensors") for tensor in load_file(path).values())
    assert required_bytes(Model(), 3) == tensors
    assert required_bytes(Model(), 3, keep_frozen=False) == 3 * 5 * 3 * 4
