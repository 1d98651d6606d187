"""Receivers written as one writes them for Nautobot, with the same calls: only their imports are rowhooks'."""

from __future__ import annotations

import re

from rowhooks import JobButtonReceiver, JobHookReceiver, register_jobs, table
from rowhooks.choices import ObjectChangeActionChoices

Device, Rack = table("dcim.device"), table("dcim.rack")


class KeepSerialsWellFormed(JobHookReceiver):
    class Meta:
        name = "Keep serials well-formed"
        description = "Puts a serial back that the inventory would not find."

    def receive_job_hook(self, change, action, changed_object):
        if action == ObjectChangeActionChoices.ACTION_DELETE:
            return "nothing to check"
        differences = change.get_snapshots()["differences"]
        self.logger.info("%s: %s", action, differences, extra={"object": changed_object})
        now = differences["added"].get("serial")
        if now is None or re.fullmatch(r"SN-\d+", now):
            return "well-formed"
        before = (differences["removed"] or {}).get("serial")
        changed_object.serial = before
        changed_object.save()
        self.logger.warning("%r is no serial; %r stands again", now, before, extra={"object": changed_object})
        return "put back"


class Inspect(JobButtonReceiver):
    class Meta:
        name = "Inspect"

    def receive_job_button(self, obj):
        self.logger.success("inspected", extra={"object": obj})


class Decommission(JobButtonReceiver):
    """Means another thing for each table, and asks for another permission."""

    class Meta:
        name = "Decommission"

    def receive_job_button(self, obj):
        if isinstance(obj, Device):
            self.demand("dcim.delete_device", obj)
            obj.serial = None
            obj.save()
        elif isinstance(obj, Rack):
            self.demand("dcim.change_rack", obj)
            obj.name = f"{obj.name} (empty)"
            obj.save()
        else:
            raise TypeError(f"{type(obj).__name__} is neither a device nor a rack")
        self.logger.info("decommissioned by %s", self.user, extra={"object": obj})

    def demand(self, permission, obj):
        if not self.user.has_perm(permission):
            self.logger.failure("%s lacks %s", self.user, permission, extra={"object": obj})
            raise PermissionError(f"{permission} is needed")


register_jobs(KeepSerialsWellFormed, Inspect, Decommission)
