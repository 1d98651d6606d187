"""Runs: listed by filters that stand in the address, page by page, and live."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.domain.errors import RowhooksError, TookTooLong, UsageError
from rowhooks.postgres.administration.common import Connection, Row
from rowhooks.postgres.console import runs
from rowhooks.postgres.console.places import Place
from rowhooks.postgres.console.runs import KINDS, LATE, PAGE, Page, RunFilter, news_of_runs, place_of
from rowhooks.web.linking.asked_runs import STATUSES, TRIGGERS, AskedRuns
from rowhooks.web.linking.links import with_query
from rowhooks.web.live.streams import Event, EventStream, News, cursor_of, stream
from rowhooks.web.people.person import person_of
from rowhooks.web.rendering import fragment, page
from rowhooks.web.showing.run_lines import line_of

MOST_WATCHED = 100
"""How many runs that have not ended are watched for a listing."""


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
        "events": None if found.has_newer else _events(request, asked, rows),
        "is_newest": not found.has_newer,
        "unseen": found.unseen,
        "retry_all": with_query(request.url_for("runs_retry").path, asked.or_failed().query()),
        "revoke_all": with_query(request.url_for("runs_revoke").path, asked.query()),
        "is_filtered": bool(asked.statuses or any(asked.texts.values())),
    }


def _events(request: Request, asked: AskedRuns, rows: list[Row]) -> str:
    """Return the address of the stream that goes on where a page of the newest runs ends."""
    cursor = Cursor(place_of(rows[0]) if rows else None, frozenset(_unfinished(rows)))
    return with_query(request.url_for("runs_events").path, asked.query(("cursor", cursor)))


def _unfinished(rows: list[Row]) -> list[int]:
    return [row["id"] for row in rows if row["finished_at"] is None]


@dataclass(frozen=True)
class Cursor:
    """How far a page has been told of runs.

    Args:
        newest: the place of the newest run that it shows; None: it shows none.
        watched: the runs that it shows and that had not ended.
    """

    newest: Place | None
    watched: frozenset[int]

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        return f"{self.newest or ''}:{','.join(map(str, sorted(self.watched)))}"

    @classmethod
    def parse(cls, text: str | None) -> Cursor:
        """Read a cursor.

        Raises:
            UsageError: it is none.
        """
        place, _, ids = (text or "").partition(":")
        if not re.fullmatch(r"(\d{1,18}(,\d{1,18}){0,199})?", ids, re.ASCII):
            raise UsageError("this is not a place in a stream of runs", hint="open the page again")
        return cls(_place(place), frozenset(int(id_) for id_ in ids.split(",") if id_))


class RunsWatch:
    """Tells a listing what has come, and how the runs that it shows go on.

    Args:
        request: the request for the stream.
        wanted: which runs are listed.
        cursor: how far the page has been told.
    """

    def __init__(self, request: Request, wanted: RunFilter, cursor: Cursor) -> None:
        self._request = request
        self._wanted = wanted
        self._newest = cursor.newest or Place(datetime.now(UTC), 0)
        # The state of each run that was told, and those that had not ended.
        self._told: dict[int, tuple[Place, str, int]] = {}
        self._watched = set(cursor.watched)

    async def look(self) -> News:
        """Return the runs that are new, or in another state."""
        since = self._newest.at - LATE
        self._told = {id_: told for id_, told in self._told.items() if told[0].at >= since or id_ in self._watched}
        rows = await person_of(self._request).read(
            news_of_runs, self._wanted, since=since, sent=self._told, watched=self._watched, limit=PAGE
        )
        # The oldest is told first, so that a cursor stands behind everything that was told.
        return News([event for row in reversed(rows) if (event := self._event(row)) is not None])

    def _event(self, run: Row) -> Event | None:
        place = place_of(run)
        state = (place, run["status"], run["attempt"])
        if self._told.get(run["id"]) == state:
            return None
        self._told[run["id"]] = state
        self._newest = max(self._newest, place)
        if run["finished_at"] is None and len(self._watched) < MOST_WATCHED:
            self._watched.add(run["id"])
        else:
            self._watched.discard(run["id"])
        html = fragment(self._request, "runs_line.html", line=line_of(self._request, run))
        return Event("put", html, str(Cursor(self._newest, frozenset(self._watched))))


async def events(request: Request) -> Response | EventStream:
    """Tell a listing what has come since."""
    person_of(request)
    wanted = AskedRuns(request.query_params).filter()
    return stream(request, RunsWatch(request, wanted, Cursor.parse(cursor_of(request))).look)


routes = [
    Route("/runs", listing, name="runs"),
    Route("/runs/events", events, name="runs_events"),
]
