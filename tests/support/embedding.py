"""An application's database with buttons for its pages: its login, its people, a device, and what they may press."""

from __future__ import annotations

import json
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

Connection = psycopg.Connection[Any]

APPLICATION = "shopkeeper"
"""The application's login. It may act as ANN and BOB."""
ANN, BOB = "ann", "bob"
"""Ann may press; Bob may read. Neither can log in."""
SIZE = {
    "type": "object",
    "properties": {
        "size": {"type": "integer", "title": "Size", "minimum": 1, "maximum": 48, "description": "Units of height"},
        "colour": {"anyOf": [{"enum": ["red", "green"], "type": "string"}, {"type": "null"}], "default": None},
        "note": {"type": "string", "default": "by hand", "maxLength": 20},
        "force": {"type": "boolean", "default": False},
        "tags": {"type": "array", "items": {"type": "string"}, "default": []},
        "price": {"anyOf": [{"type": "number"}, {"type": "string"}], "default": "1.50"},
    },
    "required": ["size"],
    "additionalProperties": False,
}
"""What the button Resize takes."""
BUTTONS: tuple[tuple[str, str, str, str, bool, list[str], Any], ...] = (
    # Name, text, group, class, confirmation, roles, and what its job takes.
    ("Reboot", "Reboot <b>{{ obj.name }}</b>", "", "primary", True, [ANN], None),
    ("Ping", "Ping & wait", "", "default", False, [ANN], None),
    ("Resize", "Resize", "Life", "info", False, [ANN], SIZE),
    ("Retire", "Retire", "Life", "danger", True, [], None),
)


def make_buttons(db: Connection, dsn: str) -> str:
    """Make people and buttons for the table dcim.device, and its rows 42 and 43; return the application's DSN."""
    db.execute(
        f"create role {ANN}; create role {BOB}; create role {APPLICATION} login in role {ANN}, {BOB};"
        f"grant usage on schema dcim to {ANN}, {BOB}; grant select on dcim.device to {ANN}, {BOB};"
        "insert into dcim.device (id, name) values (42, 'core-1'), (43, '<i>&amp;\"'); "
    )
    for name, text, group, look, confirmation, roles, schema in BUTTONS:
        db.execute(
            """
            with job as (
              insert into rowhooks.job (class_path, kind, name, enabled, inputs_schema)
              values ('jobs.' || %(name)s, 'button', %(name)s, true, %(schema)s) returning id
            ), button as (
              insert into rowhooks.job_button (name, job_id, text, group_name, button_class, confirmation, roles)
              select %(name)s, j.id, %(text)s, %(group)s, %(look)s, %(confirmation)s, %(roles)s from job as j
              returning id
            )
            insert into rowhooks.job_button_table (job_button_id, tracked_table_id)
            select b.id, t.id from button as b cross join rowhooks.tracked_table as t
            where t.relation = 'dcim.device'::regclass
            """,
            {
                "name": name, "text": text, "group": group, "look": look, "confirmation": confirmation,
                "roles": roles, "schema": schema and json.dumps(schema),
            },
        )  # fmt: skip
    return make_conninfo(dsn, user=APPLICATION)


def presses(db: Connection, columns: str = "button_name, object_id, db_user, login, user_name, inputs") -> list[Any]:
    """Return what has been pressed."""
    return db.execute(f"select {columns} from rowhooks.job_result where trigger = 'press' order by id").fetchall()


def ends(db: Connection, status: str = "SUCCESS", message: str | None = None) -> None:
    """Put an end to all runs, as a daemon does; a failure is the receiver's own."""
    db.execute(
        "update rowhooks.job_result set status = %s, finished_at = now(), exception_message = %s, exception_type = %s",
        (status, message, "rowhooks.domain.errors.JobFailed" if status == "FAILURE" else None),
    )
