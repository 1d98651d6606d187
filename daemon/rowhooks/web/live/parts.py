"""Tells a live page a part of it again when it has become another one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request

from rowhooks.web.live.streams import FINISHED, Event, News
from rowhooks.web.rendering import fragment

Ask = Callable[[], Awaitable[tuple[Mapping[str, Any], bool]]]
"""Returns what the template shows now, and whether that is the end."""


class PartWatch:
    """Tells a page one part of it; `look` is for `live.stream`.

    Args:
        request: the request for the stream.
        template: makes one element, with the id of the part that it takes the place of.
        ask: asked again and again, as the person.
    """

    def __init__(self, request: Request, template: str, ask: Ask) -> None:
        self._request, self._template, self._ask = request, template, ask
        self._told = ""

    async def look(self) -> News:
        """Return the part, if it is another one than before."""
        values, is_over = await self._ask()
        html = fragment(self._request, self._template, **values)
        events = [] if html == self._told else [Event("put", html)]
        self._told = html
        return News(events, FINISHED if is_over else None)
