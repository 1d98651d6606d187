"""Tokens of the API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from rowhooks.web.api.models.base import Asked, Flag, Given, Moment, Page, Told, number_of_text

Scope = Literal["read", "press", "operate", "admin"]


class TokensWanted(Asked):
    """Which tokens are listed."""

    ended: Flag = Field(default=False, description="Whether those that have expired or were revoked are listed too.")


class TokenNumbered(Asked):
    """A token in a path."""

    id: Annotated[int, Field(ge=1, le=2**31 - 1), BeforeValidator(number_of_text)]


class TokenAsked(Given):
    """A new token, for yourself."""

    name: Annotated[str, Field(min_length=1, max_length=100, description="What it is for.")]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=4, description="What its bearer may do at most.")]
    expires_at: Moment = Field(description="When it becomes invalid, within 366 days.")


class Token(Told):
    """What is on record of a token."""

    id: int
    name: str
    role: str | None = Field(description="The role as which its bearer acts; null: it is gone.")
    scopes: list[Scope]
    created_by: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = Field(description="To the minute.")
    revoked_at: datetime | None


class TokenPage(Page[Token]):
    """Tokens: yours and those that you have created; for an admin, all."""


class TokenMade(Token):
    """A new token."""

    token: str = Field(description="The token itself. It is shown once: the database has its hash alone.")
