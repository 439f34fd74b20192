import pytest
from tokenizers import normalizers

from scd_lightning.data.normal_form import NormalForm
from scd_lightning.data.sources import DataSource
from scd_lightning.errors import ConfigError, DataError
from scd_lightning.tasks.qa import QA
from scd_lightning.training.data_module import encode

CHOICE = {"question": "Which?", "choices": ["red", "green", "blue"], "answer": 1}
YES_NO = {"question": "Really?", "context": "It is so.", "answer": "Yes"}
SPAN = {"question": "Where?", "context": "It is in Rome.", "answer": ["Rome", "in Rome"]}


def splits(row, *more, test=None):
    def asked(name):
        return {**row, "question": f"{row['question']} {name}"}

    return {"train": [row, *more], "validation": [asked("v")], "test": test or [asked("t")]}


def read(folder, **settings):
    return QA(DataSource(folder), **settings).read()


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        (CHOICE, {"choices": ["a", "b"], "answer": 0}, r'"question" is missing'),
        (CHOICE, {"question": "q", "answer": 0}, r'"choices" is missing'),
        (CHOICE, {"question": "q", "choices": ["a", "b"]}, r'"answer" is missing'),
        (CHOICE, {**CHOICE, "answer": 3}, r'"answer" is outside the choices.*Got: 3.*from 0 to 2'),
        (CHOICE, {**CHOICE, "answer": -1}, "outside the choices"),
        (CHOICE, {**CHOICE, "answer": "B"}, r'"answer" has the wrong type.*integer'),
        (CHOICE, {**CHOICE, "answer": True}, r'"answer" has the wrong type'),
        (CHOICE, {**CHOICE, "choices": ["only"], "answer": 0}, "2 to 26"),
        (CHOICE, {**CHOICE, "choices": [str(i) for i in range(27)]}, "2 to 26"),
        (CHOICE, {**CHOICE, "choices": ["a", ""]}, r"choices\[1\].*is empty"),
        (CHOICE, {**CHOICE, "choices": "a, b"}, "list of non-empty strings"),
        (CHOICE, {**CHOICE, "question": ""}, r'"question" is empty'),
        (CHOICE, {**CHOICE, "context": 3}, r'"context" has the wrong type'),
        (YES_NO, {**YES_NO, "question": "q", "answer": "perhaps"}, r"not among the answers.*task\.format=extractive"),
        (SPAN, {**SPAN, "answer": ""}, r'"answer" is empty'),
        (SPAN, {**SPAN, "answer": []}, r'"answer" is empty.*task\.no_answer='),
        (SPAN, {**SPAN, "answer": [""]}, r'"answer" has the wrong type|empty'),
        (SPAN, {"question": "q", "answer": "a"}, r'"context" is missing'),
    ],
)
def test_bad_rows_are_named_with_file_and_line(write_folder, good, bad, said):
    with pytest.raises(DataError, match=said) as caught:
        read(write_folder(**splits(good, {**good, "question": "other"}, bad)))
    assert "train.jsonl:3 (id train-3)" in str(caught.value)


def test_multiple_choice(write_folder, measured):
    two = {"question": "Two?", "choices": ["a\nb", "c"], "answer": 0, "context": "Some context."}
    module = read(write_folder(**splits(CHOICE, two)), ordered=True)
    first, second = module.samples["train"]
    assert (module.task.format, module.task.chooses, module.primary_metric) == ("choice", True, "accuracy")
    assert (first.candidates, first.completion) == (("A", "B", "C"), "B")
    assert (second.candidates, second.completion) == (("A", "B"), "A")
    assert module.texts()[:2] == [
        "Question: Which?\nA. red\nB. green\nC. blue\nAnswer:\nB",
        "Some context.\nQuestion: Two?\nA. a b\nB. c\nAnswer:\nA",
    ]
    wrong = module.judge("train", 0, 2)
    assert (wrong.answer, wrong.gold, wrong.score, wrong.malformed) == ("C", "B", 0.0, False)
    assert module.judge("train", 1, 0).score == 1.0
    assert module.judge("train", 0, "B ").score == 1.0
    assert module.judge("train", 0, "green").malformed
    assert measured(module, "train", [(0, 2), (1, 0)])["accuracy"] == 0.5


def test_a_choice_that_looks_like_the_right_one_is_right(write_folder, measured):
    row = {"question": "Which?", "choices": ["Oslo", "Bergen", " Oslo\u200b", "oslo"], "answer": 2}
    module = read(write_folder(**splits(CHOICE, row)))
    assert [module.judge("train", 1, i).score for i in range(4)] == [1, 0, 1, 0]
    assert module.judge("train", 1, "A").answer == "C"
    assert module.judge("train", 1, "E").malformed
    values = measured(module, "train", [(1, 0), (1, 2)])
    assert (values["accuracy"], values["macro_f1"]) == (1, 1)


def test_yes_no(write_folder):
    no_context = {"question": "No?", "answer": "no"}
    module = read(write_folder(**splits(YES_NO, no_context)))
    assert (module.task.format, module.task.chooses) == ("yes_no", True)
    assert module.samples["train"][0].candidates == ("yes", "no")
    assert module.texts()[:2] == [
        "It is so.\nQuestion: Really?\nAnswer (yes, no):\nyes",
        "Question: No?\nAnswer (yes, no):\nno",
    ]
    assert module.judge("train", 0, 0).score == 1.0


