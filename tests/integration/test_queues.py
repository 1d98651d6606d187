"""Queues that the settings do not have: nothing is lost, and what is to run waits until there is such a queue."""

from __future__ import annotations

import json
import logging
from typing import Any, ClassVar

import psycopg
import pytest

from rowhooks import Hook, JobButtonReceiver, JobHookReceiver, ObjectChange, cli
from tests.support.daemons import running_daemon, running_worker
from tests.support.hooks import add_button, add_hook
from tests.support.waiting import eventually, is_read, settled

Connection = psycopg.Connection[Any]
TAKEN_UP = "select count(*) from rowhooks.job_result where leader_epoch is not null"


class Seen(JobHookReceiver):
    """Notes what it was started for."""

    serials: ClassVar[list[str]] = []

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.serials.append((change.object_data or {})["serial"])


class Reports(Seen):
    class Meta:
        queue = "reports"


class WithRow(Seen):
    """Looks at its row and its user, too."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        assert (changed_object.id, self.user.username) == (1, "postgres")
        super().receive_job_hook(change, action, changed_object)


class Several(Seen):
    class Meta:
        batch_size = 1

    def receive_job_hooks(self, changes: list[ObjectChange]) -> None:
        for change in changes:
            self.receive_job_hook(change, change.action, None)


class Reboot(JobButtonReceiver):
    def receive_job_button(self, obj: Any) -> str:
        return f"rebooted {obj.name}"


class Declared(Seen):
    class Meta:
        hooks: ClassVar = [Hook("dcim.device", name="Declared", queue="reports")]


@pytest.fixture(autouse=True)
def _nothing_seen_yet() -> None:
    Seen.serials.clear()


def write(db: Connection, serial: str) -> None:
    db.execute(
        "insert into dcim.device values (1, 'sw', %s) on conflict (id) do update set serial = excluded.serial",
        (serial,),
    )


def statuses(db: Connection) -> list[str]:
    return [row[0] for row in db.execute("select status from rowhooks.job_result order by id").fetchall()]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def findings(capsys: pytest.CaptureFixture[str], dsn: str) -> list[str]:
    """Return what doctor says of queues."""
    capsys.readouterr()
    cli.call(["doctor", "--dsn", dsn, "--json"])
    return [one["what"] for one in json.loads(capsys.readouterr().out) if "queue" in one["what"]]


async def test_runs_in_a_queue_that_the_settings_do_not_have_wait_named_once_until_they_are_in_another(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    add_hook(db, Reports, device)
    add_hook(db, Seen, device)
    async with running_daemon(daemon_dsn, Reports, Seen):
        write(db, "a")
        # The configuration is loaded again.
        db.execute("update rowhooks.job_hook set columns = columns")
        write(db, "b")
        await eventually(lambda: is_read(db) and Seen.serials == ["a", "b"])
        await eventually(lambda: sorted(statuses(db)) == ["PENDING", "PENDING", "SUCCESS", "SUCCESS"])
    assert warnings(caplog) == [
        "hook Reports waits: its queue reports is not among queues in the settings (default); what it is to run is kept"
        f" (name the queue there, or give it another one: Meta.queue of {__name__}.Reports)"
    ]
    db.execute("update rowhooks.job_hook set queue = 'default' where name = 'Reports'")
    async with running_daemon(daemon_dsn, Reports, Seen):
        write(db, "c")
        await settled(db)
    assert sorted(Seen.serials) == ["a", "a", "b", "b", "c", "c"]
    assert statuses(db) == ["SUCCESS"] * 6


async def test_what_waits_runs_before_newer_changes_when_the_hook_gets_a_queue_that_there_is(
    db: Connection, dsn: str, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    add_hook(db, Seen, device)
    db.execute("update rowhooks.job_hook set queue = 'reprots'")
    async with running_daemon(daemon_dsn, Seen, queues=("default", "reports")):
        write(db, "a")
        write(db, "b")
        await eventually(lambda: is_read(db) and statuses(db) == ["PENDING"] * 2)
        assert findings(capsys, dsn) == [
            "hook Seen: 2 runs wait, because queues in the leader's settings does not name its queue reprots"
        ]
        db.execute("update rowhooks.job_hook set queue = 'default'")
        write(db, "c")
        await settled(db)
    assert Seen.serials == ["a", "b", "c"]
    assert findings(capsys, dsn) == []
    (said,) = warnings(caplog)
    assert said.startswith("hook Seen waits: its queue reprots is not among queues in the settings (default, reports)")
    assert said.endswith("give it another one: rowhooks hooks edit --queue QUEUE Seen)")


@pytest.mark.parametrize("queue", ["default", "served"])
@pytest.mark.parametrize("receiver", [WithRow, Several])
async def test_what_waits_for_a_worker_runs_before_newer_changes_when_its_hook_gets_a_queue_that_is_served(
    db: Connection, daemon_dsn: str, device: str, receiver: type[Seen], queue: str
) -> None:
    add_hook(db, receiver, device)
    db.execute("update rowhooks.job_hook set queue = 'reports'")
    async with (
        running_daemon(daemon_dsn, receiver, queues=("default", "reports", "served")) as daemon,
        running_worker(daemon_dsn, receiver, queues=("served",)),
    ):
        write(db, "a")
        await eventually(lambda: daemon._leader is not None and daemon._leader.for_workers() == {"reports": 1})
        write(db, "b")
        # What waits for long is on record, and is looked at again before it begins.
        await eventually(lambda: statuses(db) == ["PENDING"] * 2)
        db.execute("update rowhooks.job_hook set queue = %s", (queue,))
        write(db, "c")
        await settled(db)
    assert Seen.serials == ["a", "b", "c"]
    assert statuses(db) == ["SUCCESS"] * 3


async def test_a_press_in_such_a_queue_waits_for_a_leader_that_has_it(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(db, "a")
    add_button(db, Reboot, device, roles=["public"])
    db.execute("update rowhooks.job_button set queue = 'default'")
    async with running_daemon(daemon_dsn, Reboot, queues="other", default_queue="other"):
        db.execute("select rowhooks.press('Reboot', 'dcim.device', '1')")
        # The leader has taken it up, and put it aside.
        await eventually(lambda: db.execute(TAKEN_UP).fetchone() == (1,))
    assert statuses(db) == ["PENDING"]
    (said,) = warnings(caplog)
    assert said.endswith("give it another one: rowhooks buttons edit --queue QUEUE Reboot)")
    async with running_daemon(daemon_dsn, Reboot):
        await settled(db)
    assert db.execute("select result from rowhooks.job_result").fetchall() == [("rebooted sw",)]


async def test_the_queue_of_a_declared_hook_follows_the_code(db: Connection, daemon_dsn: str, device: str) -> None:
    async with running_daemon(daemon_dsn, Declared):
        assert db.execute("select queue from rowhooks.job_hook").fetchall() == [("reports",)]
    Declared.Meta.hooks[:] = [Hook("dcim.device", name="Declared")]
    try:
        async with running_daemon(daemon_dsn, Declared):
            assert db.execute("select queue from rowhooks.job_hook").fetchall() == [(None,)]
    finally:
        Declared.Meta.hooks[:] = [Hook("dcim.device", name="Declared", queue="reports")]
