"""Signals' files while they are written, and against damage."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from scd_lightning import distributed
from scd_lightning.errors import StoreError
from scd_lightning.store.manifest import read_sealed, write_sealed
from scd_lightning.store.ownership import MARK
from scd_lightning.teachers import signal_files
from scd_lightning.teachers.cached import CachedSource
from scd_lightning.teachers.signal_files import SignalFiles
from scd_lightning.teachers.signals import SignalStore


@dataclass
class Sources:
    """Makes sources that know of no other's work but the store's."""

    root: Path
    make: Callable[[], CachedSource]

    def __call__(self):
        return self.make()


@pytest.fixture
def source(helpers, make_teacher):
    made = make_teacher()
    store, samples, cpu = SignalStore(made.root, "32-true"), helpers.sample_set(), torch.device("cpu")
    return Sources(made.root, lambda: CachedSource(made.store, store, samples, made.live, cpu))


def write(folder, helpers):
    """Writes made-up signals of all samples; returns the files, open still."""
    samples = helpers.sample_set()
    torch.manual_seed(0)
    for i, batch in enumerate(samples.batches()):
        hidden, losses = torch.randn(len(batch.targets), 4), torch.rand(batch.size)
        if i == 0:
            files = SignalFiles(folder, samples.indices, samples.completion_lengths, hidden, losses)
        files.write(batch, hidden, losses)
    return files


@pytest.fixture
def folder(tmp_path):
    return tmp_path / f"signals-{24 * '0'}"


def test_files_get_their_names_when_they_are_whole(helpers, folder):
    files = write(folder, helpers)
    assert {path.name for path in folder.iterdir()} == {"hidden.npy.part", "losses.npy.part", MARK}
    files.finish()
    files.close()
    assert {path.name for path in folder.iterdir()} == {"hidden.npy", "losses.npy", MARK}
    samples = helpers.sample_set()
    assert np.load(folder / "hidden.npy").shape == (sum(samples.completion_lengths), 4)
    assert (np.load(folder / "losses.npy") > 0).all()


def test_somebody_else_s_folder_and_what_links_lead_to_stay(helpers, folder, tmp_path):
    (tmp_path / "mine.npy").write_text("mine")
    folder.mkdir()
    (folder / "hidden.npy").symlink_to(tmp_path / "mine.npy")
    with pytest.raises(StoreError, match=f"left alone.* Where: {folder}. Got: no mark"):
        write(folder, helpers)
    (folder / "hidden.npy").unlink()
    write(folder, helpers).close()
    part = folder / "hidden.npy.part"
    part.unlink()
    part.symlink_to(tmp_path / "mine.npy")
    with pytest.raises(StoreError, match=f"left alone.* Where: {part}. Got: it is a link"):
        write(folder, helpers)
    assert (tmp_path / "mine.npy").read_text() == "mine"


@pytest.mark.parametrize("name", ["../../mine.safetensors", "/etc/hostname", "mine.safetensors", "head-1.safetensors"])
def test_a_head_is_one_of_the_store_s(source, capsys, name):
    source().load(0)
    (manifest,) = source.root.glob("*/manifest.json")
    write_sealed(manifest, read_sealed(manifest) | {"head": name})
    source().load(0)
    assert "names a file that is none of its own" in capsys.readouterr().out
    assert read_sealed(manifest)["head"].startswith("head-")


def test_rows_that_the_disk_loses_among_several_processes_are_noticed(helpers, tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "active", lambda: True)
    monkeypatch.setattr(distributed, "barrier", lambda: None)
    monkeypatch.setattr(distributed, "rank", lambda: 0)
    files = write(tmp_path / f"signals-{24 * '0'}", helpers)
    files.finish()
    files.close()
    folder = tmp_path / f"signals-{24 * '1'}"
    files = write(folder, helpers)
    part = folder / "hidden.npy.part"
    content = bytearray(part.read_bytes())
    content[-16:] = bytes(16)
    part.write_bytes(content)
    with pytest.raises(StoreError, match=f"The disk has lost part .* Where: {part}. Remedy: "):
        files.finish()
    files.close()
    assert not (folder / "hidden.npy").exists()


def test_a_disk_that_fails_in_the_middle(helpers, folder, monkeypatch):
    def fail(descriptor, content, place):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(signal_files.os, "pwrite", fail)
    with pytest.raises(StoreError, match=f"signals can't be written. Where: {folder}. Got: .*Input/output error"):
        write(folder, helpers)


def test_what_is_made_anew_leaves_an_open_reader_what_it_has(helpers, source):
    reader = source()
    reader.load(0)
    batch = next(iter(helpers.batches(range(4), size=4)))
    before = reader.hidden(batch).clone()
    (manifest,) = source.root.glob("*/manifest.json")
    manifest.unlink()
    hidden = manifest.parent / "hidden.npy"
    inode = hidden.stat().st_ino
    source().load(0)
    assert hidden.stat().st_ino != inode
    assert torch.equal(reader.hidden(batch), before)


@pytest.mark.parametrize("file", ["hidden.npy", "losses.npy", "head"])
def test_one_changed_bit_is_noticed_and_said(helpers, source, file, capsys):
    first = source()
    first.load(0)
    batch = next(iter(helpers.batches(range(4), size=4)))
    before = first.hidden(batch).clone()
    (path,) = source.root.glob("head-*") if file == "head" else source.root.glob(f"*/{file}")
    content = bytearray(path.read_bytes())
    whole = bytes(content)
    content[-5] ^= 4
    path.write_bytes(content)
    again = source()
    again.load(0)
    assert again.counts.forward_samples == 11
    assert path.read_bytes() == whole
    assert torch.equal(again.hidden(batch), before)
    [said] = [line for line in capsys.readouterr().out.splitlines() if "damaged" in line]
    assert path.name in said


def test_signals_are_read_for_their_checksum_once(source, monkeypatch):
    source().load(0)
    monkeypatch.setattr("scd_lightning.store.manifest.zlib.crc32", None)
    source().load(0)
