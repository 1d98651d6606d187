"""Receivers whose runs a test watches in the console: what they wait for, the test opens through the database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Literal

import psycopg
from pydantic import BaseModel, Field
from sqlalchemy import text

from rowhooks import JobButtonReceiver, JobHookReceiver, table

Device, Location = table("inv.device"), table("inv.location")

STEPS = 3
"""How many steps Provision has; before each of them it waits for its gate."""
_GATE = 1801
"""The first half of the keys of the advisory locks that are gates; the second is the number of the step."""


class Provision(JobButtonReceiver):
    """Logs line by line, and waits for a gate before each step."""

    class Inputs(BaseModel):
        template: Literal["base", "edge"]
        retries: int = Field(default=3, ge=0, le=9)
        note: str | None = Field(default=None, max_length=200)

    inputs: Inputs

    def receive_job_button(self, obj: Any) -> None:
        for step in range(1, STEPS + 1):
            self.logger.info("step %d of %d on %s", step, STEPS, obj)
            self.session.execute(text(f"select pg_advisory_xact_lock_shared({_GATE}, {step})"))
        obj.comments = f"{self.inputs.template}, {self.inputs.retries} retries"
        obj.save()
        self.logger.success("provisioned", extra={"object": obj})


class Calibrate(JobButtonReceiver):
    """Fails until the device has a serial."""

    def receive_job_button(self, obj: Any) -> None:
        if obj.serial is None:
            self.logger.warning("%s does not answer", obj)
            raise RuntimeError(f"no serial on {obj}")
        obj.comments = "calibrated"
        obj.save()


class NoteStatus(JobHookReceiver):
    """Writes what became of a device into the journal."""

    def receive_job_hook(self, change: Any, action: str, changed_object: Any) -> None:
        if "status" in (change.get_snapshots()["differences"]["added"] or {}):
            self.session.execute(
                text("insert into inv.journal (device_id, message) values (:device, :message)"),
                {"device": changed_object.id, "message": f"{changed_object.name} is {changed_object.status}"},
            )
            self.logger.info("%s is %s", changed_object, changed_object.status)


# As in the documentation of Nautobot's job buttons, with the tables of an inventory of ours.


class ExampleSimpleJobButtonReceiver(JobButtonReceiver):
    class Meta:
        name = "Example Simple Job Button Receiver"

    def receive_job_button(self, obj: Any) -> None:
        self.logger.info("Running Job Button Receiver.", extra={"object": obj})


class ExampleComplexJobButtonReceiver(JobButtonReceiver):
    class Meta:
        name = "Example Complex Job Button Receiver"

    def _run_location_job(self, obj: Any) -> None:
        self.logger.info("Running Location Job Button Receiver.", extra={"object": obj})

    def _run_device_job(self, obj: Any) -> None:
        self.logger.info("Running Device Job Button Receiver.", extra={"object": obj})

    def receive_job_button(self, obj: Any) -> None:
        user = self.user
        if isinstance(obj, Location):
            if not user.has_perm("inv.add_location"):
                self.logger.error("User '%s' does not have permission to add a Location.", user, extra={"object": obj})
                raise Exception("User does not have permission to add a Location.")  # noqa: TRY002
            self._run_location_job(obj)
        elif isinstance(obj, Device):
            if not user.has_perm("inv.add_device"):
                self.logger.error("User '%s' does not have permission to add a Device.", user, extra={"object": obj})
                raise Exception("User does not have permission to add a Device.")  # noqa: TRY002
            self._run_device_job(obj)
        else:
            self.logger.error("Unable to run Job Button for type %s.", type(obj).__name__, extra={"object": obj})
            raise Exception("Job button called on unsupported object type.")  # noqa: TRY002, TRY004


RECEIVERS = (Provision, Calibrate, NoteStatus, ExampleSimpleJobButtonReceiver, ExampleComplexJobButtonReceiver)


class Gates:
    """The gates before the steps of Provision, which are closed until they are opened.

    Args:
        conn: a connection that holds them.
    """

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self._conn = conn

    def open(self, step: int) -> None:
        """Let runs go past a step."""
        self._conn.execute("select pg_advisory_unlock(%s, %s)", (_GATE, step))


@contextlib.contextmanager
def closed_gates(dsn: str) -> Iterator[Gates]:
    """Let the runs of Provision wait at each step until its gate is opened; all are open after the block."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        for step in range(1, STEPS + 1):
            conn.execute("select pg_advisory_lock(%s, %s)", (_GATE, step))
        yield Gates(conn)
