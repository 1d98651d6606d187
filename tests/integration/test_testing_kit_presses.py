"""Presses of receivers in the testing kit: they are reported, in a database in which rowhooks is not installed."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from sqlalchemy import text

import rowhooks
from rowhooks import JobButtonReceiver, JobHookReceiver, ObjectChange
from rowhooks.testing import Press, Rehearsal

Connection = psycopg.Connection[Any]


class Orders(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        return rowhooks.press(self.session, "Reboot", "dcim.device", changed_object.id, idempotency_key="r-1")


class OrdersLater(JobButtonReceiver):
    async def receive_job_button(self, obj: Any) -> Any:
        first = await rowhooks.press(self.session, "Measure", "dcim.cable", {"a": 1, "b": "x"})
        connection = await self.session.connection()
        second = await rowhooks.press(connection, "Measure", 'dcim."cable"', {"b": "x", "a": "1"})
        return second - first


class OrdersInSql(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.session.execute(text("select rowhooks.press('Reboot', 'dcim.device', '1')"))
        self.session.execute(
            text("select rowhooks.press_many('Reboot', 'dcim.device', array['1', '2'], inputs => '{\"size\": 3}')")
        )


class OrdersMany(JobButtonReceiver):
    def receive_job_button(self, obj: Any) -> Any:
        for keys, message in (([], "no row was named"), ([1, "1"], "is named twice"), ([1, 99], "there is no row")):
            with pytest.raises(Exception, match=message), self.session.begin_nested():
                rowhooks.press_many(self.session, "Reboot", "dcim.device", keys)
        inserted = self.session.execute(
            text(
                "insert into rowhooks.press (button, object_table, object_text) values ('Reboot', 'dcim.device', '1')"
                " returning id, object_id, object_repr"
            )
        ).one()
        assert tuple(inserted)[1:] == ({"id": 1}, "sw1")
        return rowhooks.press_many(self.session, "Reboot", "dcim.device", [2, {"id": 1}], inputs={"size": 3})


class OrdersInVain(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        with pytest.raises(Exception, match=r"there is no row .* in dcim\.device"), self.session.begin_nested():
            rowhooks.press(self.session, "Reboot", "dcim.device", 99)
        with self.session.begin_nested() as undone:
            rowhooks.press(self.session, "Reboot", "dcim.device", 1)
            undone.rollback()
        if action == "create":
            rowhooks.press(self.session, "Reboot", "dcim.device", 1)
            raise ValueError("after all")


def test_a_press_is_reported_with_its_row_and_user(kit: Rehearsal) -> None:
    run = kit.run_hook(
        Orders, table="dcim.device", before={"id": 1}, after={"serial": "x"}, user="alice", permissions=set()
    )
    assert run.exception is None
    assert run.presses == (Press("Reboot", "dcim.device", 1, "sw1"),)
    (press,) = run.presses
    assert (press.object, press.user, press.idempotency_key, press.inputs) == ("sw1", "alice", "r-1", None)


def test_a_press_with_the_key_of_an_earlier_one_is_that_one(kit: Rehearsal) -> None:
    first = kit.run_hook(Orders, table="dcim.device", before={"id": 1}, after={"serial": "x"})
    second = kit.run_hook(Orders, table="dcim.device", before={"id": 1}, after={"serial": "y"})
    assert first.result == second.result
    assert (len(first.presses), second.presses) == (1, ())


def test_async_receivers_press_on_sessions_and_connections(kit: Rehearsal) -> None:
    run = kit.press_button(OrdersLater, table="dcim.cable", row={"a": 1, "b": "x", "length": 2})
    assert run.exception is None
    assert run.presses == (Press("Measure", "dcim.cable", {"a": 1, "b": "x"}, "1, x"),) * 2
    assert run.result == 1


def test_presses_in_sql_and_of_many_rows_are_reported_too(kit: Rehearsal) -> None:
    kit.execute("insert into dcim.device (name) values ('sw2')")
    run = kit.run_hook(OrdersInSql, table="dcim.site", before={"id": 1}, after={"name": "Bern"})
    assert run.exception is None
    assert run.presses == (
        Press("Reboot", "dcim.device", 1, "sw1"),
        Press("Reboot", "dcim.device", 1, "sw1", inputs={"size": 3}),
        Press("Reboot", "dcim.device", 2, "sw2", inputs={"size": 3}),
    )


def test_python_and_the_view_press_many_rows_too(kit: Rehearsal) -> None:
    kit.execute("insert into dcim.device (name) values ('sw2')")
    run = kit.press_button(OrdersMany, table="dcim.device", key=1)
    assert run.exception is None
    assert run.presses == (
        Press("Reboot", "dcim.device", 1, "sw1"),
        Press("Reboot", "dcim.device", 2, "sw2", inputs={"size": 3}),
        Press("Reboot", "dcim.device", 1, "sw1", inputs={"size": 3}),
    )
    assert run.result > 1


def test_what_is_rolled_back_is_no_press(kit: Rehearsal) -> None:
    run = kit.run_hook(OrdersInVain, table="dcim.site", before={"id": 1}, after={"name": "Bern"})
    assert (run.status, run.presses) == ("SUCCESS", ())
    run = kit.run_hook(OrdersInVain, table="dcim.site", after={"id": 3, "name": "Basel"})
    assert (run.status, run.presses) == ("FAILURE", ())


def test_a_press_is_listed_and_starts_nothing_where_rowhooks_is_installed(
    dsn: str, db: Connection, device: str
) -> None:
    db.execute("insert into dcim.device values (1, 'sw1')")
    with Rehearsal(dsn) as kit:
        run = kit.run_hook(Orders, table=device, before={"id": 1}, after={"serial": "x"})
        assert run.presses == (Press("Reboot", "dcim.device", 1, "sw1"),)
        assert kit.execute("select count(*) from rowhooks.job_result") == [{"count": 0}]
