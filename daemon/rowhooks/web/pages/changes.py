"""Changes: listed by filters in the address; and one change, with the hooks that it starts and why not others."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.domain.display import visible
from rowhooks.domain.errors import RowhooksError, TookTooLong, UsageError
from rowhooks.postgres.console.changes import list_changes
from rowhooks.postgres.console.runs import Page
from rowhooks.postgres.console.why import ShownChange, Verdict, show_change
from rowhooks.web.linking.asked_changes import ACTIONS, AskedChanges, number
from rowhooks.web.linking.links import id_in, path_of, with_query
from rowhooks.web.people.person import person_of
from rowhooks.web.rendering import page
from rowhooks.web.showing.change_lines import change_line
from rowhooks.web.showing.room import Room, differences
from rowhooks.web.showing.run_lines import LONGEST_NAME, row_path

ROOM, ROOM_FOR_HOOKS, LONGEST_VALUE = 40_000, 30_000, 2000
"""Bytes of a page for the differences of a change, and for hooks; characters of a value."""
MOST_HOOKS = 100
"""How many hooks are shown."""
TOO_RARE = TookTooLong(
    "PostgreSQL has not found enough changes like these in the time that a page has",
    hint="narrow the search: since when, until when",
)
"""What a listing says whose filters are rarely met."""


async def listing(request: Request) -> Response:
    """Show the changes that the filters in the address ask for, the newest first."""
    person = person_of(request)
    asked = AskedChanges(request.query_params)
    found, status = Page([], has_older=False, has_newer=False), 200
    names: list[str] = []
    problem: RowhooksError | None = None
    try:
        wanted = asked.filter()
        before, after = (number(request.query_params.get(name) or None, "change") for name in ("before", "after"))
        found, names = await person.read(list_changes, wanted, before=before, after=after)
    except UsageError as error:
        problem, status = error, 422
    except TookTooLong:
        problem, status = TOO_RARE, 503
    return page(request, "changes_list.html", status=status, problem=problem, **_listed(request, asked, found, names))


def _listed(request: Request, asked: AskedChanges, found: Page, names: list[str]) -> dict[str, Any]:
    here, rows = request.url_for("changes").path, found.rows
    older = newer = None
    if rows:
        newer = with_query(here, asked.query(("after", rows[0]["id"])))
        older = with_query(here, asked.query(("before", rows[-1]["id"]))) if found.has_older else None
    return {
        "asked": asked,
        "actions": ACTIONS,
        "names": names,
        "lines": [_line(request, row) for row in rows],
        "older": older,
        "newer": newer,
        "is_newest": not found.has_newer,
        "unseen": found.unseen,
        "is_filtered": any(asked.texts.values()),
    }


def _line(request: Request, row: dict[str, Any]) -> dict[str, Any]:
    shown = change_line(request, row, None, 0)
    shown["by"] = visible(row["db_user"], 40)
    shown["user"] = visible(row["user_name"] or "", 40)
    shown["context"] = visible(row["change_context"] or "", 40)
    return shown


async def change(request: Request) -> Response:
    """Show a change."""
    found = await person_of(request).read(show_change, id_in(request))
    return page(request, "change.html", **_shown(request, found))


def _shown(request: Request, found: ShownChange) -> dict[str, Any]:
    row, room = found.change, Room(ROOM_FOR_HOOKS)
    verdicts = [_verdict(request, verdict) for verdict in found.verdicts[:MOST_HOOKS]]
    verdicts = [one for one in verdicts if room.take(one["name"], one["path"] or "", one["job"], *one["reasons"])]
    return {
        "change": row,
        "row_path": row_path(request, row["object_type"], row["object_id"], 2000),
        "differences": differences(found.before, found.after, Room(ROOM), LONGEST_VALUE),
        "verdicts": verdicts,
        "more_hooks": len(found.verdicts) - len(verdicts),
        "others": found.others,
        "general": found.general,
        "runs": [
            {**run, "path": path_of(request, "run", id=run["id"]), "hook": visible(run["hook_name"] or "", 60)}
            for run in found.runs
        ],
        "writer": None if found.writer is None else path_of(request, "run", id=found.writer["id"]),
        "writer_id": None if found.writer is None else found.writer["id"],
        "hidden": [visible(name, 60) for name in row["hidden_columns"][:50]],
        "same_request": with_query(request.url_for("changes").path, [("request_id", row["request_id"] or "")])
        if row["request_id"] and len(row["request_id"]) <= LONGEST_NAME
        else None,
    }


def _verdict(request: Request, verdict: Verdict) -> dict[str, Any]:
    hook, run = verdict.hook, verdict.run
    return {
        "name": visible(hook.name, 60),
        "path": path_of(request, "hook", name=hook.name) if len(hook.name) <= LONGEST_NAME else None,
        "job": visible(hook.job.class_path, 60),
        "state": verdict.state,
        "reasons": [visible(reason, 300) for reason in verdict.reasons],
        "run": None if run is None else run["id"],
        "run_path": None if run is None else path_of(request, "run", id=run["id"]),
        "run_status": None if run is None else run["status"],
    }


routes = [
    Route("/changes", listing, name="changes"),
    Route("/changes/{id:int}", change, name="change"),
]
