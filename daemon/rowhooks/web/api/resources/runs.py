"""Runs: listed."""

from __future__ import annotations

from rowhooks.postgres.console import runs
from rowhooks.postgres.console.places import Place
from rowhooks.web.api.authentication import Level
from rowhooks.web.api.models.base import Nothing
from rowhooks.web.api.models.runs import RunPage, RunsWanted
from rowhooks.web.api.operations import LINK, Answer, Call, Operation, Operations


async def list_runs(call: Call[Nothing, RunsWanted, None]) -> Answer:
    """List runs."""
    before = None if call.query.cursor is None else Place.parse(call.query.cursor)
    found = await call.caller.person.read(
        runs.list_runs, call.query.filter(), before=before, limit=call.query.limit
    )  # fmt: skip
    cursor = str(runs.place_of(found.rows[-1])) if found.has_older else None
    return call.page(RunPage, found.rows, cursor)


OPERATIONS: Operations = (
    Operation(
        "list_runs", "GET", "/runs", list_runs, "List runs, the newest first.", Level.READ, query=RunsWanted,
        answer=RunPage, headers=LINK,
    ),
)  # fmt: skip
