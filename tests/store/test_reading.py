"""Reading tensors in place, against what safetensors reads."""

from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from scd_lightning.errors import StoreError
from scd_lightning.store import reading
from scd_lightning.store.reading import read_into, stored_tensors


@pytest.fixture
def path(tmp_path):
    torch.manual_seed(0)
    tensors = {str(dtype): torch.randn(3, 5).to(dtype) for dtype in reading._DTYPES.values()}
    tensors |= {"none": torch.empty(0, 4), "one": torch.tensor(2.5), "transposed": torch.randn(4, 6)}
    save_file(tensors, tmp_path / "stored.safetensors", metadata={"format": "pt"})
    return tmp_path / "stored.safetensors"


def bits(tensor):
    return tensor.contiguous().view(-1).view(torch.uint8)


def targets(path, **others):
    return {name: torch.zeros_like(tensor) for name, tensor in load_file(path).items()} | others


def test_a_header_tells_what_is_stored(path):
    found, expected = stored_tensors(path), load_file(path)
    assert {name: (t.dtype, t.shape, t.nbytes) for name, t in found.items()} == {
        name: (t.dtype, t.shape, t.nbytes) for name, t in expected.items()
    }


def test_tensors_are_overwritten_where_they_are(path):
    found, expected = targets(path, another=torch.ones(2)), load_file(path)
    places = {name: tensor.data_ptr() for name, tensor in found.items()}
    assert read_into(stored_tensors(path), found) == sum(tensor.nbytes for tensor in expected.values())
    for name, tensor in expected.items():
        assert torch.equal(bits(found[name]), bits(tensor)), name
    assert {name: tensor.data_ptr() for name, tensor in found.items()} == places
    assert found["another"].tolist() == [1, 1]


def test_a_target_that_is_laid_out_in_another_way(path):
    storage = torch.zeros(6, 4)
    found = targets(path, transposed=storage.T)
    read_into(stored_tensors(path), found)
    assert torch.equal(storage, load_file(path)["transposed"].T)


def test_a_part_of_a_larger_tensor(path):
    whole = torch.zeros(9, 6)
    read_into(stored_tensors(path), targets(path, transposed=whole[2:6]))
    assert torch.equal(whole[2:6], load_file(path)["transposed"])
    assert not whole[:2].any()
    assert not whole[6:].any()


def test_reads_that_return_early_go_on(path, monkeypatch):
    asked = []

    class Hesitant:
        """A file that gives seven bytes at a time, as a large one gives two gigabytes."""

        def __init__(self, stream):
            self.stream = stream

        def seek(self, place):
            return self.stream.seek(place)

        def readinto(self, rest):
            asked.append(len(rest))
            return self.stream.readinto(rest[:7])

    read: Any = reading._read
    monkeypatch.setattr(reading, "_read", lambda stream, *rest: read(Hesitant(stream), *rest))
    found = targets(path)
    read_into(stored_tensors(path), found)
    assert torch.equal(found["transposed"], load_file(path)["transposed"])
    assert asked.count(96 - 7) == 1


def test_autograd_notices(path):
    weight = torch.zeros(4, 6, requires_grad=True)
    product = (weight * weight).sum()
    read_into(stored_tensors(path), targets(path, transposed=weight))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.backward()


def test_a_shortened_file_is_refused(path):
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(StoreError, match=rf"is damaged. .* Got: {len(content) - 1} bytes. Expected: {len(content)} by"):
        stored_tensors(path)


def test_a_file_that_shrinks_meanwhile_is_refused(path):
    tensor = stored_tensors(path)["transposed"]
    with path.open("r+b", buffering=0) as stream:
        stream.truncate(tensor.start + 10)
        with pytest.raises(StoreError, match="Got: an end of the file within a tensor"):
            reading._read(stream, tensor, torch.zeros(4, 6))


@pytest.mark.parametrize("content", [b"", b"1234", b"\x02\0\0\0\0\0\0\0[]", b"\xff" * 40])
def test_what_is_no_safetensors_file_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(StoreError, match="A file of a checkpoint is damaged"):
        stored_tensors(path)
