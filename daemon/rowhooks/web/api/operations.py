"""Operations: one frozen value for each act of the API. Its routes and its document are both made of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from rowhooks.web.api.authentication import Caller, Level
from rowhooks.web.api.models.base import Nothing, Page
from rowhooks.web.live.streams import EventStream

P = TypeVar("P", bound=BaseModel)
Q = TypeVar("Q", bound=BaseModel)
B = TypeVar("B", bound="BaseModel | None")

LINK = {"Link": "The next page, with rel=next."}
"""The header of a page of a list."""
EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True)
class Call(Generic[P, Q, B]):
    """A request to an operation, read and checked.

    Args:
        request: the request.
        caller: who makes it.
        path: the parameters in its path.
        query: the parameters in its query.
        body: its body; None for an operation without one.
        root: the path under which the API is, without a slash at its end.
        operations: what the API can do.
        idempotency_key: the header Idempotency-Key; None where it was not sent.
    """

    request: Request
    caller: Caller
    path: P
    query: Q
    body: B
    root: str
    operations: Operations
    idempotency_key: str | None = None

    def page_of_more(self, kind: type[Page[Any]], rows: Sequence[Any], limit: int, place: str) -> Answer:
        """Return a page of a list of which one item more was asked for than the page has.

        Args:
            kind: the model of the page.
            rows: what was found.
            limit: how many the page has.
            place: the field of the last item on the page that the next one is asked for by.
        """
        shown = rows[:limit]
        return self.page(kind, shown, str(shown[-1][place]) if len(rows) > limit else None)

    def path_to(self, template: str, **parts: object) -> str:
        """Return the path of an operation.

        Args:
            template: as in `Operation.path`.
            parts: its parameters.
        """
        return self.root + template.format_map({name: quote(str(part), safe="") for name, part in parts.items()})

    @staticmethod
    def query_of(**parts: object) -> str:
        """Return the query of a path, with its question mark."""
        return f"?{urlencode(parts)}"

    def page(self, kind: type[Page[Any]], rows: Iterable[object], cursor: str | None, **more: Any) -> Answer:
        """Return a page of a list.

        Args:
            kind: the model of the page.
            rows: what is on it.
            cursor: where the next page begins; None on the last one.
            more: further fields of the page.
        """
        items = list(rows)
        if cursor is None:
            return Answer(kind(items=items, next=None, **more))
        kept = [(name, value) for name, value in self.request.query_params.multi_items() if name != "cursor"]
        raw = self.request.scope.get("raw_path", self.request.url.path.encode()).partition(b"?")[0].decode("ascii")
        path = f"{raw}?{urlencode([*kept, ('cursor', cursor)])}"
        return Answer(kind(items=items, next=path, **more), headers={"Link": f'<{path}>; rel="next"'})


@dataclass(frozen=True)
class Answer:
    """What an operation answers.

    Args:
        content: the body; None for none.
        status: the status code; None for that of the operation.
        headers: more headers.
    """

    content: BaseModel | None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Keyed(StrEnum):
    """How an idempotency key makes one act of two requests."""

    DATABASE = "database"
    """The key goes to the database, which decides."""
    MEMORY = "memory"
    """The answer is kept in memory."""
    ONCE = "once"
    """The answer is a secret and not kept: a second request is refused."""


Handler = Callable[[Call[P, Q, B]], Awaitable[Answer | Response | EventStream]]


@dataclass(frozen=True)
class Operation(Generic[P, Q, B]):
    """One act of the API.

    Args:
        name: its name in the document, unique.
        method: GET, POST, PUT or DELETE.
        path: below the path of the API; parameters stand in braces.
        handler: what answers.
        summary: what it does, in a short sentence.
        level: the scope that a token needs, and for whom it is meant; None for everybody, without a log-in.
        path_model: the parameters in the path.
        query: the parameters in the query.
        body: the body; None for none.
        answer: the body of the answer; None for none.
        status: the status code of a success.
        others: status codes of other successes with the same body, and what they mean.
        errors: the status codes of problems that are its own; `document` adds those of all operations.
        description: what else is to be known.
        keyed: how a key (Idempotency-Key) makes one act of two requests; None for what can be repeated anyway.
        headers: headers of the answer, with their descriptions.
        takes: headers of the request, with their descriptions.
        media_type: the type of the answer.
        is_for_sessions: whether tokens are refused.
    """

    name: str
    method: str
    path: str
    handler: Handler[P, Q, B]
    summary: str
    level: Level | None
    path_model: type[P] = Nothing  # type: ignore[assignment]
    query: type[Q] = Nothing  # type: ignore[assignment]
    body: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    status: int = 200
    others: Mapping[int, str] = field(default_factory=dict)
    errors: tuple[int, ...] = ()
    description: str = ""
    keyed: Keyed | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    takes: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    is_for_sessions: bool = False

    @property
    def subject(self) -> str:
        """The first part of the path, under which the document groups operations."""
        return self.path.strip("/").partition("/")[0]


Operations = tuple[Operation[Any, Any, Any], ...]
