"""What is asked over HTTP is answered as on the command line, within bounds, by many clients at once."""

import json
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from scd_lightning.cli import predict
from scd_lightning.cli.serve import _parser as parser
from scd_lightning.serving.bounds import Bounds
from scd_lightning.use.student import Student
from tests.conftest import ROOT


def error(response, status, code):
    assert response.status_code == status, response.text
    found = response.json()
    assert found.keys() == {"error"}
    assert found["error"].keys() == {"message", "type", "param", "code"}
    assert found["error"]["code"] == code
    return found["error"]["message"]


def test_answers_are_those_of_the_command(serve, student, run_folders, capsys):
    texts = ["I was charged twice.", "病院で会った。", "word " * 2000, ""]
    predict.main([str(run_folders("classification")), *texts, "--json"])
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    with serve(student) as client:
        found = client.post("/predict", json={"texts": texts}).json()
        assert found["answers"] == [
            row | {"probability": pytest.approx(row["probability"], abs=2e-3)} for row in printed
        ]
        assert found["answers"][2]["shortened"] is True
        assert "is empty" in found["answers"][3]["error"]
        assert (found["student"], found["digest"]) == ("student", student.digest(()))
        [one] = client.post("/predict", json={"text": texts[0], "probabilities": True}).json()["answers"]
        assert one["answer"] == printed[0]["answer"] == max(one["probabilities"], key=one["probabilities"].get)
        health = client.get("/health").json()
        assert (health["status"], health["digest"], health["texts_answered"]) == ("ok", found["digest"], 5)


def test_entities_have_their_places(serve, run_folders):
    student = Student.load(run_folders("ner"), "cpu")
    texts = ["Garuma wrote.", "At the clinic Falora met Pelora."]
    with serve(student) as client:
        answers = client.post("/predict", json={"texts": texts}).json()["answers"]
    assert [each | {"probability": 0} for each in answers] == [
        each.row() | {"probability": 0} for each in student.predict(texts)
    ]
    assert all("entities" in each for each in answers)


def test_the_digest_is_that_of_the_files(student, run_folders, tmp_path):
    copy = shutil.copytree(run_folders("classification") / "student", tmp_path / "student")
    assert Student.load(copy, "cpu").digest(()) == student.digest(())
    form = json.loads((copy / "prompt_template.json").read_text())
    (copy / "prompt_template.json").write_text(json.dumps(form | {"max_length": 100}))
    assert Student.load(copy, "cpu").digest(()) != student.digest(())


def test_many_clients_share_batches(serve, made_up):
    with serve(made_up, batch=8) as client, ThreadPoolExecutor(20) as pool:
        asked = [f"{'x' * (number % 9 + 1)}" for number in range(20)]
        answers = list(pool.map(lambda text: client.post("/predict", json={"text": text}).json()["answers"][0], asked))
    assert [each["answer"] for each in answers] == ["long" if len(text) > 4 else "short" for text in asked]
    assert sum(made_up.begun) == 20


