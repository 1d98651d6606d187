"""Runs: listed by filters that stand in the address, page by page, and live."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.domain.errors import RowhooksError, TookTooLong, UsageError
from rowhooks.domain.run import FAILURE, PENDING, RETRY, REVOKED, STARTED, SUCCESS
from rowhooks.domain.times import point_in_time
from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.console import runs
from rowhooks.postgres.console.places import Place
from rowhooks.postgres.console.runs import KINDS, Page, RunFilter, place_of
from rowhooks.web.links import with_query
from rowhooks.web.person import person_of
from rowhooks.web.rendering import page
from rowhooks.web.run_lines import line_of

STATUSES = (PENDING, STARTED, RETRY, SUCCESS, FAILURE, REVOKED)
TRIGGERS = ("change", "press", "replay")
TEXTS = ("job", "hook", "button", "table", "trigger", "since", "until", "text", "user", "batch")
"""The filters beside `status`, which may be given several times."""
LONGEST = 200
"""Characters of a filter."""


class AskedRuns:
    """The filters of an address.

    Args:
        given: the query of the address, or the fields of a form.
    """

    def __init__(self, given: Any) -> None:
        self.statuses = [status.upper() for status in given.getlist("status") if status]
        self.texts = {name: str(given.get(name) or "").strip()[:LONGEST] for name in TEXTS}

    def query(self, *more: tuple[str, Any]) -> list[tuple[str, Any]]:
        """Return them as the query of an address, with more."""
        return [*(("status", status) for status in self.statuses), *self.texts.items(), *more]

    def filter(self) -> RunFilter:
        """Return what they ask for.

        Raises:
            UsageError: a filter makes no sense.
        """
        for status in self.statuses:
            if status not in STATUSES:
                raise UsageError(f"there is no status {status}", hint=f"choose from: {', '.join(STATUSES)}")
        text = {name: value or None for name, value in self.texts.items()}
        if text["trigger"] not in (None, *TRIGGERS):
            raise UsageError(f"no run has the trigger {text['trigger']}", hint=f"choose from: {', '.join(TRIGGERS)}")
        return RunFilter(
            statuses=tuple(dict.fromkeys(self.statuses)), job=text["job"], hook=text["hook"], button=text["button"],
            table=text["table"], trigger=text["trigger"], since=_time(text["since"]), until=_time(text["until"]),
            text=text["text"], user=text["user"], batch=_number(text["batch"]),
        )  # fmt: skip


def _time(text: str | None) -> datetime | None:
    return None if text is None else point_in_time(text, UTC)


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise UsageError(f"{text!r} is not the number of a press of several rows")
    return int(text)


async def listing(request: Request) -> Response:
    """Show the runs that the filters in the address ask for, the newest first."""
    person = person_of(request)
    asked = AskedRuns(request.query_params)
    problem: RowhooksError | None = None
    found, status = Page([], has_older=False, has_newer=False), 200
    names: dict[str, list[str]] = {kind: [] for kind in KINDS}
    try:
        wanted = asked.filter()
        before, after = (_place(request.query_params.get(name)) for name in ("before", "after"))
        names, found = await person.read(_list, wanted, before, after)
    except UsageError as error:
        problem, status = error, 422
    except TookTooLong:
        problem, status = TOO_RARE, 503
    return page(request, "runs_list.html", status=status, problem=problem, **_shown(request, asked, found, names))


TOO_RARE = TookTooLong(
    "PostgreSQL has not found enough runs like these in the time that a page has",
    hint="narrow the search: since when, until when, a status",
)
"""What a listing says whose filters are rarely met."""


def _list(
    conn: Connection, wanted: RunFilter, before: Place | None, after: Place | None
) -> tuple[dict[str, list[str]], Page]:
    return runs.names_to_choose(conn), runs.list_runs(conn, wanted, before=before, after=after)


def _place(text: str | None) -> Place | None:
    return None if not text else Place.parse(text)


def _shown(request: Request, asked: AskedRuns, found: Page, names: dict[str, list[str]]) -> dict[str, Any]:
    here = request.url_for("runs").path
    rows = found.rows
    older = newer = None
    if rows:
        newer = with_query(here, asked.query(("after", place_of(rows[0]))))
        older = with_query(here, asked.query(("before", place_of(rows[-1])))) if found.has_older else None
    return {
        "asked": asked,
        "statuses": STATUSES,
        "triggers": TRIGGERS,
        "names": names,
        "lines": [line_of(request, row) for row in rows],
        "older": older,
        "newer": newer,
        "is_newest": not found.has_newer,
        "is_filtered": bool(asked.statuses or any(asked.texts.values())),
    }


routes = [Route("/runs", listing, name="runs")]
