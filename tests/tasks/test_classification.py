import pytest
from tokenizers import normalizers

from scd_lightning.data.normal_form import NormalForm
from scd_lightning.data.sources import DataSource
from scd_lightning.errors import ConfigError, DataError
from scd_lightning.tasks.classification import Classification
from scd_lightning.training.sums import TaskMetric

TRAIN: list[dict] = [
    {"text": "good", "label": "plus"},
    {"text": "bad", "label": "minus"},
    {"text": "so so", "label": 0},
]
SPLITS: dict[str, list[dict]] = {
    "train": TRAIN,
    "validation": [{"text": "fine", "label": "plus"}],
    "test": [{"text": "awful", "label": "minus"}, {"text": "odd", "label": "new"}],
}
KNOWN = {**SPLITS, "test": SPLITS["test"][:1]}


def read(folder, **settings):
    return Classification(DataSource(folder), **settings).read()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"label": "plus"}, r'"text" is missing.*task\.data\.columns=\{name: text\}'),
        ({"text": "x"}, r'"label" is missing'),
        ({"text": "x", "label": ""}, r'"label" is empty'),
        ({"text": "x", "label": 0.5}, r'"label" has the wrong type.*float 0\.5.*true or false.*write it as text'),
        ({"text": 7, "label": "plus"}, r'"text" has the wrong type.*int 7.*write it as text: in quotes in JSON'),
        ({"text": "x", "label": "\u200b\ufeff"}, r'"label" is empty'),
    ],
)
def test_bad_rows_are_named_with_file_and_line(write_folder, row, said):
    with pytest.raises(DataError, match=said) as caught:
        read(write_folder(**{**SPLITS, "validation": [row]}))
    assert "validation.jsonl:1 (id validation-1)" in str(caught.value)


def test_samples_and_judging(write_folder):
    module = read(write_folder(**KNOWN))
    sample = module.samples["train"][2]
    assert (sample.completion, sample.candidates) == ("0", ("0", "minus", "plus"))
    assert module.texts() == ["good\nClass:\nplus", "bad\nClass:\nminus", "so so\nClass:\n0", "0", "minus", "plus"]
    assert module.judge("train", 2, 0).score == 1.0
    assert module.judge("train", 2, 1).score == 0.0
    assert module.judge("train", 2, "neither").malformed


def test_labels_in_the_tokenizers_own_characters(write_folder):
    rows = [{"text": f"{name} {label}", "label": label} for name in "ab" for label in ("Thé", "THE", "ﾃｨｰ")]
    others = {"validation": [{"text": "x", "label": "THE"}], "test": [{"text": "y", "label": "Thé"}]}
    module = read(write_folder(train=rows, **others))
    assert module.judge("train", 0, "The\u0301").score == 1
    assert module.judge("train", 0, "thé").malformed
    module.task.normal_form = NormalForm(normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]))
    assert [module.judge("train", i, answer).score for i, answer in enumerate(["thé", "the", "ティー"])] == [1, 1, 1]
    # Accents gone as well, two labels are one: what is answered is the first of them.
    module.task.normal_form = NormalForm(normalizers.BertNormalizer())
    assert [module.judge("train", i, "the").answer for i in range(2)] == ["THE", "THE"]


def test_labels_that_train_lacks_count_as_wrong_and_are_warned_of(write_folder):
    with pytest.warns(UserWarning, match=r"labels that train lacks, .*: new \(1\)"):
        module = Classification(DataSource(write_folder(**SPLITS))).read()
    assert module.samples["test"][1].candidates == ("0", "minus", "plus")
    metric = TaskMetric(module.measures)
    metric.update([module.judge("test", i, 1).row() for i in range(2)], [{}, {}])
    assert metric.compute()["accuracy"].item() == 0.5
    assert metric.compute()["macro_f1"].item() == pytest.approx((2 / 3 + 0) / 2)


def test_given_labels_keep_their_order(write_folder):
    folder = write_folder(**KNOWN)
    module = read(folder, labels=["minus", 0, "plus"], ordered=True)
    assert module.samples["train"][0].candidates == ("minus", "0", "plus")
    assert module.measures["kappa"].ordered
    with pytest.raises(DataError, match=r"not among the labels.*train\.jsonl:3.*minus, plus"):
        read(folder, labels=["minus", "plus"])
    with pytest.raises(ConfigError, match="ordered needs the labels"):
        Classification(DataSource(folder), ordered=True)


def test_a_label_that_is_given_twice_is_refused(write_folder):
    with pytest.raises(ConfigError, match=r"named twice.*task\.labels.*Got: 0\. Expected: each label once"):
        read(write_folder(**KNOWN), labels=["minus", 0, "plus", "0"])


def test_own_template_may_list_the_labels(write_folder):
    module = read(write_folder(**KNOWN), template="{text} [{labels}] =>\n")
    assert module.texts()[0] == "good [0, minus, plus] =>\nplus"


def test_overlap(write_folder):
    folder = write_folder(**{**KNOWN, "test": [TRAIN[0]]})
    with pytest.raises(DataError, match=r"two splits.*train\.jsonl:1 = .*test\.jsonl:1.*train/test: 1"):
        read(folder)
    module = Classification(DataSource(folder, allow_overlap=True)).read()
    assert module.description["overlap"] == {"train/test": 1}


def test_a_column_that_no_row_has_is_missing_and_no_overlap(write_folder):
    rows = [{"sentence": f"s{i}", "label": "a"} for i in range(3)]
    with pytest.raises(DataError, match=r'"text" is missing.*sentence'):
        read(write_folder(train=rows, validation=rows, test=rows))
