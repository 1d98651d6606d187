"""A receiver that ends its run's transaction by a statement of its own: the run is a FAILURE that says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import psycopg
import pytest
from sqlalchemy import text

from rowhooks import JobButtonReceiver, JobHookReceiver, ObjectChange
from tests.support.daemons import running_daemon
from tests.support.django import TABLE, django_project, use_database
from tests.support.hooks import add_hook
from tests.support.results import add_button
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]
FIRST, SECOND = text("update dcim.device set serial = 'first'"), text("update dcim.device set serial = 'second'")
WAYS = {
    "commit": ["first", "commit", "second"],
    "commit, last": ["first", "commit"],
    "commit, before any write": ["commit", "second"],
    "commit and chain": ["first", "commit and chain", "second"],
    "commit and begin": ["first", "commit; begin", "second"],
    "end, start": ["first", "end", "start transaction", "second"],
    "rollback": ["first", "rollback", "second"],
    "rollback, last": ["first", "rollback"],
    "abort and chain": ["first", "abort and chain", "second"],
    "commit, then the session's rollback": ["first", "commit", "ROLLBACK", "second"],
    "commit, then an error": ["first", "commit", "RAISE"],
    "commit, then a savepoint": ["first", "commit", "SAVEPOINT", "second"],
    "chained, then a savepoint": ["first", "commit and chain", "SAVEPOINT", "second"],
}
FEW = ["commit", "commit, last", "commit and begin"]
LEFT_ALONE = {
    "begin": ["first", "begin", "second"],
    "the session's rollback": ["first", "ROLLBACK", "second"],
    "the session's rollback after an error": ["first", "WRONG", "ROLLBACK", "second"],
    "a savepoint": ["first", "SAVEPOINT", "second"],
    "a savepoint of its own": ["first", "savepoint x", "first", "rollback to x", "second"],
}


def _statement(step: str) -> Any:
    return {"first": FIRST, "second": SECOND}.get(step, text(step))


class Plain(JobHookReceiver):
    steps: ClassVar[list[str]] = []

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        walk(self.session)


class Awaited(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        await self.session.run_sync(walk)


class Batch(JobHookReceiver):
    class Meta:
        batch_size = 5
        batch_wait = 0

    def receive_job_hooks(self, changes: list[ObjectChange]) -> None:
        walk(self.session)


class AwaitedBatch(Batch):
    async def receive_job_hooks(self, changes: list[ObjectChange]) -> None:  # type: ignore[override]
        await self.session.run_sync(walk)


class Retried(Plain):
    class Meta:
        max_retries = 3


class Button(JobButtonReceiver):
    def receive_job_button(self, obj: Any) -> None:
        walk(self.session)


def walk(session: Any) -> None:
    for step in Plain.steps:
        if step == "ROLLBACK":
            session.rollback()
        elif step == "SAVEPOINT":
            with session.begin_nested():
                session.execute(FIRST)
        elif step == "RAISE":
            raise ValueError("no good")
        elif step == "WRONG":
            with pytest.raises(Exception, match="does not exist"):
                session.execute(text("select nothing"))
        else:
            session.execute(_statement(step))


@pytest.fixture(autouse=True)
def row(db: Connection, device: str) -> None:
    db.execute("insert into dcim.device (id, name) values (1, 'sw1')")


async def run_of(db: Connection, dsn: str, device: str, kind: Any, steps: list[str]) -> tuple[Any, ...]:
    """Run a receiver that takes these steps; return status and message of its only run."""
    Plain.steps = steps
    if issubclass(kind, JobButtonReceiver):
        add_button(db, "dcim.device")
        db.execute("update rowhooks.job set class_path = %s", (f"{kind.__module__}.{kind.__name__}",))
    else:
        add_hook(db, kind, device)
    async with running_daemon(dsn, kind):
        if issubclass(kind, JobButtonReceiver):
            db.execute("select rowhooks.press('Reboot', 'dcim.device', '1')")
        else:
            db.execute("update dcim.device set name = 'sw2'")
        await settled(db)
    (found,) = db.execute("select status, exception_message from rowhooks.results").fetchall()
    return tuple(found)


def serial(db: Connection) -> Any:
    ((found,),) = db.execute("select serial from dcim.device where id = 1").fetchall()
    return found


@pytest.mark.parametrize(
    ("kind", "way"),
    [
        *((Plain, way) for way in WAYS),
        *((kind, way) for kind in (Awaited, Batch, AwaitedBatch, Button) for way in FEW),
    ],
)
async def test_it_is_a_failure_that_says_so_and_nothing_follows(
    db: Connection, daemon_dsn: str, device: str, kind: Any, way: str
) -> None:
    status, message = await run_of(db, daemon_dsn, device, kind, WAYS[way])
    assert status == "FAILURE", way
    assert "has ended its run's transaction by a statement of its own" in message
    assert "self.session.begin_nested()" in message
    assert "returns" in message
    assert serial(db) in ("first", None)


@pytest.mark.parametrize(
    ("kind", "way"),
    [*((Plain, way) for way in LEFT_ALONE), *((kind, "the session's rollback") for kind in (Awaited, Batch, Button))],
)
async def test_what_does_not_end_it_is_left_alone(
    db: Connection, daemon_dsn: str, device: str, kind: Any, way: str
) -> None:
    assert await run_of(db, daemon_dsn, device, kind, LEFT_ALONE[way]) == ("SUCCESS", None)
    assert serial(db) == "second"


@pytest.mark.parametrize("way", ["commit", "commit, then an error"])
async def test_no_retry_writes_twice_what_was_committed(db: Connection, daemon_dsn: str, device: str, way: str) -> None:
    status, message = await run_of(db, daemon_dsn, device, Retried, WAYS[way])
    assert status == "FAILURE"
    assert "has ended its run's transaction" in message


async def test_a_prepared_transaction_is_named_too(db: Connection, daemon_dsn: str, device: str) -> None:
    if db.execute("select current_setting('max_prepared_transactions')").fetchone() == ("0",):
        pytest.skip("the server prepares no transactions")
    status, message = await run_of(db, daemon_dsn, device, Plain, ["first", "prepare transaction 'x'", "second"])
    db.execute("rollback prepared 'x'")
    assert status == "FAILURE"
    assert "has ended its run's transaction" in message


async def test_a_constraint_that_fails_at_commit_keeps_its_own_message(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    db.execute("alter table dcim.device add constraint once unique (serial) deferrable initially deferred")
    db.execute("insert into dcim.device (id, name, serial) values (2, 'sw2', 'first')")
    add_hook(db, Plain, device)
    Plain.steps = ["first"]
    async with running_daemon(daemon_dsn, Plain):
        db.execute("update dcim.device set name = 'sw2' where id = 1")
        await settled(db)
    ((status, message),) = db.execute("select status, exception_message from rowhooks.results").fetchall()
    assert status == "FAILURE"
    assert "once" in message


# Lent to Django


class Lends(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        from django.db import connection

        from rowhooks.integrations.django import lent_to_django

        with lent_to_django(self.session), connection.cursor() as cursor:
            for step in Plain.steps:
                if step == "RAISE":
                    raise ValueError("no good")
                cursor.execute(str(_statement(step)))


@pytest.fixture
def django(db: Connection, dsn: str) -> Iterator[None]:
    db.execute(TABLE)
    with django_project("psycopg"), use_database(dsn):
        yield


@pytest.mark.parametrize("way", [*FEW, "commit, before any write", "rollback", "commit, then an error"])
async def test_in_a_connection_lent_to_django(
    django: None, db: Connection, daemon_dsn: str, device: str, way: str
) -> None:
    status, message = await run_of(db, daemon_dsn, device, Lends, WAYS[way])
    assert status == "FAILURE"
    assert "has ended its run's transaction by a statement of its own" in message
