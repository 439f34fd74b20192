"""The application: what is answered under which path."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.security import HTTPBearer

from scd_lightning.serving.completions import check_conversation, completion, text_of
from scd_lightning.serving.desk import Desk
from scd_lightning.serving.guard import Access, Guard
from scd_lightning.serving.refusals import Refusal, json_response, refuse_in_one_form
from scd_lightning.serving.request_bodies import Asked, Conversation, Predicted, Refused
from scd_lightning.serving.web_pages import page
from scd_lightning.serving.work_queue import Answered
from scd_lightning.use.answers_given import Chosen
from scd_lightning.use.selective import Selective

_SAID = {
    400: "What is asked for is not given here, or the body is not JSON",
    401: "The token is missing or wrong",
    404: "There is no model of that name",
    413: "The body, a text, or the number of texts is too large",
    422: "The body is not as described, or there is no text in it that could be answered",
    429: "As many texts wait as may; the header Retry-After says for how long",
}
_DESCRIPTION = (
    "A student answers texts as it was evaluated. Every refusal has the form of OpenAI's API: "
    '{"error": {"message", "type", "param", "code"}}.'
)


def make_application(desk: Desk, access: Access) -> tuple[FastAPI, Guard]:
    """The application of a student, and what guards it, which is to be served.

    Args:
        desk: Where texts are handed in.
        access: Who may ask.
    """

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        desk.worker.start()
        yield
        # In a thread: until the last answers are made, this one has to hand them over.
        await asyncio.to_thread(desk.worker.stop)

    app = FastAPI(
        title=f"scd serve: {desk.name}",
        description=_DESCRIPTION,
        version="1",
        lifespan=running,
        docs_url=None,
        redoc_url=None,
        responses={status: {"model": Refused, "description": _SAID[status]} for status in (401, 429)},
    )
    guard = Guard(app, desk.bounds, access)
    refuse_in_one_form(app)
    token = [Depends(HTTPBearer(auto_error=False, description="What SCD_SERVE_TOKEN is"))] if access.token else []
    _add_pages(app)
    _add_health(app, desk, guard)
    _add_predict(app, desk, token)
    _add_models(app, desk, token)
    _add_chat(app, desk, token)
    return app, guard


def _add_pages(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def to_try() -> Response:
        return page("try.html")

    @app.get("/docs", include_in_schema=False)
    async def interface() -> Response:
        return page("interface.html")


def _add_health(app: FastAPI, desk: Desk, guard: Guard) -> None:
    @app.get("/health", summary="Whether texts are answered, and by which student")
    async def health() -> Response:
        """503 once the server is about to end. Needs no token."""
        form = desk.student.form
        said = {
            "status": "stopping" if guard.stopping else "ok",
            "student": desk.name,
            "digest": desk.digest,
            "task": form.task.prompt.kind,
            "fields": form.fields,
            "at_least": desk.student.threshold.level if isinstance(desk.student, Selective) else None,
            "needs_token": guard.access.token is not None,
            "texts_waiting": desk.queue.waiting,
            "texts_answered": desk.worker.answered,
        }
        return json_response(said, 503 if guard.stopping else 200)


def _add_predict(app: FastAPI, desk: Desk, token: list[Any]) -> None:
    @app.post(
        "/predict",
        summary="The student's answers to one or many texts",
        response_model=Predicted,
        responses=_refusals(413, 422),
        dependencies=token,
    )
    async def predict(asked: Asked, request: Request) -> Response:
        """Rows as `scd predict --json` prints them, in the texts' order.

        A text that can't be used has an `error` in its row; where none can, that is the answer.
        """
        answers = await desk.ask(request, desk.rows(asked.given))
        _check_any(answers)
        rows = [_row(each, asked.probabilities) for each in answers]
        return json_response({"student": desk.name, "digest": desk.digest, "answers": rows})


def _check_any(answers: list[Answered]) -> None:
    """Refuses a request of whose texts none could be used."""
    first = answers[0].given
    if all(each.given.error is not None for each in answers):
        told = f"No text could be used; the first, {first.id}: {first.error}."
        raise Refusal(422, "no_usable_text", told)


def _row(answered: Answered, probabilities: bool) -> dict[str, Any]:
    row, given = answered.given.row(), answered.given
    return row | ({"probabilities": dict(given.shares)} if probabilities and isinstance(given, Chosen) else {})


def _add_models(app: FastAPI, desk: Desk, token: list[Any]) -> None:
    model = {"id": desk.name, "object": "model", "created": 0, "owned_by": "scd-lightning", "digest": desk.digest}

    @app.get("/v1/models", summary="The student, as OpenAI's API lists models", dependencies=token)
    async def models() -> Response:
        return json_response({"object": "list", "data": [model]})

    @app.get(
        "/v1/models/{name:path}",
        summary="The student, by its name",
        responses=_refusals(404),
        dependencies=token,
    )
    async def model_named(name: str) -> Response:
        if name != desk.name:
            raise Refusal(404, "model_not_found", f"There is no model of that name here, but {desk.name!r}.")
        return json_response(model)


def _add_chat(app: FastAPI, desk: Desk, token: list[Any]) -> None:
    @app.post(
        "/v1/chat/completions",
        summary="The student's answer to the last message of the user, in the form of OpenAI's API",
        responses=_refusals(400, 404, 413, 422),
        dependencies=token,
    )
    async def chat(asked: Conversation, request: Request) -> Response:
        """The student's own prompt is put around the message; other messages, and how to sample, are not read.

        `system_fingerprint` is the student's digest, and `row` the answer as POST /predict has it.
        """
        check_conversation(asked, desk.name)
        rows = desk.rows([text_of(asked, desk.student.form.fields)])
        answers = await desk.ask(request, rows, counted=True)
        _check_any(answers)
        return completion(asked, answers[0], desk.name, desk.digest)


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Refused, "description": _SAID[status]} for status in statuses}
