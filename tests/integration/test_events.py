"""rowhooks.events with a real daemon: what is published of a run and of the daemon, where, and in which order."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import psycopg
import pytest
from sqlalchemy import text

from rowhooks import JobHookReceiver, ObjectChange, events
from rowhooks.pipeline.scheduling import scheduler
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import PATIENCE, eventually, settled

Connection = psycopg.Connection[Any]
OF_RUNS = (
    events.RunSubmitted,
    events.RunStarted,
    events.AttemptStarted,
    events.AttemptEnded,
    events.RunRetried,
    events.RunExecuted,
    events.RunEnded,
)
THREADS: list[int] = []
"""Where the receiver's code has run."""


class Witness(JobHookReceiver):
    """Notes its thread."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        THREADS.append(threading.get_ident())


class SecondTime(JobHookReceiver):
    """Fails at first."""

    class Meta:
        max_retries = 1
        retry_backoff = 0.01

    tries = 0

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        SecondTime.tries += 1
        if SecondTime.tries == 1:
            raise ValueError("not yet")


@pytest.fixture
def subscribe() -> Iterator[Callable[..., None]]:
    """Return a function that subscribes as a receivers' module does, for the length of a test."""
    with contextlib.ExitStack() as stack:

        def until_the_end(kind: type[events.Event], function: Callable[[Any], object]) -> None:
            stack.callback(events.subscribe(kind, function))

        yield until_the_end


def insert(db: Connection, id_: int) -> None:
    db.execute("insert into dcim.device (id, name) values (%s, 'sw')", (id_,))


async def test_a_run_is_told_of_from_its_submission_until_it_is_on_record(
    db: Connection, daemon_dsn: str, device: str, subscribe: Callable[..., None]
) -> None:
    add_hook(db, Witness, device)
    heard: list[tuple[events.Event, int]] = []
    for kind in OF_RUNS:
        subscribe(kind, lambda event: heard.append((event, threading.get_ident())))
    async with running_daemon(daemon_dsn, Witness):
        insert(db, 1)
        await settled(db)
    assert [type(event) for event, _ in heard] == [
        events.RunSubmitted,
        events.RunStarted,
        events.AttemptStarted,
        events.AttemptEnded,
        events.RunExecuted,
        events.RunEnded,
    ]
    where = {type(event): thread for event, thread in heard}
    assert where[events.AttemptStarted] == where[events.AttemptEnded] == THREADS[-1]
    assert where[events.RunSubmitted] == where[events.RunEnded] == threading.get_ident()
    ended = heard[-1][0]
    assert isinstance(ended, events.RunEnded)
    run = ended.outcome.run
    assert (ended.outcome.status, run.job.name, run.attempt, run.object_repr) == ("SUCCESS", "Witness", 1, "sw")


async def test_a_retry_is_told_of_with_what_was_raised(
    db: Connection, daemon_dsn: str, device: str, subscribe: Callable[..., None]
) -> None:
    add_hook(db, SecondTime, device)
    SecondTime.tries = 0
    retried: list[events.RunRetried] = []
    ended: list[events.RunEnded] = []
    subscribe(events.RunRetried, retried.append)
    subscribe(events.RunEnded, ended.append)
    async with running_daemon(daemon_dsn, SecondTime):
        insert(db, 1)
        await settled(db)
    assert [(str(event.error), event.is_transient, event.run.attempt) for event in retried] == [("not yet", False, 1)]
    assert [(event.outcome.status, event.outcome.run.attempt) for event in ended] == [("SUCCESS", 2)]


class Waits(JobHookReceiver):
    """Goes on until it is let go, and has used its session by then."""

    go_on: ClassVar[threading.Event]

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        changed_object.save()
        self.go_on.wait(PATIENCE)


class WaitsTogether(JobHookReceiver):
    """The same for several changes."""

    class Meta:
        batch_size = 10
        batch_wait = 0.1

    go_on: ClassVar[threading.Event]

    def receive_job_hooks(self, changes: list[ObjectChange]) -> None:
        self.session.execute(text("update dcim.device set name = 'seen'"))
        self.go_on.wait(PATIENCE)


