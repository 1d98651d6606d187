"""A problem, as RFC 9457 describes it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rowhooks.web.api.models.base import Told


class FieldError(Told):
    """What is wrong with one part of a request."""

    part: Literal["body", "query", "path", "header"] = Field(description="Where it stands.")
    field: str = Field(description="Its name; in the body a JSON pointer.")
    detail: str = Field(description="What is wrong with it.")


class Problem(Told):
    """What is wrong with a request."""

    type: str = Field(description="What kind of problem it is: a link to its description.")
    title: str = Field(description="What kind of problem it is, in a sentence.")
    status: int = Field(description="The status code.")
    detail: str = Field(description="What is wrong this time.")
    hint: str | None = Field(description="What to do about it.")
    errors: list[FieldError] = Field(description="What is wrong with parts of the request.")
