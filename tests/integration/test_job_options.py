"""Life cycle, retries, time limits, singletons: what a receiver's Meta and methods ask for is what happens."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any, ClassVar

import psycopg
import pytest
from sqlalchemy import text

from rowhooks import JobHookReceiver, ObjectChange, SoftTimeLimitExceeded
from rowhooks.pipeline.scheduling import admission
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import eventually, is_read, settled

Connection = psycopg.Connection[Any]


@pytest.fixture
def note(db: Connection) -> str:
    """A table in which receivers note what they did, in their own transaction."""
    db.execute("create table note (id integer generated always as identity, message text)")
    db.execute("grant select, insert on note to rowhooks_daemon")
    return "note"


def notes(db: Connection) -> list[str]:
    return [row[0] for row in db.execute("select message from note order by id")]


def insert(db: Connection, *numbers: int) -> None:
    for number in numbers:
        db.execute("insert into dcim.device values (%s, %s, 'SN')", (number, f"sw{number}"))


def results(db: Connection, columns: str = "status, exception_message") -> list[tuple[Any, ...]]:
    return db.execute(f"select {columns} from rowhooks.results order by id").fetchall()


def messages(db: Connection) -> list[tuple[str, str]]:
    return db.execute("select level, message from rowhooks.job_log_entry order by time, id").fetchall()


class Noting(JobHookReceiver):
    """Notes each call of its life cycle, in its session."""

    def write(self, message: str) -> None:
        self.session.execute(text("insert into note (message) values (:message)"), {"message": message})

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        assert task_id == self.job_result.key
        assert (args, kwargs["object_change"].action) == ((), "create")
        self.write("before_start")

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.write("receiver")
        return "value"

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        self.write(f"on_success {retval}")

    def on_retry(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        self.write(f"on_retry {exc}")

    def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        assert einfo.exception is exc
        assert str(exc) in einfo.traceback
        self.write(f"on_failure {exc}")

    def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        self.write(f"after_return {status} {retval}")


class NotingFailure(Noting):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.write("receiver")
        raise ValueError("no good")


class AsyncNoting(JobHookReceiver):
    async def write(self, message: str) -> None:
        await self.session.execute(text("insert into note (message) values (:message)"), {"message": message})

    async def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        await self.write("before_start")

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        await self.write("receiver")
        if changed_object.id == 2:
            raise ValueError("no good")
        return "value"

    async def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        await self.write(f"on_success {retval}")

    async def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        await self.write(f"on_failure {exc}")

    async def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        await self.write(f"after_return {status}")


async def test_before_start_receiver_on_success_and_after_return_run_in_this_order_in_one_transaction(
    db: Connection, daemon_dsn: str, device: str, note: str
) -> None:
    add_hook(db, Noting, device)
    async with running_daemon(daemon_dsn, Noting):
        insert(db, 1)
        await settled(db)
    assert notes(db) == ["before_start", "receiver", "on_success value", "after_return SUCCESS value"]
    assert results(db, "status, result") == [("SUCCESS", "value")]
    assert db.execute("select count(distinct xmin::text) from note").fetchone() == (1,)


async def test_after_a_failure_on_failure_and_after_return_write_and_the_receivers_own_writes_are_gone(
    db: Connection, daemon_dsn: str, device: str, note: str
) -> None:
    add_hook(db, NotingFailure, device)
    async with running_daemon(daemon_dsn, NotingFailure):
        insert(db, 1)
        await settled(db)
    assert notes(db) == ["on_failure no good", "after_return FAILURE no good"]
    assert results(db) == [("FAILURE", "no good")]


async def test_the_life_cycle_of_an_async_def_receiver(db: Connection, daemon_dsn: str, device: str, note: str) -> None:
    add_hook(db, AsyncNoting, device)
    async with running_daemon(daemon_dsn, AsyncNoting):
        insert(db, 1)
        await settled(db)
        insert(db, 2)
        await settled(db)
    assert notes(db) == [
        "before_start", "receiver", "on_success value", "after_return SUCCESS",
        "on_failure no good", "after_return FAILURE",
    ]  # fmt: skip


class RaisesIn(Noting):
    where: ClassVar[str] = ""


def raising_in(name: str) -> type[Noting]:
    def method(self: Noting, *args: Any, **kwargs: Any) -> None:
        self.write(f"{name} begun")
        raise ValueError(f"{name} raised")

    return type(f"RaisesIn_{name}", (Noting,), {name: method, "__module__": __name__})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("before_start", ["on_failure before_start raised", "after_return FAILURE before_start raised"]),
        ("on_success", ["on_failure on_success raised", "after_return FAILURE on_success raised"]),
        ("after_return", ["on_failure after_return raised"]),
    ],
)
async def test_an_exception_in_any_of_them_is_a_failure_and_rolls_the_run_back(
    db: Connection, daemon_dsn: str, device: str, note: str, name: str, expected: list[str]
) -> None:
    receiver = raising_in(name)
    add_hook(db, receiver, device)
    async with running_daemon(daemon_dsn, receiver):
        insert(db, 1)
        await settled(db)
    assert notes(db) == expected
    assert results(db) == [("FAILURE", f"{name} raised")]


class FailureAfterFailure(NotingFailure):
    def on_failure(self, exc: Any, *args: Any) -> None:
        self.write("on_failure begun")
        raise KeyError("in on_failure")


async def test_an_exception_in_on_failure_does_not_hide_the_first(
    db: Connection, daemon_dsn: str, device: str, note: str
) -> None:
    add_hook(db, FailureAfterFailure, device)
    async with running_daemon(daemon_dsn, FailureAfterFailure):
        insert(db, 1)
        await settled(db)
    assert results(db) == [("FAILURE", "no good")]
    assert notes(db) == ["after_return FAILURE no good"]
    assert messages(db) == [("error", "on_failure raised KeyError: 'in on_failure'")]


class CallsFail(Noting):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.fail("%s has no rack", changed_object, extra={"object": changed_object})
        self.fail("and no site")
        self.write("went on")
        return "value"


async def test_fail_marks_the_failure_and_lets_the_code_go_on(
    db: Connection, daemon_dsn: str, device: str, note: str
) -> None:
    add_hook(db, CallsFail, device)
    async with running_daemon(daemon_dsn, CallsFail):
        insert(db, 1)
        await settled(db)
    assert notes(db) == ["before_start", "went on", "on_failure sw1 has no rack", "after_return FAILURE value"]
    assert results(db, "status, exception_type, exception_message") == [
        ("FAILURE", "rowhooks.domain.errors.JobFailed", "sw1 has no rack")
    ]
    assert messages(db) == [("failure", "sw1 has no rack"), ("failure", "and no site")]


class FailsBefore(Noting):
    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        self.fail("not today")


async def test_fail_in_before_start_skips_the_receiver(db: Connection, daemon_dsn: str, device: str, note: str) -> None:
    add_hook(db, FailsBefore, device)
    async with running_daemon(daemon_dsn, FailsBefore):
        insert(db, 1)
        await settled(db)
    assert notes(db) == ["on_failure not today", "after_return FAILURE None"]
    assert results(db) == [("FAILURE", "not today")]


class Flaky(Noting):
    class Meta:
        autoretry_for = (ConnectionError,)
        max_retries = 2
        retry_backoff = 0.05
        retry_jitter = False

    attempts: ClassVar[list[tuple[int, int]]] = []

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.attempts.append((changed_object.id, self.job_result.attempt))
        self.write("receiver")
        if changed_object.id == 3 or self.job_result.attempt < 3:
            raise ConnectionError("not now")
        return "value"


async def test_a_job_with_retries_is_run_again_until_it_succeeds_or_has_used_them_up(
    db: Connection, daemon_dsn: str, device: str, note: str
) -> None:
    Flaky.attempts.clear()
    add_hook(db, Flaky, device)
    async with running_daemon(daemon_dsn, Flaky):
        insert(db, 1)
        await settled(db)
        assert results(db, "status, attempt, retries, retry_at") == [("SUCCESS", 3, 2, None)]
        assert notes(db) == [
            "on_retry not now", "on_retry not now", "before_start", "receiver", "on_success value",
            "after_return SUCCESS value",
        ]  # fmt: skip
        insert(db, 3)
        await settled(db)
    assert Flaky.attempts == [(1, 1), (1, 2), (1, 3), (3, 1), (3, 2), (3, 3)]
    assert results(db, "status, attempt, retries, exception_message")[1] == ("FAILURE", 3, 2, "not now")
    assert ("warning", "attempt 1 raised ConnectionError: not now; the next in 0.1 s") in messages(db)


class RetriedLater(JobHookReceiver):
    class Meta:
        max_retries = 1
        retry_backoff = 3600
        retry_jitter = False

    seen: ClassVar[list[tuple[int, str]]] = []

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.seen.append((changed_object.id, action))
        if (changed_object.id, action) == (1, "create"):
            raise ConnectionError("not now")


async def test_a_run_that_waits_for_its_retry_holds_back_later_runs_of_its_row_only(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    RetriedLater.seen.clear()
    add_hook(db, RetriedLater, device)
    async with running_daemon(daemon_dsn, RetriedLater):
        insert(db, 1)
        db.execute("update dcim.device set name = 'renamed'")
        insert(db, 2)
        await eventually(lambda: (2, "create") in RetriedLater.seen)
        # The position is not held back either: what waits is on record.
        await eventually(lambda: is_read(db))
        rows = results(db, "object_repr, action, status, attempt")
        assert rows == [
            ("sw1", "create", "RETRY", 1),
            ("renamed", "update", "PENDING", 1),
            ("sw2", "create", "SUCCESS", 1),
        ]
        # Revoked, it lets the later one run.
        db.execute("select rowhooks.revoke(id) from rowhooks.results where status = 'RETRY'")
        await settled(db)
    assert RetriedLater.seen == [(1, "create"), (2, "create"), (1, "update")]


@pytest.mark.parametrize("most", [admission.MOST_TAKEN_OVER, 0])
async def test_a_retry_that_was_due_later_is_kept_over_a_restart(
    db: Connection, daemon_dsn: str, device: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In memory, or in the table alone where there is much in memory."""
    monkeypatch.setattr(admission, "MOST_TAKEN_OVER", most)
    RetriedLater.seen.clear()
    add_hook(db, RetriedLater, device)
    async with running_daemon(daemon_dsn, RetriedLater):
        insert(db, 1)
        await eventually(lambda: results(db, "status") == [("RETRY",)])
    async with running_daemon(daemon_dsn, RetriedLater):
        insert(db, 2)
        await eventually(lambda: results(db, "status") == [("RETRY",), ("SUCCESS",)])
    db.execute("update rowhooks.job_result set retry_at = now() where status = 'RETRY'")
    async with running_daemon(daemon_dsn, RetriedLater):
        await settled(db)
    assert RetriedLater.seen == [(1, "create"), (2, "create"), (1, "create")]
    assert results(db, "status, attempt, retries")[0] == ("FAILURE", 2, 1)


