"""Tables are altered, renamed, dropped and made while the daemon runs; nobody restarts it."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import psycopg

from rowhooks import JobHookReceiver, ObjectChange
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import eventually, is_read, settled

Connection = psycopg.Connection[Any]


class Look(JobHookReceiver):
    """Returns what it is shown."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        columns = None if changed_object is None else sorted(c for c in vars(changed_object) if not c.startswith("_"))
        return {
            "type": change.changed_object_type,
            "columns": columns,
            "before": sorted(change.before or {}),
            "after": {name: type(value).__name__ for name, value in sorted((change.after or {}).items())},
        }


class LookLater(Look):
    """Waits before it looks."""

    go_on: ClassVar[asyncio.Event]

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        await self.go_on.wait()
        return super().receive_job_hook(change, action, changed_object)


async def seen(db: Connection) -> dict[str, Any]:
    """Return what the last run was shown."""
    await settled(db)
    row = db.execute("select status, result, traceback from rowhooks.job_result order by id desc limit 1").fetchone()
    assert row is not None
    assert row[0] == "SUCCESS", row[2]
    return dict(row[1])


async def test_added_dropped_retyped_and_renamed_columns_are_shown_from_the_next_change_on(
    db: Connection, daemon_dsn: str, device: str, noticed_by: str
) -> None:
    add_hook(db, Look, device)
    db.execute("insert into dcim.device values (1, 'sw1', '7')")
    async with running_daemon(daemon_dsn, Look):
        db.execute("update dcim.device set name = 'sw2'")
        assert (await seen(db))["columns"] == ["id", "name", "serial"]

        db.execute("alter table dcim.device add column seen_at timestamptz default now()")
        db.execute("update dcim.device set name = 'sw3'")
        shown = await seen(db)
        assert shown["columns"] == ["id", "name", "seen_at", "serial"]
        assert shown["after"]["seen_at"] == "datetime"

        db.execute("alter table dcim.device alter column serial type numeric using serial::numeric")
        db.execute("update dcim.device set name = 'sw4'")
        assert (await seen(db))["after"]["serial"] == "Decimal"

        db.execute("alter table dcim.device drop column seen_at")
        db.execute("alter table dcim.device rename column name to hostname")
        db.execute("update dcim.device set hostname = 'sw5'")
        shown = await seen(db)
        assert shown["columns"] == ["hostname", "id", "serial"]
        assert sorted(shown["after"]) == ["hostname", "id", "serial"]


async def test_a_renamed_key_keeps_changes_and_their_rows_together(
    db: Connection, daemon_dsn: str, device: str, noticed_by: str
) -> None:
    add_hook(db, Look, device)
    db.execute("insert into dcim.device values (1, 'sw1', '7')")
    async with running_daemon(daemon_dsn, Look):
        with db.transaction():
            db.execute("update dcim.device set name = 'sw2'")
            db.execute("alter table dcim.device rename column id to device_id")
        # Recorded under the old name, and found under the new one.
        assert (await seen(db))["columns"] == ["device_id", "name", "serial"]
        db.execute("update dcim.device set name = 'sw3'")
        assert (await seen(db))["columns"] == ["device_id", "name", "serial"]
        assert db.execute("select object_id from rowhooks.object_change order by id").fetchall() == [
            ({"id": 1},), ({"id": 1},), ({"device_id": 1},),
        ]  # fmt: skip
        listed = "select key_columns::text[] from rowhooks.tracked_table"
        await eventually(lambda: db.execute(listed).fetchone() == (["device_id"],))


async def test_a_renamed_and_moved_table_keeps_its_hooks_under_its_new_name(
    db: Connection, daemon_dsn: str, device: str, noticed_by: str
) -> None:
    add_hook(db, Look, device)
    async with running_daemon(daemon_dsn, Look):
        db.execute("insert into dcim.device values (1, 'sw1', '7')")
        assert (await seen(db))["type"] == "dcim.device"
        db.execute("create schema inventory")
        db.execute("grant usage on schema inventory to rowhooks_daemon")
        db.execute("alter table dcim.device rename to machine")
        db.execute("alter table dcim.machine set schema inventory")
        db.execute("insert into inventory.machine values (2, 'sw2', '8')")
        shown = await seen(db)
        assert (shown["type"], shown["columns"]) == ("inventory.machine", ["id", "name", "serial"])
        listed = "select schema_name::text, table_name::text from rowhooks.tracked_table"
        await eventually(lambda: db.execute(listed).fetchone() == ("inventory", "machine"))


