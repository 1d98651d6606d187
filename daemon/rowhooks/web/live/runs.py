"""What a page that shows a run is told as the run goes on: how it stands, and the lines that it logs."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from rowhooks.domain.display import LONG, lines, visible
from rowhooks.domain.errors import UsageError
from rowhooks.postgres.administration.common import Row
from rowhooks.postgres.console.places import Place
from rowhooks.postgres.console.run import LONGEST_MESSAGE, known_lines, news_of_run
from rowhooks.web.linking.links import path_of
from rowhooks.web.live.streams import FINISHED, Event, News
from rowhooks.web.people.person import person_of
from rowhooks.web.rendering import fragment

MOST_LINES = 2000
"""How many lines of a run are told to a page; the others are on its further pages."""
LINES_AT_ONCE = 200
"""How many lines are told in one look."""
_CURSOR = re.compile(r"(\d{1,18})\.(\d{1,6})", re.ASCII)


@dataclass(frozen=True)
class Cursor:
    """Which lines a page has. A line may become visible after others with higher ids, so it counts them too.

    Args:
        highest: the highest id of a line that it has.
        count: how many it has.
    """

    highest: int = 0
    count: int = 0

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        return f"{self.highest}.{self.count}"

    @classmethod
    def behind(cls, ids: Collection[int]) -> Cursor:
        """Return the cursor of a page that has these lines."""
        return cls(max(ids, default=0), len(ids))

    @classmethod
    def parse(cls, text: str | None) -> Cursor:
        """Read a cursor.

        Raises:
            UsageError: it is none.
        """
        if text is None:
            return cls()
        found = _CURSOR.fullmatch(text)
        if found is None or int(found[2]) > MOST_LINES:
            raise UsageError("this is not a place in a run's log", hint="open the page of the run again")
        return cls(int(found[1]), int(found[2]))


class RunWatch:
    """Tells how a run goes on.

    Args:
        request: the request for the stream.
        run_id: the run.
        cursor: which lines the page has.
        with_lines: whether the page shows the end of the log.
    """

    def __init__(self, request: Request, run_id: int, cursor: Cursor, *, with_lines: bool) -> None:
        self._request = request
        self._run_id = run_id
        self._cursor = cursor
        self._with_lines = with_lines
        self._known: set[int] | None = None
        self._state: Row | None = None

    async def look(self) -> News:
        """Return the state, if it is another one, and the lines that have come."""
        person = person_of(self._request)
        if self._known is None:
            self._known = await person.read(known_lines, self._run_id, self._cursor.highest, self._cursor.count)
        room = min(LINES_AT_ONCE, MOST_LINES - len(self._known)) if self._with_lines else 0
        state, found = await person.read(news_of_run, self._run_id, self._known, room)
        events = []
        if state != self._state:
            self._state = state
            events.append(self.state_event(state))
        for line in found:
            self._known.add(line["id"])
            events.append(self.line_event(line))
        is_full = self._with_lines and len(self._known) >= MOST_LINES
        if is_full and found:
            events.append(self.full_event())
        is_over = state["finished_at"] is not None and (len(found) < room or room == 0)
        return News(events, FINISHED if is_over else None)

    def state_event(self, state: Row) -> Event:
        """Return what tells of another state."""
        return self._put("run_state.html", state=state, run=state)

    def line_event(self, line: Row) -> Event:
        """Return what tells of a line."""
        return self._put("run_line.html", line=log_line(self._request, line, None))

    def full_event(self) -> Event:
        """Return what tells that no further lines are told."""
        return self._put("run_log_full.html")

    def place(self) -> str:
        """Return where the stream goes on behind what was told."""
        return str(Cursor.behind(self._known or ()))

    def _put(self, template: str, **values: Any) -> Event:
        return Event("put", fragment(self._request, template, **values), self.place())


def log_line(request: Request, line: Row, run: Row | None) -> dict[str, Any]:
    """Return a line of a log as a page shows it.

    Args:
        request: the request whose page shows it.
        line: the line.
        run: its run, whose row has a page of its own; None: not known here.
    """
    left_out = line["size"] - LONGEST_MESSAGE
    message = lines(line["message"][:LONGEST_MESSAGE])
    table = line["object_type"]
    return {
        "id": line["id"],
        "order": Place(line["time"], line["id"]).order,
        "time": line["time"],
        "level": line["level"],
        "grouping": visible(line["grouping"]),
        "message": f"{message} ... ({left_out:,} characters left out)" if left_out > 0 else message,
        "object": visible(line["object_repr"] or "", LONG),
        "table": visible(table or ""),
        "table_path": None if not table else path_of(request, "table_rows", table=table),
    }
