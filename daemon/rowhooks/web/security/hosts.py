"""Under which name, over which protocol and for which path a request may come."""

from __future__ import annotations

import re
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from rowhooks.web.api.refusing import is_for_api
from rowhooks.web.security.answers import refuse
from rowhooks.web.security.peers import is_loopback

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Names that no other machine can have, so that no other site can make a browser believe it had them."""
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::\d{1,5})?")
_BAD_PATH = re.compile(r"[\x00-\x1f\x7f\\]|//|/\.\.?(?:/|$)")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class CheckHost:
    """Refuses requests for a name that is not the console's (DNS rebinding), and those that others could read.

    Args:
        app: the application.
        hosts: names beside the loopback ones.
        allow_plain_http: answer other machines over HTTP without TLS.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], *, allow_plain_http: bool) -> None:
        self._app = app
        self._hosts = LOOPBACK | set(hosts)
        self._allow_plain_http = allow_plain_http

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        hosts = Headers(scope=scope).getlist("host")
        found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if found is None:
            await refuse(scope, receive, send, 400, "A request needs one header Host.")
        elif found[1].lower().rstrip(".") not in self._hosts:
            why = "The console does not answer under this name. The setting hosts in [console] has its names."
            await refuse(scope, receive, send, 421, why)
        elif scope["scheme"] == "http" and not (self._allow_plain_http or is_loopback(scope.get("client"))):
            await refuse(scope, receive, send, 403, "The console does not speak HTTP without TLS to other machines.")
        else:
            await self._app(scope, receive, send)


class CheckPath:
    """Refuses paths and methods that no page of the console has, and that one of its layers could read in two ways.

    Args:
        app: the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http":
            raw = scope.get("raw_path", b"").decode("latin-1")
            # In an escaped name of a row, a table or a hook these may stand; the paths themselves do not have them.
            if _BAD_PATH.search(raw) or not scope["path"].startswith("/"):
                await refuse(scope, receive, send, 400, "This is not a path.")
                return
            if scope["method"] not in METHODS and not is_for_api(scope):
                await refuse(scope, receive, send, 405, "The console does not have this method.")
                return
        await self._app(scope, receive, send)
