import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from scd_lightning.data.encoding import Encoder, border_doubts
from scd_lightning.data.samples import Cut, Sample
from scd_lightning.errors import DataError, ModelError

TEMPLATE = "{text}\nAnswer:\n"


def keep_target(sample, cut):
    return sample.completion, 0


def make_sample(text="some text", completion="answer", candidates=None, **fields):
    return Sample("s1", {"text": text, **fields}, ("text",), completion, completion, (), candidates)


def encode(tokenizer, sample, template=TEMPLATE, max_length=512, retarget=keep_target):
    return Encoder(tokenizer, template, max_length, retarget).encode([sample], "train")


def merging_tokenizer():
    """Character tokens, but "xy" and "xz" become one token each, across the border of prompt and completion too."""
    vocab = {token: i for i, token in enumerate(["</s>", *"abcxyz", "xy", "xz"])}
    tokenizer = Tokenizer(models.BPE(vocab, [("x", "y"), ("x", "z")]))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>")


def test_prompt_and_completion_part_at_the_border_and_eos_ends_the_answer(byte_tokenizer):
    [sample] = encode(byte_tokenizer, make_sample("日本語 text")).samples
    assert byte_tokenizer.decode(sample.prompt_ids) == "<s>日本語 text\nAnswer:\n"
    assert byte_tokenizer.decode(sample.completion_ids) == "answer</s>"
    assert sample.candidate_ids is None


def test_candidates_are_tokenized_like_the_gold_answer_among_them(byte_tokenizer):
    candidates = ("answer", "the end", "text")
    [sample] = encode(byte_tokenizer, make_sample(candidates=candidates)).samples
    assert [byte_tokenizer.decode(ids) for ids in sample.candidate_ids] == ["answer</s>", "the end</s>", "text</s>"]
    assert sample.candidate_ids[0] == sample.completion_ids


@pytest.mark.parametrize("gold", ["yb", "zb", "bb"])
def test_where_tokens_merge_across_the_border_the_prompt_keeps_its_own(gold):
    tokenizer = merging_tokenizer()
    candidates = ("yb", "zb", "bb")
    [sample] = encode(tokenizer, make_sample("abx", gold, candidates), template="{text}").samples
    assert sample.prompt_ids == tokenizer("abx", add_special_tokens=False)["input_ids"]
    assert tokenizer.convert_ids_to_tokens(sample.prompt_ids) == ["a", "b", "x"]
    alone = [tokenizer(answer, add_special_tokens=False)["input_ids"] + [0] for answer in candidates]
    assert sample.candidate_ids == alone
    assert sample.completion_ids == alone[candidates.index(gold)]


