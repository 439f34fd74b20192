import inspect
import json
import re
from pathlib import Path

import pytest
import yaml

from scd_lightning.analysis.records import read_run
from scd_lightning.analysis.run.intervals import run_intervals
from scd_lightning.analysis.run.model_card import write_model_card
from scd_lightning.models import asking
from scd_lightning.tasks.markdown_text import code

PROMPT = {
    "template": "{text}\nClass:\n",
    "example": {"text": "Put the text here.", "labels": "a, b"},
    "kind": "classification",
    "language": "en",
    "chat": False,
    "date": None,
    "bos": None,
    "eos": "</s>",
    "candidates": ["a", "b"],
    "labels": ["a", "b"],
    "none": None,
    "max_length": 512,
    "max_new_tokens": 4,
    "vocabulary": 320,
    "tokenizer_from": "model",
}
CONFIG = {
    "method": {"weighting": {"_target_": "scd_lightning.losses.weighting.AdaptiveWeight"}},
    "student": {"path": "/home/someone/model", "optimizer": {"_target_": "torch.optim.AdamW", "lr": 0.5}},
}


@pytest.fixture
def run(full_run):
    student = full_run / "student"
    student.mkdir()
    (student / "prompt_template.json").write_text(json.dumps(PROMPT))
    (student / "base_model.json").write_text(json.dumps({"name": "org/base", "hub_id": "org/base", "license": "mit"}))
    (full_run / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    from_source(full_run, "hub set some/set (part) at v1")
    return full_run


def from_source(run, source: str) -> None:
    results = json.loads((run / "results.json").read_text())
    results["data"]["source"] = source
    (run / "results.json").write_text(json.dumps(results))


def write(run) -> Path | None:
    record = read_run(run)
    return write_model_card(run, record, run_intervals(record))


def card(run) -> tuple[dict, str]:
    path = write(run)
    assert path is not None
    assert path == run / "student" / "README.md"
    _, head, body = path.read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(head), body


def test_front_matter_is_what_the_hub_reads(run):
    head, _ = card(run)
    assert head["license"] == "mit"
    assert head["base_model"] == "org/base"
    assert head["datasets"] == ["some/set"]
    assert head["library_name"] == "transformers"
    assert {"ner", "scd_aw"} <= set(head["tags"])
    (index,) = head["model-index"]
    (result,) = index["results"]
    assert result["dataset"] == {"name": "ner", "type": "some/set", "split": "test"}
    assert {"type": "f1", "value": 0.842} in result["metrics"]


def test_body_has_results_with_intervals_and_the_one_seed(run):
    _, body = card(run)
    assert "| **this model** (student) | 0.842 | 0.850 | 0.834 | 0.004 |" in body
    assert "Student minus teacher, sample score: " in body
    assert "This is one run, with seed 0" in body
    assert "less error than the teacher on 10.0 %" in body
    assert "adaptive weighting" in body
    assert "- learning rate: 0.5" in body


@pytest.mark.parametrize(
    ("budget", "line"),
    [
        ({"global_batch": 8, "batch_tokens": None}, "- samples of an optimizer step: 8\n"),
        ({"global_batch": 8, "batch_tokens": 4096}, "- tokens of an optimizer step, padding included: 4096\n"),
    ],
)
def test_the_batch_is_samples_or_tokens(run, budget, line):
    (run / "config.yaml").write_text(yaml.safe_dump(CONFIG | {"budget": budget}))
    _, body = card(run)
    assert line in body
    assert body.count("of an optimizer step") == 1


@pytest.mark.parametrize(("seen", "line"), [({}, "- stages x epochs: 4 x 2\n"), (57600, "in all: 4, 57,600\n")])
def test_a_length_in_samples_is_the_true_one(run, seen, line):
    (run / "config.yaml").write_text(yaml.safe_dump(CONFIG | {"budget": {"stages": 4, "stage_epochs": 2}}))
    results = json.loads((run / "results.json").read_text())
    results |= {"samples_seen": {"anchor": 1200, "student": seen}} if seen else {}
    (run / "results.json").write_text(json.dumps(results))
    assert line in card(run)[1]


@pytest.mark.parametrize(
    ("method", "rate"),
    [
        ({"policy": {"_target_": "SingleBest"}}, "0.0018"),
        ({"policy": None, "pseudo_labels": True}, "0.0018"),
        ({"policy": None}, "0.0006"),
    ],
)
def test_the_learning_rate_is_the_one_trained_with(run, method, rate):
    scaled = {"budget": {"lr_scale": 0.3}, "method": {"lr_scale": 3.0} | method}
    (run / "config.yaml").write_text(yaml.safe_dump(scaled | {"student": {"optimizer": {"lr": 0.002}}}))
    assert f"- learning rate: {rate}\n" in card(run)[1]


def test_choices_are_explained_and_listed(run):
    _, body = card(run)
    assert "Candidates: `a`, `b`." in body
    assert "model.generate" not in body


@pytest.mark.parametrize(
    ("task", "form", "sentence"),
    [
        ("qa", {"kind": "choice"}, "is the answer; there are as many letters as choices. Candidates: `a`, `b`."),
        ("qa", {"kind": "yes_no"}, "is the answer. Candidates: `a`, `b`."),
        ("ner", {"kind": "ner", "candidates": None, "none": "NONE"}, "`NONE` where there is none. Labels: `a`, `b`.\n"),
        (
            "ner",
            {"kind": "ner", "candidates": None, "numbered": True},
            "`label: text [2]` means the second place at which",
        ),
        ("qa", {"kind": "extractive", "candidates": None}, "It writes the answer, and then ends.\n"),
        ("another", {"kind": "ner", "candidates": None}, "It writes the answer, and then ends.\n"),
    ],
)
def test_the_task_says_what_its_answers_are_like(run, task, form, sentence):
    results = json.loads((run / "results.json").read_text()) | {"task": task}
    (run / "results.json").write_text(json.dumps(results))
    (run / "student" / "prompt_template.json").write_text(json.dumps(PROMPT | form))
    assert sentence in card(run)[1]


def test_no_local_path_gets_into_the_card(run):
    head, body = card(run)
    assert "someone" not in body + str(head)


@pytest.mark.parametrize("source", ["local folder", "local files", "https://host/a.csv", "embedded data set"])
def test_other_data_is_no_data_set_of_the_hub(run, source):
    from_source(run, source)
    head, _ = card(run)
    assert "datasets" not in head
    assert head["model-index"][0]["results"][0]["dataset"]["type"] == "ner"


def test_unknown_licence_leads_to_the_base(run):
    (run / "student" / "base_model.json").write_text(json.dumps({"name": "a folder", "hub_id": None, "license": None}))
    head, body = card(run)
    assert head["license"] == "unknown"
    assert "base_model" not in head
    assert "Unknown: see a folder" in body


def test_a_student_that_was_only_fine_tuned(run):
    results = json.loads((run / "results.json").read_text()) | {"method": "sft", "schedule": []}
    (run / "results.json").write_text(json.dumps(results))
    (run / "schedule.json").unlink()
    _, body = card(run)
    assert "Plain supervised fine-tuning" in body
    assert "Student minus anchor" not in body
    assert "distilled" not in body


TEXTS = {"kept": 1900, "weight": 0.75, "precision": {"value": 0.925, "low": 0.9, "high": 0.95, "of": 400}}


def with_texts(run, **changes) -> str:
    results = json.loads((run / "results.json").read_text())
    results["data"]["unlabelled"] = TEXTS | changes
    (run / "results.json").write_text(json.dumps(results))
    return card(run)[1].replace("\n", " ")


def test_texts_without_labels_are_told(run):
    assert (
        "It also learned from 1,900 texts without labels that the teacher answered (92.5 % of these answers are "
        "expected to be right, by validation): with weight 0.75 from its distribution, and for the rest from "
        "its answer."
    ) in with_texts(run)


def test_a_card_has_no_precision_that_is_not_known(run):
    assert "that the teacher answered: with weight" in with_texts(run, precision=None)


def test_pseudo_labels_are_told(run):
    results = json.loads((run / "results.json").read_text()) | {"method": "pl", "schedule": []}
    (run / "results.json").write_text(json.dumps(results))
    (run / "schedule.json").unlink()
    body = with_texts(run)
    assert (
        "on 1,900 texts without labels that the teacher answered, teacher-small fine-tuned on the same task, as if its "
        "answers were labels (92.5 % of these answers are expected to be right, by validation)."
    ) in body
    assert "no teacher took part" not in body
    assert "biases of its data and its teacher" in body


def test_a_run_without_an_exported_student_has_no_card(full_run):
    assert write(full_run) is None


def test_results_alone_are_enough(make_run):
    folder = make_run("bare")
    (folder / "student").mkdir()
    _, body = card(folder)
    assert "0.842" in body
    assert "```python" not in body


CHECK = {"asked": 16, "same": 16, "rounding": 0, "different": [], "error": None}


def checked(run, **found) -> str:
    path = run / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"export_check": CHECK | found}))
    return " ".join(card(run)[1].split())


