"""What `<rowhooks-buttons>` asks, answered on an application's own connection. Nothing here imports a driver.

The three questions have the names and parameters of the SQL functions `rowhooks.row_buttons`, `rowhooks.press` and
`rowhooks.run_state`, so that the component can ask PostgREST as well (docs/embedding.md).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rowhooks.domain.errors import NotFound, SettingsError, UsageError
from rowhooks.postgres.embedded_problems import Refused, server_error
from rowhooks.postgres.foreign_connections import Query, all_rows

try:
    from rowhooks.postgres.shown_buttons import buttons_for
except ModuleNotFoundError as error:
    if error.name != "jinja2":
        raise
    raise ModuleNotFoundError(
        "buttons in an application's pages need Jinja2, for their labels: pip install 'rowhooks[buttons]'",
        name="jinja2",
    ) from error

STATEMENT_TIMEOUT = "5s"
"""How long a statement may take."""
LARGEST_BODY = 131_072
"""Bytes of a press. The database takes 64 kB of inputs."""
_LARGEST_ID = 2**63 - 1
_FIELDS = {"button": str, "object_table": str, "object_text": str, "idempotency_key": str, "inputs": dict}
_REQUIRED = ("button", "object_table", "object_text")

_PARAMETERS = ("role", "username", "patience", "body", "run", "table", "key")
_BECOME = Query.read(__file__, "become", _PARAMETERS)
_NAME_USER = Query.read(__file__, "name_user", _PARAMETERS)
_PRESENT_ROLE = Query.read(__file__, "present_role", _PARAMETERS)
_PRESS = Query.read(__file__, "press", _PARAMETERS)
_RUN_STATE = Query.read(__file__, "run_state", _PARAMETERS)
_TABLE_MEANT = Query.read(__file__, "table_meant", _PARAMETERS)
_KEY_MEANT = Query.read(__file__, "key_meant", _PARAMETERS)


@contextmanager
def acting_as(connection: Any, role: str, user: str = "") -> Iterator[None]:
    """Act as a role in the open transaction of a connection, for the length of a block.

    Where the block raises, the transaction, or the savepoint around the block, must be rolled back: that gives the
    connection its former role.

    Args:
        connection: as for `buttons_for`; it is in a transaction.
        role: the role, which the connection's login may SET.
        user: the name of the user, as in `rowhooks.user`; empty: none.

    Raises:
        Refused: PostgreSQL does not let the login act as this role.
        SettingsError: the connection is in no transaction.
    """
    [before] = all_rows(connection, _PRESENT_ROLE)
    _become(connection, role, user)
    [now] = all_rows(connection, _PRESENT_ROLE)
    _check_in_force(role, now["role"])
    yield
    # A transaction of the application's may go on.
    all_rows(connection, _BECOME, (before["given"], before["username"], before["patience"]))


def _check_in_force(role: str, found: str) -> None:
    # `none` is the login itself. Without a transaction, what was set has been forgotten.
    if found != role:
        if role == "none":
            raise Refused(403, "no person has the role none")
        raise SettingsError(
            "the connection is in no transaction", hint="use an engine without the isolation level AUTOCOMMIT"
        )


def _become(connection: Any, role: str, user: str) -> None:
    try:
        all_rows(connection, _BECOME, (role, user.replace("\0", "\ufffd"), STATEMENT_TIMEOUT))
    except Exception as error:
        found = server_error(error)
        if found is not None and found.sqlstate in ("42501", "22023"):
            raise Refused(
                403,
                f"PostgreSQL does not let the application act as role {role}: {found.message}",
                "let an administrator grant the role to the application's login",
            ) from error
        raise


def name_user(connection: Any, user: str) -> None:
    """Name the user for whom the transaction of a connection presses."""
    all_rows(connection, _NAME_USER, (user.replace("\0", "\ufffd"),))


def row_buttons(connection: Any, table: str, key: str, user: Any) -> dict[str, Any]:
    """Return the buttons of a row as JSON has them, like the SQL function, with their labels as plain text.

    Args:
        connection: as for `buttons_for`.
        table: the table, as PostgreSQL reads names.
        key: the row's key as text: its value where it is one column, else a JSON object.
        user: who looks at the row, in labels.

    Raises:
        NotFound: see `buttons_for`.
        UsageError: see `buttons_for`.
    """
    groups = [
        {
            "name": group.name,
            "buttons": [
                {
                    "name": button.name,
                    # A label's markup is for pages of rowhooks' own.
                    "label": button.label.striptags() or button.name,
                    "group_name": button.group_name,
                    "weight": button.weight,
                    "button_class": button.button_class,
                    "confirmation": button.confirmation,
                    "disabled": button.disabled,
                    "reason": button.reason,
                    "inputs_schema": button.inputs_schema,
                    "input_fields": button.input_fields,
                }
                for button in group.buttons
            ],
        }
        for group in buttons_for(connection, table, key, user)
    ]
    return {"groups": groups}


def read_press(body: bytes) -> dict[str, Any]:
    """Return the parameters of a press, which a request's body has as JSON.

    Raises:
        UsageError: it is no such body, or too large.
    """
    if len(body) > LARGEST_BODY:
        raise UsageError(f"the press has more than {LARGEST_BODY} bytes")
    try:
        given = json.loads(body.decode())
    except (ValueError, RecursionError) as error:
        raise UsageError("the press is no JSON") from error
    if not isinstance(given, dict):
        raise UsageError("the press is no JSON object")
    for name, value in given.items():
        kind = _FIELDS.get(name)
        if kind is None:
            raise UsageError(f"a press has no {name}", hint=f"it has {', '.join(_FIELDS)}")
        if not isinstance(value, kind) and (value is not None or name in _REQUIRED):
            raise UsageError(f"{name} is no {'JSON object' if kind is dict else 'text'}")
    if missing := [name for name in _REQUIRED if name not in given]:
        raise UsageError(f"the press lacks {', '.join(missing)}")
    return given


def press(connection: Any, body: bytes) -> dict[str, Any]:
    """Press a button; return `id`, that of the run.

    Args:
        connection: as for `buttons_for`.
        body: what `read_press` has found right. The database reads it again: no digit of an input is lost.
    """
    [pressed] = all_rows(connection, _PRESS, (body.decode(),))
    return {"id": pressed["id"]}


def run_state(connection: Any, run: str, user: str = "", row: tuple[str, str] | None = None) -> dict[str, Any]:
    """Return what has become of a press: `id`, `status`, `is_finished`, and `message` of a failure.

    Args:
        connection: as for `buttons_for`.
        run: the id of the run.
        user: the user who pressed, as in `rowhooks.user`; empty: none was named.
        row: table and key of the one row of which may be told; None: any.

    Raises:
        NotFound: the role, or the user, has made no such press, or it was on another row.
    """
    known = run.isascii() and run.isdecimal() and len(run) < 20 and int(run) <= _LARGEST_ID
    found = all_rows(connection, _RUN_STATE, (user.replace("\0", "\ufffd"), run)) if known else []
    if not found or not (row is None or _is_on(connection, found[0], *row)):
        raise NotFound(f"you have pressed no button with run {run[:20]}")
    return {name: found[0][name] for name in ("id", "status", "is_finished", "message")}


def _is_on(connection: Any, pressed: dict[str, Any], table: str, key: str) -> bool:
    """Say whether a press was on a row, which may be gone by now."""
    if [one["object_type"] for one in all_rows(connection, _TABLE_MEANT, (table,))] != [pressed["object_type"]]:
        return False
    values = _texts(pressed["object_id"])
    if key in values.values() if len(values) == 1 else _texts(key) == values:
        return True
    # A key can be written in several ways.
    try:
        [meant] = all_rows(connection, _KEY_MEANT, (table, key))
    except Exception as error:
        if server_error(error) is None:
            raise
        return False
    return bool(meant["object_id"] == pressed["object_id"])


def _texts(key: str) -> dict[str, str]:
    """Return the columns of a key to their values as texts; nothing where the text is no JSON object."""
    try:
        found = json.loads(key, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return {}
    return {name: str(value) for name, value in found.items()} if isinstance(found, dict) else {}
