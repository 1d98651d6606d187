"""A press of several rows, and what has become of its runs."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.postgres.console.presses import show_batch, show_visible_batch
from rowhooks.web.linking.links import id_in, path_of
from rowhooks.web.linking.navigation import at_least
from rowhooks.web.live.parts import told_until_over
from rowhooks.web.live.streams import EventStream
from rowhooks.web.people.person import person_of
from rowhooks.web.rendering import page


async def batch(request: Request) -> Response:
    """Show a press of several rows."""
    return page(request, "batch.html", **await _shown(request))


async def events(request: Request) -> EventStream:
    """Tell what becomes of the runs of a press of several rows."""
    return told_until_over(request, _shown, "batch_state.html")


async def _shown(request: Request) -> dict[str, Any]:
    number = id_in(request)
    person = person_of(request)
    found = await person.read(show_visible_batch if at_least(person.level, "viewer") else show_batch, number)
    return {
        "batch": found,
        "is_over": found["finished"] >= found["rows"],
        "here": path_of(request, "batch", id=number),
        "events": path_of(request, "batch_events", id=number),
        "runs": path_of(request, "runs", [("batch", number)]) or "",
    }


routes = [
    Route("/batches/{id:int}", batch, name="batch"),
    Route("/batches/{id:int}/events", events, name="batch_events"),
]
