"""Chat completions as OpenAI's API has them, of a student that knows one prompt: its own."""

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

from fastapi import Response

from scd_lightning.data.json_text import read_json_text
from scd_lightning.serving.refusals import Refusal, json_response
from scd_lightning.serving.request_bodies import Conversation, Message, Text
from scd_lightning.serving.work_queue import Answered

# What a client that asks for these goes on from, and a student does not give.
_NOT_GIVEN = {
    "logprobs": "It gives no probabilities of tokens; POST /predict gives that of each answer.",
    "tools": "It calls no functions.",
    "functions": "It calls no functions.",
}


def check_conversation(asked: Conversation, name: str) -> None:
    """Refuses what the client could not go on from if it were ignored.

    Raises:
        Refusal: It wants another model, several answers, or something else than a text.
    """
    if asked.model is not None and asked.model != name:
        raise Refusal(
            404,
            "model_not_found",
            f"There is no model of that name here, but {name!r}; `scd serve --name` gives it another.",
        )
    if asked.n not in (None, 1):
        raise Refusal(400, "unsupported_value", "n: the student has one answer to a text.")
    for field, why in _NOT_GIVEN.items():
        if getattr(asked, field):
            raise Refusal(400, "unsupported_parameter", f"{field}: {why}")
    if asked.response_format is not None and asked.response_format.get("type") != "text":
        raise Refusal(400, "unsupported_value", "response_format: the form of an answer is the student's own.")


def text_of(asked: Conversation, fields: tuple[str, ...]) -> Text:
    """What the student is to answer: the last message of the user.

    Args:
        asked: The conversation. Whatever else is in it is not read: the student was trained on one turn.
        fields: What the student is asked. Where that is more than a text, the message is an object of these in JSON.

    Raises:
        Refusal: There is no such message, or it is no text, or not such an object.
    """
    last = next((each for each in reversed(asked.messages) if each.role == "user"), None)
    if last is None:
        raise Refusal(400, "no_user_message", 'messages: there is none with "role": "user".')
    content = _content(last)
    if len(fields) == 1:
        return content
    expected = "{" + ", ".join(f'"{name}": ...' for name in fields) + "}"
    try:
        value = read_json_text(content)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refusal(
            400, "invalid_text", f"messages: this student is asked more than a text. The content should be {expected}."
        )
    return value


def _content(message: Message) -> str:
    if isinstance(message.content, str):
        return message.content
    parts = message.content or []
    if other := [part.type for part in parts if part.type != "text"]:
        raise Refusal(400, "unsupported_value", f"messages: the student reads text alone, and not {other[0]!r}.")
    return "".join(part.text or "" for part in parts)


def completion(asked: Conversation, answered: Answered, name: str, digest: str) -> Response:
    """The answer in the form of the API, as one object or as events.

    Args:
        asked: The conversation.
        answered: The student's answer, with its tokens.
        name: The student's name.
        digest: Its digest, which is the system's fingerprint.
    """
    assert answered.tokens is not None
    prompt, answer = answered.tokens
    usage = {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}
    about = {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "created": int(time.time()),
        "model": name,
        "system_fingerprint": digest,
    }
    row = answered.given.row()
    if asked.stream:
        with_usage = asked.stream_options is not None and asked.stream_options.include_usage
        events = "".join(_events(about, row, usage if with_usage else None))
        return Response(events.encode(), headers={"Cache-Control": "no-cache"}, media_type="text/event-stream")
    choice = {"index": 0, "message": _message(row), "logprobs": None, "finish_reason": "stop"}
    return json_response(about | {"object": "chat.completion", "choices": [choice], "usage": usage, "row": row})


def _message(row: dict[str, Any]) -> dict[str, Any]:
    """What the student says; where it is not sure enough, that it declines, as models do there."""
    if row["answer"] is not None:
        return {"role": "assistant", "content": row["answer"], "refusal": None}
    return {"role": "assistant", "content": None, "refusal": "Not as sure as was asked for; the guess is in `row`."}


def _events(about: dict[str, Any], row: dict[str, Any], usage: dict[str, int] | None) -> Iterator[str]:
    """Server-sent events: the whole answer, its end, and what it took where that was asked for."""
    about = about | {"object": "chat.completion.chunk"}
    deltas: list[tuple[dict[str, Any], str | None]] = [
        ({name: value for name, value in _message(row).items() if value is not None}, None),
        ({}, "stop"),
    ]
    for delta, reason in deltas:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        yield _event(about | {"choices": [choice]} | ({"row": row} if reason else {}))
    if usage is not None:
        yield _event(about | {"choices": [], "usage": usage})
    yield "data: [DONE]\n\n"


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content)}\n\n"
