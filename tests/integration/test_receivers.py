"""What a receiver can do, and what becomes of what it does."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, ClassVar

import psycopg
import pytest
from sqlalchemy import text

from rowhooks import JobHookReceiver, ObjectChange, table
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import eventually, is_read, settled

Connection = psycopg.Connection[Any]

Device = table("dcim.device")
APPEND = text("update dcim.device set serial = serial || '.'")


def results(db: Connection) -> list[tuple[Any, ...]]:
    return db.execute("select hook_name, action, status from rowhooks.results order by id").fetchall()


def device_row(db: Connection, number: int = 1) -> tuple[Any, ...] | None:
    return db.execute("select name, serial from dcim.device where id = %s", (number,)).fetchone()


class Plain(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        if action == "delete":
            assert changed_object is None
            return "gone"
        assert isinstance(changed_object, Device)
        assert not isinstance(changed_object, table("dcim.site"))
        changed_object.serial = f"{changed_object.serial}!"
        changed_object.save()
        changed_object.refresh_from_db()
        return {"serial": changed_object.serial, "repr": str(changed_object)}


class Asynchronous(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        if action == "delete":
            assert changed_object is None
            return "gone"
        changed_object.serial = f"{changed_object.serial}!"
        await changed_object.save()
        await changed_object.refresh_from_db()
        await self.session.execute(text("select 1"))
        return {"serial": changed_object.serial, "repr": str(changed_object)}


class Noting(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.session.execute(APPEND)
        self.logger.info("noted \u00e9\n")


class AsynchronouslyNoting(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        await self.session.execute(APPEND)
        self.logger.info("noted \u00e9\n")


@pytest.mark.parametrize("receiver", [Plain, Asynchronous])
async def test_a_receiver_reads_saves_and_refreshes_the_changed_object(
    db: Connection, daemon_dsn: str, device: str, receiver: type
) -> None:
    add_hook(db, receiver, device)
    async with running_daemon(daemon_dsn, receiver):
        db.execute("insert into dcim.device values (1, 'sw1', 'SN')")
        await settled(db)
        db.execute("delete from dcim.device")
        await settled(db)
    assert db.execute("select result from rowhooks.results order by id").fetchall() == [
        ({"serial": "SN!", "repr": "sw1"},),
        ("gone",),
    ]
    assert [row[2] for row in results(db)] == ["SUCCESS", "SUCCESS"]


async def test_results_and_log_lines_are_recorded_where_libpq_has_no_pipeline(
    db: Connection, daemon_dsn: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psycopg.Pipeline, "is_supported", lambda: False)
    for receiver in (Noting, AsynchronouslyNoting):
        add_hook(db, receiver, device)
    async with running_daemon(daemon_dsn, Noting, AsynchronouslyNoting):
        db.execute("insert into dcim.device values (1, 'sw1', 'SN')")
        await settled(db)
    assert [row[2] for row in results(db)] == ["SUCCESS", "SUCCESS"]
    assert db.execute("select message from rowhooks.job_log_entry").fetchall() == [("noted \u00e9\n",)] * 2
    assert device_row(db) == ("sw1", "SN..")


async def test_a_row_that_refers_to_another_table_is_saved(db: Connection, daemon_dsn: str) -> None:
    db.execute("create table site (id integer primary key)")
    db.execute("create table rack (id integer primary key, site_id integer references site, serial text, parent integer"
               " references rack)")  # fmt: skip
    db.execute("select rowhooks.track('rack')")
    db.execute("grant select, update on rack to rowhooks_daemon")
    add_hook(db, Saves, "rack")
    async with running_daemon(daemon_dsn, Saves):
        db.execute("insert into site values (1)")
        db.execute("insert into rack values (1, 1, 'SN', null), (2, 1, 'SN', 1)")
        await settled(db)
    assert db.execute("select serial from rack").fetchall() == [("saved",), ("saved",)]


class Saves(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        changed_object.serial = "saved"
        changed_object.save()


class Deleter(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        await changed_object.delete()


class PlainDeleter(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        changed_object.delete()


@pytest.mark.parametrize("receiver", [Deleter, PlainDeleter])
async def test_a_receiver_deletes_the_row_and_the_deletion_starts_nothing(
    db: Connection, daemon_dsn: str, device: str, receiver: type
) -> None:
    add_hook(db, receiver, device)
    async with running_daemon(daemon_dsn, receiver):
        db.execute("insert into dcim.device values (1, 'sw1', 'SN')")
        await settled(db)
    assert device_row(db) is None
    assert [row[1:] for row in results(db)] == [("create", "SUCCESS")]


class Raises(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.logger.warning("about to fail")
        changed_object.serial = "half done"
        changed_object.save()
        raise ValueError("no\x00good")


async def test_a_failure_rolls_back_the_receivers_writes_and_keeps_its_log_and_traceback(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Raises, device)
    async with running_daemon(daemon_dsn, Raises):
        db.execute("insert into dcim.device values (1, 'sw1', 'SN')")
        await settled(db)
    assert device_row(db) == ("sw1", "SN")
    row = db.execute("select status, exception_type, exception_message, traceback from rowhooks.results").fetchone()
    assert row is not None
    assert row[:3] == ("FAILURE", "ValueError", "no\ufffdgood")
    assert "in receive_job_hook" in row[3]
    assert db.execute("select level, message from rowhooks.job_log_entry").fetchall() == [("warning", "about to fail")]


class Exits(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        sys.exit(3)


class ExitsAsynchronously(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        sys.exit(3)


class ClosesItsSession(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.session.connection().connection.driver_connection.close()
        raise RuntimeError("closed")


class CancelsItself(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        raise asyncio.CancelledError


class CancelsItsThread(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        raise asyncio.CancelledError


class RaisesGeneratorExit(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        raise GeneratorExit


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class CannotBeFormatted(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        raise SyntaxError("bad", ("f", 1, 1, "text"))


class ForgetsToAwait(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        return asyncio.sleep(0)


class Unspeakable(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        raise UnspeakableError


class ReturnsWhatJsonbCannotHold(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.logger.info("\ud800 and \x00")
        return {"\x00": "\ud800", "n": 1.5}


class ReturnsNonsense(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        return object()


class CannotBeMade(JobHookReceiver):
    def __init__(self) -> None:
        raise OSError("no")

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        raise AssertionError("never called")


class AltersTheChange(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        assert change.postchange is not None
        change.postchange.clear()
        changed_object.name = "mine"


class Fine(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        assert change.postchange is not None
        return [change.postchange["name"], changed_object.name]


async def test_a_bad_receiver_costs_its_own_run_and_no_other(db: Connection, daemon_dsn: str, device: str) -> None:
    failing = [
        Exits, ExitsAsynchronously, ClosesItsSession, CannotBeMade, CancelsItself, CancelsItsThread,
        RaisesGeneratorExit, Unspeakable,
        ForgetsToAwait,
        CannotBeFormatted,
    ]  # fmt: skip
    receivers = [*failing, ReturnsNonsense, ReturnsWhatJsonbCannotHold, AltersTheChange, Fine]
    for receiver in receivers:
        add_hook(db, receiver, device)
    async with running_daemon(daemon_dsn, *receivers):
        for number in (1, 2):
            db.execute("insert into dcim.device values (%s, 'sw1', 'SN')", (number,))
        await settled(db)
    expected = {job.__name__: "FAILURE" if job in failing else "SUCCESS" for job in receivers}
    assert sorted((name, status) for name, _, status in results(db)) == sorted(list(expected.items()) * 2)
    odd = db.execute("select result from rowhooks.results where hook_name like 'ReturnsWhat%'").fetchall()
    assert odd == [({"\ufffd": "?", "n": 1.5},)] * 2
    assert (
        db.execute("select result from rowhooks.results where hook_name = 'Fine'").fetchall() == [(["sw1", "sw1"],)] * 2
    )


class Slow(JobHookReceiver):
    release: asyncio.Event

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        await self.release.wait()


async def test_a_run_that_takes_longer_than_a_second_is_recorded_as_started_and_holds_nothing_back(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    Slow.release = asyncio.Event()
    add_hook(db, Slow, device, "create")
    add_hook(db, Fine, device, "update")
    async with running_daemon(daemon_dsn, Slow, Fine):
        db.execute("insert into dcim.device values (1, 'sw1', 'SN')")
        db.execute("update dcim.device set name = 'sw2'")
        await eventually(lambda: ("Slow", "create", "STARTED") in results(db))
        # The position moves behind both changes although the first one's run goes on.
        await eventually(lambda: is_read(db))
        Slow.release.set()
        await settled(db)
    assert ("Slow", "create", "SUCCESS") in results(db)


class Ordered(JobHookReceiver):
    seen: ClassVar[list[tuple[int, str]]] = []

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        assert change.postchange is not None
        serial = change.postchange["serial"]
        # Earlier changes take longer: without lanes the later ones would overtake them.
        await asyncio.sleep(0.02 if int(serial) % 2 else 0)
        self.seen.append((change.changed_object_id["id"], serial))


async def test_runs_of_one_hook_and_object_happen_in_change_order(db: Connection, daemon_dsn: str, device: str) -> None:
    Ordered.seen.clear()
    add_hook(db, Ordered, device, "update")
    db.execute("insert into dcim.device select n, 'sw', '0' from generate_series(1, 5) as n")
    for serial in range(1, 20):
        db.execute("update dcim.device set serial = %s", (str(serial),))
    async with running_daemon(daemon_dsn, Ordered):
        await settled(db)
    for number in range(1, 6):
        assert [serial for found, serial in Ordered.seen if found == number] == [str(n) for n in range(1, 20)]


class Barrier(JobHookReceiver):
    together: asyncio.Barrier

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        await self.together.wait()


async def test_runs_of_different_objects_happen_side_by_side(db: Connection, daemon_dsn: str, device: str) -> None:
    Barrier.together = asyncio.Barrier(8)
    add_hook(db, Barrier, device)
    async with running_daemon(daemon_dsn, Barrier):
        db.execute("insert into dcim.device select n, 'sw', '0' from generate_series(1, 8) as n")
        await settled(db)
    assert [row[2] for row in results(db)] == ["SUCCESS"] * 8


class Bounded(JobHookReceiver):
    running = 0
    most = 0

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        Bounded.running += 1
        Bounded.most = max(Bounded.most, Bounded.running)
        await asyncio.sleep(0.01)
        Bounded.running -= 1


async def test_no_more_receivers_run_at_once_than_the_setting_allows(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Bounded, device)
    async with running_daemon(daemon_dsn, Bounded, tasks=3):
        db.execute("insert into dcim.device select n, 'sw', '0' from generate_series(1, 30) as n")
        await settled(db)
    assert Bounded.most == 3


class Incrementer(JobHookReceiver):
    """Both hooks of the test write one row under REPEATABLE READ, so one of them fails at first."""

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        connection = await self.session.connection()
        await connection.exec_driver_sql("set transaction isolation level repeatable read")
        await connection.exec_driver_sql("select count(*) from dcim.counter")
        await connection.exec_driver_sql("select pg_sleep(0.05)")
        await connection.exec_driver_sql("update dcim.counter set runs = runs + 1")


async def test_a_serialization_failure_is_retried_by_itself_and_takes_effect_once(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    db.execute("create table dcim.counter (runs integer)")
    db.execute("insert into dcim.counter values (0)")
    db.execute("grant select, update on dcim.counter to rowhooks_daemon")
    add_hook(db, Incrementer, device)
    async with running_daemon(daemon_dsn, Incrementer):
        db.execute("insert into dcim.device values (1, 'a', ''), (2, 'b', '')")
        await settled(db)
    assert [row[2] for row in results(db)] == ["SUCCESS", "SUCCESS"]
    assert db.execute("select runs from dcim.counter").fetchall() == [(2,)]
    assert "the run is retried (2 of 10): OperationalError: (psycopg.errors.SerializationFailure)" in caplog.text


class Commits(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        changed_object.serial = "written"
        changed_object.save()
        self.session.commit()
        raise ValueError("after commit")


async def test_commit_inside_a_receiver_does_not_split_its_transaction(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Commits, device)
    async with running_daemon(daemon_dsn, Commits):
        db.execute("insert into dcim.device values (1, 'sw1', 'SN')")
        await settled(db)
    assert device_row(db) == ("sw1", "SN")


class BeginsItself(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        with self.session.begin():
            self.session.execute(text("update dcim.device set serial = 'written'"))
        raise ValueError("after the block")


class UsesAWithBlock(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        with self.session as session:
            session.execute(text("update dcim.device set serial = 'kept'"))


class UsesAnAsyncWithBlock(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        async with self.session as session, session.begin():
            await session.execute(text("update dcim.device set serial = 'kept'"))


@pytest.mark.parametrize(
    ("receiver", "serial", "status"),
    [(BeginsItself, "SN", "FAILURE"), (UsesAWithBlock, "kept", "SUCCESS"), (UsesAnAsyncWithBlock, "kept", "SUCCESS")],
)
async def test_blocks_around_the_session_leave_the_transaction_to_the_run(
    db: Connection, daemon_dsn: str, device: str, receiver: type, serial: str, status: str
) -> None:
    add_hook(db, receiver, device)
    async with running_daemon(daemon_dsn, receiver):
        db.execute("insert into dcim.device values (1, 'sw1', 'SN')")
        await settled(db)
    assert device_row(db) == ("sw1", serial)
    assert [row[1:] for row in results(db)] == [("create", status)]


class RollsBackAndWrites(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.session.execute(text("update dcim.device set serial = 'undone'"))
        self.session.rollback()
        self.session.execute(text("update dcim.device set serial = 'kept'"))


async def test_what_a_receiver_writes_after_a_rollback_starts_no_hook_either(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, RollsBackAndWrites, device)
    async with running_daemon(daemon_dsn, RollsBackAndWrites):
        db.execute("insert into dcim.device values (1, 'sw1', 'SN')")
        await settled(db)
    assert device_row(db) == ("sw1", "kept")
    assert [row[1:] for row in results(db)] == [("create", "SUCCESS")]


async def test_a_table_the_daemon_may_not_read_fails_its_runs_with_the_grant_that_is_missing(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    db.execute("create table secret (id integer primary key)")
    db.execute("select rowhooks.track('secret')")
    add_hook(db, Fine, "secret", name="on secret")
    add_hook(db, Plain, device)
    async with running_daemon(daemon_dsn, Fine, Plain):
        db.execute("insert into secret values (1)")
        db.execute("insert into dcim.device values (1, 'sw1', 'SN')")
        await settled(db)
    row = db.execute("select exception_message from rowhooks.results where hook_name = 'on secret'").fetchone()
    assert row is not None
    assert "grant SELECT on public.secret to rowhooks_daemon" in row[0]
    assert ("Plain", "create", "SUCCESS") in results(db)


class WithoutRow(JobHookReceiver):
    class Meta:
        loads_object = False

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        assert changed_object is None
        return change.object_data


async def test_a_receiver_that_does_without_the_row_needs_no_privilege_on_its_table(
    db: Connection, daemon_dsn: str
) -> None:
    db.execute("create table secret (id integer primary key)")
    db.execute("select rowhooks.track('secret')")
    add_hook(db, WithoutRow, "secret")
    async with running_daemon(daemon_dsn, WithoutRow):
        db.execute("insert into secret values (1)")
        await settled(db)
    assert db.execute("select status, result from rowhooks.results").fetchall() == [("SUCCESS", {"id": 1})]


async def test_a_table_dropped_or_untracked_before_its_changes_are_read_fails_its_runs_by_name(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    db.execute("create table brief (id integer primary key)")
    db.execute("select rowhooks.track('brief')")
    add_hook(db, Fine, "brief", name="on brief")
    add_hook(db, Plain, device)
    db.execute("insert into brief values (1)")
    db.execute("drop table brief")
    db.execute("insert into dcim.device values (1, 'sw1', 'SN')")
    async with running_daemon(daemon_dsn, Fine, Plain):
        await settled(db)
    row = db.execute("select status, exception_message from rowhooks.results where hook_name = 'on brief'").fetchone()
    assert row is not None
    assert row[0] == "FAILURE"
    assert "was dropped or untracked" in row[1]
    assert ("Plain", "create", "SUCCESS") in results(db)


async def test_a_key_that_was_renamed_before_the_daemon_started_is_found(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Plain, device)
    db.execute("alter table dcim.device rename id to number")
    db.execute("insert into dcim.device values (1, 'sw1', 'SN')")
    async with running_daemon(daemon_dsn, Plain):
        await settled(db)
    assert db.execute("select result from rowhooks.results").fetchall() == [({"serial": "SN!", "repr": "sw1"},)]


class AwkwardKeys(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        changed_object.note = "seen"
        changed_object.save_ = 5
        changed_object.save()


async def test_composite_keys_and_awkward_names_and_types_are_found_and_saved(db: Connection, daemon_dsn: str) -> None:
    db.execute("create type mood as enum ('so so', 'fine')")
    db.execute(
        """
        create table "Odd:Näme%" (
          "a:b" timestamptz, m mood, d numeric, u uuid, "q""uote" text, note text, save integer,
          primary key ("a:b", m, d, u, "q""uote")
        )
        """
    )
    db.execute("""select rowhooks.track('"Odd:Näme%"')""")
    db.execute("""grant select, update on "Odd:Näme%" to rowhooks_daemon""")
    add_hook(db, AwkwardKeys, '"Odd:Näme%"')
    async with running_daemon(daemon_dsn, AwkwardKeys):
        db.execute(
            """insert into "Odd:Näme%" values ('2026-01-01 12:00:00.123456+02', 'so so', 1.10,
            '00000000-0000-0000-0000-00000000000a', 'it''s :x %s {"a"}')"""
        )
        await settled(db)
    assert db.execute("select status, exception_message from rowhooks.results").fetchall() == [("SUCCESS", None)]
    assert db.execute("""select note, save from "Odd:Näme%" """).fetchall() == [("seen", 5)]


class Audited(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        changed_object.serial = self.job_result.key
        changed_object.save()


async def test_an_audited_receivers_write_is_recorded_with_its_run_and_starts_nothing(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    db.execute("select rowhooks.track('dcim.device', audit_receivers => true)")
    add_hook(db, Audited, device)
    async with running_daemon(daemon_dsn, Audited):
        db.execute("insert into dcim.device values (1, 'sw1', 'SN')")
        await settled(db)
        db.execute("update dcim.device set name = 'sw2'")
        await settled(db)
    changes = db.execute("select action, change_context, receiver from rowhooks.changes order by id").fetchall()
    keys = [row[0] for row in db.execute("select key from rowhooks.results order by id").fetchall()]
    assert len(keys) == 2
    assert changes == [
        ("create", None, None),
        ("update", "job-hook", keys[0]),
        ("update", None, None),
        ("update", "job-hook", keys[1]),
    ]