@pytest.mark.parametrize(
    ("body", "status", "code", "told"),
    [
        ({"texts": []}, 422, "no_texts", "no texts"),
        ({"text": "  "}, 422, "no_usable_text", "is empty"),
        ({"text": "a", "texts": ["a"]}, 422, "invalid_body", 'one of "text" and "texts"'),
        ({"txt": "a"}, 422, "invalid_body", "txt"),
        ({"texts": [1] * 1000}, 422, "invalid_body", "1997 more"),
        ({"texts": "a"}, 422, "invalid_body", "list"),
        ({"text": {"id": [], "text": "a"}}, 422, "invalid_text", "id"),
        (["a"], 422, "invalid_body", "dictionary"),
        ({"texts": ["a"] * 10_000}, 413, "too_many_texts", "10,000 texts, and at most 512"),
        ({"texts": ["a", "b" * 100_001]}, 413, "text_too_long", "Text 2 has 100,001"),
        ({"texts": ["b" * 99_999] * 45}, 413, "body_too_large", "at most 4,194,304"),
        ({"text": {"text": "a", "more": ["b" * 60_000] * 2}}, 413, "text_too_long", "120,001"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_form(serve, made_up, body, status, code, told):
    with serve(made_up) as client:
        assert told in error(client.post("/predict", json=body), status, code)
        assert made_up.begun == ([1] if code == "no_usable_text" else [])


def test_what_is_no_json_or_leads_nowhere_is_refused_in_the_same_form(serve, made_up):
    as_json = {"Content-Type": "application/json"}
    with serve(made_up) as client:
        error(client.post("/predict", content="{", headers=as_json), 400, "invalid_json")
        error(client.post("/predict", content="[" * 100_000, headers=as_json), 400, "invalid_json")
        error(client.post("/predict", content=b"\xff", headers=as_json), 400, "invalid_json")
        error(client.post("/predict", content="", headers=as_json), 422, "invalid_body")
        assert "curl --json" in error(client.post("/predict", data={"text": "a"}), 415, "not_json")
        error(client.get("/predict"), 405, "method_not_allowed")
        error(client.get("/nowhere"), 404, "not_found")


def test_half_a_surrogate_pair_is_no_reason_to_fail(serve, student):
    with serve(student) as client:
        content, headers = '{"texts": ["\\ud800", "fine"]}', {"Content-Type": "application/json"}
        answers = client.post("/predict", content=content, headers=headers).json()["answers"]
    assert "surrogate" in answers[0]["error"]
    assert answers[1]["answer"]


def test_a_full_queue_says_when_to_come_again(serve, made_up):
    made_up.go.clear()
    with serve(made_up, Bounds(texts=6, queue=6), batch=2) as client, ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.post, "/predict", json={"texts": ["a"] * 6})
        while not made_up.begun:
            time.sleep(0.01)
        # Two are with the model, four wait.
        refused = client.post("/predict", json={"texts": ["b"] * 3})
        assert "4 texts wait, of at most 6" in error(refused, 429, "queue_full")
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        second = pool.submit(client.post, "/predict", json={"texts": ["c"] * 2})
        while client.app_state["desk"].queue.waiting < 6:
            time.sleep(0.01)
        made_up.go.set()
        assert first.result().status_code == second.result().status_code == 200


def test_a_student_that_fails_is_told_of_and_goes_on(serve, made_up):
    made_up.broken = {"bad"}
    with serve(made_up) as client:
        assert "ArithmeticError" in error(client.post("/predict", json={"text": "bad"}), 500, "failed")
        assert client.post("/predict", json={"text": "good"}).status_code == 200


def test_the_interface_is_described(serve, made_up):
    with serve(made_up) as client:
        described = client.get("/openapi.json").json()
    assert set(described["paths"]) == {"/health", "/predict", "/v1/models", "/v1/models/{name}", "/v1/chat/completions"}
    predicted = described["paths"]["/predict"]["post"]
    assert {"200", "401", "413", "422", "429"} <= predicted["responses"].keys()
    assert "texts" in described["components"]["schemas"]["Asked"]["properties"]


def test_the_requests_of_the_docs_are_answered(serve, made_up):
    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    bodies = [json.loads(found) for found in re.findall(r"/predict .*?--json '(.*?)'", page)]
    assert len(bodies) >= 3
    with serve(made_up) as client:
        assert [client.post("/predict", json=body).status_code for body in bodies] == [200] * len(bodies)


def test_the_bounds_of_the_docs_are_those_of_the_command():
    page, bounds = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8"), Bounds()
    told = dict(re.findall(r"`--([a-z-]+) (\d+)`", page))
    parsed = vars(parser().parse_args(["student", *(f"--{name}={value}" for name, value in told.items())]))
    assert parsed == vars(parser().parse_args(["student"]))
    assert {"max-body", "max-texts", "max-characters", "queue", "batch"} <= told.keys()
    assert f"| {bounds.requests:,} | 429 |" in page
    assert f"| {bounds.head_seconds:g} s, and {bounds.body_seconds:g} s |" in page
