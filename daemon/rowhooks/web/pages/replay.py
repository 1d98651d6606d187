"""Replays: past changes that match a hook are counted, runs are requested for them, and their states are shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.domain import shell
from rowhooks.domain.errors import RowhooksError, TookTooLong, UsageError
from rowhooks.domain.times import point_in_time
from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.console import replay as console
from rowhooks.web.acts.replay_parts import request_next, with_smaller_part
from rowhooks.web.acts.replays import Progress, advanced, match
from rowhooks.web.forms.origins import problem_of, status_of_problem
from rowhooks.web.forms.reading import read_form
from rowhooks.web.linking.names import address
from rowhooks.web.live.parts import told_until_over
from rowhooks.web.live.streams import EventStream
from rowhooks.web.people.person import person_of
from rowhooks.web.rendering import page, see


async def replay(request: Request) -> Response:
    """Show the form of a replay, or begin the dry run that it asks for."""
    given = request.query_params
    fields = {name: given.get(name, "").strip() for name in ("hook", "job", "table", "since", "until")}
    if not (fields["hook"] and fields["since"]):
        return await _form(request, fields, {})
    try:
        since, until = _span(fields["since"], fields["until"])
        first = await person_of(request).read(_begin, fields["hook"], fields["table"] or None, since, until)
    except RowhooksError as error:
        return await _form(request, fields, problem_of(error, ()), status_of_problem(error))
    return _looked(request, first)


def _begin(conn: Connection, hook: str, table: str | None, since: datetime, until: datetime | None) -> Progress:
    wanted, part = console.begin(conn, hook, table, since, until)
    return advanced(Progress(wanted, part.place), match(part))


async def replay_look(request: Request) -> Response:
    """Look at the next changes of a dry run."""
    progress = Progress.sent(await read_form(request))
    try:
        part = await person_of(request).read(console.next_part, progress.wanted, progress.place)
    except TookTooLong:
        return _looked(request, with_smaller_part(progress))
    return _looked(request, advanced(progress, match(part)))


async def replay_start(request: Request) -> Response:
    """Request runs for the next changes of a replay."""
    form = await read_form(request)
    progress = Progress.sent(form)
    if form.get("act") == "start":
        progress = progress.from_the_beginning()
    try:
        progress = await request_next(person_of(request), progress)
    except TookTooLong:
        progress = with_smaller_part(progress)
    wanted = progress.wanted
    if progress.place.is_end:
        query = {
            "hook": wanted.hook, "begun": wanted.begun.isoformat(), "asked": progress.asked, "known": progress.known
        }  # fmt: skip
        return see(address(request, "replay_progress", query))
    return page(request, "replay_start.html", progress=progress)


async def replay_progress(request: Request) -> Response:
    """Show the runs of a replay by status."""
    return page(request, "replay_progress.html", **await _progress(request))


async def replay_events(request: Request) -> EventStream:
    """Tell what becomes of the runs of a replay."""
    return told_until_over(request, _progress, "replay_states.html")


async def _progress(request: Request) -> dict[str, Any]:
    person, given = person_of(request), request.query_params
    try:
        begun = datetime.fromisoformat(given.get("begun", "")).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError("this address names no replay", hint="open it from the page of the replay") from None
    hook = given.get("hook", "")
    states, are_all = await person.read(console.states_of, hook, begun)
    unfinished = sum(states.get(one, 0) for one in ("PENDING", "STARTED", "RETRY"))
    query = {name: given.get(name, "") for name in ("hook", "begun", "asked", "known")}
    return {
        "hook": hook, "begun": begun, "states": states, "are_all": are_all, "counted": console.COUNTED,
        "unfinished": unfinished, "is_over": not unfinished, "asked": _count(query["asked"]),
        "known": _count(query["known"]), "here": address(request, "replay_progress", query),
        "events": address(request, "replay_events", query),
        "runs": address(request, "runs", {"hook": hook, "trigger": "replay", "since": begun.isoformat()}),
    }  # fmt: skip


def _looked(request: Request, progress: Progress) -> Response:
    wanted = progress.wanted
    words = ["--since", wanted.since.isoformat(), "--until", wanted.until.isoformat(), f"--hook={wanted.hook}"]
    words += [f"--table={wanted.table}"] if wanted.table else []
    return page(
        request, "replay_look.html", progress=progress, command=shell.command("rowhooks", "replay", *words)
    )  # fmt: skip


async def _form(request: Request, fields: dict[str, str], problems: dict[str, str], status: int = 200) -> Response:
    offered = await person_of(request).read(console.choices)
    hooks = [one for one in offered["hooks"] if fields["job"] in ("", one["job"])]
    if len(hooks) == 1 and not fields["hook"]:
        fields["hook"] = hooks[0]["name"]
    return page(
        request, "replay_form.html", status=status, fields=fields, problems=problems,
        hook_options=[(one["name"], f"{one['name']} ({one['job']})") for one in hooks],
        table_options=[("", "all its tables"), *((one["quoted"], one["name"]) for one in offered["tables"])],
    )  # fmt: skip


def _span(since: str, until: str) -> tuple[datetime, datetime | None]:
    start = point_in_time(since, UTC)
    end = point_in_time(until, UTC) if until else None
    if end is not None and end <= start:
        raise UsageError(f"{until} is not after {since}")
    return start, end


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 15 else None


routes = [
    Route("/replay", replay, name="replay"),
    Route("/replay/look", replay_look, methods=["POST"], name="replay_look"),
    Route("/replay/start", replay_start, methods=["POST"], name="replay_start"),
    Route("/replay/progress", replay_progress, name="replay_progress"),
    Route("/replay/progress/events", replay_events, name="replay_events"),
]
