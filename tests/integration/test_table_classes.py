"""`table()` for tables of all kinds, and what becomes of the classes when tables are altered."""

from __future__ import annotations

import copy
import logging
import pickle
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from rowhooks import table
from rowhooks.domain.errors import NotFound
from rowhooks.testing import run_hook
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.relating import Awaits, Does, result_of
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]

Device, Location = table("net.device"), table("net.location")
Names, Log, Vlan = table("net.names"), table("net.log"), table("net.vlan")
Select = table('"net.old"."select"')
Part, Special = table("net.event_1"), table("net.special")


def grant(db: Connection) -> None:
    db.execute("grant select, insert, update, delete on all tables in schema net to rowhooks_daemon")


async def test_what_nothing_tells_apart_can_be_queried(db: Connection, daemon_dsn: str, net: str) -> None:
    db.execute("create view net.names as select name from net.device")
    db.execute("create table net.log (message text)")
    db.execute("insert into net.log values ('twice'), ('twice')")
    grant(db)

    def query(self: Any, device: Any) -> Any:
        names = self.session.scalars(select(Names.name).order_by(Names.name)).all()
        rows = [tuple(row) for row in self.session.execute(select(Log))]
        with pytest.raises(Exception, match=r"nothing tells the rows of net\.log apart"):
            Log(message="x")
        self.session.execute(Log.__table__.insert(), {"message": "inserted"})
        return [names, rows]

    assert await result_of(db, daemon_dsn, query) == [["sw1", "sw2"], [["twice"], ["twice"]]]
    assert db.execute("select count(*) from net.log").fetchall() == [(3,)]


async def test_a_unique_key_stands_in_for_a_primary_key(db: Connection, daemon_dsn: str, net: str) -> None:
    db.execute("create table net.vlan (tag integer not null unique, name text unique)")
    db.execute("insert into net.vlan values (7, 'voice')")
    grant(db)

    def work(self: Any, device: Any) -> Any:
        vlan = self.session.get(Vlan, 7)
        vlan.name = "data"
        vlan.save()
        return vlan.pk

    assert await result_of(db, daemon_dsn, work) == 7
    assert db.execute("select name from net.vlan").fetchall() == [("data",)]


async def test_odd_names_are_names(db: Connection, daemon_dsn: str, net: str) -> None:
    db.execute('create schema "net.old"')
    db.execute(
        'create table "net.old"."select" ("from_id" integer references net.device, "save" text, "a b" text,'
        ' "pk" integer primary key, "metadata" text)'
    )
    db.execute("""insert into "net.old"."select" values (1, 's', 'ab', 5, 'm')""")
    db.execute('grant usage on schema "net.old" to rowhooks_daemon')
    db.execute('grant select on all tables in schema "net.old" to rowhooks_daemon')

    def work(self: Any, device: Any) -> Any:
        row = self.session.scalars(select(Select).where(Select.save_ == "s")).one()
        assert isinstance(row, Select)
        return [
            row["save"],
            row["a b"],
            row.pk,
            row.metadata_,
            row.from_.name,
            len(device.select_set),
        ]

    assert await result_of(db, daemon_dsn, work) == ["s", "ab", 5, "m", "sw1", 1]


async def test_new_rows_are_written_in_the_order_of_their_relations(db: Connection, daemon_dsn: str, net: str) -> None:
    def work(self: Any, device: Any) -> Any:
        for number in range(5):
            key = f"00000000-0000-0000-0000-00000000010{number}"
            self.session.add(Device(name=f"new{number}", location_id=key))
            self.session.add(Location(id=key, name=f"place{number}"))
        self.session.flush()
        for number in range(5):
            key = f"00000000-0000-0000-0000-00000000010{number}"
            self.session.delete(self.session.scalars(select(Device).where(Device.name == f"new{number}")).one())
            self.session.delete(self.session.get(Location, key))
        return "written and deleted"

    assert await result_of(db, daemon_dsn, work) == "written and deleted"


async def test_a_row_that_is_referred_to_is_not_taken_from_those_that_refer(
    db: Connection, daemon_dsn: str, net: str
) -> None:
    def work(self: Any, device: Any) -> Any:
        room = device.location_
        assert len(room.device_set) == 2
        room.delete()

    assert "violates foreign key constraint" in await result_of(db, daemon_dsn, work)


async def test_rows_can_be_copied_and_are_not_pickled(db: Connection, daemon_dsn: str, net: str) -> None:
    def work(self: Any, device: Any) -> Any:
        twin = copy.deepcopy(device)
        with pytest.raises(TypeError, match=r"row of net\.device is bound to its run: hand on its key"):
            pickle.dumps(device)
        return [twin.name, twin.status]

    assert await result_of(db, daemon_dsn, work) == ["sw1", "active"]


