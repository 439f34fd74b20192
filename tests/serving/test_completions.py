"""Chat completions and models, by the schema of OpenAI's API."""

import json

import numpy as np
import pytest

from scd_lightning.analysis.confidence.measured import measure
from scd_lightning.analysis.confidence.units import Units
from scd_lightning.use.selective import Selective
from scd_lightning.use.student import Student
from tests.serving.conftest import MadeUp

URL = "/v1/chat/completions"


def chat(content="a text", **more):
    return {"model": "student", "messages": [{"role": "user", "content": content}], **more}


def events(response):
    assert response.headers["content-type"].startswith("text/event-stream")
    parts = response.text.split("\n\n")
    assert parts[-2:] == ["data: [DONE]", ""]
    return [json.loads(part.removeprefix("data: ")) for part in parts[:-2]]


def test_the_last_message_of_the_user_is_answered(serve, made_up):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "not this"},
        {"role": "assistant", "content": "nor this"},
        {"role": "user", "content": [{"type": "text", "text": "th"}, {"type": "text", "text": "is"}]},
    ]
    with serve(made_up) as client:
        ignored = {"temperature": 0.7, "max_tokens": 1, "top_p": 0.1, "seed": 3, "stop": ["a"], "user": "me"}
        found = client.post(URL, json={"messages": messages, **ignored}).json()
    assert made_up.texts == ["this"]
    assert (found["object"], found["model"]) == ("chat.completion", "student")
    assert found["system_fingerprint"] == "0123456789abcdef"
    assert found["id"].startswith("chatcmpl-")
    [choice] = found["choices"]
    assert choice["message"] == {"role": "assistant", "content": "short", "refusal": None}
    assert (choice["index"], choice["finish_reason"], choice["logprobs"]) == (0, "stop", None)
    assert found["usage"] == {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    assert found["row"] == {"id": "input-1", "answer": "short", "probability": 0.75}


def test_a_stream_is_the_answer_and_its_end(serve, made_up):
    with serve(made_up) as client:
        first, last = events(client.post(URL, json=chat(stream=True)))
        *_, usage = events(client.post(URL, json=chat(stream=True, stream_options={"include_usage": True})))
    assert first["object"] == last["object"] == "chat.completion.chunk"
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "long"}
    assert first["id"] == last["id"]
    assert (first["choices"][0]["finish_reason"], last["choices"][0]["finish_reason"]) == (None, "stop")
    assert (usage["choices"], usage["usage"]["total_tokens"]) == ([], 9)


def test_an_answer_that_is_not_sure_enough_is_declined(serve, made_up):
    with serve(made_up) as client:
        found = client.post(URL, json=chat("hm")).json()
        first, last = events(client.post(URL, json=chat("hm", stream=True)))
        [row] = client.post("/predict", json={"text": "hm"}).json()["answers"]
    [choice] = found["choices"]
    assert choice["message"]["content"] is None
    assert "guess" in choice["message"]["refusal"]
    assert found["usage"]["total_tokens"] == 9
    assert found["row"] == last["row"] == row
    assert (row["answer"], row["guess"]) == (None, "short")
    assert first["choices"][0]["delta"] == {"role": "assistant", "refusal": choice["message"]["refusal"]}


def test_a_student_that_is_to_be_sure_is_served_as_one(serve, student):
    sure = Student(student.model, student.tokenizer, student.form, student.folder)
    probability = np.linspace(0, 1, 401)[:-1]
    units = Units(probability, (probability >= 0.6).astype(float), np.arange(400))
    sure.confidence = measure("answer", units, units, chosen=True)
    with serve(Selective(sure, 0.9)) as client:
        assert client.get("/health").json()["at_least"] == 0.9
        rows = client.post("/predict", json={"texts": ["a text", "another one"]}).json()["answers"]
    assert rows == [each.row() for each in Selective(sure, 0.9).predict(["a text", "another one"])]
    with serve(student) as client:
        assert client.get("/health").json()["at_least"] is None


def test_tokens_are_those_of_the_prompt_and_the_answer(serve, student):
    with serve(student) as client:
        found = client.post(URL, json=chat("病院で会った。")).json()
    [answered] = student.predict(["病院で会った。"])
    template = student.form.task.template
    prompt = student.tokenizer(template.format(text="病院で会った。"))["input_ids"]
    answer = student.tokenizer(answered.answer, add_special_tokens=False)["input_ids"]
    assert found["usage"]["prompt_tokens"] == len(prompt)
    assert found["usage"]["completion_tokens"] == len(answer) + 1
    assert found["choices"][0]["message"]["content"] == answered.answer


def test_a_student_of_several_fields_takes_them_as_json(serve):
    made_up = MadeUp(("question", "context"))
    with serve(made_up) as client:
        found = client.post(URL, json=chat('{"question": "why?", "context": "so"}')).json()
        assert found["choices"][0]["message"]["content"] == "short"
        for content in ("why?", '["why?"]', "[" * 200):
            refused = client.post(URL, json=chat(content))
            assert refused.status_code == 400
            assert '"question": ..., "context": ...' in refused.json()["error"]["message"]
        assert '"question": ...' in client.post("/predict", json={"text": "why?"}).json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (chat() | {"model": "gpt-4"}, 404, "model_not_found"),
        (chat(n=2), 400, "unsupported_value"),
        (chat(logprobs=True), 400, "unsupported_parameter"),
        (chat(tools=[{"type": "function"}]), 400, "unsupported_parameter"),
        (chat(response_format={"type": "json_object"}), 400, "unsupported_value"),
        (chat([{"type": "image_url"}]), 400, "unsupported_value"),
        ({"messages": [{"role": "system", "content": "a"}]}, 400, "no_user_message"),
        ({"messages": []}, 422, "invalid_body"),
        ({}, 422, "invalid_body"),
        (chat(" "), 422, "no_usable_text"),
        (chat(None), 422, "no_usable_text"),
        (chat("a" * 100_001), 413, "text_too_long"),
    ],
)
def test_what_could_not_be_gone_on_from_is_refused(serve, made_up, body, status, code):
    with serve(made_up) as client:
        refused = client.post(URL, json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)


def test_what_is_asked_for_in_words_that_change_nothing_is_taken(serve, made_up):
    with serve(made_up) as client:
        taken = chat(n=1, tools=[], response_format={"type": "text"}, logprobs=False, stream=None)
        assert client.post(URL, json=taken).status_code == 200


def test_the_student_is_the_one_model(serve, made_up):
    with serve(made_up) as client:
        [model] = client.get("/v1/models").json()["data"]
        assert (model["id"], model["object"], model["digest"]) == ("student", "model", "0123456789abcdef")
        assert client.get("/v1/models/student").json() == model
        assert client.get("/v1/models/other").json()["error"]["code"] == "model_not_found"
