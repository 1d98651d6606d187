"""The headers of every answer: what a browser may do with it."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors {ancestors}; base-uri 'none'"
)
_ALWAYS = {
    "x-content-type-options": "nosniff",
    # With no-referrer a browser would send `Origin: null` with our own forms.
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_OWN = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
    "content-security-policy": _POLICY.format(ancestors="'none'"),
}
EMBED = "/embed/"
"""The beginning of the paths that pages of other origins may use, if a setting names them."""


class AddHeaders:
    """Adds the headers to every answer, errors included.

    Args:
        app: the application.
        embed_origins: the origins whose pages may frame and fetch what is below /embed/.
    """

    def __init__(self, app: ASGIApp, embed_origins: Sequence[str]) -> None:
        self._app = app
        self._origins = tuple(embed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("cache-control", "no-store")
                headers.update(_ALWAYS)
                if self._origins and scope["path"].startswith(EMBED):
                    self._embed(headers, Headers(scope=scope).get("origin", ""))
                else:
                    headers.update(_OWN)
            await send(message)

        await self._app(scope, receive, add)

    def _embed(self, headers: MutableHeaders, origin: str) -> None:
        headers["content-security-policy"] = _POLICY.format(ancestors=" ".join(("'self'", *self._origins)))
        headers["cross-origin-resource-policy"] = "cross-origin"
        headers.add_vary_header("Origin")
        if origin in self._origins:
            # Without Access-Control-Allow-Credentials: a cookie of the console's is of no use there.
            headers["access-control-allow-origin"] = origin
            headers["access-control-allow-methods"] = "GET, POST"
            headers["access-control-allow-headers"] = "authorization, content-type, idempotency-key"
            headers["access-control-max-age"] = "600"
