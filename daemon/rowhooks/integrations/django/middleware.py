"""The middleware: the writes of a web request are its user's."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase

from rowhooks.integrations.attribution import attributed
from rowhooks.integrations.django.transactions import install


class AttributionMiddleware:
    """Names the author of what a request writes: `rowhooks.user`, `rowhooks.request_id` and `rowhooks.context`.

    The user is asked for when the request first writes, so the middleware may stand anywhere, and a request that writes
    nothing does not load its session. A subclass overrides `user`, `request_id` or `context`.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        install()
        self._is_asynchronous = iscoroutinefunction(get_response)
        if self._is_asynchronous:
            markcoroutinefunction(self)

    def user(self, request: HttpRequest) -> str | None:
        """Return the name of the request's user; None for nobody."""
        user = getattr(request, "user", None)
        return user.get_username() if user is not None and user.is_authenticated else None

    def request_id(self, request: HttpRequest) -> str:
        """Return the request's id: the header X-Request-ID, else a new UUID."""
        return request.headers.get("X-Request-ID") or str(uuid.uuid4())

    def context(self, request: HttpRequest) -> str:
        """Return where the changes come from."""
        return "web"

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer a request."""
        if self._is_asynchronous:
            return self._answer_asynchronously(request)
        with self._attributed(request):
            response: HttpResponseBase = self._get_response(request)
            return response

    async def _answer_asynchronously(self, request: HttpRequest) -> HttpResponseBase:
        with self._attributed(request):
            response: HttpResponseBase = await self._get_response(request)
            return response

    def _attributed(self, request: HttpRequest) -> AbstractContextManager[None]:
        return attributed(
            user=lambda: self.user(request),
            request_id=self.request_id(request),
            context=lambda: self.context(request),
        )
