"""What the models share: their strictness, and kinds of values that several of them have."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from rowhooks.domain.errors import UsageError

T = TypeVar("T")

LARGEST_ID = 2**63 - 1
"""The largest bigint."""
_DIGITS = re.compile(r"0|[1-9]\d{0,18}", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class Given(BaseModel):
    """The body of a request. What it does not know is refused, and no value is turned into one of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Asked(BaseModel):
    """Parameters in a path or a query: texts, of which values are made."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Told(BaseModel):
    """A part of an answer, made of a row or of a value."""

    model_config = ConfigDict(extra="ignore", frozen=True, from_attributes=True, serialize_by_alias=True)


class Nothing(Asked):
    """No parameters."""


def number_of_text(given: object) -> object:
    """Return the whole number that a text in a path or a query says; for a validator."""
    if isinstance(given, str):
        if not _DIGITS.fullmatch(given):
            raise ValueError("not a whole number")
        return int(given)
    return given


def number_of_json(given: object) -> object:
    """Return a whole number of JSON, which may have a fraction of zeros; for a validator."""
    return int(given) if isinstance(given, Decimal) and given == given.to_integral_value() else given


def _flag(given: object) -> object:
    if isinstance(given, str):
        if given not in ("true", "false"):
            raise ValueError("neither true nor false")
        return given == "true"
    return given


def _moment(given: object) -> object:
    if isinstance(given, datetime):
        return given
    if not isinstance(given, str) or not _MOMENT.fullmatch(given):
        raise ValueError("not a time with an offset, for example 2026-11-29T12:00:00Z")
    # datetime knows no second 60 and no more than 6 digits; pydantic reads the rest as RFC 3339 has it.
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", given.upper().replace("Z", "+00:00")))


Flag = Annotated[bool, BeforeValidator(_flag)]
"""true or false, in a query."""
Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
"""A point in time with an offset, in a query or a body."""
Id = Annotated[int, Field(ge=1, le=LARGEST_ID), BeforeValidator(number_of_text)]
"""The id of a thing, in a path or a query."""
Name = Annotated[str, Field(min_length=1, max_length=255)]
"""A name of a thing, or a text that is looked for."""
Json = Annotated[Any, WithJsonSchema({})]
"""Any JSON value; its numbers are int and Decimal."""
Object = Annotated[dict[str, Any], WithJsonSchema({"type": "object"})]
"""Any JSON object."""
Limit = Annotated[int, Field(ge=1, le=500, description="The largest number of items."), BeforeValidator(number_of_text)]
Cursor = Annotated[
    str, Field(min_length=1, max_length=4000, description="Where the page begins: from `next` of the page before it.")
]


class Paged(Asked):
    """Which page of a list is asked for."""

    limit: Limit = 50
    cursor: Cursor | None = None


def number_of_cursor(cursor: str | None) -> int | None:
    """Return the id that a cursor is; None for none.

    Raises:
        UsageError: it is no id.
    """
    if cursor is None or _DIGITS.fullmatch(cursor):
        return None if cursor is None else int(cursor)
    raise UsageError(f"{cursor[:50]!r} is not a place in this list", hint="begin with the first page")


class Page(Told, Generic[T]):
    """A page of a list."""

    items: list[T]
    next: str | None = Field(description="The next page, as a path; null on the last one.")


class PageOfSeen(Page[T]):
    """A page of a list of what happened to rows."""

    left_out: list[str] = Field(description="What is not listed although the role may see it: a table is locked.")


class Done(Told):
    """What was done."""

    done: Literal[True] = True
