# ruff: noqa: D102, D106  (the base class documents both)
"""The demo's three receivers, as a user would write them."""

from __future__ import annotations

import re
from typing import Any

from rowhooks import JobHookReceiver, ObjectChange, register_jobs
from rowhooks.choices import ObjectChangeActionChoices


class SerialPolicy(JobHookReceiver):
    """Put a serial number back that does not look like one."""

    class Meta:
        name = "Serial policy"

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        if not change.changed("serial") or changed_object is None:
            return
        differences = change.get_snapshots()["differences"]
        old, new = differences["removed"]["serial"], differences["added"]["serial"]
        # It may have changed again since.
        if not re.fullmatch(r"SN-\d{6}", new) and changed_object.serial == new:
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
        connection = self.session.connection()
        # Locked first and counted by a statement of its own: a count begun before another run's would be too old.
        lock = "select from dcim.site where id = any(%s) order by id for no key update"
        connection.exec_driver_sql(lock, (sites,))
        counted = connection.exec_driver_sql(
            "update dcim.site as s"
            " set device_count = (select count(*) from dcim.device as d where d.site_id = s.id)"
            " where s.id = any(%s) returning s.name, s.device_count",
            (sites,),
        )
        return dict(counted.all())


class AuditLine(JobHookReceiver):
    """Write down in a sentence what was changed, and by whom."""

    class Meta:
        name = "Audit line"
        loads_object = False

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        # The login is what PostgreSQL knows; the user is what the application says.
        line = f"{change.db_user} as {change.user_name}: {action} {change.changed_object_type} {change.object_repr}"
        if action == ObjectChangeActionChoices.ACTION_UPDATE:
            differences = change.get_snapshots()["differences"]
            old, new = differences["removed"], differences["added"]
            line += ": " + ", ".join(f"{column} {old[column]} -> {new[column]}" for column in new)
        connection = await self.session.connection()
        await connection.exec_driver_sql(
            "insert into dcim.audit_line (line, run_key) values (%s, %s)", (line, self.job_result.key)
        )
        self.logger.info("%s", line)


register_jobs(SerialPolicy, DeviceCount, AuditLine)
