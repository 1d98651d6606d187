# ruff: noqa: D102, D106  (the base class documents both)
"""The demo's three receivers, as a user would write them."""

from __future__ import annotations

import re
from typing import Any

from rowhooks import JobHookReceiver, ObjectChange, register_jobs, table
from rowhooks.choices import ObjectChangeActionChoices

Device = table("dcim.device")


class SerialPolicy(JobHookReceiver):
    """Put a serial number back that does not look like one."""

    class Meta:
        name = "Serial policy"

    def receive_job_hook(
        self,
        change: ObjectChange,
        action: str,
        changed_object: Any,
    ) -> None:
        if action != ObjectChangeActionChoices.ACTION_UPDATE:
            return
        differences = change.get_snapshots()["differences"]
        if "serial" not in differences["added"]:
            return
        old = differences["removed"]["serial"]
        new = differences["added"]["serial"]
        if re.fullmatch(r"SN-\d{6}", new):
            self.logger.success("%s is a serial number", new)
            return
        if not isinstance(changed_object, Device):
            return  # the row is gone
        if changed_object.serial == new:  # and not changed again since
            changed_object.serial = old
            changed_object.save()
            about = {"object": changed_object}
            self.logger.warning("%r is no serial: put back to %s", new, old, extra=about)


class DeviceCount(JobHookReceiver):
    """Keep dcim.site.device_count right."""

    class Meta:
        name = "Device count"
        loads_object = False

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> dict[str, int] | None:
        if not change.changed("site_id"):
            return None
        sites = sorted({row["site_id"] for row in (change.prechange, change.postchange) if row})
        session: Any = self.session
        connection = session.connection()
        # Locked first and counted by a statement of its own: a count begun before another run's would be too old.
        lock = "select from dcim.site where id = any(%s) order by id for no key update"
        connection.exec_driver_sql(lock, (sites,))
        counted = connection.exec_driver_sql(
            "update dcim.site as s"
            " set device_count = (select count(*) from dcim.device as d where d.site_id = s.id)"
            " where s.id = any(%s) returning s.name, s.device_count",
            (sites,),
        )
        counts = dict(counted.all())
        self.logger.info("counted: %s", ", ".join(f"{name} has {count}" for name, count in sorted(counts.items())))
        return counts


class AuditLine(JobHookReceiver):
    """Write down in a sentence who did what."""

    class Meta:
        name = "Audit line"
        loads_object = False

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        # The login is what PostgreSQL knows; the other is what the application says.
        who = change.db_user if change.user_name is None else f"{change.db_user} as {change.user_name}"
        line = f"{who}: {action} {change.changed_object_type} {change.object_repr}"
        if action == ObjectChangeActionChoices.ACTION_UPDATE:
            differences = change.get_snapshots()["differences"]
            old, new = differences["removed"], differences["added"]
            line += ": " + ", ".join(f"{column} {old[column]} -> {new[column]}" for column in new)
        session: Any = self.session
        connection = await session.connection()
        await connection.exec_driver_sql(
            "insert into dcim.audit_line (line, run_key) values (%s, %s)", (line, self.job_result.key)
        )
        self.logger.info("%s", line)


register_jobs(SerialPolicy, DeviceCount, AuditLine)
