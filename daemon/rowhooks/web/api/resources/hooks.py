"""Job hooks."""

from __future__ import annotations

from rowhooks.postgres.administration import hooks as administration
from rowhooks.postgres.administration.common import Connection, Row
from rowhooks.postgres.console.hooks import hooks_behind
from rowhooks.web.api.models.hooks import Hook, HookAdded, HookChanged, HookNamed, HookPage
from rowhooks.web.api.resources.origins import Kind, Origins


def _add(conn: Connection, wanted: HookAdded) -> Row:
    return administration.add_hook(conn, **wanted.model_dump())


def _edit(conn: Connection, name: str, wanted: HookChanged) -> Row:
    fields = wanted.model_dump(exclude={"enabled"})
    return administration.edit_hook(
        conn, name, **fields, no_conditions=wanted.conditions is None, no_queue=wanted.queue is None
    )


OPERATIONS = Origins(
    Kind(
        "hook", Hook, HookPage, HookNamed, HookAdded, HookChanged, list_behind=hooks_behind, place="name",
        find=administration.find_hook, add=_add, edit=_edit, set_enabled=administration.set_hook_enabled,
        remove=administration.remove_hook,
    )
).operations()  # fmt: skip
