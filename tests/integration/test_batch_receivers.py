"""Batch receivers: many changes in one call and one transaction, each with a run of its own on record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, ClassVar

import psycopg
import pytest
import sqlalchemy

from rowhooks import JobHookReceiver, ObjectChange, register_jobs
from rowhooks.domain.errors import ReceiverError
from rowhooks.domain.feed import Position
from rowhooks.domain.run import Outcome
from rowhooks.pipeline.scheduling import admission, records
from rowhooks.pipeline.scheduling import scheduler as scheduler_module
from rowhooks.postgres import results
from rowhooks.postgres.results import PostgresResults
from rowhooks.postgres.sessions import receiver_session as sessions_module
from rowhooks.postgres.sessions import recording
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import eventually, settled

Connection = psycopg.Connection[Any]
WRITE = sqlalchemy.text("insert into sink (id) values (:id)")


class Batched(JobHookReceiver):
    """Remembers the rows of each call."""

    calls: ClassVar[list[list[int]]] = []
    keys: ClassVar[list[str]] = []
    failures: ClassVar[int] = 0

    class Meta:
        batch_size = 40
        batch_wait = 0.05

    async def receive_job_hooks(self, changes: list[ObjectChange]) -> Any:
        self.calls.append([change.changed_object_id["id"] for change in changes])
        self.keys.extend(result.key for result in self.job_results)
        self.logger.info("%d changes", len(changes))
        if Batched.failures:
            Batched.failures -= 1
            raise ConnectionRefusedError("the sink is away")
        return len(changes)


class Patient(Batched):
    class Meta(Batched.Meta):
        max_retries = 3
        retry_backoff = 0.01
        retry_jitter = False


class Writes(JobHookReceiver):
    """A plain one, which writes in its transaction and fails once after it has."""

    calls: ClassVar[list[list[int]]] = []

    class Meta:
        batch_size = 50
        autoretry_for = (RuntimeError,)
        retry_backoff = False

    def receive_job_hooks(self, changes: list[ObjectChange]) -> None:
        ids = [change.changed_object_id["id"] for change in changes]
        self.session.execute(WRITE, [{"id": id_} for id_ in ids])
        self.calls.append(ids)
        if len(self.calls) == 1:
            raise RuntimeError("after the writes")


@pytest.fixture(autouse=True)
def nothing_called() -> None:
    Batched.calls.clear()
    Batched.keys.clear()
    Writes.calls.clear()
    Batched.failures = 0


def fill(db: Connection, count: int) -> None:
    db.execute("insert into dcim.device select n, 'sw', 'SN' from generate_series(1, %s) as n", (count,))


async def test_changes_come_together_in_order_and_each_has_its_run(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Batched, device)
    fill(db, 0)
    async with running_daemon(daemon_dsn, Batched):
        fill(db, 100)
        await settled(db)
    assert [len(call) for call in Batched.calls] == [40, 40, 20]
    assert [number for call in Batched.calls for number in call] == list(range(1, 101))
    rows = db.execute("select status, object_id ->> 'id', result from rowhooks.results order by id").fetchall()
    assert [row[:2] for row in rows] == [("SUCCESS", str(n)) for n in range(1, 101)]
    # What there is one of in a batch stands with its first run.
    assert [row[2] for row in rows if row[2] is not None] == [40, 40, 20]
    lines = db.execute("select message from rowhooks.job_log_entry order by id").fetchall()
    assert lines == [("40 changes",), ("40 changes",), ("20 changes",)]
    assert len(set(Batched.keys)) == 100


async def test_a_few_changes_wait_for_others_no_longer_than_they_are_told(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Batched, device)
    async with running_daemon(daemon_dsn, Batched):
        fill(db, 3)
        await eventually(lambda: Batched.calls == [[1, 2, 3]])


async def test_a_batch_that_raises_fails_each_of_its_runs(db: Connection, daemon_dsn: str, device: str) -> None:
    add_hook(db, Batched, device)
    Batched.failures = 1
    async with running_daemon(daemon_dsn, Batched):
        fill(db, 3)
        await settled(db)
        rows = db.execute(
            "select id, status, exception_type, exception_message, traceback is null from rowhooks.results order by id"
        ).fetchall()
        first = rows[0][0]
        whole = "the sink is away"
        assert [row[1:] for row in rows] == [
            ("FAILURE", "ConnectionRefusedError", whole, False),
            ("FAILURE", "ConnectionRefusedError", f"see run {first}, the first of its batch: {whole}", True),
            ("FAILURE", "ConnectionRefusedError", f"see run {first}, the first of its batch: {whole}", True),
        ]
        # One of them, run again by hand, is a batch of one.
        db.execute("select rowhooks.retry(%s)", (rows[1][0],))
        await eventually(lambda: Batched.calls[1:] == [[2]])
        await settled(db)


async def test_a_batch_is_tried_again_as_a_whole_and_what_comes_after_it_waits(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Patient, device)
    Batched.failures = 2
    async with running_daemon(daemon_dsn, Patient):
        fill(db, 60)
        await settled(db)
    first, rest = list(range(1, 41)), list(range(41, 61))
    assert Batched.calls == [first, first, first, rest]
    assert db.execute("select status, attempt, count(*) from rowhooks.results group by 1, 2 order by 2").fetchall() == [
        ("SUCCESS", 1, 20), ("SUCCESS", 3, 40),
    ]  # fmt: skip
    # The key of each is the same at every attempt.
    assert len(Batched.keys) == 3 * 40 + 20
    assert len(set(Batched.keys)) == 60


async def test_what_a_batch_writes_is_committed_with_all_of_its_results_or_not_at_all(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Writes, device)
    db.execute("create table sink (id integer primary key)")
    db.execute("grant insert on sink to rowhooks_daemon")
    async with running_daemon(daemon_dsn, Writes):
        fill(db, 120)
        await settled(db)
    assert db.execute("select count(*), min(id), max(id) from sink").fetchone() == (120, 1, 120)
    assert db.execute("select count(*) from rowhooks.results where status = 'SUCCESS'").fetchone() == (120,)
    # How many there are depends on how many changes have come when a batch begins.
    assert Writes.calls[0] == Writes.calls[1]
    assert [id_ for ids in Writes.calls[1:] for id_ in ids] == list(range(1, 121))
    assert max(map(len, Writes.calls)) <= 50


class Slow(JobHookReceiver):
    """Runs for more than a moment, and may be let go."""

    go_on: ClassVar[asyncio.Event]
    calls: ClassVar[list[int]] = []

    class Meta:
        batch_size = 2
        batch_wait = 0

    async def receive_job_hooks(self, changes: list[ObjectChange]) -> None:
        self.calls.extend(change.changed_object_id["id"] for change in changes)
        await self.go_on.wait()


@pytest.mark.parametrize("most", [admission.MOST_TAKEN_OVER, 0])
async def test_a_slow_batch_and_what_waits_behind_it_are_on_record_and_taken_over(
    db: Connection, daemon_dsn: str, device: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where there is no room in memory for what is taken over."""
    monkeypatch.setattr(admission, "MOST_TAKEN_OVER", most)
    Slow.calls.clear()
    Slow.go_on = asyncio.Event()
    add_hook(db, Slow, device)
    async with running_daemon(daemon_dsn, Slow, grace_period=0):
        fill(db, 5)
        await eventually(
            lambda: (
                db.execute("select array_agg(status order by id) from rowhooks.results").fetchone()
                == (["STARTED", "STARTED", "PENDING", "PENDING", "PENDING"],)
            )
        )
        db.execute("select rowhooks.revoke(id) from rowhooks.results where object_id ->> 'id' = '4'")
    Slow.go_on.set()
    async with running_daemon(daemon_dsn, Slow):
        await settled(db)
    assert Slow.calls == [1, 2, 1, 2, 3, 5]
    assert db.execute("select array_agg(status order by id) from rowhooks.results").fetchone() == (
        ["SUCCESS", "SUCCESS", "SUCCESS", "REVOKED", "SUCCESS"],
    )


