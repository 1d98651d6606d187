"""What a type checker makes of users' code: checked by `make check`, and never run.

Where the public API promises a type, `assert_type` names it. Where it promises an error, a `type: ignore` with that
error's code stands; mypy complains as soon as there is nothing left to ignore.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, assert_type

import asyncpg
import psycopg
import psycopg2.extensions
import sqlalchemy
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session

import rowhooks
from rowhooks import (
    Hook,
    JobButtonReceiver,
    JobHookReceiver,
    ObjectChange,
    PermissionBackend,
    press,
    press_many,
    register_jobs,
    table,
)
from rowhooks.testing import GivenPermissions, Rehearsal, RunReport, press_button, run_hook

Device = table("dcim.device")
assert_type(rowhooks.__version__, str)


# Pressing a button.


def press_and_wait(
    driver: psycopg.Connection[Any],
    connection: sqlalchemy.Connection,
    session: Session,
    scoped: scoped_session[Session],
    older_driver: psycopg2.extensions.connection,
) -> None:
    assert_type(press(driver, "Reboot", "dcim.device", 42), int)
    assert_type(press(connection, "Reboot", "dcim.device", {"rack": 1, "slot": 2}), int)
    assert_type(press(session, "Reboot", "dcim.device", 42, idempotency_key="once"), int)
    assert_type(press(scoped, "Reboot", "dcim.device", 42), int)
    assert_type(press(older_driver, "Reboot", "dcim.device", 42), int)
    assert_type(press(driver, "Reboot", "dcim.device", 42, inputs={"size": 3}), int)
    assert_type(press(driver, "Reboot", "dcim.device", 42, inputs=Resize.Inputs(size=3)), int)
    assert_type(press_many(session, "Reboot", "dcim.device", [42, {"id": 43}], inputs={"size": 3}), int)
    press(driver, "Reboot", "dcim.device", 42, inputs=3)  # type: ignore[call-overload]
    press(driver, "Reboot", "dcim.device")  # type: ignore[call-overload]
    press(driver, "Reboot", "dcim.device", 42, "once")  # type: ignore[call-overload]
    press("dbname=app", "Reboot", "dcim.device", 42)  # type: ignore[call-overload]


async def press_and_await(
    driver: psycopg.AsyncConnection[Any],
    other_driver: asyncpg.Connection,
    connection: AsyncConnection,
    session: AsyncSession,
    scoped: async_scoped_session[AsyncSession],
) -> None:
    pressed = press(driver, "Reboot", "dcim.device", 42)
    assert_type(pressed, Awaitable[int])
    assert_type(await pressed, int)
    assert_type(await press(connection, "Reboot", "dcim.device", 42), int)
    assert_type(await press_many(driver, "Reboot", "dcim.device", range(3)), int)
    assert_type(await press(session, "Reboot", "dcim.device", 42), int)
    assert_type(await press(scoped, "Reboot", "dcim.device", 42, idempotency_key="once"), int)
    await press(other_driver, "Reboot", "dcim.device", 42)


# Receivers, sync and async; what they are given, and what they have.


class Keep(JobHookReceiver):
    class Meta:
        name = "Keep"
        description = "Keeps serials in their form."
        hooks = (Hook("dcim.device", Device, actions=["update"], columns=["serial"], enabled=False),)
        max_retries = 3

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        assert_type(change.id, int)
        assert_type(change.action, str)
        assert_type(change.changed_object_id, dict[str, Any])
        assert_type(change.prechange, dict[str, Any] | None)
        assert_type(change.after, dict[str, Any] | None)
        assert_type(change.changed("serial"), bool)
        assert_type(change.changed_columns, list[str])
        assert_type(change.get_snapshots(), dict[str, Any])
        assert_type(self.job_result.id, int)
        assert_type(self.job_result.key, str)
        assert_type(self.job_result.attempt, int)
        assert_type(self.user.username, str)
        self.logger.info("%s", action, extra={"object": changed_object})
        self.logger.success("done")
        self.logger.failure("not done")
        self.fail("%s is no serial", changed_object)
        if isinstance(changed_object, Device):
            changed_object.save()
        other = self.session.scalars(select(Device).where(Device.name == "sw1")).one()
        self.session.get(Device, other.pk).validated_save()
        Device(name="sw2", location=other.location).save()


class KeepAsynchronously(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> dict[str, int]:
        await changed_object.save()
        return {"change": change.id}


class KeepMany(JobHookReceiver):
    def receive_job_hooks(self, changes: list[ObjectChange]) -> None:
        assert_type(changes[0], ObjectChange)


class Reboot(JobButtonReceiver):
    def receive_job_button(self, obj: Any) -> str:
        return str(obj)


class Resize(JobButtonReceiver):
    class Inputs(BaseModel):
        size: int
        colour: str | None = None

    inputs: Inputs

    def receive_job_button(self, obj: Any) -> int:
        assert_type(self.inputs, Resize.Inputs)
        assert_type(self.inputs.colour, str | None)
        self.inputs.sise  # type: ignore[attr-defined]  # noqa: B018
        return self.inputs.size


class RebootAsynchronously(JobButtonReceiver):
    async def receive_job_button(self, obj: Any) -> None:
        await obj.refresh_from_db()


# The session's type follows from the receiver's own method.


class Queries(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        assert_type(self.session, Session)
        self.helps()

    def helps(self) -> None:
        assert_type(self.session, Session)
        self.session.exectue()  # type: ignore[attr-defined]


class QueriesAsynchronously(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> dict[str, int]:
        assert_type(self.session, AsyncSession)
        self.session.execute(sqlalchemy.text("select 1"))  # type: ignore[unused-coroutine]
        return {}


class QueriesForMany(JobHookReceiver):
    async def receive_job_hooks(self, changes: list[ObjectChange]) -> None:
        assert_type(self.session, AsyncSession)


class QueriesForManyInAThread(JobHookReceiver):
    def receive_job_hooks(self, changes: list[ObjectChange]) -> None:
        assert_type(self.session, Session)


class QueriesAtAPress(JobButtonReceiver):
    def receive_job_button(self, obj: Any) -> str:
        assert_type(self.session, Session)
        return ""


class QueriesAtAPressAsynchronously(JobButtonReceiver):
    async def receive_job_button(self, obj: Any) -> str:
        assert_type(self.session, AsyncSession)
        return ""


class QueriesInItsOwnRun(JobButtonReceiver):
    async def run(self, object_pk: Any, object_model_name: str) -> str:
        assert_type(self.session, AsyncSession)
        return ""


class ABase(JobHookReceiver):
    def helps(self) -> None:
        assert_type(self.session, Any)


class NotAnnotated(JobHookReceiver):
    def receive_job_hook(self, change, action, changed_object):  # type: ignore[no-untyped-def]
        return 1

    def helps(self) -> None:
        assert_type(self.session, Any)


class NoReceiver:
    pass


class Ours(PermissionBackend):
    def has_perm(self, session: Any, username: str, permission: str, obj: Any = None) -> bool:
        return permission in self.held

    held: frozenset[str] = frozenset()


def register() -> None:
    register_jobs(Keep, KeepAsynchronously, KeepMany, Reboot, RebootAsynchronously)
    register_jobs(NoReceiver)  # type: ignore[arg-type]
    register_jobs(Keep())  # type: ignore[arg-type]
    Hook("dcim.device", action="update")  # type: ignore[call-arg]


# The testing kit.


def rehearse() -> None:
    assert_type(run_hook(Keep, table="dcim.device", before={"id": 1}, after={"id": 1, "serial": "x"}), RunReport)
    assert_type(run_hook(KeepAsynchronously, table=Device, user="ada", permissions=["dcim.change_device"]), RunReport)
    assert_type(press_button(Reboot, table=Device, key=42, dsn="dbname=app", permissions=Ours()), RunReport)
    run_hook(Reboot, table=Device)  # type: ignore[arg-type]
    press_button(Resize, table=Device, key=42, inputs={"size": 3})
    press_button(Keep, table=Device)  # type: ignore[arg-type]
    run_hook(Keep)  # type: ignore[call-arg]
    run_hook(Keep, table=Device, row={"id": 1})  # type: ignore[call-arg]
    with Rehearsal("dbname=app") as rehearsal:
        assert_type(rehearsal, Rehearsal)
        report = rehearsal.run_hook(Keep, table=Device, permissions=GivenPermissions(["dcim.view_device"]), attempts=2)
        assert_type(report, RunReport)
        assert_type(report.status, str | None)
