"""Presses of buttons, on one row and on several."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, Field

from rowhooks.web.api.models.base import Asked, Given, Id, Json, Name, Object, Told, number_of_text

WAIT = "Seconds to wait for the run's end, at most 30; the answer comes earlier if it ends earlier."
Wait = Annotated[int, Field(ge=0, le=30, description=WAIT), BeforeValidator(number_of_text)]
Key = Annotated[str, Field(min_length=1, max_length=2000)] | int | Annotated[dict[str, Json], Field(min_length=1)]
"""The key of a row: its value if it is one column, else the key's columns to their values."""


class Waiting(Asked):
    """Whether to wait."""

    wait: Wait = 0


class PressNumbered(Asked):
    """A press in a path."""

    id: Id


class Pressed(Given):
    """A press of a button."""

    button: Name = Field(description="The button's name.")
    table: Name = Field(description="The table, as PostgreSQL reads names: schema.table.")
    inputs: Object | None = Field(default=None, description="What the button's job takes: names to values.")


class PressedRow(Pressed):
    """A press of a button on one row."""

    key: Key = Field(description="The row's key: its value, or an object of columns to values.")


class PressedRows(Pressed):
    """A press of a button on several rows: on all of them, or on none."""

    keys: list[Key] = Field(min_length=1, max_length=10_000, description="The rows' keys, each as for one row.")


class Press(Told):
    """A press that you have made, and what has become of it."""

    id: int = Field(description="Also the number of its run.")
    status: str = Field(description="PENDING, STARTED, RETRY, SUCCESS, FAILURE or REVOKED.")
    button_name: str | None
    object_type: str | None = Field(description="The table.")
    object_id: Json = Field(description="The row's key: columns to values.")
    attempt: int
    retry_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    message: str | None = Field(description="What the receiver says to the presser of a failure.")
    batch_id: int | None = Field(description="The press of several rows that it belongs to.")


class Batch(Told):
    """A press of several rows that you have made, and what has become of it."""

    id: int
    button_name: str | None
    object_type: str | None = Field(description="The table.")
    created_at: datetime
    rows: int = Field(description="How many runs of it are on record.")
    finished: int = Field(description="How many of them have ended.")
    states: dict[str, int] = Field(description="Status to number of runs.")
