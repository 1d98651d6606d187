"""Tells a live page parts of it again when they have become others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request

from rowhooks.web.live.streams import FINISHED, Event, EventStream, News, stream
from rowhooks.web.rendering import fragment

Ask = Callable[[], Awaitable[tuple[Mapping[str, Any], bool]]]
"""Returns what the template shows now, and whether that is the end."""


class PartWatch:
    """Tells a page parts of it; `look` is for `live.stream`.

    Args:
        request: the request for the stream.
        ask: asked again and again, as the person.
        templates: each makes one element, with the id of the part that it takes the place of.
    """

    def __init__(self, request: Request, ask: Ask, *templates: str) -> None:
        self._request, self._ask = request, ask
        self._told = dict.fromkeys(templates, "")

    async def look(self) -> News:
        """Return the parts that are others than before."""
        values, is_over = await self._ask()
        parts = {template: fragment(self._request, template, **values) for template in self._told}
        events = [Event("put", html) for template, html in parts.items() if html != self._told[template]]
        self._told = parts
        return News(events, FINISHED if is_over else None)


def told_until_over(
    request: Request, show: Callable[[Request], Awaitable[Mapping[str, Any]]], template: str
) -> EventStream:
    """Tell a page one part of it until what it shows is over.

    Args:
        request: the request for the stream.
        show: returns what the template shows now; its `is_over` says whether that is the end.
        template: see PartWatch.
    """

    async def ask() -> tuple[Mapping[str, Any], bool]:
        shown = await show(request)
        return shown, bool(shown["is_over"])

    return stream(request, PartWatch(request, ask, template).look)
