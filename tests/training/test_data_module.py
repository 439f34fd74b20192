from types import SimpleNamespace
from typing import Any

import pytest

from scd_lightning.config.batch_size import SampleCount, TokenBudget
from scd_lightning.data.sources import DataSource
from scd_lightning.errors import ConfigError
from scd_lightning.tasks.classification import Classification
from scd_lightning.tasks.ner import NER
from scd_lightning.training.data_module import Batching, DomainDataModule, encode


def rows(split, count):
    return [{"text": f"{split} {'word ' * (i % 7)}{i}", "label": "ab"[i % 2]} for i in range(count)]


SPLITS = {split: rows(split, count) for split, count in (("train", 23), ("validation", 5), ("test", 7))}


@pytest.fixture
def module(write_folder, byte_tokenizer):
    return encode(Classification(DataSource(write_folder(**SPLITS)), evaluation_batch=2).read(), byte_tokenizer)


def trained_on(batching, data, world_size):
    """Each rank's batches of an epoch."""
    loaders = []
    for rank in range(world_size):
        module: Any = DomainDataModule(data, batching)
        module.trainer = SimpleNamespace(global_rank=rank, world_size=world_size)
        loaders.append(list(module.train_dataloader()))
    return loaders


def real(batches):
    pairs = [pair for batch in batches for pair in zip(batch.index.tolist(), batch.sample_weight.tolist(), strict=True)]
    return sorted(index for index, weight in pairs if weight)


def test_description(module):
    about = module.description
    assert about["sizes"] == {"train": 23, "validation": 5, "test": 7}
    assert about["split"] == "as given"
    assert about["cut"] == about["dropped"] == {"train": 0, "validation": 0, "test": 0}
    assert about["digest"] == module.digest
    assert about["lengths"]["train"]["completion_max"] == 2
    assert module.max_new_tokens == 2


def test_a_generated_answer_may_be_as_long_as_the_longest_of_train(write_folder, byte_tokenizer):
    rows: dict[str, list[dict[str, Any]]] = {
        split: [{"text": f"{split} {i}", "entities": []} for i in range(3)] for split in SPLITS
    }
    rows["train"][0] = {"text": "a b c", "entities": [{"start": 0, "end": 3, "label": "X"}]}
    rows["validation"][0] = {"text": "a b c d e", "entities": [{"start": 0, "end": 9, "label": "X"}]}
    module = encode(NER(DataSource(write_folder(**rows))).read(), byte_tokenizer)
    assert module.max_new_tokens == max(len(sample.completion_ids) for sample in module.tokenized["train"])


def test_a_name_stands_in_the_description_and_changes_nothing_else(write_folder):
    folder = write_folder(**SPLITS)
    named, unnamed = (Classification(DataSource(folder), name=name).read() for name in ("tickets", None))
    assert (named.description["name"], unnamed.description["name"]) == ("tickets", "classification")
    assert named.description | {"name": ""} == unnamed.description | {"name": ""}
    assert unnamed.description["source"] == "local folder"
    assert unnamed.description["lost"] == {}


def test_reading_leaves_the_task_as_it_was(write_folder):
    task = Classification(DataSource(write_folder(**SPLITS)))
    before = dict(vars(task))
    assert task.read().digest == task.read().digest
    assert vars(task) == before


def digest(folder, **settings):
    return Classification(DataSource(folder), **settings).read().digest


def test_digest_follows_content_and_settings_but_not_the_path(write_folder):
    base = digest(write_folder("one", **SPLITS))
    assert digest(write_folder("two", **SPLITS)) == base
    changed = {**SPLITS, "test": [{**SPLITS["test"][0], "label": "b"}, *SPLITS["test"][1:]]}
    assert digest(write_folder("three", **changed)) != base
    folder = write_folder("one")
    others = [
        digest(folder, max_length=100),
        digest(folder, language="ja"),
        digest(folder, template="{text}:\n"),
        digest(folder, primary_metric="kappa"),
        digest(folder, validation="task"),
    ]
    assert len({base, *others}) == 6


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_training_batches_hold_every_sample_once_over_all_ranks(module, world_size):
    loaders = trained_on(Batching(SampleCount(6), micro_batches=2, seed=1), module, world_size)
    assert [len(batches) for batches in loaders] == [8] * world_size
    assert real(batch for batches in loaders for batch in batches) == list(range(23))
    assert {batch.window_samples for batches in loaders for batch in batches} == {6, 5}


@pytest.mark.parametrize("world_size", [1, 3])
def test_batches_of_a_token_budget(module, world_size):
    """What reaches the model over all ranks is within the budget, and its counts are the step's."""
    longest = max(len(sample) for sample in module.tokenized["train"])
    batching = Batching(TokenBudget(3 * longest), seed=1)
    steps = DomainDataModule(module, batching).train_sampler().steps
    loaders = trained_on(batching, module, world_size)
    assert [len(batches) for batches in loaders] == [steps] * world_size
    assert real(batch for batches in loaders for batch in batches) == list(range(23))
    for step in zip(*loaders, strict=True):
        samples = sum(int(batch.sample_weight.sum()) for batch in step)
        assert samples * max(batch.input_ids.shape[1] for batch in step) <= 3 * longest
        assert {batch.window_samples for batch in step} == {samples}
        tokens = sum(int(batch.sample_weight[batch.rows].sum()) for batch in step)
        assert {batch.window_tokens for batch in step} == {tokens}


def test_batches_hold_the_tokens_of_their_samples(module):
    for batch in DomainDataModule(module, Batching(SampleCount(4))).train_dataloader():
        for row, index in enumerate(batch.index.tolist()):
            sample = module.tokenized["train"][index]
            assert batch.input_ids[row, : len(sample)].tolist() == sample.prompt_ids + sample.completion_ids
            assert batch.targets[batch.rows == row].tolist() == sample.completion_ids


@pytest.mark.parametrize("world_size", [1, 2])
@pytest.mark.parametrize("indices", [None, [6, 0, 3], []])
def test_evaluation_goes_through_the_chosen_samples_once(module, world_size, indices):
    loaders = [list(module.evaluation_loader("test", rank, world_size, indices)) for rank in range(world_size)]
    assert real(batch for batches in loaders for batch in batches) == sorted(range(7) if indices is None else indices)
    assert len({len(batches) for batches in loaders}) == 1
    assert all(batch.size <= 2 for batches in loaders for batch in batches)


def test_validation_loader(module):
    assert real(DomainDataModule(module).val_dataloader()) == list(range(5))


@pytest.mark.parametrize(
    "settings",
    [
        {"max_length": 0},
        {"max_new_tokens": 0},
        {"evaluation_batch": -1},
        {"max_length": "long"},
        {"language": "fr"},
        {"validation": "sometimes"},
    ],
)
def test_settings_out_of_range(settings):
    [name] = settings
    with pytest.raises(ConfigError, match=rf"task\.{name}"):
        Classification(DataSource(), **settings)


def test_batching_out_of_range():
    with pytest.raises(ConfigError):
        Batching(SampleCount(4), micro_batches=0)