def test_the_card_says_that_its_code_gave_the_evaluated_answers(run):
    assert "asked the model the 16 shortest test samples" in checked(run)
    assert ": 16 answers are those that were evaluated. Special tokens that a text spells, such as `</s>`," in checked(
        run
    )
    assert ": 14 answers are those that were evaluated, 2 are told apart by rounding. " in checked(
        run, same=14, rounding=2
    )


def test_the_card_says_where_its_code_gave_others(run):
    different = [{"id": "a|1", "evaluated": "a", "exported": "b\nc"}]
    body = checked(run, same=15, different=different)
    assert "**Not as evaluated.** The exported student answers otherwise than the evaluated one" in body
    assert r"1 of 16 answers are others (a\|1: evaluated 'a', exported 'b\\nc')." in body
    assert "answers are those that were evaluated" not in body


def test_a_run_that_asked_nothing_claims_nothing(run):
    assert "Right after the export" not in checked(run, asked=0, same=0)
    assert "Right after the export" not in " ".join(card(run)[1].split())


@pytest.mark.parametrize("kind", [{}, {"candidates": None}], ids=["chosen", "generated"])
def test_the_code_is_that_which_the_export_was_held_against(run, kind):
    (run / "student" / "prompt_template.json").write_text(json.dumps(PROMPT | kind))
    _, body = card(run)
    for function in (asking.written_prompt, asking.generated if kind else asking.candidate_scores):
        assert inspect.getsource(function) in body
    assert ("import torch" in body) == ("def candidate_scores" in body) == (not kind)


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("prompt_template.json", PROMPT | {"tokenizer_from": "texts"}, "llama.cpp's converter refuses it: "),
        ("prompt_template.json", PROMPT | {"tokenizer_from": "gguf"}, "This one was rebuilt from a GGUF file"),
        ("prompt_template.json", PROMPT, "Programs that take chat messages alone can't ask it"),
        ("config.json", {"auto_map": {"AutoConfig": "own.Config"}}, "programs that don't run such code can't read it"),
        ("generation_config.json", {"suppress_tokens": [320, 321]}, "- Tokens from 320 on are none of the tokenizer's"),
    ],
)
def test_programs_that_can_not_read_the_folder_are_named(run, file, content, sentence):
    (run / "student" / "prompt_template.json").write_text(json.dumps(PROMPT | {"chat": True}))
    assert sentence not in card(run)[1]
    (run / "student" / file).write_text(json.dumps(content))
    assert sentence in card(run)[1]
    assert ("trust_remote_code=True" in card(run)[1]) == (file == "config.json")