async def test_a_column_dropped_while_runs_wait_costs_no_run(
    db: Connection, daemon_dsn: str, device: str, noticed_by: str
) -> None:
    add_hook(db, Look, device)
    db.execute("insert into dcim.device values (1, 'sw1', '7')")
    async with running_daemon(daemon_dsn, Look):
        await settled(db)
        # Read in one batch, loaded later: the shape is another one by then.
        with db.transaction():
            db.execute("update dcim.device set name = 'sw2'")
            db.execute("alter table dcim.device drop column serial")
        assert (await seen(db))["columns"] == ["id", "name"]


async def test_a_key_that_is_no_value_of_its_columns_new_type_costs_no_other_row(
    db: Connection, daemon_dsn: str, device: str, noticed_by: str
) -> None:
    add_hook(db, Look, device)
    db.execute("alter table dcim.device alter column id type text")
    db.execute("insert into dcim.device values ('seven', 'sw1', ''), ('8', 'sw2', '')")
    db.execute("delete from dcim.device where id = 'seven'")
    db.execute("alter table dcim.device alter column id type integer using id::integer")
    # All of them wait, and their rows are loaded together.
    async with running_daemon(daemon_dsn, Look):
        await settled(db)
    runs = db.execute(
        "select object_id ->> 'id', action, status, result -> 'columns' from rowhooks.job_result order by id"
    )
    assert runs.fetchall() == [
        ("seven", "create", "FAILURE", None),
        ("8", "create", "SUCCESS", ["id", "name", "serial"]),
        ("seven", "delete", "SUCCESS", None),
    ]


async def test_a_table_altered_while_runs_wait_in_memory_costs_no_run(
    db: Connection, daemon_dsn: str, device: str, noticed_by: str
) -> None:
    add_hook(db, LookLater, device)
    LookLater.go_on = asyncio.Event()
    async with running_daemon(daemon_dsn, LookLater, tasks=1):
        db.execute("insert into dcim.device values (1, 'sw1', '7')")
        await eventually(lambda: db.execute("select 1 from rowhooks.job_result where status = 'STARTED'").fetchone())
        db.execute("insert into dcim.device values (2, 'sw2', '8')")
        await eventually(lambda: is_read(db))
        db.execute("alter table dcim.device drop column serial")
        db.execute("alter table dcim.device rename to machine")
        LookLater.go_on.set()
        shown = await seen(db)
    assert shown["columns"] == ["id", "name"]


async def test_a_renamed_schema_is_followed(db: Connection, daemon_dsn: str, device: str, noticed_by: str) -> None:
    add_hook(db, Look, device)
    async with running_daemon(daemon_dsn, Look):
        db.execute("alter schema dcim rename to inventory")
        db.execute("insert into inventory.device values (1, 'sw1', '7')")
        shown = await seen(db)
        assert (shown["type"], shown["columns"]) == ("inventory.device", ["id", "name", "serial"])


async def test_a_table_without_a_key_has_its_changes_and_no_way_back_to_its_rows(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    db.execute("create table dcim.reading (at integer, value text)")
    db.execute("select rowhooks.track('dcim.reading', identity => '{}')")
    db.execute("grant select on dcim.reading to rowhooks_daemon")
    add_hook(db, Look, "dcim.reading")
    async with running_daemon(daemon_dsn, Look):
        db.execute("insert into dcim.reading values (1, 'a'), (1, 'a')")
        shown = await seen(db)
        assert (shown["columns"], shown["after"]) == (None, {"at": "int", "value": "str"})
        assert db.execute("select count(*) from rowhooks.job_result").fetchone() == (2,)


async def test_a_table_known_by_a_unique_index_has_its_rows(db: Connection, daemon_dsn: str, device: str) -> None:
    db.execute("create table dcim.tag (slug text not null unique, colour text)")
    db.execute("select rowhooks.track('dcim.tag', identity => '{slug}')")
    db.execute("grant select on dcim.tag to rowhooks_daemon")
    add_hook(db, Look, "dcim.tag")
    async with running_daemon(daemon_dsn, Look):
        db.execute("insert into dcim.tag values ('core', 'red')")
        assert (await seen(db))["columns"] == ["colour", "slug"]
