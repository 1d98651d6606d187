"""The three examples of Nautobot's documentation run as they stand there, but for their import lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rowhooks.receivers.loading import load_receivers
from tests.conftest import add_button, add_hook, running_daemon, settled

Connection = psycopg.Connection[Any]

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name: str) -> Any:
    classes, problems = load_receivers([f"{name}.py"], EXAMPLES)
    assert problems == []
    return classes[0]


def log_of(db: Connection) -> list[tuple[Any, ...]]:
    return db.execute(
        "select e.level, e.message, e.object_type, e.object_repr from rowhooks.job_log_entry as e order by e.time, e.id"
    ).fetchall()


@pytest.fixture
def location(db: Connection, device: str) -> str:
    db.execute("create table dcim.location (id integer primary key, name text not null)")
    db.execute("select rowhooks.track('dcim.location')")
    db.execute("grant select on dcim.location to rowhooks_daemon")
    db.execute("insert into dcim.location values (1, 'Zurich')")
    db.execute("insert into dcim.device values (1, 'sw1', 'SN-1')")
    return "dcim.location"


async def test_the_hook_receiver_reverts_a_serial_that_is_not_valid(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    receiver = example("hook")
    db.execute("insert into dcim.device values (1, 'sw1', 'SN-1')")
    add_hook(db, receiver, device, actions="update delete")
    async with running_daemon(daemon_dsn, receiver):
        db.execute("update dcim.device set serial = 'bad' where id = 1")
        await settled(db)
        assert db.execute("select serial from dcim.device").fetchall() == [("SN-1",)]
        db.execute("delete from dcim.device")
        await settled(db)
    assert [line[1] for line in log_of(db)] == [
        "DIFF: {'removed': {'serial': 'SN-1'}, 'added': {'serial': 'bad'}}",
        "sw1 serial has been changed from SN-1 to bad",
        "sw1 serial bad was not valid. Reverted to SN-1",
        "Serial validation completed for sw1",
    ]
    assert db.execute("select action, status from rowhooks.results order by id").fetchall() == [
        ("update", "SUCCESS"),
        ("delete", "SUCCESS"),
    ]


async def test_the_simple_button_receiver_logs_the_row(db: Connection, daemon_dsn: str, location: str) -> None:
    receiver = example("simple_button")
    add_button(db, receiver, "dcim.device", name="Simple")
    async with running_daemon(daemon_dsn, receiver):
        db.execute("select rowhooks.press('Simple', 'dcim.device', '1')")
        await settled(db)
    assert log_of(db) == [("info", "Running Job Button Receiver.", "dcim.device", "sw1")]


async def test_the_complex_button_receiver_tells_tables_and_permissions_apart(
    db: Connection, dsn: str, daemon_dsn: str, location: str
) -> None:
    receiver = example("complex_button")
    add_button(db, receiver, "dcim.device", "dcim.location", name="Complex", roles=["public"])
    role = f"presser_{db.info.dbname}"
    db.execute(sql.SQL("create role {} login").format(sql.Identifier(role)))
    for statement in (
        "grant usage on schema dcim to {}", "grant select on all tables in schema dcim to {}",
        "grant insert on dcim.location to {}",
    ):  # fmt: skip
        db.execute(sql.SQL(statement).format(sql.Identifier(role)))
    try:
        async with running_daemon(daemon_dsn, receiver):
            with psycopg.connect(make_conninfo(dsn, user=role), autocommit=True) as presser:
                presser.execute("select rowhooks.press('Complex', 'dcim.location', '1')")
                presser.execute("select rowhooks.press('Complex', 'dcim.device', '1')")
            await settled(db)
    finally:
        db.execute(sql.SQL("drop owned by {}").format(sql.Identifier(role)))
        db.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))
    assert db.execute(
        "select object_type, status, exception_message, db_user from rowhooks.results order by id"
    ).fetchall() == [
        ("dcim.location", "SUCCESS", None, role),
        ("dcim.device", "FAILURE", "User does not have permission to add a Device.", role),
    ]
    # Different rows: no order between them is promised.
    assert sorted(log_of(db), reverse=True) == [
        ("info", "Running Location Job Button Receiver.", "dcim.location", "Zurich"),
        ("error", f"User '{role}' does not have permission to add a Device.", "dcim.device", "sw1"),
    ]
