"""The main job, end to end: a row changes, a receiver runs."""

from __future__ import annotations

from typing import Any

import psycopg

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.choices import ObjectChangeActionChoices
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]


class SerialGuard(JobHookReceiver):
    """Puts a serial back that does not look like one; the same calls as the specification's example."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        if action == ObjectChangeActionChoices.ACTION_DELETE:
            return
        differences = change.get_snapshots()["differences"]
        self.logger.info("differences: %s", differences)
        if "serial" in differences["added"] and differences["removed"]:
            old, new = differences["removed"]["serial"], differences["added"]["serial"]
            if not self.is_valid(new):
                changed_object.serial = old
                changed_object.save()
                self.logger.info(
                    "%s: %s was put back to %s", changed_object, new, old, extra={"object": changed_object}
                )

    def is_valid(self, serial: str) -> bool:
        return serial.startswith("SN")


async def test_a_bad_serial_is_put_back_and_the_reverting_write_starts_nothing(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, SerialGuard, device)
    async with running_daemon(daemon_dsn, SerialGuard):
        db.execute("insert into dcim.device values (1, 'sw1', 'SN1')")
        db.execute("update dcim.device set serial = 'rubbish' where id = 1")
        await settled(db)
        assert db.execute("select serial from dcim.device").fetchall() == [("SN1",)]
        assert db.execute("select action, status from rowhooks.results order by id").fetchall() == [
            ("create", "SUCCESS"),
            ("update", "SUCCESS"),
        ]
        # The receiver's own write is not even in the log.
        assert db.execute("select action from rowhooks.changes order by id").fetchall() == [("create",), ("update",)]
        line = db.execute(
            "select message, object_type, object_repr from rowhooks.job_log_entry where message like '%put back%'"
        ).fetchall()
        assert line == [("sw1: rubbish was put back to SN1", "dcim.device", "sw1")]
