"""The endpoint of `<rowhooks-buttons>` as routes of Starlette: the buttons of a row, a press, what became of a run."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.postgres.embedded_buttons import LARGEST_BODY, press, read_press, run_state
from rowhooks.postgres.embedded_problems import Problem, Refused, problem_of
from rowhooks.web.embed.component import CONTENT_TYPE, HEADERS, NAME, component, etag
from rowhooks.web.embed.questions import row_buttons

REQUESTED_BY = "X-Rowhooks"
"""The header that each request of the component has. A page of another origin cannot send it unless it is let."""
_PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Vary": "Authorization, Cookie, Origin"}


class Ask(Protocol):
    """Asks the database as the person who makes a request."""

    async def __call__(self, question: Callable[..., dict[str, Any]], /, *args: Any, writes: bool) -> dict[str, Any]:
        """Call a question with a connection first, in one transaction with the person's rights; it is committed."""


@dataclass(frozen=True)
class Asker:
    """The person who makes a request.

    Args:
        ask: asks the database as the person.
        role: its role.
        user: the name that presses are put on record under, as in `rowhooks.user`; empty: none.
        row: the one table and key that may be asked for; None: any.
        headers: what a press has to send back as headers, beside its own.
    """

    ask: Ask
    role: str
    user: str = ""
    row: tuple[str, str] | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def check_row(self, table: str, key: str) -> None:
        """Make sure that a row may be asked for.

        Raises:
            Refused: it is another one than the token names.
        """
        if self.row not in (None, (table, key)):
            raise Refused(403, "the token is for another row")


Find = Callable[[Request], Awaitable[Asker]]
"""Returns who makes a request, or raises Refused."""
Handler = Callable[[Request, Asker], Awaitable[Response]]


def routes(find: Find) -> list[Route]:
    """Return the routes of the endpoint, and that of the component's file.

    Args:
        find: says who makes a request. It also refuses those that a page of another site makes in somebody's name.
    """

    def route(name: str, method: str, handler: Handler) -> Route:
        async def answer(request: Request) -> Response:
            try:
                return await handler(request, await find(request))
            except HTTPException as error:
                return _refusal(Problem(error.status_code, str(error.detail)))
            except Exception as error:  # whatever it is, the page gets an answer
                return _refusal(problem_of(error))

        return Route(f"/{name}", answer, methods=[method], name=name)

    return [
        route("row_buttons", "GET", _row_buttons),
        route("press", "POST", _press),
        route("run_state", "GET", _run_state),
        Route(f"/{NAME}", _component, methods=["GET"], name="component"),
    ]


def comes_from_here(request: Request, origins: Collection[str] = ()) -> bool:
    """Say whether a page of this origin makes a request, by what its browser and the component say.

    A browser without Sec-Fetch-Site tells of another origin by Origin. The component's header makes a browser ask
    beforehand where another origin's page sends it.

    Args:
        request: the request.
        origins: others that count as this one.
    """
    headers = request.headers
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if REQUESTED_BY not in headers:
        return False
    if origin in origins:
        return True
    if site is not None:
        return site == "same-origin"
    return origin is None or urlsplit(origin).netloc == headers.get("host")


FORGED = Refused(403, "the request does not come from a page of this site")


async def _row_buttons(request: Request, asker: Asker) -> Response:
    table, key = (_parameter(request, name) for name in ("object_table", "object_text"))
    asker.check_row(table, key)
    found = await asker.ask(row_buttons, table, key, asker.role, writes=False)
    return _json({**found, "headers": asker.headers})


async def _press(request: Request, asker: Asker) -> Response:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "a press is JSON")
    body = await _body(request)
    given = read_press(body)
    asker.check_row(given["object_table"], given["object_text"])
    return _json(await asker.ask(press, body, writes=True), status=202)


async def _run_state(request: Request, asker: Asker) -> Response:
    return _json(await asker.ask(run_state, _parameter(request, "id"), asker.user, asker.row, writes=False))


async def _component(request: Request) -> Response:
    headers = {**HEADERS, "ETag": etag(), "Content-Type": CONTENT_TYPE}
    if etag() in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(component(), headers=headers)


def _parameter(request: Request, name: str) -> str:
    values = request.query_params.getlist(name)
    if len(values) != 1 or "\0" in values[0]:
        raise Refused(422, f"the request names no {name}, or several")
    return values[0]


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            raise Refused(413, f"a press has at most {LARGEST_BODY} bytes")
    return body


def _json(content: dict[str, Any], status: int = 200) -> Response:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status, {**_PRIVATE, "Content-Type": "application/json"})


def _refusal(problem: Problem) -> Response:
    return _json(problem.as_json(), problem.status)
