"""Who is asking."""

from __future__ import annotations

from pydantic import Field

from rowhooks.web.api.authentication import Level
from rowhooks.web.api.models.base import Asked, Name, Told


class Me(Told):
    """Who is asking, and what it may do at most."""

    role: str = Field(description="The PostgreSQL role whose rights the request has.")
    level: str = Field(description="What rowhooks' roles make of it: none, viewer, operator or admin.")
    scopes: list[Level] = Field(description="What the token may do at most; a session may do everything.")
    is_token: bool = Field(description="Whether a token has told who it is; otherwise a session has.")


class SubjectNamed(Asked):
    """A subject of the reference in a path."""

    subject: Name = Field(description="The first part of the paths of its operations.")
