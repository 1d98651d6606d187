"""Problems: errors of the API as application/problem+json (RFC 9457). No traceback, statement or secret is in them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.responses import Response

from rowhooks.domain import errors
from rowhooks.domain.errors import RowhooksError
from rowhooks.web.api.models.problem import FieldError, Problem
from rowhooks.web.api.writing import json_response
from rowhooks.web.errors import status_of

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Kind:
    """A kind of problem.

    Args:
        name: its name, the last part of its `type`; empty: its status says all.
        status: the status code.
        title: what it is, in one sentence that is the same each time.
    """

    name: str
    status: int
    title: str


MALFORMED = Kind("malformed", 400, "The request cannot be read.")
UNAUTHENTICATED = Kind("unauthenticated", 401, "The request names nobody: it has no valid token and no session.")
ROLE_NOT_LENT = Kind("role-not-lent", 403, "The console cannot take up the role of the token.")
INSUFFICIENT_SCOPE = Kind("insufficient-scope", 403, "The token does not have the scope that the operation needs.")
NOT_BY_TOKEN = Kind("not-by-token", 403, "The operation is for a session, not for a token.")
FORGED = Kind("forged", 403, "The request was not sent by a page of this console.")
UNKNOWN_PATH = Kind("unknown-path", 404, "The API has nothing under this path.")
METHOD_NOT_ALLOWED = Kind("method-not-allowed", 405, "This path does not know this method.")
IN_PROGRESS = Kind("in-progress", 409, "Another request with this idempotency key has not been answered yet.")
ALREADY_DONE = Kind("already-done", 409, "The act with this idempotency key was done, and its answer was not kept.")
OUTDATED = Kind("outdated", 412, "The thing has been changed since it was read.")
TOO_LARGE = Kind("too-large", 413, "The body of the request is too large.")
UNSUPPORTED_MEDIA_TYPE = Kind("unsupported-media-type", 415, "The body of the request is not application/json.")
INVALID = Kind("invalid", 422, "A part of the request is not as the operation describes it.")
KEY_REUSED = Kind("key-reused", 422, "The idempotency key was used for another request.")
TOO_MANY = Kind("too-many-requests", 429, "There were too many requests in a short time.")
UNEXPECTED = Kind("unexpected", 500, "Something went wrong in the console. Its log says what.")

OWN_KINDS = (
    MALFORMED, UNAUTHENTICATED, ROLE_NOT_LENT, INSUFFICIENT_SCOPE, NOT_BY_TOKEN, FORGED, UNKNOWN_PATH,
    METHOD_NOT_ALLOWED, IN_PROGRESS, ALREADY_DONE, OUTDATED, TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, INVALID, KEY_REUSED,
    TOO_MANY, UNEXPECTED,
)  # fmt: skip
"""The kinds of the API itself; `kinds` has those of rowhooks' errors as well."""


_OF_THE_CONSOLE = {
    kind.status: kind
    for kind in (
        MALFORMED, UNKNOWN_PATH, METHOD_NOT_ALLOWED, TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, TOO_MANY, UNEXPECTED,
    )
}  # fmt: skip
"""The kinds of problems that the console finds before the API sees a request."""


@dataclass
class Refusal(Exception):
    """A request that is answered by a problem.

    Args:
        kind: what kind of problem it is.
        detail: what is wrong this time, in one sentence.
        hint: what to do about it; None where nothing is known.
        fields: what is wrong with parts of the request.
        headers: more headers of the answer.
    """

    kind: Kind
    detail: str
    hint: str | None = None
    fields: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, root: str) -> Response:
        """Return the answer.

        Args:
            root: the path under which the API is.
        """
        kind = f"{root}/docs#problem-{self.kind.name}" if self.kind.name else "about:blank"
        problem = Problem(
            type=kind, title=self.kind.title, status=self.kind.status, detail=self.detail, hint=self.hint,
            errors=list(self.fields),
        )  # fmt: skip
        return json_response(problem, status=self.kind.status, media_type=MEDIA_TYPE, headers=self.headers)


def refusal_of(error: RowhooksError) -> Refusal:
    """Return what the API answers to an error of rowhooks."""
    kind = kind_of(type(error), status_of(error))
    headers = {"Retry-After": "5"} if kind.status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return Refusal(kind, error.message, error.hint, headers=headers)


def refusal_of_status(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Refusal:
    """Return what the API answers where the console refuses a request before the API has seen it.

    Args:
        status: the status code.
        detail: what is wrong.
        headers: more headers of the answer.
    """
    kind = _OF_THE_CONSOLE.get(status) or Kind("", status, HTTPStatus(status).phrase)
    return Refusal(kind, detail, headers=headers or {})


def kind_of(error: type[RowhooksError], status: int) -> Kind:
    """Return the kind of problem that a class of rowhooks' errors is."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "-", error.__name__).lower()
    return Kind(name, status, (inspect.getdoc(error) or "").split("\n")[0])


def kinds() -> list[Kind]:
    """Return all kinds of problems, for the reference."""
    ours = [
        kind_of(one, status_of(one("")))
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, RowhooksError) and one is not RowhooksError
    ]
    return [*OWN_KINDS, *ours]
