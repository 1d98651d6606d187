"""The state of things: leader and standbys, what waits, what failed; and what doctor says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.postgres.administration.common import Connection, Row
from rowhooks.postgres.administration.doctor import examine_what_is_seen
from rowhooks.postgres.console.status import (
    MOST_COUNTED,
    MOST_FAILURES,
    Activity,
    read_activity,
    read_failures,
    read_status,
)
from rowhooks.web.linking.names import address
from rowhooks.web.live.parts import PartWatch
from rowhooks.web.live.streams import EventStream, stream
from rowhooks.web.people.person import person_of
from rowhooks.web.rendering import page
from rowhooks.web.showing.samples import Samples
from rowhooks.web.showing.status import SPANS, activity_charts, facts, sample_charts, sample_of

MOST_LINES = 100
"""How many lines of waiting runs are shown."""


PACE = 3.0
"""Seconds after which a live page is told at the earliest what has become of its numbers, which always move."""
_PARTS = tuple(f"status_{name}.html" for name in ("facts", "waiting", "failures", "activity", "samples"))


async def status(request: Request) -> Response:
    """Show the state of rowhooks."""
    shown = await _shown(request)
    span = {"span": "day" if shown["span"] == "hour" else "hour"}
    return page(
        request, "status.html", **shown, other=address(request, "status", span),
        events=address(request, "status_events", {"span": shown["span"]}),
    )  # fmt: skip


async def events(request: Request) -> EventStream:
    """Tell the page of the state of rowhooks what has become of it."""

    async def ask() -> tuple[dict[str, Any], bool]:
        return await _shown(request), False

    return stream(request, PartWatch(request, ask, *_PARTS).look, PACE)


async def _shown(request: Request) -> dict[str, Any]:
    span = request.query_params.get("span", "hour")
    span = span if span in SPANS else "hour"
    found, activity, failures = await person_of(request).read(_status, span)
    samples = samples_of(request.app)
    samples.add(sample_of(found))
    taken = list(samples)
    return {
        "facts": facts(found),
        "waiting": _timed(found["numbers"]["waiting"][:MOST_LINES]),
        "more_waiting": max(0, len(found["numbers"]["waiting"]) - MOST_LINES),
        "failures": failures,
        "activity": activity,
        "charts": activity_charts(activity, span),
        "sample_charts": sample_charts(taken),
        "samples": taken,
        "span": span,
        "most": MOST_COUNTED,
        "most_failures": MOST_FAILURES,
    }


def samples_of(app: Starlette) -> Samples:
    """Return the samples that this console has taken."""
    if not hasattr(app.state, "samples"):
        app.state.samples = Samples()
    found: Samples = app.state.samples
    return found


def _status(conn: Connection, span: str) -> tuple[Row, Activity, Row]:
    whole, step, _ = SPANS[span]
    return read_status(conn), read_activity(conn, whole, step), read_failures(conn)


def _timed(waiting: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**one, "oldest": datetime.fromisoformat(one["oldest"])} for one in waiting]


async def doctor(request: Request) -> Response:
    """Show what doctor says, as far as the person's rights let it look."""
    examination = await person_of(request).read(examine_what_is_seen)
    return page(request, "status_doctor.html", examination=examination)


routes = [
    Route("/status", status, name="status"),
    Route("/status/events", events, name="status_events"),
    Route("/status/doctor", doctor, name="doctor"),
]
