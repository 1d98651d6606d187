"""Receivers with the calls that Nautobot's have: they run as they would there, once their imports point here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rowhooks.receivers.loading import load_receivers
from tests.support.daemons import running_daemon
from tests.support.hooks import add_button, add_hook
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]


@pytest.fixture
def receivers() -> dict[str, Any]:
    """The classes of nautobot_calls.py, by their names."""
    classes, problems = load_receivers(["nautobot_calls.py"], Path(__file__).parent)
    assert problems == []
    return {cls.__name__: cls for cls in classes}


def log_of(db: Connection) -> list[tuple[Any, ...]]:
    return db.execute(
        "select e.level, e.message, e.object_type, e.object_repr from rowhooks.job_log_entry as e order by e.time, e.id"
    ).fetchall()


@pytest.fixture
def rack(db: Connection, device: str) -> str:
    db.execute("create table dcim.rack (id integer primary key, name text not null)")
    db.execute("select rowhooks.track('dcim.rack')")
    db.execute("grant select, update on dcim.rack to rowhooks_daemon")
    db.execute("insert into dcim.rack values (1, 'R1')")
    db.execute("insert into dcim.device values (1, 'sw1', 'SN-1')")
    return "dcim.rack"


async def test_the_differences_are_logged_and_a_malformed_serial_is_put_back(
    db: Connection, daemon_dsn: str, device: str, receivers: dict[str, Any]
) -> None:
    receiver = receivers["KeepSerialsWellFormed"]
    db.execute("insert into dcim.device values (1, 'sw1', 'SN-1')")
    add_hook(db, receiver, device, actions="update delete")
    async with running_daemon(daemon_dsn, receiver):
        for statement in (
            "update dcim.device set serial = 'none'",
            "update dcim.device set serial = 'SN-2'",
            "delete from dcim.device",
        ):
            db.execute(statement)
            await settled(db)
            if "none" in statement:
                assert db.execute("select serial from dcim.device").fetchall() == [("SN-1",)]
    assert log_of(db) == [
        ("info", "update: {'removed': {'serial': 'SN-1'}, 'added': {'serial': 'none'}}", "dcim.device", "sw1"),
        ("warning", "'none' is no serial; 'SN-1' stands again", "dcim.device", "sw1"),
        ("info", "update: {'removed': {'serial': 'SN-1'}, 'added': {'serial': 'SN-2'}}", "dcim.device", "sw1"),
    ]
    assert db.execute("select action, status, result from rowhooks.results order by created_at").fetchall() == [
        ("update", "SUCCESS", "put back"),
        ("update", "SUCCESS", "well-formed"),
        ("delete", "SUCCESS", "nothing to check"),
    ]


async def test_a_button_receiver_logs_the_row_it_was_pressed_on(
    db: Connection, daemon_dsn: str, rack: str, receivers: dict[str, Any]
) -> None:
    add_button(db, receivers["Inspect"], "dcim.device", name="Inspect")
    async with running_daemon(daemon_dsn, receivers["Inspect"]):
        db.execute("select rowhooks.press('Inspect', 'dcim.device', '1')")
        await settled(db)
    assert log_of(db) == [("success", "inspected", "dcim.device", "sw1")]


async def test_a_button_receiver_tells_tables_and_permissions_apart(
    db: Connection, dsn: str, daemon_dsn: str, rack: str, receivers: dict[str, Any]
) -> None:
    receiver = receivers["Decommission"]
    add_button(db, receiver, "dcim.device", "dcim.rack", name="Decommission", roles=["public"])
    role = f"presser_{db.info.dbname}"
    db.execute(sql.SQL("create role {} login").format(sql.Identifier(role)))
    for statement in (
        "grant usage on schema dcim to {}", "grant select on all tables in schema dcim to {}",
        "grant update on dcim.rack to {}",
    ):  # fmt: skip
        db.execute(sql.SQL(statement).format(sql.Identifier(role)))
    try:
        async with running_daemon(daemon_dsn, receiver):
            with psycopg.connect(make_conninfo(dsn, user=role), autocommit=True) as presser:
                presser.execute("select rowhooks.press('Decommission', 'dcim.rack', '1')")
                presser.execute("select rowhooks.press('Decommission', 'dcim.device', '1')")
            await settled(db)
    finally:
        db.execute(sql.SQL("drop owned by {}").format(sql.Identifier(role)))
        db.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))
    assert db.execute(
        "select object_type, status, exception_message, db_user from rowhooks.results order by object_type"
    ).fetchall() == [
        ("dcim.device", "FAILURE", "dcim.delete_device is needed", role),
        ("dcim.rack", "SUCCESS", None, role),
    ]
    # Different rows: no order between them is promised.
    assert sorted(log_of(db)) == [
        ("failure", f"{role} lacks dcim.delete_device", "dcim.device", "sw1"),
        ("info", f"decommissioned by {role}", "dcim.rack", "R1 (empty)"),
    ]
    assert db.execute("select name from dcim.rack").fetchall() == [("R1 (empty)",)]
    assert db.execute("select serial from dcim.device").fetchall() == [("SN-1",)]
