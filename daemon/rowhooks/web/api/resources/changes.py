"""Changes: listed, and shown with the hooks that they start, and why not others."""

from __future__ import annotations

from rowhooks.postgres.console.changes import list_changes
from rowhooks.postgres.console.why import show_change
from rowhooks.web.api.authentication import Level
from rowhooks.web.api.models.base import Nothing, number_of_cursor
from rowhooks.web.api.models.changes import Change, ChangeNumbered, ChangePage, ChangesWanted
from rowhooks.web.api.operations import LINK, Answer, Call, Operation, Operations


async def list_all(call: Call[Nothing, ChangesWanted, None]) -> Answer:
    """List changes."""
    before, limit = number_of_cursor(call.query.cursor), call.query.limit
    found, _ = await call.caller.person.read(list_changes, call.query.filter(), before=before, limit=limit)
    cursor = str(found.rows[-1]["id"]) if found.has_older else None
    return call.page(ChangePage, found.rows, cursor, left_out=list(found.unseen))


async def show(call: Call[ChangeNumbered, Nothing, None]) -> Answer:
    """Show a change."""
    return Answer(Change.of(await call.caller.person.read(show_change, call.path.id)))


OPERATIONS: Operations = (
    Operation(
        "list_changes", "GET", "/changes", list_all, "List changes, the newest first.", Level.READ,
        query=ChangesWanted, answer=ChangePage, errors=(404,), headers=LINK,
    ),
    Operation(
        "show_change", "GET", "/changes/{id}", show,
        "Show a change with the rows before and after it, the hooks that it starts, and why it does not start others.",
        Level.READ, path_model=ChangeNumbered, answer=Change, errors=(404,),
    ),
)  # fmt: skip