def test_an_anchor_that_was_brought_along_is_named_as_such(run):
    path = run / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"imported": {"anchor": {}}}))
    (run / "config.yaml").write_text(yaml.safe_dump(CONFIG | {"student": {"init": "anchor"}}))
    _, body = card(run)
    assert "fine-tuned alone, elsewhere, with a budget of its own" in body
    assert "It started from the anchor's weights." in body


@pytest.mark.parametrize(("split", "size"), [("test", 300), ("validation", 500)])
def test_the_card_is_of_the_split_that_was_evaluated(run, split, size):
    path = run / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"evaluated_split": split}))
    head, body = card(run)
    assert head["model-index"][0]["results"][0]["dataset"]["split"] == split
    assert f"## Results on the {split} split" in body
    assert f"the {size} {split} samples)" in body
    assert ("the test split was not read" in body) == (split == "validation")


def test_names_are_neither_markup_nor_html(run):
    names = ["a|b", "<b>x", "`c`", "{{ d }}", "two\nlines", "</details><!--"]
    (run / "student" / "prompt_template.json").write_text(json.dumps(PROMPT | {"candidates": names, "labels": names}))
    results = json.loads((run / "results.json").read_text())
    results["models"]["student"]["name"] = results["data"]["name"] = "<script>`*|\n# x"
    results["method"] = "my`method"
    results["data"]["unseen_labels"] = names
    (run / "results.json").write_text(json.dumps(results))
    _, body = card(run)
    listed = "`a|b`, `<b>x`, `` `c` ``, `{{ d }}`, `two lines`, `</details><!--`"
    assert f"Candidates: {listed}." in body
    assert f"can't be answered: {listed}." in body
    assert "method ``my`method``." in body
    assert body.splitlines()[1] == "# \\<script\\>\\`\\*\\| # x for \\<script\\>\\`\\*\\| # x"
    assert "\n# x" not in body


HOSTILE = "</p><script>x</script> [a](javascript:x) ![b](http://c) **bold** `code` | cell ~~d~~ $e$ &lt; \\n"


def test_names_and_labels_are_text_whatever_they_spell(run):
    results = json.loads((run / "results.json").read_text())
    results["data"] |= {"name": HOSTILE, "split": f"# {HOSTILE}", "unseen_labels": {"a`b": 1, HOSTILE: 2}}
    for model in results["models"].values():
        model["name"] = HOSTILE
    for values in results["metrics"].values():
        values[HOSTILE] = 0.5
    (run / "results.json").write_text(json.dumps(results | {"method": HOSTILE}))
    form = PROMPT | {"candidates": [HOSTILE, "`", "b\n```\n# c"]}
    (run / "student" / "prompt_template.json").write_text(json.dumps(form))
    head, body = card(run)
    assert HOSTILE in head["model-index"][0]["name"]
    before, code, after = re.split(r"^```.*\n", body, flags=re.MULTILINE)
    assert repr(form["candidates"]) in code
    text = re.sub(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", "", before + after)
    assert not re.search(r"(?<!\\)[<>\[\]~$]", text.replace("](https://arxiv.org", "").replace("[arXiv", ""))
    rows = [line for line in body.splitlines() if line.startswith("| ")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows[:5]}) == 1
    assert len([line for line in body.splitlines() if line.startswith("# ")]) == 1


@pytest.mark.parametrize("label", ["`", "a`b", "``", " padded ", "line\nbreak", ""])
def test_a_label_is_one_piece_of_code(label):
    span = code(label)
    fence = span[: len(span) - len(span.lstrip("`"))]
    assert fence
    assert span.endswith(fence)
    assert fence not in re.findall("`+", span[len(fence) : -len(fence)])
    assert "\n" not in span
