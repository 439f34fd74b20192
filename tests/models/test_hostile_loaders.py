"""Hundreds of hostile files by a seed, for each loader: a refusal that names the file, or a model, and no traceback."""

import shutil
from itertools import islice

import pytest
import torch

from scd_lightning.data.chat import check_template
from scd_lightning.errors import ScdError, exit_code
from scd_lightning.existing.adapters import read_adapter
from scd_lightning.existing.saved import recognise
from scd_lightning.models.gguf import convert_gguf, find_gguf
from scd_lightning.models.loading import build_empty, check_reachable
from scd_lightning.models.spec import StudentSpec
from scd_lightning.models.tensor_files import read_infos, read_tensors
from scd_lightning.models.tokenizers import identity, load_tokenizer
from tests.models import hostile_files as files
from tests.models.hostile_models import INDEX, TEMPLATE, split_weights, write_adapters, write_gguf, write_model

QUICK, WHOLE, MOST_READ = 3, 34, 60


def spec(folder):
    return StudentSpec(name="", optimizer=list, path=str(folder))


def read_gguf(file):
    find_gguf(str(file), "student.gguf")
    convert_gguf(file, file.with_suffix(".folder"), torch.float32, "student.gguf")


def read_weights(file):
    check_reachable(spec(file.parent), "student.path")
    list(read_tensors([file]))


def read_config(file):
    check_reachable(spec(file.parent), "student.path")
    build_empty(spec(file.parent), tokenizer_beside(file))


def tokenizer_beside(file):
    return load_tokenizer(str(file.parent), None, trust_remote_code=False, where="student.path")


def read_tokenizer(file):
    tokenizer = tokenizer_beside(file)
    identity(tokenizer)
    if tokenizer.chat_template:
        check_template(tokenizer)


def read_adapters(file):
    recognise(file.parent, "teacher.trajectory")
    read_adapter(file.parent)


def read_pickle(file):
    saved = recognise(file, "teacher.trajectory", allow_pickle=True)
    read_infos(saved.files)
    list(read_tensors(saved.files))


def read_index(file):
    check_reachable(spec(file.parent), "student.path")


# The file that is spoilt -> how, and how it is read.
LOADERS = {
    "model.gguf": (files.of_gguf, read_gguf),
    "model.safetensors": (files.of_safetensors, read_weights),
    "config.json": (files.of_json, read_config),
    "tokenizer.json": (files.of_json, read_tokenizer),
    "tokenizer_config.json": (files.of_json, read_tokenizer),
    "adapter_config.json": (files.of_json, read_adapters),
    "chat_template.jinja": (files.of_templates, read_tokenizer),
    "step=3.ckpt": (files.of_pickles, read_pickle),
    INDEX: (files.of_index, read_index),
}


@pytest.fixture(scope="module")
def models(tokenizer, tmp_path_factory):
    """A folder with a model in which nothing is wrong, for each loader."""
    root = tmp_path_factory.mktemp("models")
    for name in LOADERS:
        folder = root / name
        folder.mkdir()
        if name == "adapter_config.json":
            write_adapters(folder)
        elif name == "model.gguf":
            write_gguf(folder / name)
        elif name.endswith(".ckpt"):
            (folder / name).write_bytes(files.small_pickle())
        else:
            write_model(folder, tokenizer)
    (root / "chat_template.jinja" / "chat_template.jinja").write_text(TEMPLATE)
    split_weights(root / INDEX)
    return root


def refusals(file, contents, read, count):
    """The refusals of so many hostile files; some that are harmless may be read."""
    found = []
    for content in islice(contents, count + MOST_READ):
        file.write_bytes(content)
        try:
            read(file)
        except ScdError as error:
            found.append(error)
        if len(found) == count:
            return found
    raise AssertionError(f"of {count + MOST_READ} files {len(found)} were refused")


def try_many(models, name, tmp_path, count, seed):
    make, read = LOADERS[name]
    file = shutil.copytree(models / name, tmp_path / "model") / name
    for error in refusals(file, make(file.read_bytes(), seed), read, count):
        assert exit_code(error) == 2
        said = str(error)
        assert name in said
        assert "\n" not in said
        assert len(said) < 1500


@pytest.mark.parametrize("name", LOADERS)
def test_hostile_files(models, name, tmp_path):
    try_many(models, name, tmp_path, QUICK, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", LOADERS)
def test_three_hundred_hostile_files(models, name, tmp_path, ledger):
    with ledger.attempt(f"{WHOLE} hostile files of a model: {name}"):
        try_many(models, name, tmp_path, WHOLE, seed=2)
