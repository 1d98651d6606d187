"""Changes as parts of a page: who changed which row, and how."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from rowhooks.domain.display import by_whom, visible
from rowhooks.postgres.administration.common import Row
from rowhooks.web.linking.links import path_of
from rowhooks.web.showing.room import Room, differences
from rowhooks.web.showing.run_lines import LONGEST_KEY, row_path


def change_line(request: Request, change: Row, room: Room | None, longest: int) -> dict[str, Any]:
    """Return a change as a page shows it among others.

    Args:
        request: the request whose page shows it.
        change: the change.
        room: the room for its differences; None: they are not shown.
        longest: characters of a value.
    """
    return {
        "id": change["id"],
        "path": path_of(request, "change", id=change["id"]),
        "time": change["time"],
        "action": change["action"],
        "table": visible(change["object_type"] or "", 80),
        "row": visible(change["object_repr"] or "", 60),
        "row_path": row_path(request, change["object_type"], change["object_id"], LONGEST_KEY),
        "by": by_whom(change.get("db_user"), change.get("user_name")),
        "is_large": change.get("is_large") or False,
        "capture_error": visible(change.get("capture_error") or "", 300),
        "differences": None if room is None else differences(change["prechange"], change["postchange"], room, longest),
    }
