import pytest
from tokenizers import normalizers

from scd_lightning.data.normal_form import NormalForm
from scd_lightning.data.samples import Cut
from scd_lightning.data.sources import DataSource
from scd_lightning.errors import ConfigError, DataError
from scd_lightning.tasks.ner import NER
from scd_lightning.training.data_module import encode

TEXT = "Ann met Bob in Rome."


def entity(start, end, label="P", text=None):
    return {"start": start, "end": end, "label": label, "text": TEXT[start:end] if text is None else text}


GOOD = {"text": TEXT, "entities": [entity(8, 11), entity(0, 3), entity(15, 19, "L")]}


def splits(train, test=None):
    return {
        "train": train,
        "validation": [{"text": f"{TEXT} v", "entities": []}],
        "test": test or [{"text": f"{TEXT} t", "entities": []}],
    }


def read(folder, **settings):
    return NER(DataSource(folder), **settings).read()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"entities": []}, r'"text" is missing'),
        ({"text": TEXT}, r'"entities" is missing'),
        ({"text": "  ", "entities": []}, r'"text" is empty'),
        ({"text": 5, "entities": []}, r'"text" has the wrong type.*int 5'),
        ({"text": "\ud800 half", "entities": []}, "half a surrogate"),
        ({"text": TEXT, "entities": "none"}, r'"entities" has the wrong type'),
        ({"text": TEXT, "entities": ["Ann"]}, r"entities\[0\].*lacks a field"),
        ({"text": TEXT, "entities": [{"start": 0, "label": "P"}]}, r"lacks a field"),
        ({"text": TEXT, "entities": [entity(0, 3), entity(15, 21)]}, r"entities\[1\].*out of range.*end <= 20"),
        ({"text": TEXT, "entities": [entity(3, 3)]}, "out of range"),
        ({"text": TEXT, "entities": [entity(-3, 3)]}, "out of range"),
        ({"text": TEXT, "entities": [entity(0, 3, text="Bob")]}, r"not what the text has.*'Bob'.*'Ann'"),
        ({"text": TEXT, "entities": [entity(3, 4)]}, "is empty"),
        ({"text": TEXT, "entities": [entity(0, 3, label=" ")]}, r"label.*is empty"),
        ({"text": TEXT, "entities": [{**entity(0, 3), "start": "0"}]}, r"start.*wrong type"),
    ],
)
def test_bad_rows_are_named_with_file_and_line(write_folder, row, said):
    with pytest.raises(DataError, match=said) as caught:
        read(write_folder(**splits([GOOD, row])))
    assert "train.jsonl:2 (id train-2)" in str(caught.value)
    assert caught.value.remedy


def test_sample(write_folder):
    module = read(write_folder(**splits([GOOD])))
    [sample] = module.samples["train"]
    assert sample.completion == "P: Ann\nP: Bob\nL: Rome"
    assert sample.fields["labels"] == "L, P"
    assert (module.task.chooses, module.primary_metric, module.task.language) == (False, "f1", "en")
    assert module.texts() == ["Ann met Bob in Rome.\nEntities:\n" + sample.completion]


def test_labels_in_a_template_of_the_users_own(write_folder):
    module = read(write_folder(**splits([GOOD])), template="Find {labels}.\n{text}\n")
    assert module.texts()[0].startswith("Find L, P.\nAnn met")


def test_spans_lose_their_outer_white_space(write_folder):
    module = read(write_folder(**splits([{"text": TEXT, "entities": [entity(3, 8)]}])))
    [gold] = module.samples["train"][0].gold
    assert (gold.text, gold.start, gold.end) == ("met", 4, 7)
    assert module.judge("train", 0, "P: met").score == 1


def test_judging(write_folder, measured):
    module = read(write_folder(**splits([GOOD])))
    perfect = module.judge("train", 0, "P: Ann\nP: Bob\nL: Rome")
    assert (perfect.id, perfect.score, perfect.malformed) == ("train-1", 1.0, False)
    half = module.judge("train", 0, "P: Ann\nL: Bob\nP: Zoe")
    assert half.score == pytest.approx(2 * 1 / (3 + 3))
    assert not half.malformed
    assert module.judge("train", 0, "rubbish").malformed
    values = measured(module, "train", [(0, "P: Ann\nP: Bob\nL: Rome"), (0, "P: Ann\nL: Bob\nP: Zoe")])
    assert values["f1"] == pytest.approx(2 * 4 / (6 + 6))
    assert set(module.task.metric_names) < set(values)


