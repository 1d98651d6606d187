"""An application's database with buttons for its pages: its login, its people, a device, and what they may press."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from tests.support.databases import Templates, dsn_of, new_database, roles_dropped
from tests.support.waiting import wait

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
    (
        "Retire",
        "{{ user }}: {% if user.has_perm('dcim.view_device') %}Retire{% endif %}",
        "Life",
        "danger",
        True,
        [],
        None,
    ),
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


@dataclass(frozen=True)
class Shop:
    """An application that runs, and its database.

    Args:
        db: the administrator's connection, which commits each statement.
        dsn: the database, with the application's login.
        address: where the application is.
    """

    db: Connection
    dsn: str
    address: str


@contextlib.contextmanager
def shop_database(
    administrator: Connection, server: SimpleNamespace, templates: Templates
) -> Iterator[tuple[Connection, str]]:
    """Make the database; yield the administrator's connection, and the application's DSN. It is gone afterwards."""
    template = templates.having(["device"])
    with roles_dropped(administrator), new_database(administrator, "shop", template) as name:
        dsn = dsn_of(server, name)
        with psycopg.connect(dsn, autocommit=True) as db:
            yield db, make_buttons(db, dsn)


def free_port() -> int:
    """Return a port of loopback on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def served(*command: str, directory: Path, log: Path, port: int | None = None, **environment: str) -> Iterator[str]:
    """Run a program that serves HTTP, and yield its address.

    Args:
        command: the program; `{port}` in an argument stands for the port.
        directory: where it is started.
        log: the file for what it says.
        port: the port; None: any.
        environment: more variables.
    """
    port = port or free_port()
    with log.open("w") as said, subprocess.Popen(
        [argument.format(port=port) for argument in command], cwd=directory, stdin=subprocess.DEVNULL, stdout=said,
        stderr=said, env={**os.environ, **environment},
    ) as process:  # fmt: skip
        try:
            wait(lambda: _answers(port) or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0
