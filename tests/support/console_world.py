"""What the console's tests in a browser look at: an inventory, its people, a daemon with receivers."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.support.console import PASSWORD, ROLES, passwords_wanted
from tests.support.console_receivers import (
    RECEIVERS,
    Calibrate,
    ExampleComplexJobButtonReceiver,
    ExampleSimpleJobButtonReceiver,
    NoteStatus,
    Provision,
)
from tests.support.daemons import running_daemon
from tests.support.databases import Templates, dsn_of, new_database
from tests.support.hooks import add_button, add_hook
from tests.support.inventory_tables import SCHEMA
from tests.support.waiting import PATIENCE, is_settled, wait

Connection = psycopg.Connection[Any]

PEOPLE = {
    **{name: (level, "technicians") if level else () for name, level in ROLES.items()},
    "bert": ("rowhooks_viewer", "technicians"),
}
"""The people who log in, and the roles that they are members of. Row security hides odd devices from bert."""
DAEMON = "inventory_daemon"
"""The daemon's login, for which no row security holds: what a hook may see is not the question here."""
_GROUP = "console_people"
"""The role whose members the server asks for a password."""

_TABLES = """
grant usage on schema inv to technicians, rowhooks_daemon;
grant select on all tables in schema inv to technicians;
grant insert on inv.device to alice;
grant select, insert, update, delete on all tables in schema inv to rowhooks_daemon;
alter table inv.device enable row level security;
create policy "odd ones are hidden from bert" on inv.device using (current_user <> 'bert' or id % 2 = 0);
select rowhooks.track('inv.device');
select rowhooks.track('inv.location');
"""


@dataclass
class World:
    """An inventory with a daemon that runs.

    Args:
        dsn: the administrator's DSN of the database.
        db: the administrator's connection, which commits each statement.
    """

    dsn: str
    db: Connection
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(100))

    def new_device(self, *, serial: str | None = "SN-1", is_hidden_from_bert: bool = False) -> tuple[int, str]:
        """Insert a device of a test's own; return its id and its name."""
        id_ = next(n for n in self._numbers if n % 2 == is_hidden_from_bert)
        name = f"sw-{id_}"
        self.db.execute(
            "insert into inv.device (id, name, serial, location_id, role_id) values (%s, %s, %s, 2, 1)",
            (id_, name, serial),
        )
        return id_, name

    def as_(self, role: str) -> contextlib.AbstractContextManager[Connection]:
        """Connect as a person; each statement is committed."""
        return psycopg.connect(make_conninfo(self.dsn, user=role, password=PASSWORD), autocommit=True)

    def press(self, button: str, device: int, role: str = "alice", inputs: str | None = None) -> int:
        """Press a button on a device as a person does it by SQL; return the id of the run."""
        with self.as_(role) as conn:
            row = conn.execute(
                "select rowhooks.press(%s, 'inv.device', %s, inputs => %s::jsonb)", (button, str(device), inputs)
            ).fetchone()
        assert row is not None
        return int(row[0])

    def runs(self, columns: str = "*", where: str = "true", *given: Any) -> list[Any]:
        """Return what is recorded of runs."""
        return self.db.execute(f"select {columns} from rowhooks.results where {where} order by id", given).fetchall()

    def presses(self, device: int, columns: str = "status") -> list[Any]:
        """Return what is recorded of the presses of buttons on a device."""
        return self.runs(columns, "trigger = 'press' and object_id = jsonb_build_object('id', %s::integer)", device)

    def settle(self) -> None:
        """Wait until the daemon has dealt with every change, and every run has ended."""
        wait(lambda: is_settled(self.db))


@contextlib.contextmanager
def people(administrator: Connection, server: SimpleNamespace) -> Iterator[None]:
    """Make the roles of the people, and let the server ask them for their password."""
    names = [*PEOPLE, "technicians", DAEMON, _GROUP]
    # A file before may have left some of them.
    _drop_roles(administrator, names)
    try:
        for name in (_GROUP, "technicians"):
            administrator.execute(sql.SQL("create role {}").format(sql.Identifier(name)))
        for name, roles in PEOPLE.items():
            administrator.execute(
                sql.SQL("create role {} login password {} in role {}").format(
                    sql.Identifier(name), sql.Literal(PASSWORD), sql.Identifier(_GROUP)
                )
            )
            for role in roles:
                administrator.execute(sql.SQL("grant {} to {}").format(sql.Identifier(role), sql.Identifier(name)))
        daemon = sql.SQL("create role {} login bypassrls in role rowhooks_daemon").format(sql.Identifier(DAEMON))
        administrator.execute(daemon)
        with passwords_wanted(administrator, f"+{_GROUP}", "mallory"):
            yield
    finally:
        _drop_roles(administrator, names)


def _drop_roles(administrator: Connection, names: Sequence[str]) -> None:
    for name in names:
        administrator.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(name)))


@contextlib.contextmanager
def inventory_template(administrator: Connection, server: SimpleNamespace, templates: Templates) -> Iterator[str]:
    """Make a database with the inventory, its hook and its buttons, which others are copied from."""
    with new_database(administrator, "inventory", templates.having(())) as name:
        with psycopg.connect(dsn_of(server, name), autocommit=True) as conn:
            conn.execute(SCHEMA)
            conn.execute(_TABLES)
            _add_hook_and_buttons(conn)
        yield name


def _add_hook_and_buttons(conn: Connection) -> None:
    add_hook(conn, NoteStatus, "inv.device", "update")
    for job, tables, changed in (
        (Provision, ("inv.device",), {"text": "Provision {{ obj.name }}", "button_class": "primary", "weight": 10}),
        (Calibrate, ("inv.device",), {"confirmation": False}),
        (ExampleSimpleJobButtonReceiver, ("inv.device", "inv.location"), {"group_name": "Examples"}),
        (ExampleComplexJobButtonReceiver, ("inv.device", "inv.location"), {"group_name": "Examples"}),
    ):
        button = add_button(conn, job, *tables, roles=["technicians"])
        for column, value in changed.items():
            statement = sql.SQL("update rowhooks.job_button set {} = %s where id = %s").format(sql.Identifier(column))
            conn.execute(statement, (value, button))


@contextlib.contextmanager
def inventory(
    administrator: Connection, server: SimpleNamespace, template: str, receivers: Sequence[type] = RECEIVERS
) -> Iterator[World]:
    """Make a database with the inventory, in which a daemon runs."""
    with new_database(administrator, "console", template) as name:
        dsn = dsn_of(server, name)
        with psycopg.connect(dsn, autocommit=True) as db, daemon_thread(make_conninfo(dsn, user=DAEMON), receivers):
            yield World(dsn, db)


@contextlib.contextmanager
def daemon_thread(dsn: str, receivers: Sequence[type]) -> Iterator[None]:
    """Run a daemon in a thread of its own: the test's own thread belongs to the browser."""
    ready, ended, problems = threading.Event(), threading.Event(), list[BaseException]()

    async def work() -> None:
        async with running_daemon(dsn, *receivers):
            ready.set()
            await asyncio.to_thread(ended.wait)

    def run() -> None:
        try:
            asyncio.run(work())
        except BaseException as error:
            problems.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="daemon")
    thread.start()
    try:
        assert ready.wait(PATIENCE), "the daemon does not begin"
        if problems:
            raise problems[0]
        yield
    finally:
        ended.set()
        thread.join(PATIENCE)
    if problems:
        raise problems[0]
