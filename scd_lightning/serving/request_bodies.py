"""What clients send: checked, and described on the server's own page about its interface."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Text = str | dict[str, Any]
_FIELDS = "where the student is asked more than a text, its fields by name"


class Asked(BaseModel):
    """The body of POST /predict: `text` or `texts`, either of them.

    Attributes:
        text: One text.
        texts: Several.
        probabilities: Whether rows get all labels' probabilities, of a task with labels to choose from.
    """

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"texts": ["I was charged twice.", "Where is my card?"]}]}
    )

    text: Text | None = Field(None, description=f"One text; or {_FIELDS}")
    texts: list[Text] | None = Field(None, description=f"Several texts; or {_FIELDS}, of each")
    probabilities: bool = Field(False, description="Whether rows get the probability of each label, where it chooses")

    @model_validator(mode="after")
    def _either(self) -> "Asked":
        if (self.text is None) == (self.texts is None):
            raise ValueError('one of "text" and "texts" is needed')
        return self

    @property
    def given(self) -> list[Text]:
        """The texts, however they were sent."""
        if self.texts is not None:
            return self.texts
        assert self.text is not None
        return [self.text]


class Part(BaseModel):
    """A piece of a message's content."""

    type: str
    text: str | None = None


class Message(BaseModel):
    """A message of a conversation."""

    role: str
    content: str | list[Part] | None = None


class StreamOptions(BaseModel):
    """What is wanted of a stream."""

    include_usage: bool = False


class Conversation(BaseModel):
    """The body of POST /v1/chat/completions, as OpenAI's API has it; what is not here is ignored.

    Attributes:
        model: The student's name; None where the client does not care.
        messages: The conversation; the last message of the user is what is answered.
        stream: Whether the answer is sent as events.
        stream_options: What is wanted of those.
        n: How many answers; a student has one.
        logprobs: Whether tokens' probabilities are wanted, which there are none of.
        tools: Functions that the model might call, which it can't.
        functions: The same as older clients say it.
        response_format: The form of the answer, which is the student's own.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": "student", "messages": [{"role": "user", "content": "I was charged twice."}]}]
        }
    )

    model: str | None = None
    messages: list[Message] = Field(min_length=1)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = 1
    logprobs: bool | None = None
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    response_format: dict[str, Any] | None = None


class Error(BaseModel):
    """Why there is no answer."""

    message: str
    type: Literal["invalid_request_error", "server_error"]
    param: str | None
    code: str


class Refused(BaseModel):
    """What all refusals look like."""

    error: Error


class Predicted(BaseModel):
    """What POST /predict answers.

    Attributes:
        student: The student's name.
        digest: The digest of its files.
        answers: A row each, in the texts' order: those of `scd predict --json`.
    """

    student: str
    digest: str
    answers: list[dict[str, Any]]
