"""Replays: past changes that match a hook are counted, and runs are requested for them, part by part."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from rowhooks.domain import exact
from rowhooks.domain.errors import TookTooLong, UsageError
from rowhooks.postgres.console import replay as console
from rowhooks.web.acts.replay_parts import request_next, with_smaller_part
from rowhooks.web.acts.replays import Progress, advanced, match
from rowhooks.web.api.authentication import Level
from rowhooks.web.api.models.base import Nothing
from rowhooks.web.api.models.replays import Replay, ReplayBegun, ReplayContinued, ReplayNamed, ReplayRuns
from rowhooks.web.api.operations import Answer, Call, Keyed, Operation, Operations
from rowhooks.web.people.person import Person

PATIENCE = 5.0
"""Seconds after which an answer says where the replay goes on."""


async def begin_replay(call: Call[Nothing, Nothing, ReplayBegun]) -> Answer:
    """Begin a replay."""
    given = call.body
    if given.until is not None and given.until <= given.since:
        raise UsageError("until is not after since")
    wanted, part = await call.caller.person.read(console.begin, given.hook, given.table, given.since, given.until)
    return await _go_on(call, Progress(wanted, part.place.beginning), dry_run=given.dry_run)


async def continue_replay(call: Call[Nothing, Nothing, ReplayContinued]) -> Answer:
    """Continue a replay."""
    progress, dry_run = _read(call.body.cursor)
    return await _go_on(call, progress, dry_run=dry_run)


async def show_replay(call: Call[Nothing, ReplayNamed, None]) -> Answer:
    """Show the runs of a replay by status."""
    states, are_all = await call.caller.person.read(console.states_of, call.query.hook, call.query.begun)
    return Answer(ReplayRuns(states=states, are_all=are_all))


async def _go_on(call: Call[Any, Any, Any], progress: Progress, *, dry_run: bool) -> Answer:
    """Look at part after part, as long as an answer may take."""
    begun, is_first = time.monotonic(), True
    while not progress.place.is_end and (is_first or time.monotonic() < begun + PATIENCE):
        is_first = False
        try:
            progress = await (_look if dry_run else request_next)(call.caller.person, progress)
        except TookTooLong:
            progress = with_smaller_part(progress)
    is_done = progress.place.is_end
    told = Replay.of(progress, None if is_done else _cursor(progress, dry_run=dry_run), dry_run=dry_run)
    if not is_done or dry_run:
        return Answer(told, 200)
    wanted = progress.wanted
    path = call.path_to("/replays") + call.query_of(hook=wanted.hook, begun=wanted.begun.isoformat())
    return Answer(told, 202, {"Location": path})


async def _look(person: Person, progress: Progress) -> Progress:
    part = await person.read(console.next_part, progress.wanted, progress.place)
    return advanced(progress, match(part))


def _cursor(progress: Progress, *, dry_run: bool) -> str:
    text = exact.write({**progress.fields(), "dry_run": dry_run})
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode("ascii")


def _read(cursor: str) -> tuple[Progress, bool]:
    try:
        fields = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
        dry_run = fields.pop("dry_run")
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise UsageError("this cursor is not one of a replay", hint="begin again") from error
    return Progress.sent(fields), dry_run is not False


OPERATIONS: Operations = (
    Operation(
        "begin_replay", "POST", "/replays", begin_replay,
        "Run a hook for past changes that match it, also if it was disabled then.", Level.OPERATE, body=ReplayBegun,
        answer=Replay, status=202, others={200: "It was a dry run, or it goes on: send its cursor."},
        errors=(404, 409), keyed=Keyed.MEMORY, headers={"Location": "Where the runs are counted by status."},
    ),
    Operation(
        "continue_replay", "POST", "/replays/continue", continue_replay,
        "Continue a replay, or a dry run. To send a cursor twice requests no run twice.", Level.OPERATE,
        body=ReplayContinued, answer=Replay, status=202, others={200: "It was a dry run, or it goes on."},
        errors=(404, 409), headers={"Location": "Where the runs are counted by status."},
    ),
    Operation(
        "show_replay", "GET", "/replays", show_replay, "Count the runs of a replay by status.", Level.READ,
        query=ReplayNamed, answer=ReplayRuns, errors=(404,),
    ),
)  # fmt: skip
