"""Who may ask, and what is not read to its end."""

import pytest

from scd_lightning.serving.bounds import Bounds
from scd_lightning.serving.guard import Access

TOKEN = "a token of some length"
JSON = {"Content-Type": "application/json"}


def test_with_a_token_only_who_shows_it_is_answered(serve, made_up):
    with serve(made_up, access=Access(TOKEN, None)) as client:
        for path in ("/v1/models", "/v1/models/student", "/nowhere"):
            assert client.get(path).status_code == 401
        for shown in ("", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"):
            headers = [(b"Authorization", shown.encode("latin-1"))]
            refused = client.post("/predict", json={"text": "a"}, headers=headers)
            assert refused.status_code == 401
            assert refused.headers["WWW-Authenticate"] == "Bearer"
            assert refused.json()["error"]["code"] == "invalid_api_key"
        for kind in ("Bearer", "bearer"):
            right = {"Authorization": f"{kind} {TOKEN}"}
            assert client.post("/predict", json={"text": "a"}, headers=right).status_code == 200
        for path in ("/", "/docs", "/openapi.json", "/health"):
            assert client.get(path).status_code == 200
        assert client.get("/health").json()["needs_token"] is True
        assert "HTTPBearer" in client.get("/openapi.json").json()["components"]["securitySchemes"]
    assert made_up.texts == ["a", "a"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "[::2]:80"])
def test_pages_that_have_their_name_lead_here_are_refused(serve, made_up, host):
    with serve(made_up, access=Access()) as client:
        refused = client.post("/predict", json={"text": "a"}, headers={"Host": host})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "unknown_host")
        assert client.get("/health", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000", "[::1]"])
def test_this_machine_s_own_names_are_taken(serve, made_up, host):
    with serve(made_up, access=Access()) as client:
        assert client.get("/health", headers={"Host": host}).status_code == 200


def test_no_page_of_others_is_let_read_answers(serve, made_up):
    with serve(made_up) as client:
        origin = {"Origin": "https://evil.example"}
        answered = client.post("/predict", json={"text": "a"}, headers=origin)
        asked = client.options("/predict", headers=origin | {"Access-Control-Request-Method": "POST"})
    assert not [name for each in (answered, asked) for name in each.headers if name.startswith("access-control")]
    assert asked.status_code == 405


def test_a_body_is_too_large_by_what_is_said_of_it(serve, made_up):
    with serve(made_up, Bounds(body=1000)) as client:
        headers = JSON | {"Content-Length": "1001"}
        assert client.post("/predict", content=b"{}", headers=headers).status_code == 413


def test_a_body_is_too_large_by_what_arrives(serve, made_up):
    with serve(made_up, Bounds(body=1000)) as client:
        refused = client.post("/predict", content=iter([b" " * 600] * 2), headers=JSON)
        assert (refused.status_code, refused.json()["error"]["code"]) == (413, "body_too_large")
        assert client.post("/predict", content=iter([b'{"text": ', b'"a"}']), headers=JSON).status_code == 200


def test_no_more_requests_are_open_than_may_be(serve, made_up):
    with serve(made_up, Bounds(requests=2)) as client:
        client.app_state["guard"].open = 2
        refused = client.get("/health")
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_requests")
        assert refused.headers["Retry-After"] == "1"
        client.app_state["guard"].open = 0
        assert client.get("/health").status_code == 200
        assert client.app_state["guard"].open == 0


def test_near_the_end_connections_are_closed_behind_answers(serve, made_up):
    with serve(made_up) as client:
        assert "connection" not in client.post("/predict", json={"text": "a"}).headers
        client.app_state["guard"].stopping = True
        answered = client.post("/predict", json={"text": "a"})
        assert (answered.status_code, answered.headers["connection"]) == (200, "close")
        health = client.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "stopping")