def test_extractive(write_folder, measured):
    module = read(write_folder(**splits(SPAN)))
    assert (module.task.format, module.task.chooses, module.primary_metric) == ("extractive", False, "token_f1")
    assert module.samples["train"][0].completion == "Rome"
    assert module.judge("train", 0, "In  rome!").score == 1.0
    assert module.judge("train", 0, "Rome or Paris").score == pytest.approx(2 * 1 / (1 + 3))
    assert module.judge("train", 0, " ").malformed
    assert measured(module, "train", [(0, "Rome")]) == {"exact_match": 1.0, "token_f1": 1.0, "malformed": 0.0}


@pytest.mark.parametrize(
    ("normaliser", "answer"),
    [
        (normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]), "Malmö, a\u0300 la Gare"),
        (normalizers.BertNormalizer(), "İzmir Ünlü"),
        (normalizers.NFKD(), "ﾊﾞﾝﾀﾞｲ ㍿ ½"),
        (normalizers.NFD(), "각하"),
    ],
)
@pytest.mark.parametrize("several", [False, True])
def test_an_answer_in_the_tokenizers_own_characters(write_folder, normaliser, answer, several):
    row = {"question": "Where?", "context": f"So {answer}.", "answer": ["other", answer, answer] if several else answer}
    module = read(write_folder(**splits(row)))
    module.task.normal_form = NormalForm(normaliser)
    judged = module.judge("train", 0, normaliser.normalize_str(answer))
    assert (judged.score, judged.malformed, dict(judged.facts)) == (1, False, {})


def test_format_can_be_set(write_folder):
    folder = write_folder(**splits(YES_NO))
    assert not read(folder, format="extractive").task.chooses
    with pytest.raises(DataError, match=r'"choices" is missing'):
        read(folder, format="choice")
    with pytest.raises(ConfigError, match="format is unknown"):
        QA(DataSource(folder), format="letters")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"primary_metric is unknown.*accuracy"):
        read(folder, primary_metric="token_f1")


def test_long_context_is_cut_at_its_end_and_the_choices_stay(write_folder, byte_tokenizer):
    row = {**CHOICE, "context": "the text " * 60}
    module = read(write_folder(**splits(row)), max_length=100)
    module = encode(module, byte_tokenizer)
    prompt = byte_tokenizer.decode(module.tokenized["train"][0].prompt_ids)
    assert prompt.startswith("<s>the text the text")
    assert prompt.endswith("…\nQuestion: Which?\nA. red\nB. green\nC. blue\nAnswer:\n")
    candidates = module.tokenized["train"][0].candidate_ids
    assert candidates is not None
    assert [byte_tokenizer.decode(ids) for ids in candidates] == [
        "A</s>",
        "B</s>",
        "C</s>",
    ]


def test_a_sample_is_described_with_context_question_and_choices(write_folder):
    module = read(write_folder(**splits({**CHOICE, "context": "Of colours."})))
    shown = module.describe("train", 0)
    assert shown["input"].startswith("Of colours.\n\nWhich?\n\nA. red\nB. green")
    assert shown["labels"] == [module.samples["train"][0].gold]


@pytest.mark.parametrize(
    ("yes", "no", "labels"),
    [
        ("Ja.", "nein", ("ja", "nein")),
        ("Evet", "HAYIR", ("evet", "hayir")),
        ("Có", "Không", ("có", "không")),
        ("いいえ。", "はい", ("はい", "いいえ")),
    ],
)
def test_yes_and_no_in_other_languages(write_folder, yes, no, labels):
    rows = [{**YES_NO, "answer": yes}, {**YES_NO, "question": "Not?", "answer": no}]
    module = read(write_folder(**splits(*rows)))
    assert (module.task.format, module.task.labels) == ("yes_no", labels)
    assert module.samples["train"][0].gold in labels
    with pytest.raises(DataError, match=rf"not among the answers.*Got: oui. Expected: {labels[0]} or "):
        read(write_folder(**splits(*rows, {**YES_NO, "question": "Or?", "answer": "oui"})))


@pytest.mark.parametrize("empty", [None, "", []])
def test_a_question_without_an_answer_is_answered_so(write_folder, empty):
    none = {**SPAN, "question": "Who?", "answer": empty}
    module = read(write_folder(**splits(SPAN, none)), no_answer="no answer")
    assert module.samples["train"][1].completion == "no answer"
    assert module.judge("train", 1, "No answer.").score == 1
    assert module.judge("train", 1, "Rome").score == 0
    assert not module.doubts
    assert read(write_folder(**splits(SPAN, none)), no_answer=" no answer\n").doubts == []
    with pytest.raises(ConfigError, match=r"task\.no_answer"):
        QA(DataSource(), no_answer=" ")
    with pytest.raises(ConfigError, match=r"Only an extractive question.*form choice"):
        read(write_folder(**splits(CHOICE)), no_answer="none")


def test_few_answers_that_stand_nowhere_are_labels(write_folder):
    rows = [{**SPAN, "question": f"{i}?", "answer": ("low", "high")[i % 2]} for i in range(60)]
    doubts = " ".join(read(write_folder(**splits(*rows))).doubts)
    assert "All are one of 2 (high, low): task=classification" in doubts