def test_each_entity_of_an_answer_is_as_sure_as_its_line(write_folder):
    module = read(write_folder(**splits([GOOD])))
    [sample], task = module.samples["train"], module.task
    judged = task.judge(sample, "\nP: Ann\nwhat is this\nL: Bob\nP: Zoe\n")
    lines = [1.0, 0.9, 0.8, 0.7, 0.6, 1.0]
    assert task.unit_probabilities(sample, judged, 0.3, lines) == [0.9, 0.7, 0.6]
    assert task.units_right(sample, judged) == [True, False, False]
    # Of lines that can't be told apart, each is as sure as the whole.
    assert task.unit_probabilities(sample, judged, 0.3, [0.3]) == [0.3] * 3
    none = task.judge(sample, "none")
    assert task.unit_probabilities(sample, none, 0.9, [0.9]) == task.units_right(sample, none) == []


def test_nothing_to_find_and_nothing_found(write_folder):
    module = read(write_folder(**splits([GOOD, {"text": "Nothing.", "entities": []}])))
    assert module.samples["train"][1].completion == "none"
    assert module.judge("train", 1, "none").score == 1.0
    assert module.judge("train", 1, "P: Nothing").score == 0.0


def test_match_chooses_the_score_and_the_primary_metric(write_folder):
    row = {"text": "Ann and Ann", "entities": [{"start": 0, "end": 3, "label": "P"}]}
    folder = write_folder(**splits([row]))
    spans, strings = read(folder), read(folder, match="strings")
    assert (spans.primary_metric, strings.primary_metric) == ("f1", "string_f1")
    assert spans.judge("train", 0, "P: Ann\nP: Ann").score == pytest.approx(2 / 3)
    assert strings.judge("train", 0, "P: Ann\nP: Ann").score == 1
    assert spans.digest != strings.digest
    with pytest.raises(ConfigError, match="match is unknown"):
        NER(DataSource(folder), match="tokens")  # type: ignore[arg-type]


def test_labels_that_train_lacks_are_warned_of_and_can_be_answered(write_folder):
    old = {"start": 4, "end": 5, "label": "P"}
    new = {"text": "Ann t", "entities": [{"start": 0, "end": 3, "label": "NEW"}, old]}
    with pytest.warns(UserWarning, match=r"labels that train lacks.*NEW \(1\)"):
        module = NER(DataSource(write_folder(**splits([GOOD], [new])))).read()
    assert module.description["unseen_labels"] == {"NEW": 1}
    assert module.samples["test"][0].fields["labels"] == "L, P"
    assert module.judge("test", 0, "NEW: Ann\nP: t").score == 1


def test_cut_texts_lose_entities_from_the_target_but_not_from_the_gold(write_folder, byte_tokenizer):
    text = "Ann " + "walks and " * 30 + "Bob " + "walks and " * 30 + "Eve"
    names = [{"start": text.index(name), "end": text.index(name) + 3, "label": "P"} for name in ("Ann", "Bob", "Eve")]
    module = read(write_folder(**splits([{"text": text, "entities": names}])), max_length=120)
    module = encode(module, byte_tokenizer)
    assert module.description["cut"]["train"] == 1
    assert module.description["dropped"]["train"] == 1
    assert byte_tokenizer.decode(module.tokenized["train"][0].completion_ids) == "P: Ann\nP: Eve</s>"
    assert [gold.text for gold in module.samples["train"][0].gold] == ["Ann", "Bob", "Eve"]
    assert module.judge("train", 0, "P: Ann\nP: Eve").score == pytest.approx(4 / 5)


AGAIN = "Rome left, Rome stayed in Rome"


def later(start, text=AGAIN):
    return {"text": text, "entities": [{"start": start, "end": start + 4, "label": "P"}]}