async def test_async_receivers_construct_and_query(db: Connection, daemon_dsn: str, net: str) -> None:
    async def work(self: Any, device: Any) -> Any:
        place = Location(name="new place")
        await place.save()
        device.location_ = place
        await device.save()
        found = (await self.session.scalars(select(Device).join(Location).where(Location.name == "new place"))).all()
        assert found == [device]
        twin = await self.session.get(Device, device.pk)
        assert twin is device
        with pytest.raises(NotFound, match=r"there is no table net\.nothing"):
            await self.session.run_sync(lambda session: table("net.nothing").id)
        return str(place.id) == str(device.location_id)

    assert await result_of(db, daemon_dsn, work, Awaits) is True


async def test_a_table_that_is_not_there_is_named_at_the_start(
    db: Connection, daemon_dsn: str, net: str, caplog: pytest.LogCaptureFixture
) -> None:
    table("net.misspelt")
    add_hook(db, Does, "net.device")
    with caplog.at_level(logging.WARNING):
        async with running_daemon(daemon_dsn, Does):
            pass
    assert "table('net.misspelt'): there is no table net.misspelt in this database" in caplog.text


async def test_tables_that_are_not_tracked_are_followed_too(db: Connection, daemon_dsn: str, net: str) -> None:
    seen: list[Any] = []

    def work(self: Any, device: Any) -> Any:
        place = device.location_
        seen.append([column.name for column in Location.__table__.c])
        seen.append(getattr(place, "floor", None))

    Does.what = staticmethod(work)
    add_hook(db, Does, "net.device")
    async with running_daemon(daemon_dsn, Does):

        async def run() -> list[Any]:
            seen.clear()
            db.execute("update net.device set status = status || '.' where name = 'sw1'")
            await settled(db)
            return list(seen)

        assert await run() == [["id", "name", "parent_id"], None]
        db.execute("alter table net.location add column floor integer default 3")
        # The first run misses the column, and has the daemon look.
        await run()

        async def follows(*expected: Any) -> None:
            for _ in range(1000):
                if await run() == list(expected):
                    return
            raise AssertionError(seen)

        await follows(["id", "name", "parent_id", "floor"], 3)
        db.execute("alter table net.location drop column floor")
        # The first run is refused by the server, and has the daemon look.
        await run()
        await follows(["id", "name", "parent_id"], None)


async def test_partitions_and_tables_that_inherit_are_tables(db: Connection, daemon_dsn: str, net: str) -> None:
    db.execute(
        "create table net.event (id integer, device_id integer references net.device, primary key (id))"
        " partition by range (id)"
    )
    db.execute("create table net.event_1 partition of net.event for values from (0) to (100)")
    db.execute("create table net.special (extra text, primary key (id)) inherits (net.device)")
    db.execute("insert into net.event values (1, 1)")
    db.execute("insert into net.special (id, name, extra) values (77, 'special', 'more')")
    grant(db)

    def work(self: Any, device: Any) -> Any:
        (event,) = device.event_set
        part = self.session.get(Part, 1)
        assert not hasattr(device, "event_1_set")
        special = self.session.get(Special, 77)
        return [event.pk, part.device.name, special.extra, self.session.get(Device, 77).name]

    assert await result_of(db, daemon_dsn, work) == [1, "sw1", "more", "special"]


async def test_many_threads_may_make_the_same_relation(db: Connection, daemon_dsn: str, net: str) -> None:
    db.execute("insert into net.device (name, location_id) select 'many', id from net.location, generate_series(1, 20)")

    def work(self: Any, device: Any) -> Any:
        room = device.location_
        return [room.parent is None, len(room.device_set) > 1, len(device.interface_set)]

    Does.what = staticmethod(work)
    add_hook(db, Does, "net.device")
    async with running_daemon(daemon_dsn, Does, threads=8):
        db.execute("update net.device set status = 'active' where name = 'many'")
        await settled(db)
    assert db.execute("select status, count(*) from rowhooks.results group by 1").fetchall() == [("SUCCESS", 40)]


async def test_the_kit_knows_relations_too(own_dsn: str) -> None:
    def walk(self: Any, device: Any) -> Any:
        return [device.site_.name, [one.name for one in device.site_.device_set], type(self).Meta.load]

    class Kit(Does):
        class Meta:
            load = ("site_.device_set",)

    Kit.what = staticmethod(walk)
    report = run_hook(Kit, table="dcim.device", dsn=own_dsn, before={"id": 1}, after={"serial": "SN-2"})
    assert report.result == ["Zurich", ["sw1"], ["site_.device_set"]]
