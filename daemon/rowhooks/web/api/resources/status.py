"""The state of rowhooks, and what doctor says."""

from __future__ import annotations

from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.administration.doctor import examine_what_is_seen
from rowhooks.postgres.console.status import read_activity, read_failures, read_status
from rowhooks.web.api.authentication import Level
from rowhooks.web.api.models.base import Nothing
from rowhooks.web.api.models.status import ActivityTold, ActivityWanted, Diagnosis, Status
from rowhooks.web.api.operations import Answer, Call, Operation, Operations
from rowhooks.web.showing.status import SPANS


async def show_status(call: Call[Nothing, Nothing, None]) -> Answer:
    """Show how rowhooks is doing."""
    return Answer(await call.caller.person.read(_status))


async def show_activity(call: Call[Nothing, ActivityWanted, None]) -> Answer:
    """Count changes and runs over time."""
    span, step, _ = SPANS[call.query.span]
    return Answer(ActivityTold.of(await call.caller.person.read(read_activity, span, step)))


async def show_diagnosis(call: Call[Nothing, Nothing, None]) -> Answer:
    """Say what is wrong."""
    return Answer(Diagnosis.of(await call.caller.person.read(examine_what_is_seen)))


def _status(conn: Connection) -> Status:
    return Status.of(read_status(conn), read_failures(conn))


OPERATIONS: Operations = (
    Operation(
        "show_status", "GET", "/status", show_status, "Show how rowhooks is doing: what leads, waits and failed.",
        Level.READ, answer=Status,
    ),
    Operation(
        "show_activity", "GET", "/status/activity", show_activity, "Count changes and runs over time.", Level.READ,
        query=ActivityWanted, answer=ActivityTold,
    ),
    Operation(
        "show_doctor", "GET", "/doctor", show_diagnosis, "Say what is wrong, and what repairs it.", Level.READ,
        answer=Diagnosis,
    ),
)  # fmt: skip
