"""What has become of a press, for the role that has made it and sees no runs: its state, without log and values."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rowhooks.postgres.console.presses import show_press
from rowhooks.web.linking.links import id_in, path_of
from rowhooks.web.live.parts import told_until_over
from rowhooks.web.live.streams import EventStream
from rowhooks.web.people.person import person_of
from rowhooks.web.rendering import page
from rowhooks.web.showing.run_lines import row_path


async def own_press(request: Request) -> Response:
    """Show a press of the person's role."""
    return page(request, "own_press.html", **await _shown(request))


def own_press_events(request: Request) -> EventStream:
    """Tell what becomes of a press of the person's role."""
    return told_until_over(request, _shown, "own_press_state.html")


async def _shown(request: Request) -> dict[str, Any]:
    number = id_in(request)
    found = await person_of(request).read(show_press, number)
    return {
        "press": found,
        "is_over": found["finished_at"] is not None,
        "row_path": row_path(request, found["object_type"], found["object_id"], 2000),
        "here": path_of(request, "run", id=number),
        "events": path_of(request, "run_events", id=number),
    }
