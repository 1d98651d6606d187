"""Receivers in the style of those that people publish for Nautobot; the tests run them in the daemon and in the kit.

What Django's managers do there (`Device.objects`) is a query of SQLAlchemy's here. The rest is written as there.
"""

from __future__ import annotations

import logging

import pydantic
from sqlalchemy import func, select

import rowhooks
from rowhooks import JobButtonReceiver, JobHookReceiver, register_jobs, table
from rowhooks.choices import ObjectChangeActionChoices

logger = logging.getLogger(__name__)

Device, Location, Interface = table("inv.device"), table("inv.location"), table("inv.interface")
Role, Journal = table("inv.role"), table("inv.journal")

name = "Inventory policies"


class PrefixByLocation(JobHookReceiver):
    """Walks two relations up, and saves the object."""

    def receive_job_hook(self, change, action, changed_object):
        site = changed_object.location.parent or changed_object.location
        prefix = f"{site.name[:3].upper()}-"
        if not changed_object.name.startswith(prefix):
            changed_object.name = f"{prefix}{changed_object.name}"
            changed_object.validated_save()
            self.logger.info("renamed for %s", site, extra={"object": changed_object})


class CreateInterfaces(JobHookReceiver):
    """Creates rows that refer to the changed one, if the reverse set is empty."""

    def receive_job_hook(self, change, action, changed_object):
        if action != ObjectChangeActionChoices.ACTION_CREATE or changed_object.role.name != "switch":
            return
        if changed_object.interface_set.exists():
            return
        for number in range(2):
            interface = Interface(device=changed_object, name=f"eth{number}")
            interface.validated_save()
            self.logger.success("created", extra={"object": interface, "grouping": "interfaces"})


class DisableInterfaces(JobHookReceiver):
    """Goes through a reverse set and saves each row of it."""

    def receive_job_hook(self, change, action, changed_object):
        differences = change.get_snapshots()["differences"]
        if differences["added"].get("status") != "offline":
            return
        for interface in changed_object.interface_set.all():
            interface.enabled = False
            interface.validated_save()
        logger.info("%s of %s are disabled", changed_object.interface_set.count(), changed_object)


class UniqueSerial(JobHookReceiver):
    """Queries the same table for others, and undoes the change."""

    def receive_job_hook(self, change, action, changed_object):
        others = select(Device).where(Device.serial == changed_object.serial, Device.id != changed_object.pk)
        other = self.session.scalars(others).first()
        if other is not None:
            self.logger.failure("%s has it too", other, extra={"object": other})
            changed_object.serial = change.get_snapshots()["differences"]["removed"]["serial"]
            changed_object.save()


class MoveToSpares(JobHookReceiver):
    """Assigns an object to a relation."""

    def receive_job_hook(self, change, action, changed_object):
        changed_object.location = self.session.scalars(select(Location).where(Location.name == "Spares")).one()
        changed_object.role = None
        changed_object.validated_save()


class KeepJournal(JobHookReceiver):
    """Names what a foreign key referred to: what one writes for the nested keys of Nautobot's snapshots."""

    def receive_job_hook(self, change, action, changed_object):
        differences = change.get_snapshots()["differences"]
        before = self.session.get(Location, differences["removed"]["location_id"])
        message = f"{change.changed_object_type.model}: {before.name} -> {change.changed_object.location.name}"
        self.session.add(Journal(device=changed_object, message=message, author=self.job_result.user.username))


class NoteDeletion(JobHookReceiver):
    """Has the row of a deleted object, and looks at what is left."""

    def receive_job_hook(self, change, action, changed_object):
        if action != ObjectChangeActionChoices.ACTION_DELETE:
            return
        left = self.session.scalar(select(func.count()).select_from(Device))
        assert change.changed_object is None
        logger.warning("%s (%s) is gone", change.object_repr, change.object_data["serial"])
        Journal(message=f"{change.object_repr} is gone, {'some' if left else 'none'} left").save()


class Depth(JobHookReceiver):
    """Follows a self reference up, and down by its reverse set."""

    def receive_job_hook(self, change, action, changed_object):
        place, path = changed_object.location, ""
        while place is not None:
            path = f"{place.name} / {path}" if path else place.name
            place = place.parent
        below = sorted(child.name for child in changed_object.location.location_set.all())
        changed_object.comments = f"{path} ({', '.join(below) or 'nothing'} below)"
        changed_object.save()


class RefuseNameless(JobHookReceiver):
    """Logs with the standard logger's names, and fails."""

    def receive_job_hook(self, change, action, changed_object):
        if not changed_object.comments:
            self.logger.warn("%s has no comments", changed_object.pk)
            self.logger.fatal("cannot go on with %s", change)
            raise ValueError("a device needs comments")


class Enrich(JobHookReceiver):
    """The same in `async def`, where relations and saves are awaited."""

    class Meta:
        load = ("location",)

    async def receive_job_hook(self, change, action, changed_object):
        role = await changed_object.awaitable_attrs.role
        changed_object.comments = f"{role.name} in {changed_object.location.name}"
        await changed_object.validated_save()
        logger.info("enriched %s", changed_object.name)


class Reboot(JobButtonReceiver):
    """Starts another job with arguments."""

    def receive_job_button(self, obj):
        if not self.user.has_perm("inv.change_device"):
            raise PermissionError(f"{self.user.username} may not reboot {obj}")
        rowhooks.press(self.session, "Provision", "inv.device", obj.pk, inputs={"template": "base"})
        self.logger.info("reboot ordered by %s", self.job_result.user.username, extra={"object": obj})


class Provision(JobButtonReceiver):
    """Has arguments."""

    class Inputs(pydantic.BaseModel):
        template: str
        retries: int = 3

    inputs: Inputs

    def receive_job_button(self, obj):
        obj.comments = f"{self.inputs.template}, {self.inputs.retries} retries"
        obj.validated_save()


class Retire(JobButtonReceiver):
    """Means another thing for each table, deletes rows and goes on after an error."""

    def receive_job_button(self, obj):
        if isinstance(obj, Device):
            obj.status = "retired"
            obj.save()
            for interface in obj.interface_set.all():
                interface.delete()
        elif isinstance(obj, Location):
            try:
                with self.session.begin_nested():
                    obj.delete()
            except Exception:
                self.logger.exception("%s is in use", obj)


class Helper:
    """A class that is no job."""


register_jobs(
    PrefixByLocation, CreateInterfaces, DisableInterfaces, UniqueSerial, MoveToSpares, KeepJournal, NoteDeletion, Depth,
    RefuseNameless, Enrich, Reboot, Provision, Retire,
    Helper,  # type: ignore[arg-type]
)  # fmt: skip