class Unordered(JobHookReceiver):
    class Meta:
        ordered = False

    together: ClassVar[asyncio.Barrier]

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        await self.together.wait()


async def test_unordered_runs_of_one_row_run_side_by_side(db: Connection, daemon_dsn: str, device: str) -> None:
    Unordered.together = asyncio.Barrier(3)
    add_hook(db, Unordered, device)
    async with running_daemon(daemon_dsn, Unordered):
        insert(db, 1)
        db.execute("update dcim.device set name = 'a'")
        db.execute("update dcim.device set name = 'b'")
        await settled(db)
    assert [row[0] for row in results(db)] == ["SUCCESS"] * 3


class Singleton(JobHookReceiver):
    class Meta:
        is_singleton = True

    at_once: ClassVar[int] = 0
    most: ClassVar[int] = 0

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        Singleton.at_once += 1
        Singleton.most = max(Singleton.most, Singleton.at_once)
        for _ in range(20):
            await asyncio.sleep(0)
        Singleton.at_once -= 1


async def test_a_second_run_of_a_singleton_waits_its_turn(db: Connection, daemon_dsn: str, device: str) -> None:
    add_hook(db, Singleton, device)
    async with running_daemon(daemon_dsn, Singleton):
        db.execute("insert into dcim.device select n, n::text from generate_series(1, 20) as n")
        await settled(db)
    assert Singleton.most == 1
    assert [row[0] for row in results(db)] == ["SUCCESS"] * 20