def sentencepiece_like():
    """No pre-tokenizer, blanks as "▁" with one put in front, bytes as a last resort: as Llama 2 has it."""
    pieces = [*"▁abcdefghijklmnopqrstuvwxyz", "he", "th", "the", "▁the", "er", "an", "▁an", "\n" + "t"]
    vocab = {piece: i for i, piece in enumerate(["</s>", "<s>", *(f"<0x{i:02X}>" for i in range(256)), *pieces])}
    merges = [("h", "e"), ("t", "he"), ("▁", "the"), ("e", "r"), ("a", "n"), ("▁", "an"), ("t", "h")]
    tokenizer = Tokenizer(models.BPE(vocab, merges, byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


@pytest.mark.parametrize("template", ["{text}\nClass:\n", "{text} the", "{text}\n\nit is ", "{text}", "{text}:\n\n"])
@pytest.mark.parametrize("kind", ["byte-level", "sentencepiece", "merging"])
def test_every_prompt_has_its_own_ids_and_answers_those_of_one_text_with_it_where_they_part(
    byte_tokenizer, kind, template
):
    makers = {"byte-level": lambda: byte_tokenizer, "sentencepiece": sentencepiece_like, "merging": merging_tokenizer}
    tokenizer = makers[kind]()
    candidates = ("the", "there", " an answer", "\nanother", "yb", "z")
    texts = ["some text", "the\nother the", "日本 x", "x", "ends with a blank "]
    samples = [make_sample(text, candidates[i % 6], candidates) for i, text in enumerate(texts)]
    for sample, ids in zip(
        samples, Encoder(tokenizer, template, 512, keep_target).encode(samples, "t").samples, strict=True
    ):
        prompt = (tokenizer.bos_token or "") + template.format(**sample.fields)
        own, *joint = (
            tokenizer(text, add_special_tokens=False)["input_ids"]
            for text in (prompt, *(prompt + answer for answer in candidates))
        )
        alone = [tokenizer(answer, add_special_tokens=False)["input_ids"] for answer in candidates]
        expected = [
            [*(each[len(own) :] if each[: len(own)] == own else apart), tokenizer.eos_token_id]
            for each, apart in zip(joint, alone, strict=True)
        ]
        assert ids.prompt_ids == own
        assert ids.candidate_ids == expected
        assert ids.completion_ids == expected[candidates.index(sample.completion)]


@pytest.mark.parametrize(("template", "apart"), [("{text}", 2), ("{text}y", 0)])
def test_a_generated_answer_that_merges_with_the_prompt_is_counted_and_warned_of(template, apart):
    samples = [make_sample("abx", "yb"), make_sample("xz", "yb"), make_sample("bx", "zz")]
    encoded = Encoder(merging_tokenizer(), template, 512, keep_target).encode(samples, "train")
    first = encoded.samples[0]
    assert encoded.apart == apart
    assert bool(border_doubts(encoded)) == bool(apart)
    if apart:
        assert (first.prompt_ids, first.completion_ids) == ([1, 2, 4], [5, 2, 0])
        assert border_doubts(encoded)[0].startswith("In 2 of 3 training samples the end of the prompt and")


def test_chat_template_makes_one_user_turn_without_a_second_bos(byte_tokenizer):
    chat = PreTrainedTokenizerFast(tokenizer_object=byte_tokenizer._tokenizer, bos_token="<s>", eos_token="</s>")
    chat.chat_template = (
        "{{ bos_token }}{{ date_string }}|{% for message in messages %}{{ message.role }}: {{ message.content }}"
        "{% endfor %}{% if add_generation_prompt %}assistant:\n{% endif %}"
    )
    [sample] = encode(chat, make_sample(candidates=("answer", "text"))).samples
    assert chat.decode(sample.prompt_ids) == "<s>26 Jul 2024|user: some text\nAnswer:\nassistant:\n"
    assert sample.prompt_ids.count(chat.bos_token_id) == 1
    assert sample.candidate_ids[0] == sample.completion_ids


def test_a_tokenizer_without_eos_is_refused():
    tokenizer = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(ModelError, match="no end-of-sequence token"):
        encode(PreTrainedTokenizerFast(tokenizer_object=tokenizer), make_sample())


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("word " * 200, id="english"),
        pytest.param("日本語の長い文。" * 60, id="japanese"),
        pytest.param("🙂" * 100, id="four-byte"),
    ],
)
@pytest.mark.parametrize("max_length", [50, 64, 65, 100])
def test_too_long_texts_lose_their_middle_and_nothing_else(byte_tokenizer, text, max_length):
    candidates = ("answer", "a much longer answer")
    encoded = encode(byte_tokenizer, make_sample(text, candidates=candidates), "Do: {text}\nAnswer:\n", max_length)
    [sample] = encoded.samples
    longest = len(sample.prompt_ids) + max(map(len, sample.candidate_ids))
    assert max_length - 8 <= longest <= max_length
    assert encoded.cut == 1
    assert byte_tokenizer.decode(sample.completion_ids) == "answer</s>"
    prompt = byte_tokenizer.decode(sample.prompt_ids)
    assert prompt.startswith("<s>Do: ")
    assert prompt.endswith("\nAnswer:\n")
    head, tail = prompt.removeprefix("<s>Do: ").removesuffix("\nAnswer:\n").split("…")
    assert text.startswith(head)
    assert text.endswith(tail)


def test_a_context_loses_its_end(byte_tokenizer):
    sample = Sample(
        "s", {"context": "start " * 100, "question": "why?"}, ("context", "question"), "answer", "answer", ()
    )
    [cut] = encode(byte_tokenizer, sample, "{context}\n{question}\n", 40).samples
    prompt = byte_tokenizer.decode(cut.prompt_ids)
    assert prompt.startswith("<s>start start")
    assert prompt.endswith("…\nwhy?\n")


