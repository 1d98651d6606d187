"""Job buttons."""

from __future__ import annotations

from rowhooks.postgres.administration import buttons as administration
from rowhooks.postgres.administration.common import Connection, Row
from rowhooks.postgres.console.buttons import buttons_behind
from rowhooks.web.api.models.base import number_of_cursor
from rowhooks.web.api.models.buttons import Button, ButtonAdded, ButtonChanged, ButtonNamed, ButtonPage
from rowhooks.web.api.resources.origins import Kind, Origins


def _list_behind(conn: Connection, cursor: str | None, limit: int) -> list[Row]:
    return buttons_behind(conn, number_of_cursor(cursor), limit)


def _add(conn: Connection, wanted: ButtonAdded) -> Row:
    return administration.add_button(conn, **wanted.model_dump())


def _edit(conn: Connection, name: str, wanted: ButtonChanged) -> Row:
    return administration.edit_button(
        conn, name, **wanted.model_dump(exclude={"enabled"}), no_queue=wanted.queue is None
    )


OPERATIONS = Origins(
    Kind(
        "button", Button, ButtonPage, ButtonNamed, ButtonAdded, ButtonChanged, list_behind=_list_behind, place="id",
        find=administration.find_button, add=_add, edit=_edit, set_enabled=administration.set_button_enabled,
        remove=administration.remove_button,
    )
).operations()  # fmt: skip
