"""What clients are told that get no answer: one form for everything, that of OpenAI's API."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

# A request may have thousands of fields that don't fit: who reads more than a few?
_TOLD = 3
_CODES = {404: "not_found", 405: "method_not_allowed", 400: "invalid_json"}


class Refusal(HTTPException):
    """A request that gets no answer.

    It is one of Starlette's errors, since those alone pass through what reads a body.

    Args:
        status: The HTTP status.
        code: A word for programs, such as "queue_full".
        message: What is wrong and what to do, for people.
        headers: Further headers of the response.
    """

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, message, dict(headers or {}))
        self.code = code

    def response(self) -> Response:
        """What is sent: {"error": {"message", "type", "code"}}."""
        kind = "server_error" if self.status_code >= 500 else "invalid_request_error"
        error = {"message": self.detail, "type": kind, "param": None, "code": self.code}
        return json_response({"error": error}, self.status_code, self.headers)


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that people can read, too; half a surrogate pair, which UTF-8 can't carry, is escaped."""
    text = json.dumps(content, ensure_ascii=False)
    try:
        body = text.encode()
    except UnicodeEncodeError:
        body = json.dumps(content).encode()
    return Response(body, status, dict(headers or {}), "application/json")


def refuse_in_one_form(app: FastAPI) -> None:
    """Has whatever FastAPI and Starlette refuse by themselves be told in this form."""

    @app.exception_handler(HTTPException)
    async def _refused(request: Request, error: HTTPException) -> Response:
        if isinstance(error, Refusal):
            return error.response()
        code = _CODES.get(error.status_code, "refused")
        return Refusal(error.status_code, code, f"{error.detail}.", error.headers).response()

    @app.exception_handler(RequestValidationError)
    async def _malformed(request: Request, error: RequestValidationError) -> Response:
        if any(each["type"] == "json_invalid" for each in error.errors()):
            return Refusal(400, "invalid_json", "The body is not JSON.").response()
        return Refusal(422, "invalid_body", " ".join(_told(error.errors()))).response()

    @app.exception_handler(Exception)
    async def _failed(request: Request, error: Exception) -> Response:
        return Refusal(500, "failed", "The server has a defect. It has printed where.").response()


def _told(errors: Sequence[Any]) -> Iterator[str]:
    """A sentence each, with the place, and nothing of what was sent."""
    for each in errors[:_TOLD]:
        place = ".".join(str(part) for part in each["loc"])
        yield f"{place}: {each['msg'].removeprefix('Value error, ')}."
    if len(errors) > _TOLD:
        yield f"{len(errors) - _TOLD} more."