def test_a_batch_form_with_wrong_arguments_or_a_wrong_meta_is_refused() -> None:
    class Nothing(JobHookReceiver):
        def receive_job_hooks(self) -> None:  # type: ignore[override]
            pass

    class Zero(Batched):
        class Meta:
            batch_size = 0

    class Single(JobHookReceiver):
        class Meta:
            batch_size = 10

        def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
            pass

    class Both(Batched):
        def run(self, object_change: ObjectChange) -> None:
            pass

    for cls, words in (
        (Nothing, "receive_job_hooks"),
        (Zero, "Meta.batch_size must be a whole number, 1 or more, not 0"),
        (Single, "Meta.batch_size must be left out"),
        (Both, "defines both run and receive_job_hooks"),
    ):
        with pytest.raises(ReceiverError) as refused:
            register_jobs(cls)
        assert words in f"{refused.value.message} {refused.value.hint}"


@pytest.mark.parametrize("few", [10, 0], ids=["by one statement", "by several"])
async def test_a_batch_that_is_put_on_record_while_it_commits_is_not_called_again(
    db: Connection, daemon_dsn: str, device: str, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """What puts it there moves the position too, and both keep other leaders out meanwhile."""
    record, move = recording.record_batch, PostgresResults._move

    def records_slowly(*arguments: Any) -> set[int]:
        # It keeps other leaders out by now.
        time.sleep(0.5)
        return record(*arguments)

    async def moves(self: PostgresResults, position: Position, outcomes: Sequence[Outcome]) -> Any:
        if Writes.calls[1:]:
            await asyncio.sleep(0.5)
        return await move(self, position, outcomes)

    monkeypatch.setattr(PostgresResults, "_move", moves)
    monkeypatch.setattr(results, "FEW", few)
    monkeypatch.setattr(sessions_module, "record_batch", records_slowly)
    monkeypatch.setattr(records, "STARTED_AFTER", 0.2)
    monkeypatch.setattr(scheduler_module, "SWEEP_INTERVAL", 0.01)
    add_hook(db, Writes, device)
    db.execute("create table sink (id integer primary key)")
    db.execute("grant insert on sink to rowhooks_daemon")
    Writes.calls.append([])
    async with running_daemon(daemon_dsn, Writes):
        fill(db, 10)
        await settled(db)
    assert Writes.calls == [[], list(range(1, 11))]