@pytest.mark.parametrize("waits_for_the_daemon", [True, False])
async def test_a_run_that_is_revoked_while_it_goes_on_has_ended_as_revoked(
    db: Connection, daemon_dsn: str, device: str, subscribe: Callable[..., None], waits_for_the_daemon: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The daemon looks for such runs; or the receiver ends before that, and its commit is refused."""
    if not waits_for_the_daemon:
        monkeypatch.setattr(scheduler, "REVOCATION_INTERVAL", 3600.0)
    monkeypatch.setattr(Waits, "go_on", threading.Event(), raising=False)
    add_hook(db, Waits, device)
    ended: list[events.RunEnded] = []
    subscribe(events.RunEnded, ended.append)
    async with running_daemon(daemon_dsn, Waits):
        insert(db, 1)
        await eventually(lambda: db.execute("select 1 from rowhooks.results where status = 'STARTED'").fetchone())
        db.execute("select rowhooks.revoke(id) from rowhooks.results")
        if not waits_for_the_daemon:
            Waits.go_on.set()
        await eventually(lambda: ended)
        Waits.go_on.set()
    (outcome,) = [event.outcome for event in ended]
    finished = db.execute("select finished_at from rowhooks.results").fetchone()
    assert (outcome.status, outcome.exception_type, (outcome.finished_at,)) == ("REVOKED", None, finished)


async def test_a_run_that_is_revoked_while_its_batch_goes_on_has_ended_as_revoked_and_the_others_have_not(
    db: Connection, daemon_dsn: str, device: str, subscribe: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WaitsTogether, "go_on", threading.Event(), raising=False)
    add_hook(db, WaitsTogether, device)
    ended: list[events.RunEnded] = []
    subscribe(events.RunEnded, ended.append)
    async with running_daemon(daemon_dsn, WaitsTogether):
        db.execute("insert into dcim.device (id, name) select n, 'sw' from generate_series(1, 3) as n")
        started = "select count(*) = 3 from rowhooks.results where status = 'STARTED'"
        await eventually(lambda: db.execute(started).fetchone() == (True,))
        db.execute("select rowhooks.revoke(id) from rowhooks.results where object_id ->> 'id' = '2'")
        WaitsTogether.go_on.set()
        await eventually(lambda: len(ended) == 3)
    found = db.execute("select id, status from rowhooks.results order by id").fetchall()
    assert [status for _, status in found] == ["SUCCESS", "REVOKED", "SUCCESS"]
    assert sorted((event.outcome.run.id, event.outcome.status) for event in ended) == found


async def test_what_the_daemon_does_is_told_of(
    db: Connection, daemon_dsn: str, device: str, subscribe: Callable[..., None]
) -> None:
    add_hook(db, Witness, device)
    heard: list[events.Event] = []
    for kind in (events.LeadershipChanged, events.ConfigurationLoaded, events.FeedRead):
        subscribe(kind, heard.append)
    async with running_daemon(daemon_dsn, Witness):
        insert(db, 1)
        await settled(db)
    loaded, leading, *read, stopping = heard
    assert isinstance(loaded, events.ConfigurationLoaded)
    assert (loaded.tables, loaded.hooks) == (1, 1)
    assert leading == events.LeadershipChanged(events.DaemonState.LEADING)
    assert sum(event.changes for event in read if isinstance(event, events.FeedRead)) == 1
    assert stopping == events.LeadershipChanged(events.DaemonState.STOPPING)


async def test_the_backlog_is_counted_where_there_is_a_subscriber(
    db: Connection, daemon_dsn: str, device: str, subscribe: Callable[..., None]
) -> None:
    counted = threading.Event()
    subscribe(events.BacklogCounted, lambda event: counted.set() if event.backlog.changes == 0 else None)
    async with running_daemon(daemon_dsn, Witness):
        insert(db, 1)
        await settled(db)
        await eventually(counted.is_set)


async def test_a_subscriber_that_raises_ends_neither_the_run_nor_the_daemon(
    db: Connection, daemon_dsn: str, device: str, subscribe: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    add_hook(db, Witness, device)

    def broken(event: events.Event) -> None:
        raise ValueError("of a subscriber")

    for kind in OF_RUNS:
        subscribe(kind, broken)
    async with running_daemon(daemon_dsn, Witness):
        insert(db, 1)
        await settled(db)
    assert db.execute("select status from rowhooks.job_result").fetchall() == [("SUCCESS",)]
    assert caplog.text.count("a subscriber of RunEnded failed") == 1
