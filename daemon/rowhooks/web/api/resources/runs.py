"""Runs: listed, shown, followed, retried, revoked."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from rowhooks.postgres.administration import results
from rowhooks.postgres.administration.common import Row
from rowhooks.postgres.console import runs
from rowhooks.postgres.console.places import Place
from rowhooks.postgres.console.run import log_of_run, show_run, state_of_run
from rowhooks.web.api.authentication import Level, caller_of
from rowhooks.web.api.models.base import Nothing
from rowhooks.web.api.models.presses import Waiting
from rowhooks.web.api.models.runs import (
    EventsWanted,
    LogLine,
    LogPage,
    LogWanted,
    Run,
    RunNumbered,
    RunPage,
    RunState,
    RunsWanted,
)
from rowhooks.web.api.operations import EVENT_STREAM, LINK, Answer, Call, Keyed, Operation, Operations
from rowhooks.web.api.problems import Refusal
from rowhooks.web.api.waiting import wait_until
from rowhooks.web.api.writing import as_json
from rowhooks.web.live.runs import Cursor, RunWatch
from rowhooks.web.live.streams import Event, EventStream, News, cursor_of, stream

CHANGES = 50
"""How many changes of a run's transaction are shown."""


async def list_runs(call: Call[Nothing, RunsWanted, None]) -> Answer:
    """List runs."""
    before = None if call.query.cursor is None else Place.parse(call.query.cursor)
    found = await call.caller.person.read(runs.list_runs, call.query.filter(), before=before, limit=call.query.limit)
    cursor = str(runs.place_of(found.rows[-1])) if found.has_older else None
    return call.page(RunPage, found.rows, cursor, left_out=list(found.unseen))


async def show(call: Call[RunNumbered, Waiting, None]) -> Answer:
    """Show a run."""
    return Answer(await _run_after(call, call.path.id, call.query.wait))


async def list_lines(call: Call[RunNumbered, LogWanted, None]) -> Answer:
    """List lines of a run's log."""
    behind = None if call.query.cursor is None else Place.parse(call.query.cursor)
    found, has_more = await call.caller.person.read(log_of_run, call.path.id, behind=behind, lines=call.query.limit)
    cursor = str(Place(found[-1]["time"], found[-1]["id"])) if has_more else None
    return call.page(LogPage, map(LogLine.of, found), cursor)


async def follow(call: Call[RunNumbered, EventsWanted, None]) -> EventStream:
    """Tell how a run goes on, and what it logs."""
    await call.caller.person.read(state_of_run, call.path.id)
    path = call.path_to("/runs/{id}/log", id=call.path.id)
    watch = JsonWatch(call.request, call.path.id, Cursor.parse(cursor_of(call.request)), path)
    return stream(call.request, watch.look_as_caller)


async def retry(call: Call[RunNumbered, Waiting, None]) -> Answer:
    """Run a finished run again."""
    new_id = await call.caller.person.act(results.retry, call.path.id)
    found = await _run_after(call, new_id, call.query.wait)
    status = 202 if found.finished_at is None else 200
    return Answer(found, status, {"Location": call.path_to("/runs/{id}", id=new_id)})


async def revoke(call: Call[RunNumbered, Nothing, None]) -> Answer:
    """Give a run up that has not finished."""
    await call.caller.person.act(results.revoke, call.path.id)
    return Answer(await _run_after(call, call.path.id, 0))


class JsonWatch(RunWatch):
    """Tells how a run goes on, in JSON.

    Args:
        request: the request for the stream.
        run_id: the run.
        cursor: which lines the client has.
        log: the path of the run's log.
    """

    def __init__(self, request: Request, run_id: int, cursor: Cursor, log: str) -> None:
        super().__init__(request, run_id, cursor, with_lines=True)
        self._caller = request
        self._log = log

    async def look_as_caller(self) -> News:
        """Return what is new; the end where the caller's token is no longer valid."""
        try:
            await caller_of(self._caller)
        except Refusal as error:
            return News(ended=error.detail)
        return await self.look()

    def state_event(self, state: Row) -> Event:
        """Return what tells of another state."""
        return Event("state", as_json(RunState.model_validate(state)).decode(), self.place())

    def line_event(self, line: Row) -> Event:
        """Return what tells of a line."""
        return Event("line", as_json(LogLine.of(line)).decode(), self.place())

    def full_event(self) -> Event:
        """Return what tells where further lines are."""
        return Event("full", as_json({"log": self._log}).decode(), self.place())


async def _run_after(call: Call[Any, Any, Any], run_id: int, seconds: int) -> Run:
    if seconds:

        async def look() -> Row:
            return await call.caller.person.read(state_of_run, run_id)

        await wait_until(look, lambda row: row["finished_at"] is not None, seconds)
    return Run.of(await call.caller.person.read(show_run, run_id, behind=None, lines=0, changes=CHANGES))


OPERATIONS: Operations = (
    Operation(
        "list_runs", "GET", "/runs", list_runs, "List runs, the newest first.", Level.READ, query=RunsWanted,
        answer=RunPage, headers=LINK,
    ),
    Operation(
        "show_run", "GET", "/runs/{id}", show, "Show a run; with wait, when it has ended.", Level.READ,
        path_model=RunNumbered, query=Waiting, answer=Run, errors=(404,),
    ),
    Operation(
        "list_log", "GET", "/runs/{id}/log", list_lines, "List the lines of a run's log.", Level.READ,
        path_model=RunNumbered, query=LogWanted, answer=LogPage, errors=(404,), headers=LINK,
    ),
    Operation(
        "follow_run", "GET", "/runs/{id}/events", follow, "Follow a run by server-sent events.", Level.READ,
        path_model=RunNumbered, query=EventsWanted, errors=(404,), media_type=EVENT_STREAM,
        takes={"Last-Event-ID": "Where the stream goes on, as EventSource sends it; cursor is the same."},
        description=(
            "The events are state (data: a RunState), line (a LogLine), full (the log goes on at the path log)"
            " and end (why the stream has ended; finished: the run has)."
        ),
    ),
    Operation(
        "retry_run", "POST", "/runs/{id}/retry", retry, "Run a finished run again.", Level.OPERATE,
        path_model=RunNumbered, query=Waiting, answer=Run, status=202, others={200: "The new run has ended."},
        errors=(404, 409), keyed=Keyed.MEMORY, headers={"Location": "The path of the new run."},
    ),
    Operation(
        "revoke_run", "POST", "/runs/{id}/revoke", revoke, "Give a run up that has not finished.", Level.OPERATE,
        path_model=RunNumbered, answer=Run, errors=(404, 409), keyed=Keyed.MEMORY,
    ),
)  # fmt: skip
