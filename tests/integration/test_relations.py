"""Rows as mapped classes: relations by foreign key, queries, new rows, in plain and in `async def` receivers."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import aliased, selectinload

from rowhooks import table
from rowhooks.domain.errors import ReceiverError
from tests.support.relating import Awaits, Does, result_of

Connection = psycopg.Connection[Any]

Note = table("net.note")
Device, Location, Interface = table("net.device"), table("net.location"), table("net.interface")


async def test_foreign_keys_are_followed_both_ways(db: Connection, daemon_dsn: str, net: str) -> None:
    def walk(self: Any, device: Any) -> Any:
        room = device.location_
        assert (type(device), isinstance(room, Location)) == (Device.__mapper__.class_, True)
        return {
            "column": device.location, "room": room.name, "above": room.parent.name, "top": room.parent.parent,
            "rack": device.rack.label, "in": sorted(one.name for one in room.device_set.all()),
            "below": [one.name for one in room.parent.location_set],
            "interfaces": [f"{one.device.name} {one.name}" for one in device.interface_set],
            "until": str(device.warranty.until), "back": device.warranty.device.name,
            "pk": device.pk, "rack pk": {name: str(value) for name, value in device.rack.pk.items()},
        }  # fmt: skip

    assert await result_of(db, daemon_dsn, walk) == {
        "column": None, "room": "Room", "above": "Zurich", "top": None, "rack": "R7", "in": ["sw1", "sw2"],
        "below": ["Room"], "interfaces": ["sw1 eth0", "sw1 eth1"], "until": "2030-01-01", "back": "sw1", "pk": 1,
        "rack pk": {"location_id": "00000000-0000-0000-0000-000000000002", "number": "7"},
    }  # fmt: skip


async def test_async_receivers_await_relations(db: Connection, daemon_dsn: str, net: str) -> None:
    async def walk(self: Any, device: Any) -> Any:
        room = await device.awaitable_attrs.location_
        above = await room.awaitable_attrs.parent
        interfaces = await device.awaitable_attrs.interface_set
        found = (await self.session.scalars(select(Device).join(Device.location_).where(Location.name == "Room"))).all()
        return [room.name, above.name, [one.name for one in interfaces], sorted(one.name for one in found)]

    assert await result_of(db, daemon_dsn, walk, Awaits) == ["Room", "Zurich", ["eth0", "eth1"], ["sw1", "sw2"]]


async def test_a_relation_that_is_not_awaited_says_how(db: Connection, daemon_dsn: str, net: str) -> None:
    async def walk(self: Any, device: Any) -> Any:
        return device.location_.name

    said = await result_of(db, daemon_dsn, walk, Awaits)
    assert "net.device.location_ is not loaded, and an async def receiver has to await it" in said


async def test_a_table_can_be_queried_constructed_and_deleted(db: Connection, daemon_dsn: str, net: str) -> None:
    def work(self: Any, device: Any) -> Any:
        other = self.session.scalars(select(Device).where(Device.name == "sw2")).one()
        assert isinstance(other, Device)
        assert self.session.get(Device, other.pk) is other
        other.status = "retired"
        other.validated_save()
        interface = Interface(device=other, name="eth9")
        assert interface.device_id == other.id
        interface.save()
        second = Interface(device=device, name="mgmt")
        self.session.add(second)
        self.session.flush()
        self.session.delete(self.session.get(Interface, 3))
        alias = aliased(Interface)
        query = (
            select(Device.name, func.count(alias.id)).join(alias, alias.device_id == Device.id).group_by(Device.name)
        )
        loaded = self.session.scalars(
            select(Location).options(selectinload(Location.device_set)).order_by("name")
        ).all()
        return [
            interface.pk > 3, interface.device.name, sorted(map(list, self.session.execute(query))),
            [len(one.device_set) for one in loaded],
        ]  # fmt: skip

    assert await result_of(db, daemon_dsn, work) == [True, "sw2", [["sw1", 3], ["sw2", 1]], [2, 0]]
    rows = db.execute("select device_id, name from net.interface order by 1, 2").fetchall()
    assert rows == [(1, "eth0"), (1, "eth1"), (1, "mgmt"), (2, "eth9")]
    assert db.execute("select status from net.device where name = 'sw2'").fetchall() == [("retired",)]


async def test_an_object_that_is_assigned_sets_the_key(db: Connection, daemon_dsn: str, net: str) -> None:
    def work(self: Any, device: Any) -> Any:
        top = device.location_.parent
        device.location_ = top
        assert device.location_id == top.id
        device.location_id = top.id
        with pytest.raises(ReceiverError, match="location_id is decided by location_, which was assigned"):
            device.location_id = None
        device.rack = None
        device.save()
        return device.location_.name

    assert await result_of(db, daemon_dsn, work) == "Zurich"
    row = db.execute(
        "select l.name, d.rack_number from net.device as d left join net.location as l on l.id = d.location_id"
        " where d.name = 'sw1'"
    ).fetchone()
    assert row == ("Zurich", None)


async def test_two_objects_of_one_row_can_both_be_saved(db: Connection, daemon_dsn: str, net: str) -> None:
    def work(self: Any, device: Any) -> Any:
        twin = next(one for one in device.location_.device_set if one.name == "sw1")
        twin.location = "by the twin"
        device.status = "by the object"
        device.save()
        twin.save()
        return self.session.get(Device, device.pk).name

    assert await result_of(db, daemon_dsn, work) == "sw1"
    row = db.execute("select status, location from net.device where name = 'sw1'").fetchone()
    assert row == ("by the object", "by the twin")


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (lambda device: device.locatio, "net.device has no column or relation 'locatio' (nearest: location, location_"),
        (lambda device: device.interfaces, "nearest: interface_set"),
        (lambda device: Device.objects, "self.session.scalars(select(device).where(...))"),
        (lambda device: device.interface_set[0].cable_set, "cable_set_by_a, cable_set_by_b"),
        (lambda device: device.interface_set.filter(name="x"), "go through it with for"),
        (lambda device: setattr(device, "rack", 5), "net.device.rack takes a row of net.rack, not 5"),
        (lambda device: Device(nam="x"), "net.device has no column 'nam', which could be saved (nearest: name"),
        (lambda device: table("net.nothing").name, "there is no table net.nothing in this database"),
        (lambda device: device.awaitable_attrs.rack, "row.rack instead of row.awaitable_attrs.rack"),
    ],
)
async def test_what_a_row_has_not_is_answered_with_what_it_has(
    db: Connection, daemon_dsn: str, net: str, what: Any, said: str
) -> None:
    assert said in await result_of(db, daemon_dsn, lambda self, device: what(device))


async def test_relations_are_loaded_ahead_by_one_query_each(db: Connection, daemon_dsn: str, net: str) -> None:
    class Ahead(Awaits):
        class Meta:
            load = ("location_.parent", "interface_set", "rack", "warranty", "location_.device_set")

    async def walk(self: Any, device: Any) -> Any:
        room = device.location_
        assert next(one for one in room.device_set if one.id == device.id) is device
        return [
            room.name, room.parent.name, [f"{one.device.name} {one.name}" for one in device.interface_set],
            device.rack.label, str(device.warranty.until), sorted(one.name for one in room.device_set),
        ]  # fmt: skip

    assert await result_of(db, daemon_dsn, walk, Ahead) == [
        "Room", "Zurich", ["sw1 eth0", "sw1 eth1"], "R7", "2030-01-01", ["sw1", "sw2"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("locations", "Meta.load: net.device has no relation 'locations' (its relations: location_, rack, "),
        ("location_.name", "Meta.load: net.location has no relation 'name'"),
    ],
)
async def test_a_relation_that_cannot_be_loaded_ahead_is_named(
    db: Connection, daemon_dsn: str, net: str, path: str, said: str
) -> None:
    class Ahead(Does):
        class Meta:
            load = (path,)

    assert said in await result_of(db, daemon_dsn, lambda self, device: None, Ahead)


async def test_a_relation_that_may_not_be_read_is_refused_by_name(db: Connection, daemon_dsn: str, net: str) -> None:
    class Ahead(Does):
        class Meta:
            load = ("rack",)

    db.execute("revoke select on net.rack from rowhooks_daemon")
    said = await result_of(db, daemon_dsn, lambda self, device: None, Ahead)
    assert (
        "Meta.load: rack of net.device is not loaded: login rowhooks_test_daemon lacks SELECT on table net.rack" in said
    )


async def test_a_relation_that_may_not_be_read_is_refused_in_the_run(db: Connection, daemon_dsn: str, net: str) -> None:
    db.execute("revoke select on net.rack from rowhooks_daemon")
    said = await result_of(db, daemon_dsn, lambda self, device: device.rack)
    assert "login rowhooks_test_daemon lacks SELECT on table net.rack" in said


async def test_a_row_that_row_security_hides_is_not_taken_for_none(db: Connection, daemon_dsn: str, net: str) -> None:
    db.execute("alter table net.rack enable row level security")
    said = await result_of(db, daemon_dsn, lambda self, device: device.rack)
    assert "net.device.rack is not found: row security of net.rack binds rowhooks_test_daemon" in said


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("default gen_random_uuid()", "did not produce a new primary key"),
        ("not null", "wrote nothing: suppressed by trigger keep_out"),
    ],
)
async def test_an_insert_that_a_trigger_suppresses_is_no_success(
    db: Connection, daemon_dsn: str, net: str, key: str, said: str
) -> None:
    db.execute(f"create table net.note (id uuid primary key {key}, message text)")
    db.execute("create function net.keep_out() returns trigger language plpgsql as 'begin return null; end'")
    db.execute("create trigger keep_out before insert on net.note for each row execute function net.keep_out()")
    db.execute("grant select, insert on net.note to rowhooks_daemon")
    values = {} if "default" in key else {"id": "00000000-0000-0000-0000-000000000009"}

    def work(self: Any, device: Any) -> Any:
        self.session.add(Note(message="kept out", **values))

    assert said in await result_of(db, daemon_dsn, work)
