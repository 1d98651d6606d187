"""The testing kit with a user's own SQLAlchemy classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from rowhooks import Hook, JobButtonReceiver, JobHookReceiver, ObjectChange
from rowhooks.testing import Rehearsal, run_hook
from tests.support import inventory
from tests.support.inventory import Device, Server

MODELS = ["tests.support.inventory"]


@pytest.fixture
def own_dsn(empty_dsn: str) -> str:
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        conn.execute(inventory.TABLES)
    return empty_dsn


@pytest.fixture
def kit(own_dsn: str) -> Iterator[Rehearsal]:
    with Rehearsal(own_dsn, models=MODELS) as rehearsal:
        yield rehearsal


class Paints(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Device) -> Any:
        changed_object.colour = "Red"
        self.logger.info("painted", extra={"object": changed_object})
        return [type(changed_object).__name__, changed_object.location and changed_object.location.name]


class PaintsAsynchronously(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Device) -> Any:
        changed_object.colour = "Red"
        self.logger.info("painted", extra={"object": changed_object})
        location = await changed_object.awaitable_attrs.location
        return [type(changed_object).__name__, location.name]


@pytest.mark.parametrize("receiver", [Paints, PaintsAsynchronously])
def test_a_receiver_gets_its_own_object_and_writes_it(kit: Rehearsal, receiver: type[JobHookReceiver]) -> None:
    report = kit.run_hook(receiver, table="inventory.device", after={"id": 1, "deviceName": "sw1", "location_id": 1})
    assert report.result == ["Device", "Zurich"]
    assert [(line.object_type, line.object) for line in report.logs] == [("inventory.device", "1")]
    assert [(write.action, write.table) for write in report.writes] == [("update", "inventory.device")]
    assert kit.execute("select colour from inventory.device") == [{"colour": "red"}]


class Counts(JobButtonReceiver):
    def receive_job_button(self, obj: Server) -> Any:
        obj.cores += 1
        return obj.label


def test_a_press_gets_the_object_of_a_joined_class(kit: Rehearsal) -> None:
    kit.execute("insert into inventory.device (id, \"deviceName\", kind) values (1, 'srv', 'server')")
    kit.execute("insert into inventory.server values (1, 4)")
    assert kit.press_button(Counts, table="inventory.device", key=1).result == "srv/"
    assert kit.execute("select cores from inventory.server") == [{"cores": 5}]


def test_the_class_itself_names_its_table(kit: Rehearsal) -> None:
    assert Hook(Device, Server).tables == ("inventory.device", "inventory.server")
    report = kit.run_hook(Paints, table=Device, after={"id": 1, "deviceName": "sw1"}, hook=Hook(Device))
    assert (report.matched, report.result) == (True, ["Device", None])


def test_models_are_named_in_a_call_too(own_dsn: str) -> None:
    arguments: dict[str, Any] = {"table": "inventory.device", "after": {"id": 1, "deviceName": "sw1"}}
    assert run_hook(Paints, dsn=own_dsn, models=MODELS, **arguments).result == ["Device", None]