def test_places_that_a_name_alone_would_not_tell_are_numbered(write_folder):
    module = read(write_folder(**splits([GOOD, later(11)], [later(26, f"{AGAIN}.")])))
    assert [module.samples[split][-1].completion for split in ("train", "test")] == ["P: Rome [2]", "P: Rome [3]"]
    assert module.judge("train", 1, "P: Rome [2]").facts == {"entities": [["P", "Rome", 11, 15]]}
    assert [module.judge("train", 1, answer).score for answer in ("P: Rome [2]", "P: Rome", "P: Rome [4]")] == [1, 0, 0]
    form = module.task.answer_format(module.samples["train"][0])
    assert form["numbered"]
    assert "`label: text [2]` means the second place" in module.task.answer_note(form)


def test_without_need_nothing_is_numbered(write_folder):
    for module in (read(write_folder(**splits([GOOD]))), read(write_folder(**splits([later(26)])), match="strings")):
        form = module.task.answer_format(module.samples["train"][0])
        assert "numbered" not in form
        assert "[2]" not in module.task.answer_note(form)
        assert "[" not in module.samples["train"][0].completion


def test_what_is_left_of_a_cut_text_is_written_as_the_whole_one_is_read(write_folder):
    entities = [{"start": start, "end": start + 4, "label": label} for start, label in ((0, "P"), (26, "P"), (11, "L"))]
    module = read(write_folder(**splits([{"text": AGAIN, "entities": entities}])))
    [sample] = module.samples["train"]
    completion, lost = module.task.retarget(sample, Cut("text", 0, 6))
    assert (completion, lost) == ("P: Rome [3]", 2)
    assert module.judge("train", 0, completion).facts == {"entities": [["P", "Rome", 26, 30]]}


@pytest.mark.parametrize("match", ["spans", "strings"])
@pytest.mark.parametrize(
    ("normaliser", "text", "name"),
    [
        (normalizers.NFC(), "Zu Gast bei Zoe\u0308 Ku\u0308hn.", "Zoe\u0308 Ku\u0308hn"),
        (normalizers.NFC(), "\u1112\u1161\u11ab\u1100\u116e\u11a8에서", "\u1112\u1161\u11ab\u1100\u116e\u11a8"),
        (normalizers.NFD(), "Ville de Besançon", "Besançon"),
        (normalizers.NFKC(), "㈱ﾊﾞﾝﾀﾞｲの人", "ﾊﾞﾝﾀﾞｲ"),
        (normalizers.NFKC(), "山田\u3000太郎さん", "山田\u3000太郎"),
        (normalizers.Lowercase(), "Seen in ÅLESUND.", "ÅLESUND"),
        (normalizers.BertNormalizer(), "Seen by Zoë Kühn.", "Zoë Kühn"),
    ],
)
def test_a_right_answer_in_the_tokenizers_own_characters(write_folder, match, normaliser, text, name):
    start = text.index(name)
    row = {"text": text, "entities": [{"start": start, "end": start + len(name), "label": "Société: É"}]}
    module = read(write_folder(**splits([row])), match=match)
    module.task.normal_form = NormalForm(normaliser)
    judged = module.judge("train", 0, normaliser.normalize_str(module.samples["train"][0].completion))
    assert (judged.score, judged.malformed) == (1, False)
    assert judged.facts == {"entities": [["Société: É", name, start, start + len(name)]]}


def test_japanese(write_folder):
    row = {"text": "東京の田中さん", "entities": [{"start": 0, "end": 2, "label": "地名"}]}
    none = {"text": "いいえ", "entities": []}
    module = read(
        write_folder(train=[row, none], validation=[{**none, "text": "はい"}], test=[{**none, "text": "さあ"}])
    )
    assert module.task.language == "ja"
    assert [sample.completion for sample in module.samples["train"]] == ["地名: 東京", "なし"]
    assert module.texts()[0] == "東京の田中さん\n固有表現:\n地名: 東京"


def test_a_sample_is_described_with_its_text_and_entities(write_folder):
    module = read(write_folder(**splits([GOOD])))
    shown = module.describe("train", 0)
    assert (shown["id"], shown["input"], shown["labels"]) == ("train-1", TEXT, ["P", "P", "L"])
    assert [text for _, text, _, _ in shown["entities"]] == [TEXT[start:end] for _, _, start, end in shown["entities"]]
    assert module.description["settings"] == {"match": "spans"}