class SlowPlain(Noting):
    class Meta:
        soft_time_limit = 0.3

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.write("begun")
        while True:
            threading.Event().wait(0.01)


class SlowAsync(JobHookReceiver):
    class Meta:
        soft_time_limit = 0.3

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        await self.session.execute(text("insert into note (message) values ('begun')"))
        await asyncio.sleep(3600)


class SlowQuery(JobHookReceiver):
    class Meta:
        soft_time_limit = 0.3

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.session.execute(text("insert into note (message) values ('begun')"))
        self.session.execute(text("select pg_sleep(3600)"))


class SlowAsyncQuery(JobHookReceiver):
    class Meta:
        soft_time_limit = 0.3

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        await self.session.execute(text("insert into note (message) values ('begun')"))
        await self.session.execute(text("select pg_sleep(3600)"))


@pytest.mark.parametrize("receiver", [SlowPlain, SlowAsync, SlowQuery, SlowAsyncQuery])
async def test_the_soft_time_limit_raises_inside_the_receiver(
    db: Connection, daemon_dsn: str, device: str, note: str, receiver: type
) -> None:
    add_hook(db, receiver, device)
    async with running_daemon(daemon_dsn, receiver):
        insert(db, 1)
        await settled(db)
        assert notes(db) in ([], ["on_failure the soft time limit was used up",
                                  "after_return FAILURE the soft time limit was used up"])  # fmt: skip
        assert results(db, "status, exception_type, exception_message") == [
            ("FAILURE", "rowhooks.domain.errors.SoftTimeLimitExceeded", "the soft time limit was used up")
        ]
        # No statement of it goes on, and the connection is fit for the next run.
        assert db.execute("select 1 from pg_stat_activity where query like '%%pg_sleep(3600)%%' and state = 'active'"
                          " and pid <> pg_backend_pid()").fetchone() is None  # fmt: skip


