"""Users' own SQLAlchemy classes: what receivers get, and what becomes of what they do with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from rowhooks import JobButtonReceiver, JobHookReceiver, ObjectChange, table
from rowhooks.postgres.configuration import LOAD, read_configuration
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.rows.loading import PostgresObjects
from rowhooks.postgres.rows.models import adopt
from rowhooks.postgres.rows.tables import Tables
from rowhooks.postgres.sessions.permissions import PostgresPermissions
from rowhooks.postgres.sessions.receiver_session import ReceiverSession
from rowhooks.runtime.models import load_models
from tests.support import inventory
from tests.support.daemons import running_daemon
from tests.support.hooks import add_button, add_hook
from tests.support.inventory import Device, Location, Rack, Server
from tests.support.pressing import press
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]
MODELS = ("tests.support.inventory",)


@pytest.fixture
def tables(db: Connection) -> Connection:
    """The tables of the classes, tracked."""
    db.execute(inventory.TABLES)
    for name in inventory.TRACKED:
        db.execute("select rowhooks.track(%s::regclass)", (f"inventory.{name}",))
    db.execute("grant usage on schema inventory to rowhooks_daemon")
    db.execute("grant all on all tables in schema inventory to rowhooks_daemon")
    return db


def results(db: Connection) -> list[tuple[Any, ...]]:
    return db.execute(
        "select status, coalesce(result #>> '{}', exception_message) from rowhooks.results order by id"
    ).fetchall()


class Assigns(JobHookReceiver):
    """Only assigns: nothing else says that the row is to be written."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        assert type(changed_object) is Device
        assert isinstance(changed_object, table("inventory.device"))
        assert not isinstance(changed_object, Location)
        changed_object.serial = f"{changed_object.serial}!"
        changed_object.colour = "Blue"
        return changed_object.label


