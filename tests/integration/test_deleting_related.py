"""Rows that are deleted leave the relations of the rows that they belonged to."""

from __future__ import annotations

from typing import Any

import psycopg

from rowhooks import table
from tests.support.relating import Awaits, result_of

Connection = psycopg.Connection[Any]

Device, Interface = table("net.device"), table("net.interface")


async def test_the_rows_of_a_set_are_deleted_before_their_owner_is_saved(
    db: Connection, daemon_dsn: str, net: str
) -> None:
    def work(self: Any, device: Any) -> Any:
        left = []
        for one in device.interface_set:
            one.delete()
            # The list that is gone through stays as it is.
            left.append(device.interface_set.count())
        device.status = "bare"
        device.save()
        return [left, device.interface_set.exists(), [one.name for one in device.interface_set.all()]]

    db.execute("delete from net.cable")
    assert await result_of(db, daemon_dsn, work) == [[1, 0], False, []]
    assert db.execute("select status from net.device where id = 1").fetchall() == [("bare",)]
    assert db.execute("select count(*) from net.interface where device_id = 1").fetchall() == [(0,)]


async def test_an_async_receiver_deletes_them_in_the_same_order(db: Connection, daemon_dsn: str, net: str) -> None:
    async def work(self: Any, device: Any) -> Any:
        for one in await device.awaitable_attrs.interface_set:
            await one.delete()
        device.status = "bare"
        await device.save()
        return [one.name for one in await device.awaitable_attrs.interface_set]

    db.execute("delete from net.cable")
    assert await result_of(db, daemon_dsn, work, Awaits) == []
    assert db.execute("select status from net.device where id = 1").fetchall() == [("bare",)]


async def test_the_session_deletes_them_and_new_ones_take_their_place(
    db: Connection, daemon_dsn: str, net: str
) -> None:
    def work(self: Any, device: Any) -> Any:
        names = [one.name for one in device.interface_set]
        for one in device.interface_set.all():
            self.session.delete(one)
        self.session.flush()
        for name in names:
            Interface(device=device, name=f"{name}-new").save()
        device.save()
        return sorted(one.name for one in device.interface_set)

    db.execute("delete from net.cable")
    assert await result_of(db, daemon_dsn, work) == ["eth0-new", "eth1-new"]


async def test_the_one_row_that_refers_to_another_is_deleted_first(db: Connection, daemon_dsn: str, net: str) -> None:
    def work(self: Any, device: Any) -> Any:
        device.warranty.delete()
        device.status = "bare"
        device.save()
        return device.warranty

    assert await result_of(db, daemon_dsn, work) is None
    assert db.execute("select status from net.device where id = 1").fetchall() == [("bare",)]


async def test_a_deletion_that_was_rolled_back_deletes_nothing(db: Connection, daemon_dsn: str, net: str) -> None:
    def work(self: Any, device: Any) -> Any:
        try:
            with self.session.begin_nested():
                for one in device.interface_set.all():
                    one.delete()
                assert not device.interface_set
                raise ValueError("not now")
        except ValueError:
            device.status = "kept"
            device.save()
        return sorted(one.name for one in device.interface_set)

    db.execute("delete from net.cable")
    assert await result_of(db, daemon_dsn, work) == ["eth0", "eth1"]