class CleansUp(Noting):
    class Meta:
        soft_time_limit = 0.3

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        try:
            while True:
                threading.Event().wait(0.01)
        except SoftTimeLimitExceeded:
            self.write("cleaned up")
            return "in time"


async def test_a_receiver_may_clean_up_at_its_soft_time_limit_and_succeed(
    db: Connection, daemon_dsn: str, device: str, note: str
) -> None:
    add_hook(db, CleansUp, device)
    async with running_daemon(daemon_dsn, CleansUp):
        insert(db, 1)
        await settled(db)
    assert results(db, "status, result") == [("SUCCESS", "in time")]
    assert notes(db) == ["before_start", "cleaned up", "on_success in time", "after_return SUCCESS in time"]


class HangsPlain(Noting):
    class Meta:
        time_limit = 0.5

    released: ClassVar[threading.Event] = threading.Event()

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.logger.info("hanging")
        self.write("begun")
        if changed_object.id == 1:
            # One call that no exception can interrupt.
            self.released.wait()


class HangsAsync(JobHookReceiver):
    class Meta:
        time_limit = 0.5

    released: ClassVar[asyncio.Event]

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.logger.info("hanging")
        await self.session.execute(text("insert into note (message) values ('begun')"))
        while changed_object.id == 1 and not self.released.is_set():
            with contextlib.suppress(Exception, asyncio.CancelledError):  # it will not be told
                await self.released.wait()


@pytest.mark.parametrize("receiver", [HangsPlain, HangsAsync])
async def test_the_time_limit_ends_the_run_and_nothing_of_its_transaction_remains(
    db: Connection, daemon_dsn: str, device: str, note: str, receiver: Any
) -> None:
    receiver.released = threading.Event() if receiver is HangsPlain else asyncio.Event()
    add_hook(db, receiver, device)
    try:
        async with running_daemon(daemon_dsn, receiver, threads=1, tasks=1, async_connections=1):
            insert(db, 1)
            await eventually(lambda: results(db) == [("FAILURE", "the run was ended at its time limit of 0.5 s")])
            # Its transaction has ended although its code goes on, and its place and connection are free for others.
            assert notes(db) == []
            await eventually(
                lambda: (
                    db.execute(
                        "select 1 from pg_stat_activity where backend_xid is not null and pid <> pg_backend_pid()"
                    ).fetchone()
                    is None
                )
            )
            insert(db, 2)
            await settled(db)
            assert notes(db)[-1:] in (["begun"], ["after_return SUCCESS None"])
            assert results(db)[1] == ("SUCCESS", None)
    finally:
        receiver.released.set()
    # What it did after it was let go has changed nothing.
    assert [row[0] for row in results(db)] == ["FAILURE", "SUCCESS"]
    assert messages(db)[0] == ("info", "hanging")


class Revocable(JobHookReceiver):
    ended: ClassVar[list[str]] = []

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            self.ended.append("ended")


