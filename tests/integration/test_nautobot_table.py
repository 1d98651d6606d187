"""docs/coming-from-nautobot.md: each row of the table of calls is run, and says what happens."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest
from sqlalchemy import func, select

import rowhooks
from rowhooks import JobHookReceiver, register_jobs, table
from rowhooks.receivers.registry import take_registered
from rowhooks.testing import Press, Rehearsal, RunReport
from tests.support.inventory_tables import SCHEMA

PAGE = Path(__file__).parents[2] / "docs/coming-from-nautobot.md"
Device, Location, Interface = table("inv.device"), table("inv.location"), table("inv.interface")

Work = Callable[[Any, Any, Any], Any]
CALLS: dict[str, Work] = {}


def shows(call: str) -> Callable[[Work], Work]:
    """Say which row of the table a function is for: the text of its first cell."""

    def remember(work: Work) -> Work:
        CALLS[call] = work
        return work

    return remember


def rows_of_the_table() -> list[str]:
    section = PAGE.read_text(encoding="utf-8").partition("## What receivers call")[2].partition("\n## ")[0]
    return re.findall(r"^\| (.+?) \| (?:same|different) \|", section, re.MULTILINE)


@shows("`device.location.parent.name`")
def _(self: Any, change: Any, device: Any) -> None:
    assert device.location.parent.name == "Zurich"


@shows("`location.device_set.all()`, `.first()`, `.exists()`, `.count()`")
def _(self: Any, change: Any, device: Any) -> None:
    devices = device.location.device_set
    assert (len(devices.all()), devices.first() in devices, devices.exists(), devices.count()) == (11, True, True, 11)


@shows("`location.device_set.filter(...)`")
def _(self: Any, change: Any, device: Any) -> None:
    with pytest.raises(AttributeError, match="go through it with for, or query"):
        device.location.device_set.filter(name="d1")


@shows("`device.location = other`")
def _(self: Any, change: Any, device: Any) -> None:
    device.location = self.session.get(Location, 3)
    assert device.location_id == 3
    device.save()
    assert self.session.scalar(select(Device.location_id).where(Device.id == device.pk)) == 3


@shows("`device.validated_save()`, `device.save()`")
def _(self: Any, change: Any, device: Any) -> None:
    device.serial = "one"
    device.validated_save()
    device.serial = "two"
    device.save()
    with pytest.raises(Exception, match="null value"), self.session.begin_nested():
        device.name = None
        device.validated_save()
    device.refresh_from_db()
    assert not hasattr(device, "clean")


@shows("`device.pk`")
def _(self: Any, change: Any, device: Any) -> None:
    assert device.pk == 1


@shows("`device.refresh_from_db()`, `device.delete()`")
def _(self: Any, change: Any, device: Any) -> None:
    device.serial = "unsaved"
    device.refresh_from_db()
    assert device.serial == "S1"
    device.delete()
    assert self.session.get(Device, 1) is None


@shows("`isinstance(obj, Device)`")
def _(self: Any, change: Any, device: Any) -> None:
    other = self.session.get(Device, 3)
    assert [isinstance(one, Device) for one in (device, other, device.location)] == [True, True, False]


@shows('`Device.objects.get(name="sw1")`')
def _(self: Any, change: Any, device: Any) -> None:
    assert self.session.scalars(select(Device).where(Device.name == "d3")).one().pk == 3
    with pytest.raises(AttributeError, match=r"select\(device\)"):
        Device.objects  # noqa: B018


@shows("`Device.objects.get(pk=1)`")
def _(self: Any, change: Any, device: Any) -> None:
    assert (self.session.get(Device, 3).name, self.session.get(Device, 99)) == ("d3", None)


@shows("`Device.objects.filter(location=room)`")
def _(self: Any, change: Any, device: Any) -> None:
    found = self.session.scalars(select(Device).where(Device.location == device.location))
    assert len(found.all()) == 11


@shows('`Device.objects.filter(status="active").count()`')
def _(self: Any, change: Any, device: Any) -> None:
    count = self.session.scalar(select(func.count()).select_from(Device).where(Device.status == "active"))
    assert count == 10


@shows('`Interface(device=device, name="eth0").validated_save()`')
def _(self: Any, change: Any, device: Any) -> None:
    Interface(device=device, name="eth0").validated_save()
    assert self.session.scalars(select(Interface).where(Interface.device_id == 1)).one().device.pk == 1


@shows('`Interface.objects.create(device=device, name="eth0")`')
def _(self: Any, change: Any, device: Any) -> None:
    Interface(device=device, name="eth0").save()
    self.session.add(Interface(device=device, name="eth1"))
    self.session.flush()
    assert self.session.scalar(select(func.count()).where(Interface.device_id == 1)) == 2


@shows('`Device.objects.select_related("location")`')
def _(self: Any, change: Any, device: Any) -> None:
    # The receiver below has load = ["location"].
    assert "location" in vars(device)


@shows("`with transaction.atomic():`")
def _(self: Any, change: Any, device: Any) -> None:
    with pytest.raises(ValueError, match="undone"), self.session.begin_nested():
        device.serial = "undone"
        device.save()
        raise ValueError("undone")
    assert self.session.scalar(select(Device.serial).where(Device.id == 1)) == "S1"


@shows('`snapshots["differences"]["added"]["serial"]`')
def _(self: Any, change: Any, device: Any) -> None:
    assert change.get_snapshots()["differences"] == {"added": {"status": "new"}, "removed": {"status": "active"}}


@shows('`snapshots["postchange"]["location"]["name"]`')
def _(self: Any, change: Any, device: Any) -> None:
    snapshots = change.get_snapshots()
    assert snapshots["postchange"]["location_id"] == 2
    assert "location" not in snapshots["postchange"]
    former = self.session.get(Location, snapshots["prechange"]["location_id"])
    assert former.name == device.location.name == "Room 7"


@shows("`change.changed_object`")
def _(self: Any, change: Any, device: Any) -> None:
    assert change.changed_object is device


@shows("`change.changed_object_type.app_label`, `.model`")
def _(self: Any, change: Any, device: Any) -> None:
    kind = change.changed_object_type
    assert (kind, kind.app_label, kind.model) == ("inv.device", "inv", "device")


@shows("`change.pk`")
def _(self: Any, change: Any, device: Any) -> None:
    assert change.pk == change.id


@shows("`str(change)`")
def _(self: Any, change: Any, device: Any) -> None:
    assert str(change) == f"<ObjectChange {change.id}: update inv.device>"


@shows('`self.logger.fatal("...")`, `.warn`, `.exception`, `.getChild`')
def _(self: Any, change: Any, device: Any) -> None:
    self.logger.fatal("fatal")
    self.logger.warn("warn")
    self.logger.exception("exception", exc_info=None)
    self.logger.getChild("child").info("child")


@shows("`logger = logging.getLogger(__name__)`")
def _(self: Any, change: Any, device: Any) -> None:
    logging.getLogger(__name__).info("of the module")


@shows("`self.job_result.user.username`")
def _(self: Any, change: Any, device: Any) -> None:
    assert self.job_result.user.username == self.user.username == "alice"


@shows("`JobResult.enqueue_job(job, user, size=3)`")
def _(self: Any, change: Any, device: Any) -> None:
    rowhooks.press(self.session, "Resize", "inv.device", device.pk, inputs={"size": 3})


@shows("`register_jobs(Policy, Helper)`")
def _(self: Any, change: Any, device: Any) -> None:
    helper: Any = str
    # What modules that other tests import have registered.
    take_registered()
    register_jobs(Calls, helper)
    assert take_registered() == [Calls]


@shows('`device.cf["owner"]`, `device.tags.add(...)`')
def _(self: Any, change: Any, device: Any) -> None:
    with pytest.raises(AttributeError, match="no column or relation 'cf'"):
        device.cf  # noqa: B018


class Calls(JobHookReceiver):
    """Does what a row of the table is about."""

    work: ClassVar[Work]

    class Meta:
        load = ("location",)

    def receive_job_hook(self, change: Any, action: str, changed_object: Any) -> None:
        type(self).work(self, change, changed_object)


@pytest.fixture(scope="module")
def rehearsals(server: Any, administrator: psycopg.Connection[Any]) -> Iterator[str]:
    """One database for all rows: each rolls back."""
    from tests.support.databases import dsn_of, new_database

    with new_database(administrator, "calls") as name:
        dsn = dsn_of(server, name)
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute(SCHEMA)
        yield dsn


EFFECTS: dict[str, Callable[[RunReport], bool]] = {
    '`self.logger.fatal("...")`, `.warn`, `.exception`, `.getChild`': lambda run: (
        [line.level for line in run.logs] == ["critical", "warning", "error", "info"]
    ),
    "`logger = logging.getLogger(__name__)`": lambda run: [line.message for line in run.logs] == ["of the module"],
    "`JobResult.enqueue_job(job, user, size=3)`": lambda run: (
        run.presses == (Press("Resize", "inv.device", 1, "d1", inputs={"size": 3}),)
    ),
}
"""What is to be seen of a call after its run."""


@pytest.mark.parametrize("call", CALLS)
def test_a_row_of_the_table_is_true(rehearsals: str, call: str) -> None:
    Calls.work = staticmethod(CALLS[call])
    with Rehearsal(rehearsals) as kit:
        run = kit.run_hook(
            Calls, table="inv.device", before={"id": 1}, after={"status": "new"}, user="alice", permissions=set(),
            watch=[],
        )  # fmt: skip
    assert run.exception is None, run.exception and run.exception.traceback
    if call in EFFECTS:
        assert EFFECTS[call](run)


def test_every_row_of_the_table_is_run() -> None:
    assert rows_of_the_table() == list(CALLS)
