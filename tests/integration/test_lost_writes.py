"""Writes that would be lost: each of them is a FAILURE that says so, and never a SUCCESS."""

from __future__ import annotations

import asyncio
import copy
import threading
from typing import Any, ClassVar

import psycopg
import pytest
from sqlalchemy import text

from rowhooks import JobHookReceiver, ObjectChange
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import eventually, settled

Connection = psycopg.Connection[Any]
UPDATE = "update dcim.device set serial = 'lost'"


class Hook(JobHookReceiver):
    """A receiver that does what a subclass's `act` does; how the run ends is one row of a table of expectations."""

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        return await self.act(changed_object)

    async def act(self, row: Any) -> Any:
        raise NotImplementedError


class ForgetsSave(Hook):
    async def act(self, row: Any) -> None:
        row.serial = "lost"
        row.save()


class ForgetsDelete(Hook):
    async def act(self, row: Any) -> None:
        row.delete()


class ForgetsRefresh(Hook):
    async def act(self, row: Any) -> None:
        row.refresh_from_db()


class ReturnsSave(Hook):
    async def act(self, row: Any) -> Any:
        row.serial = "lost"
        return row.save()


class ForgetsOneOfTwo(Hook):
    async def act(self, row: Any) -> Any:
        row.name = "undone"
        await row.save()
        row.serial = "lost"
        row.save()


class ForgetsExecute(Hook):
    async def act(self, row: Any) -> Any:
        self.session.execute(text(UPDATE))  # type: ignore[unused-coroutine]


class ForgetsInAThread(Hook):
    async def act(self, row: Any) -> Any:
        row.serial = "lost"
        await asyncio.to_thread(row.save)