async def test_a_run_that_is_revoked_while_it_goes_on_is_interrupted(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    Revocable.ended.clear()
    add_hook(db, Revocable, device)
    async with running_daemon(daemon_dsn, Revocable):
        insert(db, 1)
        await eventually(lambda: results(db, "status") == [("STARTED",)])
        db.execute("select rowhooks.revoke(id) from rowhooks.results")
        await eventually(lambda: Revocable.ended)
    assert results(db, "status") == [("REVOKED",)]


class Talks(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.logger.info("first")
        await Talks.heard.wait()
        self.logger.info("second")
        await Talks.go_on.wait()
        raise ValueError("no good")

    heard: ClassVar[asyncio.Event]
    go_on: ClassVar[asyncio.Event]


async def test_lines_are_written_while_the_run_goes_on_and_kept_when_it_fails(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    Talks.heard, Talks.go_on = asyncio.Event(), asyncio.Event()
    add_hook(db, Talks, device)
    async with running_daemon(daemon_dsn, Talks):
        insert(db, 1)
        await eventually(lambda: messages(db) == [("info", "first")])
        Talks.heard.set()
        await eventually(lambda: messages(db) == [("info", "first"), ("info", "second")])
        assert results(db, "status") == [("STARTED",)]
        Talks.go_on.set()
        await settled(db)
    assert messages(db) == [("info", "first"), ("info", "second")]


class Sensitive(JobHookReceiver):
    class Meta:
        has_sensitive_variables = True

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        assert change.object_repr == "hunter2"
        if changed_object.id == 1:
            return changed_object.name
        raise ValueError(f"{changed_object.name} is no good")


async def test_a_job_with_sensitive_variables_leaves_no_value_of_the_row_behind(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    add_hook(db, Sensitive, device)
    async with running_daemon(daemon_dsn, Sensitive):
        db.execute("insert into dcim.device values (1, 'hunter2'), (2, 'hunter2')")
        await settled(db)
    rows = db.execute("select row_to_json(r)::text from rowhooks.job_result as r order by r.id").fetchall()
    assert len(rows) == 2
    assert not any("hunter2" in row[0] for row in rows)
    assert results(db, "status, exception_type, exception_message, result") == [
        ("SUCCESS", None, None, None),
        ("FAILURE", "ValueError", "(kept out: has_sensitive_variables)", None),
    ]
    assert not any("hunter2" in str(record.__dict__) for record in caplog.records)


class LeaksSecret(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.logger.info("token s3cr3t-token at postgresql://app:hunter2@db/app")
        raise ValueError("s3cr3t-token was refused by postgresql://app:hunter2@db/app")


async def test_secrets_are_blanked_in_message_traceback_and_log(
    db: Connection, daemon_dsn: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_TOKEN", "s3cr3t-token")
    add_hook(db, LeaksSecret, device)
    async with running_daemon(daemon_dsn, LeaksSecret, secrets=("ACME_TOKEN",)):
        insert(db, 1)
        await settled(db)
    stored = db.execute("select exception_type, exception_message, traceback from rowhooks.job_result").fetchone()
    assert stored is not None
    assert stored[:2] == ("ValueError", "*** was refused by postgresql://app:***@db/app")
    assert "Traceback (most recent call last)" in stored[2]
    assert "hunter2" not in stored[2]
    assert 'raise ValueError("*** was refused' in stored[2]
    assert messages(db) == [("info", "token *** at postgresql://app:***@db/app")]


class ClosesItsConnection(Noting):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        if changed_object.id == 1:
            self.session.connection().connection.driver_connection.close()
        self.write("written")


class ExitsTheProcess(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        if changed_object.id == 1:
            raise SystemExit("goodbye")


class InvalidatesItsSession(Noting):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.write("written")
        if changed_object.id == 1:
            self.session.invalidate()


@pytest.mark.parametrize("receiver", [ClosesItsConnection, ExitsTheProcess, InvalidatesItsSession])
async def test_a_receiver_that_misbehaves_costs_its_own_run_and_no_other(
    db: Connection, daemon_dsn: str, device: str, note: str, receiver: type
) -> None:
    add_hook(db, receiver, device)
    async with running_daemon(daemon_dsn, receiver, threads=1):
        insert(db, 1)
        insert(db, 2)
        await settled(db)
        status = results(db, "object_repr, status")
    assert ("sw2", "SUCCESS") in status
    assert len(status) == 2