@pytest.mark.parametrize("max_length", [40, 60])
def test_an_evaluated_prompt_does_not_depend_on_its_gold_answer(byte_tokenizer, max_length):
    golds = ["", "short", "a much longer answer than any of the training split " * 3]
    samples = [make_sample("word " * 100, gold) for gold in golds]
    encoder = Encoder(byte_tokenizer, TEMPLATE, max_length, keep_target)
    encoded = encoder.encode(samples, "test", answer_room=10)
    prompts = [sample.prompt_ids for sample in encoded.samples]
    assert prompts[0] == prompts[1] == prompts[2]
    assert max_length - 8 <= len(prompts[0]) + 10 <= max_length
    assert byte_tokenizer.decode(encoded.samples[2].completion_ids) == golds[2] + "</s>"
    trained = encoder.encode(samples[:2], "train").samples
    assert len(trained[0].prompt_ids) > len(trained[1].prompt_ids)


def test_a_prompt_that_leaves_the_room_is_not_cut_whatever_its_answer(byte_tokenizer):
    long = make_sample("word", "a much longer answer than any of the training split " * 3)
    encoded = Encoder(byte_tokenizer, TEMPLATE, 50, keep_target).encode([long], "test", answer_room=10)
    assert encoded.cut == 0


@pytest.mark.parametrize("gold", ["yes", "a label that train lacks"])
def test_an_evaluated_choice_leaves_room_for_its_longest_candidate(byte_tokenizer, gold):
    sample = make_sample("word " * 100, gold, ("yes", "certainly"))
    encoder = Encoder(byte_tokenizer, TEMPLATE, 60, keep_target)
    [encoded] = encoder.encode([sample], "test", answer_room=2).samples
    [reference] = encoder.encode([make_sample("word " * 100, "certainly", sample.candidates)], "test", 2).samples
    assert encoded.prompt_ids == reference.prompt_ids
    assert encoded.candidate_ids is not None
    assert len(encoded.prompt_ids) + max(map(len, encoded.candidate_ids)) <= 60


def test_where_the_longest_text_is_not_enough_the_next_one_is_cut(byte_tokenizer):
    texts = {"context": "start " * 100, "question": "first " + "why " * 90 + "last?"}
    sample = Sample("s", texts, ("context", "question"), "answer", "answer", ())
    encoded = encode(byte_tokenizer, sample, "{context}\n{question}\n", 60)
    prompt = byte_tokenizer.decode(encoded.samples[0].prompt_ids)
    assert prompt.startswith("<s>first why")
    assert prompt.endswith("last?\n")
    assert (prompt.count("…"), encoded.cut) == (1, 1)


def test_no_room_even_without_the_text(byte_tokenizer):
    with pytest.raises(DataError, match=r"too long even without its free text.*train, id s1.*max_length=8"):
        encode(byte_tokenizer, make_sample("word " * 20), max_length=8)


def test_what_is_cut_away_leaves_the_target_and_is_counted(byte_tokenizer):
    def retarget(sample, cut):
        assert cut.field == "text"
        return "none", 3

    encoded = encode(byte_tokenizer, make_sample("word " * 100), max_length=50, retarget=retarget)
    assert (encoded.cut, encoded.dropped) == (1, 3)
    assert byte_tokenizer.decode(encoded.samples[0].completion_ids) == "none</s>"


def test_cut_shows_what_is_left():
    cut = Cut("text", 3, 2)
    assert cut.apply("abcdefgh") == "abc…gh"
    visible = [(start, end) for start in range(8) for end in range(start + 1, 9) if cut.shows(start, end, 8)]
    assert visible == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3), (6, 7), (6, 8), (7, 8)]
    assert Cut("text", 0, 0).apply("abc") == ""
    assert not Cut("text", 0, 0).shows(0, 1, 3)


def test_all_that_was_looked_at_is_noted_texts_that_are_cut_away_and_alone_too():
    tokenizer, noted = merging_tokenizer(), set[int]()
    sample = make_sample("ybbbbcbbbb", "a", ("a", "xz"))
    [cut] = Encoder(tokenizer, "x{text}", 8, keep_target, noted=noted).encode([sample], "train").samples
    # Behind the template the text's first letter is a part of another token; where it is cut is told by it alone.
    assert tokenizer.convert_ids_to_tokens(cut.prompt_ids) == ["xy", "b", "b", "b", "b", "b"]
    assert set(tokenizer.convert_ids_to_tokens(list(noted))) == {"xy", "y", "b", "c", "a", "xz"}