class ForgetsInOnSuccess(Hook):
    async def act(self, row: Any) -> Any:
        self.row = row

    def on_success(self, retval: Any, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.row.serial = "lost"
        self.row.save()


class ForgetsTheTask(Hook):
    async def act(self, row: Any) -> Any:
        row.serial = "lost"
        self.task = asyncio.create_task(row.save())


class LeavesASlowTask(Hook):
    async def act(self, row: Any) -> Any:
        self.task = asyncio.create_task(self.session.execute(text(f"with w as (select pg_sleep(60)) {UPDATE} from w")))
        await asyncio.sleep(0)


FORGETFUL = {
    ForgetsSave: "save() of <dcim.device sw1> was called without await, and did nothing",
    ForgetsDelete: "delete() of <dcim.device sw1> was called without await, and did nothing",
    ForgetsRefresh: "refresh_from_db() of <dcim.device sw1> was called without await, and did nothing",
    ReturnsSave: "save() of <dcim.device sw1> was called without await, and did nothing",
    ForgetsOneOfTwo: "save() of <dcim.device undone> was called without await, and did nothing",
    ForgetsExecute: "self.session.execute() was called without await, and did nothing",
    ForgetsInAThread: "save() of <dcim.device sw1> was called without await, and did nothing",
    ForgetsInOnSuccess: "save() of <dcim.device sw1> was called without await, and did nothing",
    ForgetsTheTask: "save() of <dcim.device sw1> was called without await, and did nothing",
    LeavesASlowTask: "self.session.execute() still went on when the receiver had returned, and was given up",
}


class AwaitsInOddWays(Hook):
    """What was awaited, in whichever way, is no failure."""

    async def act(self, row: Any) -> Any:
        row.serial = "a"
        await asyncio.wait_for(row.save(), 60)
        row.serial = "b"
        await asyncio.create_task(row.save())
        row.serial = "c"
        await asyncio.gather(row.save())
        async with asyncio.TaskGroup() as group:
            group.create_task(row.refresh_from_db())
        row.save().close()
        self.session.add(row)
        row.name = "saved by the run"
        return (await self.session.execute(text("select 1"))).scalar_one()


async def test_a_call_that_an_async_receiver_does_not_await_is_a_failure_that_names_it(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    receivers = [*FORGETFUL, AwaitsInOddWays]
    db.execute("insert into dcim.device values (1, 'sw1', 'SN')")
    for receiver in receivers:
        add_hook(db, receiver, device, "update")
    async with running_daemon(daemon_dsn, *receivers):
        db.execute("update dcim.device set serial = 'new'")
        await settled(db)
    found = db.execute(
        "select hook_name, status, exception_message, result from rowhooks.results order by hook_name"
    ).fetchall()
    way_out = "(await it before the receiver returns)"
    expected = [(cls.__name__, "FAILURE", f"{message} {way_out}", None) for cls, message in FORGETFUL.items()]
    assert found == sorted([*expected, ("AwaitsInOddWays", "SUCCESS", None, 1)])
    assert db.execute("select name, serial from dcim.device").fetchall() == [("saved by the run", "c")]


class Late(Hook):
    """Goes on after its run has ended."""

    ended: ClassVar[asyncio.Event]
    seen: ClassVar[list[BaseException]]

    async def act(self, row: Any) -> Any:
        await row.refresh_from_db()
        self.task = asyncio.create_task(self.write(row))

    async def write(self, row: Any) -> None:
        await self.ended.wait()
        row.serial = "lost"
        for work in (row.save, lambda: self.session.execute(text(UPDATE))):
            try:
                await work()
            except Exception as error:
                self.seen.append(error)


class LateThread(JobHookReceiver):
    """The same in a thread, also with a session that it had asked for before."""

    ended: ClassVar[threading.Event]
    seen: ClassVar[list[BaseException]]

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        changed_object.refresh_from_db()
        threading.Thread(target=self.write, args=(changed_object, self.session), daemon=True).start()

    def write(self, row: Any, session: Any) -> None:
        self.ended.wait()
        row.serial = "lost"
        for work in (row.save, lambda: session.execute(text(UPDATE))):
            try:
                work()
            except Exception as error:
                self.seen.append(error)


@pytest.mark.parametrize(("receiver", "event"), [(Late, asyncio.Event), (LateThread, threading.Event)])
async def test_what_a_receiver_writes_after_its_run_has_ended_is_refused_and_logged(
    db: Connection, daemon_dsn: str, device: str, receiver: Any, event: Any, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.ended, receiver.seen = event(), []
    add_hook(db, receiver, device)
    async with running_daemon(daemon_dsn, receiver):
        db.execute("insert into dcim.device values (1, 'sw1', 'SN')")
        await settled(db)
        receiver.ended.set()
        await eventually(lambda: len(receiver.seen) == 2)
    assert {str(error).partition(":")[0] for error in receiver.seen} == {"the run has ended, and with it its session"}
    assert sum("uses its session after its run has ended" in line for line in caplog.messages) == 2
    assert db.execute("select serial from dcim.device").fetchall() == [("SN",)]


class Mistypes(JobHookReceiver):
    """Assigns what is no column, in as many ways as there are rows."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        setattr(changed_object, change.object_repr, "lost")
        changed_object.save()


async def test_assigning_what_is_no_column_is_refused_with_the_nearest_names(db: Connection, daemon_dsn: str) -> None:
    db.execute("create table rack (name text primary key, status_id text, save text)")
    db.execute("select rowhooks.track('rack')")
    db.execute("grant select, update on rack to rowhooks_daemon")
    add_hook(db, Mistypes, "rack")
    refused = {
        "status": "(nearest: status_id)", "save": "(nearest: save_)", "Name": "(nearest: name)",
        "zzz": "(columns: name, status_id, save_)", "pk": "(columns: name, status_id, save_)",
    }  # fmt: skip
    async with running_daemon(daemon_dsn, Mistypes):
        for name in (*refused, "status_id", "_note"):
            db.execute("insert into rack values (%s)", (name,))
        await settled(db)
    found = dict(db.execute("select object_repr, exception_message from rowhooks.results").fetchall())
    assert found == {
        **{name: f"public.rack has no column {name!r}, which could be saved {said}" for name, said in refused.items()},
        "status_id": None,
        "_note": None,
    }


class Writes(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        if (change.object_data or {})["serial"] == "delete":
            changed_object.delete()
        else:
            changed_object.serial = "saved"
            changed_object.save()


class WritesAsynchronously(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        if (change.object_data or {})["serial"] == "delete":
            await changed_object.delete()
        else:
            changed_object.serial = "saved"
            await changed_object.save()


@pytest.mark.parametrize("receiver", [Writes, WritesAsynchronously])
async def test_a_write_that_a_trigger_or_a_rule_suppresses_says_so_and_not_that_the_row_is_gone(
    db: Connection, daemon_dsn: str, device: str, receiver: type
) -> None:
    db.execute("create function refuse() returns trigger language plpgsql as $$ begin return null; end $$")
    db.execute("create trigger keep before update or delete on dcim.device for each row execute function refuse()")
    db.execute('create trigger "Off" before update on dcim.device for each row execute function refuse()')
    db.execute('alter table dcim.device disable trigger "Off"')
    db.execute("create table ruled (id integer primary key, name text, serial text)")
    db.execute('create rule "do nothing" as on update to ruled do instead nothing')
    db.execute("select rowhooks.track('ruled')")
    db.execute("grant select, update, delete on ruled to rowhooks_daemon")
    add_hook(db, receiver, device)
    add_hook(db, receiver, "ruled", name="ruled")
    async with running_daemon(daemon_dsn, receiver):
        for name, serial in [("a", "SN"), ("b", "delete")]:
            db.execute("insert into dcim.device values (%s, %s, %s)", (ord(name), name, serial))
        db.execute("insert into ruled values (1, 'c', 'SN')")
        await settled(db)
    found = db.execute("select object_repr, status, exception_message from rowhooks.results order by 1").fetchall()
    said = "wrote nothing, though the row is there: suppressed by"
    look = "(look at the table's triggers and rules: in psql, \\d"
    assert found == [
        ("a", "FAILURE", f"UPDATE of <dcim.device a> {said} trigger keep {look} dcim.device)"),
        ("b", "FAILURE", f"DELETE of <dcim.device b> {said} trigger keep {look} dcim.device)"),
        ("c", "FAILURE", f'UPDATE of <public.ruled c> {said} rule "do nothing" {look} public.ruled)'),
    ]


class DeletesFirst(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.session.execute(text("delete from dcim.device"))
        changed_object.serial = "lost"
        changed_object.save()


async def test_a_row_that_the_run_itself_has_deleted_is_gone_and_not_suppressed(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    db.execute("create function pass() returns trigger language plpgsql as $$ begin return new; end $$")
    db.execute("create trigger pass before update on dcim.device for each row execute function pass()")
    add_hook(db, DeletesFirst, device)
    async with running_daemon(daemon_dsn, DeletesFirst):
        db.execute("insert into dcim.device values (1, 'sw1', 'SN')")
        await settled(db)
    assert db.execute("select exception_message from rowhooks.results").fetchall() == [
        ("<dcim.device sw1> no longer exists",)
    ]


async def test_a_deletion_that_a_policy_keeps_from_happening_names_the_policy(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    db.execute("alter table dcim.device enable row level security")
    db.execute("create policy seen on dcim.device for select using (true)")
    db.execute("create policy kept on dcim.device for delete using (false)")
    add_hook(db, Writes, device)
    async with running_daemon(daemon_dsn, Writes, row_security=True):
        db.execute("insert into dcim.device values (1, 'sw1', 'delete')")
        await settled(db)
    ((status, message),) = db.execute("select status, exception_message from rowhooks.results").fetchall()
    assert status == "FAILURE"
    assert "<dcim.device sw1> is not found or may not be written: row security of dcim.device binds" in message
    assert "policies: kept, seen" in message


class SavesAfterDelete(Hook):
    async def act(self, row: Any) -> None:
        await row.delete()
        row.serial = "lost"
        await row.save()


class RefreshesAfterDelete(Hook):
    async def act(self, row: Any) -> None:
        await row.delete()
        await row.refresh_from_db()


class SavesACopy(Hook):
    async def act(self, row: Any) -> None:
        other = copy.copy(row)
        other.serial = "lost"
        await other.save()


class ReturnsACoroutine(Hook):
    async def act(self, row: Any) -> Any:
        return super().act(row)


class Yields(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        changed_object.serial = "lost"
        changed_object.save()
        yield changed_object


class YieldsAsynchronously(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        changed_object.serial = "lost"
        await changed_object.save()
        yield changed_object


class DeletesTwice(Hook):
    async def act(self, row: Any) -> None:
        try:
            async with self.session.begin_nested():
                await row.delete()
                raise KeyError
        except KeyError:
            # It is there again.
            row.serial = "saved"
            await row.save()
        await row.delete()
        await row.delete()


YIELDED = "the receiver returned a generator (`yield`): the rest of its code has not run"
NOT_DONE = {
    SavesAfterDelete: "<dcim.device sw1> no longer exists: this run has deleted it",
    RefreshesAfterDelete: "<dcim.device sw1> no longer exists: this run has deleted it",
    SavesACopy: "<dcim.device sw1> is a copy of the row, which cannot be used for save()",
    ReturnsACoroutine: "the receiver returned a coroutine that was not awaited: none of its code has run",
    Yields: YIELDED,
    YieldsAsynchronously: YIELDED,
}


async def test_what_cannot_be_done_any_more_or_is_not_done_at_all_is_a_failure(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    db.execute("insert into dcim.device values (1, 'sw1', 'SN')")
    for receiver in NOT_DONE:
        add_hook(db, receiver, device, "update")
    add_hook(db, DeletesTwice, device, "create")
    async with running_daemon(daemon_dsn, *NOT_DONE, DeletesTwice):
        db.execute("update dcim.device set serial = 'new'")
        db.execute("insert into dcim.device values (2, 'sw2', 'SN')")
        await settled(db)
    found = db.execute("select hook_name, status, exception_message from rowhooks.results").fetchall()
    expected = [(cls.__name__, "FAILURE", message) for cls, message in NOT_DONE.items()]
    assert sorted(found) == sorted([*expected, ("DeletesTwice", "SUCCESS", None)])
    assert db.execute("select name, serial from dcim.device").fetchall() == [("sw1", "new")]


class DeletesByItsSession(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.session.delete(changed_object)


async def test_a_deletion_by_the_session_that_a_trigger_suppresses_says_so(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    db.execute("create function refuse() returns trigger language plpgsql as $$ begin return null; end $$")
    db.execute(
        "create trigger keep before delete on dcim.device"
        " for each row when (old.name = 'kept') execute function refuse()"
    )
    add_hook(db, DeletesByItsSession, device, "create")
    async with running_daemon(daemon_dsn, DeletesByItsSession):
        db.execute("insert into dcim.device values (1, 'kept'), (2, 'not kept')")
        await settled(db)
    assert db.execute("select status, exception_message from rowhooks.results order by object_repr").fetchall() == [
        (
            "FAILURE",
            "DELETE of <dcim.device kept> wrote nothing, though the row is there: suppressed by trigger keep"
            " (look at the table's triggers and rules: in psql, \\d dcim.device)",
        ),
        ("SUCCESS", None),
    ]
