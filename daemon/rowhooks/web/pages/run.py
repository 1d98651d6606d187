"""One run: how it stands, its log as it comes, what it wrote, and the acts on it."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.domain import exact
from rowhooks.domain.display import lines, value, visible
from rowhooks.domain.errors import UsageError
from rowhooks.postgres.administration import results
from rowhooks.postgres.administration.common import Row
from rowhooks.postgres.console.places import Place
from rowhooks.postgres.console.run import LARGEST, LONGEST_MESSAGE, ShownRun, retry_once, show_run
from rowhooks.web.forms.reading import read_form
from rowhooks.web.linking.links import id_in, path_of, with_query
from rowhooks.web.linking.navigation import at_least
from rowhooks.web.live.runs import Cursor, RunWatch, log_line
from rowhooks.web.live.streams import EventStream, cursor_of, stream
from rowhooks.web.pages.own_press import own_press, own_press_events
from rowhooks.web.people.person import person_of
from rowhooks.web.rendering import page, see
from rowhooks.web.showing.change_lines import change_line
from rowhooks.web.showing.room import Room, cut
from rowhooks.web.showing.run_lines import LONGEST_NAME, origin_path, row_path
from rowhooks.web.wording.unwritten import FAILED_BY_ITSELF, notes_on_writes

LINES = 200
"""How many lines of the log are on a page."""
CHANGES = 20
"""How many changes are on a page."""
ROOM_FOR_LINES, ROOM_FOR_CHANGES, ROOM_FOR_INPUTS = 34_000, 20_000, 6_000
"""Bytes of a page for them."""
LONGEST_VALUE = 150
"""Characters of a value of a change."""


async def run(request: Request) -> Response:
    """Show a run; to a person that sees no runs, its own press."""
    person = person_of(request)
    if not at_least(person.level, "viewer"):
        return await own_press(request)
    text = request.query_params.get("line")
    behind = Place.parse(text) if text else None
    found = await person.read(show_run, id_in(request), behind=behind, lines=LINES, changes=CHANGES)
    return page(request, "run.html", **_shown(request, found, behind))


def _shown(request: Request, found: ShownRun, behind: Place | None) -> dict[str, Any]:
    run = found.run
    log, next_line = _log(request, found)
    is_finished = run["finished_at"] is not None
    is_at_end = next_line is None
    room = Room(ROOM_FOR_CHANGES)
    changes = [change_line(request, change, room, LONGEST_VALUE) for change in found.written]
    return {
        "run": run,
        "state": run,
        "is_finished": is_finished,
        "links": _links(request, run),
        "history": [{**row, "path": path_of(request, "run", id=row["id"])} for row in found.history],
        "original": run["original_id"],
        "repeats": sum(row["id"] != run["original_id"] for row in found.history),
        "log": log,
        "is_log_begun": behind is None,
        "is_log_at_end": is_at_end,
        "next_line": next_line,
        "line_count": sum((run["log_counts"] or {}).values()),
        "changes": changes,
        "has_more_changes": found.has_more_written,
        "notes": notes_on_writes(run, found.written),
        "result": _result(run),
        **_inputs(run),
        "exception_message": cut(run["exception_message"] or "", 1500, 0, 4000),
        "traceback": _traceback(run),
        "is_fail": run["exception_type"] == FAILED_BY_ITSELF,
        "events": None if is_finished else _events(request, run, found.lines if is_at_end and behind is None else None),
    }


def _links(request: Request, run: Row) -> dict[str, str | None]:
    change = run["object_change_id"]
    batch = run["batch_id"]
    return {
        "origin": origin_path(request, run),
        "job": path_of(request, "job", name=run["class_path"]) if len(run["class_path"]) <= LONGEST_NAME else None,
        "row": row_path(request, run["object_type"], run["object_id"], 2000),
        "change": None if change is None else path_of(request, "change", id=change),
        "batch": None if batch is None else path_of(request, "batch", id=batch),
        "changes": path_of(request, "changes", [("run", run["id"])]),
    }


def _log(request: Request, found: ShownRun) -> tuple[list[dict[str, Any]], str | None]:
    """Return the lines that there is room for, and the address of the page with those behind them, if there are any."""
    room = Room(ROOM_FOR_LINES)
    shown: list[dict[str, Any]] = []
    for line in found.lines:
        if shown and not room.take(line["message"][:LONGEST_MESSAGE], line["grouping"], line["object_repr"] or ""):
            break
        shown.append(log_line(request, line, found.run))
    if len(shown) == len(found.lines) and not found.has_more_lines:
        return shown, None
    last = found.lines[len(shown) - 1]
    return shown, with_query(request.url.path, [("line", Place(last["time"], last["id"]))])


def _events(request: Request, run: Row, shown: list[Row] | None) -> str:
    """Return the address of the stream that goes on behind the lines shown; None: it tells of no lines."""
    cursor = None if shown is None else Cursor.behind({line["id"] for line in shown})
    path = request.url_for("run_events", id=run["id"]).path
    return with_query(path, [("cursor", cursor), ("lines", "no" if shown is None else "")])


def _inputs(run: Row) -> dict[str, Any]:
    room = Room(ROOM_FOR_INPUTS)
    given = run["inputs"] or {}
    shown = [(visible(name, 80), value(of)) for name, of in given.items() if room.take(visible(name, 80), value(of))]
    return {"inputs": shown, "inputs_left_out": len(given) - len(shown)}


def _result(run: Row) -> str | None:
    if run["result"] is None and run["result_size"] is None:
        return None
    if run["result"] is None and run["result_size"] > LARGEST:
        return f"(a value of {run['result_size']:,} bytes: rowhooks results show {run['id']} --json)"
    return cut(lines(exact.write(run["result"], indent=2)), 8000, 0, 9000)


def _traceback(run: Row) -> str:
    head, tail = run["traceback_head"], run["traceback_tail"]
    if head is None:
        return ""
    if tail is None:
        return cut(lines(head), 3000, 9000, 14_000)
    left_out = run["traceback_size"] - 12_000
    return cut(lines(f"{head[:3000]}\n... ({left_out:,} characters left out)\n{tail[-9000:]}"), 3500, 9000, 14_000)


async def events(request: Request) -> Response | EventStream:
    """Tell how a run goes on, and what it logs."""
    if not at_least(person_of(request).level, "viewer"):
        return own_press_events(request)
    watch = RunWatch(
        request, id_in(request), Cursor.parse(cursor_of(request)),
        with_lines=request.query_params.get("lines") != "no",
    )  # fmt: skip
    return stream(request, watch.look)


async def retry(request: Request) -> Response:
    """Run a finished run again."""
    form = await read_form(request)
    seen = str(form.get("seen", "0"))
    if not (seen.isascii() and seen.isdigit() and len(seen) <= 9):
        raise UsageError("this form is not one of the page of a run", hint="open the page again")
    new_id = await person_of(request).act(retry_once, id_in(request), int(seen))
    return see(request.url_for("run", id=new_id).path)


async def revoke(request: Request) -> Response:
    """Give up a run that has not finished."""
    await read_form(request)
    run_id = id_in(request)
    await person_of(request).act(results.revoke, run_id)
    return see(request.url_for("run", id=run_id).path)


routes = [
    Route("/runs/{id:int}", run, name="run"),
    Route("/runs/{id:int}/events", events, name="run_events"),
    Route("/runs/{id:int}/retry", retry, methods=["POST"], name="run_retry"),
    Route("/runs/{id:int}/revoke", revoke, methods=["POST"], name="run_revoke"),
]
