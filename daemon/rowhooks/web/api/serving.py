"""The API as an ASGI application: finds the operation, the caller and what is given; answers problems as problems."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import unquote

from starlette.datastructures import URLPath
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, NoMatchFound, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rowhooks.domain.errors import ConnectionsEnded, RowhooksError
from rowhooks.web.api.authentication import caller_of, ended_session
from rowhooks.web.api.idempotency import answers_of, digest_of
from rowhooks.web.api.operations import EVENT_STREAM, Answer, Call, Keyed, Operation, Operations
from rowhooks.web.api.problems import (
    MALFORMED,
    METHOD_NOT_ALLOWED,
    UNEXPECTED,
    UNKNOWN_PATH,
    Refusal,
    refusal_of,
    refusal_of_status,
)
from rowhooks.web.api.reading import read_body, read_key, read_path, read_query
from rowhooks.web.api.refusing import PATH, is_for_api, root_of
from rowhooks.web.api.writing import json_response
from rowhooks.web.errors import explained
from rowhooks.web.live.streams import EventStream

logger = logging.getLogger(__name__)


class ApiRoute(BaseRoute):
    """The route to everything below the API's path, whatever characters it has; a Mount does not match line breaks.

    Args:
        operations: what the API can do.
    """

    def __init__(self, operations: Operations) -> None:
        self._api = Api(operations)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Say whether a request is for the API."""
        if scope["type"] != "http" or not is_for_api(scope):
            return Match.NONE, {}
        root = root_of(scope)
        return Match.FULL, {"root_path": root + PATH, "app_root_path": root, "endpoint": self._api}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Return the path of the API, whose name is `api`."""
        if name != "api" or path_params:
            raise NoMatchFound(name, path_params)
        return URLPath(PATH)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._api(scope, receive, send)


class Api:
    """The API.

    Args:
        operations: what it can do.
    """

    def __init__(self, operations: Operations) -> None:
        paths: dict[str, dict[str, Operation[Any, Any, Any]]] = {}
        for operation in operations:
            paths.setdefault(operation.path, {})[operation.method] = operation
        routes = [Route(path, _Resource(methods, operations)) for path, methods in _in_order(paths)]
        self._router: ASGIApp = Router(routes, redirect_slashes=False, default=_unknown)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        root = scope.get("root_path", "")
        started = False

        async def note_start(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._router(_with_encoded_slashes(scope), receive, note_start)
        except Exception as error:
            if started or isinstance(error, ClientDisconnect):
                raise
            await _refusal(scope, error).response(root)(scope, receive, send)


class _Resource:
    """The operations of one path.

    Args:
        methods: methods to operations.
        operations: all that the API can do.
    """

    def __init__(self, methods: dict[str, Operation[Any, Any, Any]], operations: Operations) -> None:
        self._methods, self._operations = methods, operations
        # The head of a stream would take as long as the stream.
        has_head = "GET" in methods and methods["GET"].media_type != EVENT_STREAM
        allowed = {*methods, *(["HEAD"] if has_head else [])}
        self._allowed = sorted(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        operation = self._methods.get("GET" if method == "HEAD" else method)
        if operation is None or method not in self._allowed:
            allowed = ", ".join(self._allowed)
            raise Refusal(METHOD_NOT_ALLOWED, f"this path knows {allowed}", headers={"Allow": allowed})
        response = await answer(operation, Request(scope, receive), self._operations)
        await response(scope, receive, send)


async def answer(
    operation: Operation[Any, Any, Any], request: Request, operations: Operations
) -> Response | EventStream:
    """Return the answer of an operation to a request.

    Args:
        operation: the operation.
        request: the request.
        operations: all that the API can do.

    Raises:
        Refusal: the caller is nobody, or what is given is not what the operation takes.
        RowhooksError: what the operation asks for cannot be done.
    """
    caller: Any = None
    if operation.level is not None:
        caller = await caller_of(request)
        caller.must_have(operation.level)
        if operation.is_for_sessions:
            caller.must_be_session()
    try:
        return await _answer_to(caller, operation, request, operations)
    except RowhooksError as error:
        better = await explained(caller.person if caller else None, error)
        if better is error:
            raise
        raise better from error


async def _answer_to(
    caller: Any, operation: Operation[Any, Any, Any], request: Request, operations: Operations
) -> Response | EventStream:
    path = read_path(request, operation.path_model)
    query = read_query(request, operation.query)
    key = read_key(request) if operation.keyed is not None else None
    body = None if operation.body is None else await read_body(request, operation.body)
    call = Call(request, caller, path, query, body, request.scope.get("root_path", ""), operations, key)

    async def act() -> Response:
        answered = await operation.handler(call)
        assert isinstance(answered, Answer), "what has a key answers by a model"
        return _response(operation, answered)

    if key is None or operation.keyed is Keyed.DATABASE:
        answered = await operation.handler(call)
        return _response(operation, answered) if isinstance(answered, Answer) else answered
    digest = digest_of(request.method, request.url.path, request.scope["query_string"], await request.body())
    return await answers_of(request.app).once(
        caller.person.role, key, digest, act, is_secret=operation.keyed is Keyed.ONCE
    )  # fmt: skip


def _response(operation: Operation[Any, Any, Any], answered: Answer) -> Response:
    status = answered.status or operation.status
    if answered.content is None:
        return Response(status_code=status, headers=dict(answered.headers))
    return json_response(answered.content, status=status, headers=answered.headers)


def _refusal(scope: Scope, error: Exception) -> Refusal:
    if isinstance(error, Refusal):
        return error
    if isinstance(error, ConnectionsEnded):
        return ended_session(scope)
    if isinstance(error, RowhooksError):
        return refusal_of(error)
    if isinstance(error, HTTPException):
        return refusal_of_status(error.status_code, error.detail, error.headers)
    logger.error("request %s %s failed", scope["method"], scope["path"], exc_info=error)
    return Refusal(UNEXPECTED, "the request was not answered", hint="the console's log says why")


async def _unknown(scope: Scope, receive: Receive, send: Send) -> None:
    raise Refusal(UNKNOWN_PATH, "there is nothing here", hint="see the paths in openapi.json")


def _in_order(paths: dict[str, dict[str, Operation[Any, Any, Any]]]) -> list[Any]:
    """Return paths so that a fixed part comes before a parameter in its place: /runs/retry before /runs/{id}."""
    return sorted(paths.items(), key=lambda item: [part.startswith("{") for part in item[0].split("/")])


def _with_encoded_slashes(scope: Scope) -> Scope:
    """Return a request's scope with a path whose parts are the parts of the path as it was sent.

    Names may have a slash in them, which is sent as %2F. It must not divide the path. `read_path` decodes the parts.
    """
    raw: bytes | None = scope.get("raw_path")
    if raw is None:
        return scope
    parts = raw.partition(b"?")[0].decode("latin-1").split("/")
    try:
        names = [unquote(part, errors="strict") for part in parts]
    except UnicodeDecodeError as error:
        raise Refusal(MALFORMED, "the path is not in UTF-8") from error
    path = "/".join(name.replace("%", "%25").replace("/", "%2F") for name in names)
    return {**scope, "path": path}
