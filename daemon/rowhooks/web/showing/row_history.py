"""What happened to a row, as its page shows it: changes with their differences, the runs beside them, and presses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request

from rowhooks.domain import exact
from rowhooks.domain.display import by_whom, visible
from rowhooks.postgres.administration.common import Row
from rowhooks.postgres.console.history import FIRST_PART, LARGEST_PART, History, HistoryPlace
from rowhooks.postgres.console.relations import Relation
from rowhooks.postgres.console.row import FoundRow
from rowhooks.web.linking.links import LARGEST_ID, path_of
from rowhooks.web.linking.row_addresses import path_of_row, row_path
from rowhooks.web.showing.room import Room, differences

ROOM = 20_000
"""How many bytes of the page are for differences."""
LONGEST_VALUE = 150
"""How many characters of a value of a change are shown."""
LONGEST_KEY = 500
"""How many characters a former key may have to stand in an address."""


@dataclass(frozen=True)
class ShownHistory:
    """A part of the history of a row, as the page shows it.

    Args:
        changes: each with its differences and its runs.
        presses: runs of buttons.
        was: the former key that it is the history of; empty: the present one.
        older: where there is more; empty: nowhere.
        newest: where it begins; empty: this is the beginning.
        looked: how many changes of the log were looked through in vain; 0: none.
        next_look: how many more would be looked through.
        is_too_slow: whether nothing was found out in time.
    """

    changes: Sequence[Mapping[str, Any]]
    presses: Sequence[Mapping[str, Any]]
    was: str
    older: str
    newest: str
    looked: int
    next_look: int
    is_too_slow: bool


def read_history_place(query: QueryParams) -> HistoryPlace:
    """Return where an address wants a row's history; the beginning for what is no place."""
    before, part = (_number(query.get(name)) for name in ("before", "part"))
    return HistoryPlace(before, min(part or FIRST_PART, LARGEST_PART))


def shown_history(
    request: Request, relation: Relation, found: FoundRow, was: str, history: History | None
) -> ShownHistory | None:
    """Return a history as the page of its row shows it.

    Args:
        request: the request.
        relation: the row's table.
        found: the row.
        was: the former key that it is the history of; empty for none.
        history: the history; None: the person may not see it.
    """
    if history is None:
        return None
    address = request.query_params.get("key", "")

    def path(place: HistoryPlace | None) -> str:
        more = {} if place is None else {"before": str(place.before), "part": str(place.part)}
        if was:
            more["was"] = was
        return f"{path_of_row(request, relation.name, address, **more)}#history"

    room = Room(ROOM)
    runs = _by_change(history.runs)
    return ShownHistory(
        changes=[
            {
                **_shown_change(request, relation, found, change, room),
                "runs": [_shown_run(request, run) for run in runs.get(change["id"], ())],
            }
            for change in history.changes
        ],
        presses=[_shown_run(request, run) for run in history.presses],
        was=visible(was, 100) if was else "",
        older=path(history.older) if history.older else "",
        newest=path(None) if request.query_params.get("before") or was else "",
        looked=history.looked,
        next_look=history.older.part if history.older else 0,
        is_too_slow=history.is_too_slow,
    )


def _number(text: str | None) -> int | None:
    is_number = text is not None and text.isascii() and text.isdecimal() and len(text) < 20
    return min(int(text or "0"), LARGEST_ID) if is_number else None


def _shown_change(
    request: Request, relation: Relation, found: FoundRow, change: Row, room: Room
) -> dict[str, Any]:  # fmt: skip
    former = _former_key(found, change)
    return {
        "id": change["id"],
        "path": path_of(request, "change", id=change["id"]),
        "time": change["time"],
        "action": change["action"],
        "by": by_whom(change["db_user"], change["user_name"]),
        "by_receiver": change["receiver"] is not None,
        "is_large": change["is_large"] or False,
        "capture_error": visible(change["capture_error"] or "", 300),
        "differences": differences(change["prechange"], change["postchange"], room, LONGEST_VALUE),
        "former": visible(former, 100) if former else "",
        "former_path": row_path(request, relation.name, found.key, was=former) + "#history" if former else "",
    }


def _former_key(found: FoundRow, change: Row) -> str:
    """Return the key that the row had before a change, as JSON; empty where it is the same, or not known."""
    before, after = change["prechange"] or {}, change["postchange"] or {}
    columns = exact.read_exactly(found.key)
    if change["action"] != "update" or not columns.keys() <= before.keys() & after.keys():
        return ""
    if all(exact.same(before[name], after[name]) for name in columns):
        return ""
    former = exact.write({name: before[name] for name in columns})
    return former if len(former) <= LONGEST_KEY else ""


def _by_change(runs: Sequence[Row]) -> dict[int, list[Row]]:
    """Return runs by the changes that have started them, those that repeat one behind it."""
    change_of = {run["id"]: run["object_change_id"] for run in runs if run["object_change_id"] is not None}
    grouped: dict[int, list[Row]] = {}
    for run in sorted(runs, key=lambda run: (run["created_at"], run["id"])):
        change = run["object_change_id"] or change_of.get(run["original_id"])
        if change is not None:
            grouped.setdefault(change, []).append(run)
    return grouped


def _shown_run(request: Request, run: Row) -> dict[str, Any]:
    return {
        "id": run["id"],
        "path": path_of(request, "run", id=run["id"]),
        "status": run["status"],
        "name": visible(run["hook_name"] or run["button_name"] or run["class_path"], 80),
        "again": run["original_id"] is not None,
        "replay": run["trigger"] == "replay",
        "attempt": run["attempt"],
        "time": run["created_at"],
        "by": by_whom(run["db_user"], run["user_name"]),
    }