class AssignsAsynchronously(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        assert type(changed_object) is Device
        changed_object.serial = f"{changed_object.serial}!"
        changed_object.colour = "Blue"
        return changed_object.label


@pytest.mark.parametrize("receiver", [Assigns, AssignsAsynchronously])
async def test_what_is_assigned_to_a_user_s_own_object_is_written(
    tables: Connection, daemon_dsn: str, receiver: type
) -> None:
    add_hook(tables, receiver, "inventory.device")
    async with running_daemon(daemon_dsn, receiver, models=MODELS):
        tables.execute("insert into inventory.device (id, \"deviceName\", serial) values (1, 'sw1', 'S')")
        await settled(tables)
    assert results(tables) == [("SUCCESS", "sw1/")]
    assert tables.execute("select serial, colour from inventory.device").fetchall() == [("S!", "blue")]


class Looks(JobHookReceiver):
    """Says what it was given, and follows relations: lazily, as in the application."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        if changed_object is None:
            return None
        self.logger.info("seen", extra={"object": changed_object})
        location = changed_object.location
        self.logger.info("at", extra={"object": location})
        return [type(changed_object).__name__, location and location.name, location and len(location.devices)]


async def test_relations_are_loaded_lazily_in_a_plain_receiver_and_rows_are_named_in_its_log(
    tables: Connection, daemon_dsn: str
) -> None:
    add_hook(tables, Looks, "inventory.device")
    async with running_daemon(daemon_dsn, Looks, models=MODELS):
        tables.execute("insert into inventory.device (id, \"deviceName\", location_id) values (7, 'sw1', 2)")
        await settled(tables)
        tables.execute("delete from inventory.device")
        await settled(tables)
    assert results(tables) == [("SUCCESS", '["Device", "Bern", 1]'), ("SUCCESS", None)]
    logged = tables.execute(
        "select object_type, object_repr from rowhooks.job_log_entry where message <> ''"
    ).fetchall()
    assert logged == [("inventory.device", "7"), ("inventory.location", "2")]


class Awaits(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        if isinstance(changed_object, Rack):
            # They are loaded with the row, as the class says.
            return [slot.id for slot in changed_object.slots]
        location = await changed_object.awaitable_attrs.location
        others = await self.session.scalars(select(Device).where(Device.location == location, Device.label == "sw1/"))
        assert changed_object in others.all()
        self.session.add(Location(id=3, name=f"beside {location.name}"))
        return location.name


async def test_relations_are_awaited_or_loaded_ahead_in_an_asynchronous_receiver(
    tables: Connection, daemon_dsn: str
) -> None:
    add_hook(tables, Awaits, "inventory.device", "create", name="of devices")
    add_hook(tables, Awaits, "inventory.rack", "update", name="of racks")
    tables.execute("insert into inventory.rack values ('A', 1), ('A', 2)")
    tables.execute("insert into inventory.slot (hall, rack) values ('A', 1), ('A', 1), ('A', 2)")
    async with running_daemon(daemon_dsn, Awaits, models=MODELS):
        tables.execute("insert into inventory.device (id, \"deviceName\", location_id) values (7, 'sw1', 2)")
        await settled(tables)
        tables.execute("update inventory.rack set note = 'x'")
        await settled(tables)
    assert results(tables) == [("SUCCESS", "Bern"), ("SUCCESS", "[1, 2]"), ("SUCCESS", "[3]")]
    assert tables.execute("select name from inventory.location where id = 3").fetchall() == [("beside Bern",)]


class LoadsAhead(JobHookReceiver):
    class Meta:
        load = ("location.devices",)

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        return [device.id for device in changed_object.location.devices]


async def test_a_receiver_says_which_relations_it_wants_ahead(tables: Connection, daemon_dsn: str) -> None:
    add_hook(tables, LoadsAhead, "inventory.device", "create")
    add_hook(tables, Idle, "inventory.device", "create")
    async with running_daemon(daemon_dsn, LoadsAhead, Idle, models=MODELS):
        tables.execute("insert into inventory.device (id, \"deviceName\", location_id) values (7, 'sw1', 2)")
        await settled(tables)
    assert sorted(results(tables)) == [("SUCCESS", "[7]"), ("SUCCESS", "sw1/")]


async def test_a_thousand_rows_are_loaded_by_one_query_for_each_table(tables: Connection, daemon_dsn: str) -> None:
    tables.execute("insert into inventory.rack values ('A', 1), ('A', 2)")
    tables.execute("insert into inventory.slot (hall, rack) select 'A', 1 + n % 2 from generate_series(1, 1000) as n")
    statements: list[str] = []
    loader = PostgresObjects(Target(daemon_dsn), PostgresPermissions(), tables=Tables(load_models(MODELS, Path())))
    try:
        configuration = read_configuration(tables.execute(LOAD).fetchone()[0])  # type: ignore[index]
        table = next(one for one in configuration.tables.values() if one.name == "inventory.slot")
        await loader.follower.learn(configuration.tables, ())
        await loader.load(table, ['{"id": 1}'], {})
        event.listen(
            loader._rows._engine.sync_engine, "before_cursor_execute", lambda *given: statements.append(given[2])
        )
        found = await loader.load(table, [f'{{"id": {number}}}' for number in range(1, 1001)], {})
    finally:
        await loader.close()
    assert len(found) == 1000
    # The slots; their racks.
    assert len([one for one in statements if "inventory" in one]) == 2
    assert len({slot.rack_ for slot in found.values()}) == 2
    # What was loaded with several rows belongs to the run of each.
    one, other = found['{"id": 1}'], found['{"id": 3}']
    assert one.rack_ is other.rack_
    with Session() as session, Session() as another:
        mine, theirs = adopt(session, one), adopt(another, other)
        assert (mine.id, mine.rack_.number) == (1, 2)
        assert mine.rack_ is not theirs.rack_
        mine.rack_.note = "mine"
        assert theirs.rack_.note is None
        assert theirs.rack_ in another
        assert not another.dirty


class KnowsServers(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        assert isinstance(changed_object, Server)
        assert isinstance(changed_object, table("inventory.device"))
        self.logger.info("seen", extra={"object": changed_object})
        changed_object.serial = f"{changed_object.cores} cores"
        changed_object.cores += 1
        return changed_object.name


class KnowsServersAsynchronously(KnowsServers):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        return super().receive_job_hook(change, action, changed_object)


@pytest.mark.parametrize("receiver", [KnowsServers, KnowsServersAsynchronously])
@pytest.mark.parametrize("changed", ["inventory.device", "inventory.server"])
async def test_a_row_of_a_joined_class_has_all_of_its_columns(
    tables: Connection, daemon_dsn: str, changed: str, receiver: type
) -> None:
    add_hook(tables, receiver, changed, "update")
    tables.execute("insert into inventory.device (id, \"deviceName\", kind) values (1, 'srv', 'server')")
    tables.execute("insert into inventory.server values (1, 4)")
    async with running_daemon(daemon_dsn, receiver, models=MODELS):
        what = "cores = 8" if changed == "inventory.server" else "serial = 'x'"
        tables.execute(f"update {changed} set {what}")
        await settled(tables)
    cores = 8 if changed == "inventory.server" else 4
    assert results(tables) == [("SUCCESS", "srv")]
    assert tables.execute("select serial from inventory.device").fetchall() == [(f"{cores} cores",)]
    assert tables.execute("select cores from inventory.server").fetchall() == [(cores + 1,)]
    assert tables.execute("select object_type, object_repr from rowhooks.job_log_entry").fetchall() == [
        ("inventory.server", "1")
    ]


class Mixes(JobHookReceiver):
    """Has a row of ours that refers to a row of the user's own class."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        device = changed_object.device
        assert isinstance(device, Device)
        device.serial = "by a port"
        found = self.session.scalars(select(table("inventory.device"))).one()
        assert found is device
        return changed_object.name


async def test_rows_of_ours_lead_to_objects_of_the_users_own(tables: Connection, daemon_dsn: str) -> None:
    tables.execute("create table inventory.port (id integer primary key, name text,"
                   " device_id integer references inventory.device)")  # fmt: skip
    tables.execute("select rowhooks.track('inventory.port')")
    tables.execute("grant select on inventory.port to rowhooks_daemon")
    add_hook(tables, Mixes, "inventory.port")
    tables.execute("insert into inventory.device (id, \"deviceName\") values (1, 'sw1')")
    async with running_daemon(daemon_dsn, Mixes, models=MODELS):
        tables.execute("insert into inventory.port values (1, 'eth0', 1)")
        await settled(tables)
    assert results(tables) == [("SUCCESS", "eth0")]
    assert tables.execute("select serial from inventory.device").fetchall() == [("by a port",)]


class Fails(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        changed_object.note = "assigned"
        raise ValueError("no")


class Deletes(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.session.delete(changed_object)
        self.session.flush()


async def test_a_failure_undoes_what_was_assigned_and_a_composite_key_finds_its_row(
    tables: Connection, daemon_dsn: str
) -> None:
    add_hook(tables, Fails, "inventory.rack", "create")
    async with running_daemon(daemon_dsn, Fails, models=MODELS):
        tables.execute("insert into inventory.rack values ('A', 1)")
        await settled(tables)
    assert results(tables) == [("FAILURE", "no")]
    assert tables.execute("select * from inventory.rack").fetchall() == [("A", 1, None)]


@pytest.mark.filterwarnings("ignore:DELETE statement on table")
async def test_a_deletion_that_a_trigger_suppresses_is_no_success(tables: Connection, daemon_dsn: str) -> None:
    tables.execute("create function inventory.keep() returns trigger language plpgsql as 'begin return null; end'")
    tables.execute("create trigger keep before delete on inventory.rack for each row execute function inventory.keep()")
    add_hook(tables, Deletes, "inventory.rack", "create")
    async with running_daemon(daemon_dsn, Deletes, models=MODELS):
        tables.execute("insert into inventory.rack values ('A', 1)")
        await settled(tables)
    [(status, message)] = results(tables)
    assert status == "FAILURE"
    assert message.startswith("DELETE of <inventory.rack A, 1> wrote nothing, though the row is there")


class Takes(JobButtonReceiver):
    def receive_job_button(self, obj: Any) -> Any:
        obj.taken = True
        return type(obj).__name__


async def test_a_button_receiver_gets_its_own_object_too(tables: Connection, daemon_dsn: str) -> None:
    add_button(tables, Takes, "inventory.slot", name="Take")
    tables.execute("insert into inventory.slot default values")
    async with running_daemon(daemon_dsn, Takes, models=MODELS):
        press(tables, "inventory.slot", "1", button="Take")
        await settled(tables)
    assert results(tables) == [("SUCCESS", "Slot")]
    assert tables.execute("select taken from inventory.slot").fetchall() == [(True,)]


class Idle(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        return changed_object.label


async def test_a_run_that_only_looks_opens_no_transaction(
    tables: Connection, daemon_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked: list[object] = []
    monkeypatch.setattr(ReceiverSession, "mark", lambda session, connection: marked.append(session))
    add_hook(tables, Idle, "inventory.device", "create")
    async with running_daemon(daemon_dsn, Idle, models=MODELS):
        tables.execute("insert into inventory.device (id, \"deviceName\") values (1, 'sw1')")
        await settled(tables)
    assert results(tables) == [("SUCCESS", "sw1/")]
    assert marked == []
