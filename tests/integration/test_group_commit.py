"""Group commit: runs that share a transaction, as if each had its own."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any, ClassVar

import psycopg
import pytest
import sqlalchemy
from sqlalchemy import text

from rowhooks import JobButtonReceiver, JobHookReceiver, ObjectChange, SoftTimeLimitExceeded, register_jobs
from rowhooks.domain.errors import ReceiverError
from rowhooks.domain.events import RunEnded, RunExecuted
from rowhooks.pipeline.scheduling import grouping
from rowhooks.pipeline.scheduling.pools import PreparedRun
from rowhooks.pipeline.scheduling.thread_pool import ThreadPool
from tests.support.daemons import running_daemon
from tests.support.hooks import add_button, add_hook
from tests.support.waiting import PATIENCE, eventually, settled

Connection = psycopg.Connection[Any]
EFFECT = text("insert into effect (device, note, run) values (:device, :note, current_setting('rowhooks.run'))")
MINE = "select pg_backend_pid()"


@pytest.fixture(autouse=True)
def effect(db: Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A table of what receivers did, with the transaction: savepoints have their own xmin."""
    db.execute(
        "create table effect"
        " (seq bigserial, device integer, note text, run text, xact xid8 default pg_current_xact_id())"
    )
    db.execute("grant select, insert on effect to rowhooks_daemon")
    db.execute("grant usage on sequence effect_seq_seq to rowhooks_daemon")
    # However slow the machine is.
    monkeypatch.setattr(grouping, "LONGEST_OPEN", 1000.0)
    accept = ThreadPool.accept

    def noting(pool: ThreadPool, group: Collection[PreparedRun]) -> None:
        accept(pool, group)
        Grouped.accepted += len(group)
        if Grouped.accepted > Grouped.expected:
            Grouped.gate.set()

    monkeypatch.setattr(ThreadPool, "accept", noting)
    Grouped.calls.clear()
    Grouped.does, Grouped.gate, Grouped.accepted = {}, threading.Event(), 0
    Grouped.expected = 0
    yield
    Grouped.gate.set()


class Grouped(JobHookReceiver):
    """Notes its row; what else it does for a row is said by the test. The run of row 0 waits for the others to come."""

    class Meta:
        group_commit = 50
        loads_object = False

    calls: ClassVar[Counter[int]] = Counter()
    does: ClassVar[dict[int, Any]] = {}
    gate: ClassVar[threading.Event] = threading.Event()
    accepted: ClassVar[int] = 0
    expected: ClassVar[int] = 0

    def write(self, device: int, note: str = "receiver") -> None:
        self.session.execute(EFFECT, {"device": device, "note": note})

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        device = change.changed_object_id["id"]
        if device == 0:
            assert Grouped.gate.wait(PATIENCE)
            return None
        Grouped.calls[device] += 1
        self.write(device)
        return self.does.get(device, lambda _: None)(self)


def insert(db: Connection, numbers: int = 5) -> None:
    Grouped.expected += numbers
    db.execute("insert into dcim.device select n, 'sw', 'SN' from generate_series(0, %s) as n", (numbers,))


def effects(db: Connection) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for device, note in db.execute("select device, note from effect order by seq"):
        found.setdefault(device, []).append(note)
    return found


def transactions(db: Connection) -> list[tuple[int, ...]]:
    """Return which rows' effects were committed together."""
    rows = db.execute("select array_agg(distinct device order by device) from effect group by xact order by min(seq)")
    return [tuple(row[0]) for row in rows]


def results(db: Connection, columns: str = "status") -> list[Any]:
    # Of the runs that the test is about, see Grouped.
    query = f"select {columns} from rowhooks.results where object_id ->> 'id' <> '0' order by object_change_id"
    rows = db.execute(query).fetchall()
    return [row[0] if len(row) == 1 else row for row in rows]


ONCE = {number: ["receiver"] for number in range(1, 6)}


def status_of(event: RunExecuted) -> str | None:
    return None if event.outcome is None else event.outcome.status


async def handled(db: Connection, dsn: str, *jobs: type, numbers: int = 5, **settings: Any) -> None:
    """Let a daemon with one thread deal with rows that are inserted together."""
    for job in jobs:
        add_hook(db, job, "dcim.device")
    async with running_daemon(dsn, *jobs, threads=1, **settings):
        insert(db, numbers)
        await settled(db)


async def test_runs_of_different_rows_share_a_transaction_with_their_results(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    await handled(db, daemon_dsn, Grouped)
    assert effects(db) == ONCE
    assert transactions(db) == [(1, 2, 3, 4, 5)]
    assert results(db) == ["SUCCESS"] * 5
    # Each has its own session variables.
    assert db.execute("select count(distinct run) from effect join rowhooks.results r on r.key = run").fetchone() == (
        5,
    )


class ByTwo(Grouped):
    class Meta:
        group_commit = 2
        loads_object = False


async def test_a_group_has_as_many_runs_as_meta_says(db: Connection, daemon_dsn: str, device: str) -> None:
    await handled(db, daemon_dsn, ByTwo)
    assert transactions(db) == [(1, 2), (3, 4), (5,)]
    assert results(db) == ["SUCCESS"] * 5


async def test_a_group_that_has_been_open_for_long_takes_no_other_run(
    db: Connection, daemon_dsn: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grouping, "LONGEST_OPEN", 0.0)
    await handled(db, daemon_dsn, Grouped)
    assert transactions(db) == [(1,), (2,), (3,), (4,), (5,)]


async def test_the_runs_of_one_row_never_share_a_transaction_and_keep_their_order(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Grouped, device)
    async with running_daemon(daemon_dsn, Grouped, threads=1):
        with db.transaction():
            insert(db, 3)
            db.execute("update dcim.device set name = 'b' where id = 1")
            db.execute("update dcim.device set name = 'c' where id = 1")
        await settled(db)
    assert effects(db) == {1: ["receiver"] * 3, 2: ["receiver"], 3: ["receiver"]}
    of_one = db.execute("select count(distinct xact) from effect where device = 1").fetchone()
    assert of_one == (3,)
    order = db.execute(
        "select array_agg(r.object_change_id order by e.seq) from effect e join rowhooks.results r on r.key = e.run"
        " where e.device = 1"
    ).fetchone()
    assert order is not None
    assert order[0] == sorted(order[0])


class Pressed(JobButtonReceiver):
    class Meta:
        group_commit = 50

    def receive_job_button(self, obj: Any) -> None:
        self.session.execute(EFFECT, {"device": obj.id, "note": "button"})


async def test_what_hooks_and_what_buttons_start_shares_no_transaction(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    """A deferred trigger writes at the COMMIT: what comes of a press must not be taken for what a hook's run wrote."""
    add_hook(db, Grouped, device)
    add_button(db, Pressed, device, name="pressed")
    async with running_daemon(daemon_dsn, Grouped, Pressed, threads=1):
        Grouped.expected = 3
        insert(db, 3)
        for number in (1, 2, 3):
            db.execute("select rowhooks.press('pressed', 'dcim.device', %s)", (str(number),))
        await settled(db)
    rows = db.execute("select array_agg(distinct note), count(*) from effect group by xact").fetchall()
    assert sorted(rows) == [(["button"], 3), (["receiver"], 3)]


def raising(receiver: Grouped) -> None:
    raise ValueError("no good")


class LifeCycle(Grouped):
    def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        self.write(kwargs["object_change"].changed_object_id["id"], f"on_failure {exc}")

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        device = kwargs["object_change"].changed_object_id["id"]
        if device:
            self.write(device, "on_success")


async def test_a_run_that_fails_goes_back_to_its_savepoint_and_its_failure_is_committed_with_the_others(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    Grouped.does = {3: raising}
    await handled(db, daemon_dsn, LifeCycle)
    well = ["receiver", "on_success"]
    assert effects(db) == {1: well, 2: well, 3: ["on_failure no good"], 4: well, 5: well}
    assert transactions(db) == [(1, 2, 3, 4, 5)]
    assert results(db) == ["SUCCESS", "SUCCESS", "FAILURE", "SUCCESS", "SUCCESS"]
    assert set(Grouped.calls.values()) == {1}


async def test_a_run_that_notes_its_failure_keeps_what_it_wrote(db: Connection, daemon_dsn: str, device: str) -> None:
    Grouped.does = {3: lambda receiver: receiver.fail("no good")}
    await handled(db, daemon_dsn, Grouped)
    assert transactions(db) == [(1, 2, 3, 4, 5)]
    assert results(db) == ["SUCCESS", "SUCCESS", "FAILURE", "SUCCESS", "SUCCESS"]


class Retried(Grouped):
    class Meta:
        group_commit = 50
        loads_object = False
        autoretry_for = (ValueError,)
        max_retries = 3
        retry_backoff = 0


def raising_once(receiver: Grouped) -> None:
    if Grouped.calls[3] == 1:
        raise ValueError("again")


async def test_a_retry_of_one_run_leaves_the_others_committed(db: Connection, daemon_dsn: str, device: str) -> None:
    Grouped.does = {3: raising_once}
    await handled(db, daemon_dsn, Retried)
    assert effects(db) == ONCE
    assert transactions(db)[0] == (1, 2, 4, 5)
    assert results(db, "status, attempt") == [("SUCCESS", 1 + (number == 3)) for number in range(1, 6)]
    assert Grouped.calls == {1: 1, 2: 1, 3: 2, 4: 1, 5: 1}


async def test_a_commit_that_fails_has_each_executed_again_alone(db: Connection, daemon_dsn: str, device: str) -> None:
    db.execute("create table forbidden (device integer primary key)")
    db.execute("insert into forbidden select n from generate_series(1, 10) as n where n <> 3")
    db.execute(
        "alter table effect add constraint allowed foreign key (device) references forbidden"
        " deferrable initially deferred"
    )
    await handled(db, daemon_dsn, Grouped)
    assert effects(db) == {number: ["receiver"] for number in (1, 2, 4, 5)}
    assert sorted(transactions(db)) == [(1,), (2,), (4,), (5,)]
    assert results(db, "status, attempt") == [("FAILURE" if number == 3 else "SUCCESS", 1) for number in range(1, 6)]
    assert Grouped.calls == dict.fromkeys(range(1, 6), 2)


ENDINGS = {
    "commit": ["commit"],
    "commit and chain": ["commit and chain"],
    "rollback": ["rollback"],
    "rollback and chain": ["rollback and chain"],
    "rollback; begin": ["rollback; begin"],
    "commit; begin": ["commit; begin"],
    "prepare transaction": ["prepare transaction 'x'"],
    "rollback, caught": ["rollback", "again"],
    "commit, caught": ["COMMIT", "again"],
    "the release of the savepoint": ["release savepoint rowhooks_run"],
    "the release of the savepoint, then a rollback": ["release savepoint rowhooks_run", "rollback", "begin"],
    "the connection's commit": ["CONNECTION"],
    "the driver's commit": ["DRIVER"],
}


def ending(steps: list[str]) -> Any:
    def does(receiver: Grouped) -> None:
        for step in steps:
            if step == "again":
                receiver.write(3, "again")
            elif step == "CONNECTION":
                receiver.session.connection().commit()
            elif step == "DRIVER":
                receiver.session.connection().connection.driver_connection.commit()
            elif step == "COMMIT":
                with contextlib.suppress(Exception):
                    receiver.session.execute(text(step))
            else:
                receiver.session.execute(text(step))

    return does


@pytest.mark.parametrize("way", ENDINGS)
async def test_a_receiver_that_ends_the_transaction_harms_no_other_run(
    db: Connection, daemon_dsn: str, device: str, way: str
) -> None:
    Grouped.does = {3: ending(ENDINGS[way])}
    await handled(db, daemon_dsn, Grouped)
    for (name,) in db.execute("select gid from pg_prepared_xacts where database = current_database()").fetchall():
        db.execute(f"rollback prepared '{name}'")
    others = effects(db)
    others.pop(3, None)
    assert others == {number: ["receiver"] for number in (1, 2, 4, 5)}
    status = results(db, "status, exception_type, attempt")
    assert status[:2] == status[3:] == [("SUCCESS", None, 1)] * 2
    if "savepoint" not in way:
        assert status[2][0] == "FAILURE"
        # It was alone when it did: the others had nothing to do with it.
        assert all(group == (3,) or 3 not in group for group in transactions(db))


def isolated(receiver: Grouped) -> Any:
    receiver.session.rollback()
    connection = receiver.session.connection(execution_options={"isolation_level": "SERIALIZABLE"})
    return connection.exec_driver_sql("show transaction_isolation").scalar()


def isolated_by_statement(receiver: Grouped) -> Any:
    receiver.session.rollback()
    receiver.session.execute(text("set transaction isolation level serializable"))
    return receiver.session.execute(text("show transaction_isolation")).scalar()


@pytest.mark.parametrize("does", [isolated, isolated_by_statement])
@pytest.mark.parametrize("number", [1, 3])
async def test_a_receiver_that_chooses_its_isolation_level_is_executed_alone(
    db: Connection, daemon_dsn: str, device: str, does: Any, number: int
) -> None:
    Grouped.does = {number: does}
    await handled(db, daemon_dsn, Grouped)
    assert results(db) == ["SUCCESS"] * 5
    assert results(db, "result")[number - 1] == "serializable"
    assert effects(db) == {n: ["receiver"] for n in ONCE if n != number}


async def test_where_the_session_has_another_isolation_level_each_run_has_its_own_transaction(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    characteristics = "set session characteristics as transaction isolation level repeatable read"

    def does(receiver: Grouped) -> Any:
        if Grouped.calls[1] == 1:
            receiver.session.execute(text(characteristics))
        return receiver.session.execute(text("show transaction_isolation")).scalar()

    Grouped.does = {1: does, 2: does, 3: does}
    add_hook(db, Grouped, device)
    async with running_daemon(daemon_dsn, Grouped, threads=1):
        insert(db, 3)
        await settled(db)
        db.execute("update dcim.device set name = 'b' where id > 0")
        await settled(db)
    assert results(db, "status, result") == [("SUCCESS", "read committed")] * 3 + [("SUCCESS", "repeatable read")] * 3
    assert sorted(transactions(db)) == [(1,), (1, 2, 3), (2,), (3,)]


def wrong(receiver: Grouped) -> None:
    receiver.session.execute(text("select 1 / 0"))


def caught(receiver: Grouped) -> None:
    with contextlib.suppress(Exception), receiver.session.begin_nested():
        wrong(receiver)
    receiver.write(3, "afterwards")


@pytest.mark.parametrize(("does", "status"), [(wrong, "FAILURE"), (caught, "SUCCESS")])
async def test_an_error_of_the_database_counts_only_where_the_run_is_alone(
    db: Connection, daemon_dsn: str, device: str, does: Any, status: str
) -> None:
    Grouped.does = {3: does}
    await handled(db, daemon_dsn, Grouped)
    assert results(db, "status, attempt") == [(status if n == 3 else "SUCCESS", 1) for n in ONCE]
    assert transactions(db)[0][:2] == (1, 2)
    assert effects(db).get(3) == (None if does is wrong else ["receiver", "afterwards"])
    assert Grouped.calls[3] == (2 if does is wrong else 1)


async def test_a_receiver_that_rolls_its_session_back_undoes_its_own_writes_alone(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    def does(receiver: Grouped) -> None:
        receiver.session.rollback()
        receiver.write(3, "afterwards")

    Grouped.does = {3: does}
    await handled(db, daemon_dsn, Grouped)
    assert effects(db) == {**ONCE, 3: ["afterwards"]}
    assert transactions(db) == [(1, 2, 3, 4, 5)]


def losing(db: Connection) -> Any:
    def does(receiver: Grouped) -> None:
        if Grouped.calls[3] == 1:
            (pid,) = receiver.session.execute(text(MINE)).one()
            with psycopg.connect(db.info.dsn, password=db.info.password or None, autocommit=True) as other:
                other.execute("select pg_terminate_backend(%s, 10000)", (pid,))
        receiver.session.execute(text("select 1"))

    return does


async def test_a_connection_that_is_lost_costs_the_other_runs_of_its_transaction_no_attempt(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    Grouped.does = {3: losing(db)}
    await handled(db, daemon_dsn, Grouped)
    assert effects(db) == ONCE
    assert results(db, "status, attempt") == [("SUCCESS", 1)] * 5
    assert Grouped.calls == {1: 2, 2: 2, 3: 2, 4: 1, 5: 1}


class Waiting:
    goes_on: ClassVar[threading.Event] = threading.Event()


class Limited(Grouped):
    class Meta:
        group_commit = 50
        loads_object = False
        soft_time_limit = 0.2
        time_limit = 0.4


def hanging(receiver: Grouped) -> None:
    # Whatever is raised in it.
    while not Waiting.goes_on.is_set():
        with contextlib.suppress(BaseException):
            Waiting.goes_on.wait(PATIENCE)


@pytest.fixture
def goes_on() -> Iterator[threading.Event]:
    Waiting.goes_on = threading.Event()
    yield Waiting.goes_on
    Waiting.goes_on.set()


async def test_a_run_that_is_ended_costs_the_others_of_its_transaction_no_attempt_and_no_failure(
    db: Connection, daemon_dsn: str, device: str, goes_on: threading.Event
) -> None:
    Grouped.does = {3: hanging}
    add_hook(db, Limited, device)
    executed: list[tuple[int, str | None]] = []
    async with running_daemon(daemon_dsn, Limited, threads=1) as daemon:
        daemon.events.subscribe(RunExecuted, lambda event: executed.append((event.run.id, status_of(event))))
        insert(db)
        await settled(db)
        assert not goes_on.is_set()
        goes_on.set()
    assert effects(db) == {number: ["receiver"] for number in (1, 2, 4, 5)}
    assert results(db, "status, attempt") == [("FAILURE" if n == 3 else "SUCCESS", 1) for n in ONCE]
    assert results(db, "exception_type")[2].endswith("TimeLimitExceeded")
    assert Grouped.calls == {1: 2, 2: 2, 3: 1, 4: 1, 5: 1}
    # One verdict for each.
    assert len(executed) == len({id_ for id_, _ in executed}) == 6


def interrupted(receiver: Grouped) -> None:
    with contextlib.suppress(SoftTimeLimitExceeded):
        receiver.session.execute(text("select pg_sleep(60)"))
    raise SoftTimeLimitExceeded


async def test_a_soft_time_limit_interrupts_the_run_that_is_executed_and_no_other(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    Grouped.does = {3: interrupted}

    class Soft(Grouped):
        class Meta:
            group_commit = 50
            loads_object = False
            soft_time_limit = 0.3

    await handled(db, daemon_dsn, Soft)
    assert effects(db) == {number: ["receiver"] for number in (1, 2, 4, 5)}
    assert results(db, "status, attempt") == [("FAILURE" if n == 3 else "SUCCESS", 1) for n in ONCE]
    assert Grouped.calls[3] == 1


def in_vain(receiver: Grouped) -> None:
    assert Waiting.goes_on.wait(PATIENCE)


async def test_what_waits_for_the_commit_reaches_no_time_limit(
    db: Connection, daemon_dsn: str, device: str, goes_on: threading.Event
) -> None:
    class Patient(Grouped):
        def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
            if change.changed_object_id["id"] == 5:
                self.write(5)
                in_vain(self)

    # The hooks are asked in their order: the run that waits comes behind those with limits.
    add_hook(db, Limited, device)
    add_hook(db, Patient, device)
    async with running_daemon(daemon_dsn, Limited, Patient, threads=1):
        # Each row has two runs.
        Grouped.expected = 6
        insert(db)
        long = "select 1 from rowhooks.results where status = 'STARTED' and class_path ~ 'Patient'"
        # More than the time limit of the others.
        await eventually(lambda: db.execute(long).fetchone() is not None)
        assert transactions(db) == []
        goes_on.set()
        await settled(db)
    assert Grouped.calls == dict.fromkeys(range(1, 6), 1)
    assert set(results(db)) == {"SUCCESS"}
    assert transactions(db) == [(1, 2, 3, 4, 5)]


async def test_what_waits_for_the_commit_and_is_revoked_is_not_committed(
    db: Connection, daemon_dsn: str, device: str, goes_on: threading.Event
) -> None:
    Grouped.does = {5: in_vain}
    add_hook(db, Grouped, device)
    async with running_daemon(daemon_dsn, Grouped, threads=1):
        insert(db)
        second = "select id from rowhooks.results where object_id ->> 'id' = '2'"
        await eventually(lambda: db.execute(second).fetchone() is not None)
        db.execute(f"select rowhooks.revoke(({second}))")
        goes_on.set()
        await settled(db)
    assert results(db) == ["SUCCESS", "REVOKED", "SUCCESS", "SUCCESS", "SUCCESS"]
    assert effects(db) == {number: ["receiver"] for number in (1, 3, 4, 5)}


async def test_what_waits_for_the_commit_is_put_on_record_meanwhile(
    db: Connection, daemon_dsn: str, device: str, goes_on: threading.Event
) -> None:
    Grouped.does = {5: in_vain}
    add_hook(db, Grouped, device)
    async with running_daemon(daemon_dsn, Grouped, threads=1):
        insert(db)
        waiting = "select count(*) from rowhooks.results where status in ('PENDING', 'STARTED')"
        await eventually(lambda: db.execute(waiting).fetchone() == (5,))
        goes_on.set()
        await settled(db)
    assert results(db) == ["SUCCESS"] * 5
    assert transactions(db) == [(1, 2, 3, 4, 5)]
    assert effects(db) == ONCE


async def test_each_run_is_told_of_once_when_its_verdict_is_final(db: Connection, daemon_dsn: str, device: str) -> None:
    db.execute("alter table effect add constraint once unique (device) deferrable initially deferred")
    Grouped.does = {3: lambda receiver: receiver.write(3) if Grouped.calls[3] == 1 else None}
    add_hook(db, Grouped, device)
    executed: list[tuple[int, str | None]] = []
    ended: list[int] = []
    async with running_daemon(daemon_dsn, Grouped, threads=1) as daemon:
        daemon.events.subscribe(RunExecuted, lambda event: executed.append((event.run.id, status_of(event))))
        daemon.events.subscribe(RunEnded, lambda event: ended.append(event.outcome.run.id))
        insert(db)
        await settled(db)
    assert effects(db) == ONCE
    assert Grouped.calls == dict.fromkeys(range(1, 6), 2)
    assert sorted(executed) == [(id_, "SUCCESS") for id_ in sorted(ended)]
    assert len(ended) == len(set(ended)) == 6


class Unused(Grouped):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        device = change.changed_object_id["id"]
        if device % 2:
            return super().receive_job_hook(change, action, changed_object)
        if device == 0:
            assert Grouped.gate.wait(PATIENCE)
        return "unused"


async def test_a_run_that_does_not_use_its_session_is_recorded_as_ever(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    await handled(db, daemon_dsn, Unused)
    assert transactions(db) == [(1, 3, 5)]
    assert results(db, "status, result") == [("SUCCESS", None if n % 2 else "unused") for n in ONCE]


class Awaited(JobHookReceiver):
    class Meta:
        group_commit = 50

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        pass


class Batch(JobHookReceiver):
    class Meta:
        group_commit = 50

    def receive_job_hooks(self, changes: list[ObjectChange]) -> None:
        pass


@pytest.mark.parametrize("value", [0, -1, 1001, True, "50", 2.0, None])
def test_a_size_that_is_none_is_refused(value: Any) -> None:
    class Wrong(Grouped):
        class Meta:
            group_commit = value

    with pytest.raises(ReceiverError, match=r"Meta\.group_commit must be a whole number from 1 \(no group\) to 1000"):
        register_jobs(Wrong)


@pytest.mark.parametrize(
    ("job", "way_out"), [(Awaited, "declare it with plain `def`"), (Batch, "Meta.batch_size says")]
)
def test_receivers_that_can_share_no_transaction_are_refused_with_the_way_out(job: type, way_out: str) -> None:
    with pytest.raises(ReceiverError, match=way_out):
        register_jobs(job)


def shadowed(receiver: Grouped) -> None:
    receiver.session.execute(text("savepoint rowhooks_run"))
    raise ValueError("no good")


def written_after_a_rollback(receiver: Grouped) -> None:
    connection = receiver.session.connection()
    receiver.session.rollback()
    with contextlib.suppress(Exception):
        connection.execute(EFFECT, {"device": 3, "note": "afterwards"})
    raise ValueError("no good")


def written_after_the_connections_rollback(receiver: Grouped) -> None:
    receiver.session.connection().rollback()
    with contextlib.suppress(Exception):
        receiver.session.connection().execute(EFFECT, {"device": 3, "note": "afterwards"})
    raise ValueError("no good")


@pytest.mark.parametrize("does", [shadowed, written_after_a_rollback, written_after_the_connections_rollback])
async def test_nothing_stays_of_a_run_that_failed_however_it_wrote_it(
    db: Connection, daemon_dsn: str, device: str, does: Any
) -> None:
    Grouped.does = {3: does}
    await handled(db, daemon_dsn, Grouped)
    assert effects(db) == {number: ["receiver"] for number in (1, 2, 4, 5)}
    assert results(db, "status, attempt") == [("FAILURE" if n == 3 else "SUCCESS", 1) for n in ONCE]


@pytest.mark.parametrize(
    "closes",
    [
        lambda receiver: receiver.session.connection().close(),
        lambda receiver: receiver.session.connection().connection.close(),
        lambda receiver: receiver.session.connection().connection.driver_connection.close(),
        lambda receiver: receiver.session.connection().invalidate(),
        lambda receiver: receiver.session.invalidate(),
    ],
    ids=["connection", "pooled", "driver", "invalidated", "session"],
)
async def test_a_receiver_that_closes_its_connection_costs_no_other_run_anything(
    db: Connection, daemon_dsn: str, device: str, closes: Any
) -> None:
    # What it costs the run itself is the same as without a group.
    Grouped.does = {3: lambda receiver: closes(receiver) if Grouped.calls[3] == 1 else None}
    add_hook(db, Grouped, device)
    async with running_daemon(daemon_dsn, Grouped, threads=1):
        insert(db)
        await settled(db)
        db.execute("insert into dcim.device values (6, 'sw', 'SN')")
        await settled(db)
    assert effects(db) == {**ONCE, 6: ["receiver"]}
    assert results(db, "status, attempt") == [("SUCCESS", 1)] * 6


async def test_what_a_receiver_sets_on_its_connection_and_what_it_keeps_of_it_is_not_the_next_ones(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    kept: list[Any] = []

    def mapped(receiver: Grouped) -> None:
        receiver.session.rollback()
        kept.append(receiver.session.connection(execution_options={"schema_translate_map": {None: "elsewhere"}}))
        receiver.write(3)

    def using(receiver: Grouped) -> Any:
        options = dict(receiver.session.connection().get_execution_options())
        with contextlib.suppress(Exception):
            kept[0].execute(EFFECT, {"device": 3, "note": "of another"})
        return "schema_translate_map" in options

    Grouped.does = {3: mapped, 4: using}
    await handled(db, daemon_dsn, Grouped)
    assert effects(db) == ONCE
    assert results(db, "status, result")[3] == ("SUCCESS", False)
    assert transactions(db) == [(1, 2, 3, 4, 5)]


class Silent(Grouped):
    """Does not use its session for row 3."""

    class Meta:
        group_commit = 50
        loads_object = False
        soft_time_limit = 0.2
        time_limit = 0.4

    def write(self, device: int, note: str = "receiver") -> None:
        if device != 3:
            super().write(device, note)


async def test_a_run_that_is_ended_before_it_has_used_its_session_holds_nobody_up(
    db: Connection, daemon_dsn: str, device: str, goes_on: threading.Event
) -> None:
    db.execute("alter table effect add constraint once unique (device)")
    Grouped.does = {3: hanging}
    add_hook(db, Silent, device)
    async with running_daemon(daemon_dsn, Silent, threads=1):
        insert(db)
        await settled(db)
        assert not goes_on.is_set()
        goes_on.set()
    assert effects(db) == {number: ["receiver"] for number in (1, 2, 4, 5)}
    assert results(db, "status, attempt") == [("FAILURE" if n == 3 else "SUCCESS", 1) for n in ONCE]


class Sensitive(Grouped):
    class Meta:
        group_commit = 50
        loads_object = False
        has_sensitive_variables = True


async def test_what_the_server_says_of_a_sensitive_run_stands_in_no_log(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    db.execute("alter table effect add constraint once unique (note) deferrable initially deferred")

    class Named(Sensitive):
        def write(self, device: int, note: str = "receiver") -> None:
            super().write(device, f"secret {device // 4}")

    await handled(db, daemon_dsn, Named)
    assert Grouped.calls[1] == 2
    assert db.execute("select count(*) from rowhooks.job_log_entry where message ~ 'secret'").fetchone() == (0,)
    assert not [record for record in caplog.records if "secret" in record.getMessage() and "again" in record.msg]


async def test_a_failure_that_comes_of_what_was_never_committed_does_not_count(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    db.execute("alter table effect add constraint once unique (note, device) deferrable initially deferred")

    def wrongly(receiver: Grouped) -> None:
        if Grouped.calls[2] == 1:
            receiver.write(2, "gone")
            receiver.write(2, "gone")

    def reading(receiver: Grouped) -> None:
        if receiver.session.execute(text("select count(*) from effect where note = 'gone'")).scalar():
            raise ValueError("no good")

    Grouped.does = {2: wrongly, 3: reading}
    await handled(db, daemon_dsn, Grouped)
    assert effects(db) == ONCE
    assert results(db) == ["SUCCESS"] * 5


async def test_what_is_to_happen_after_the_commit_happens_after_the_shared_one(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    db.execute("alter table effect add constraint once unique (note, device) deferrable initially deferred")
    seen: list[tuple[int, int]] = []

    def does(device: int, receiver: Grouped) -> None:
        if device == 4 and Grouped.calls[4] == 1:
            receiver.write(4)

        @sqlalchemy.event.listens_for(receiver.session, "after_commit")
        def _(_: Any) -> None:
            with psycopg.connect(db.info.dsn, password=db.info.password or None) as other:
                found = other.execute("select count(*) from effect where device = %s", (device,)).fetchone()
                assert found is not None
                seen.append((device, found[0]))

    Grouped.does = {number: partial(does, number) for number in ONCE}
    await handled(db, daemon_dsn, Grouped)
    assert results(db) == ["SUCCESS"] * 5
    assert sorted(seen) == [(n, 1) for n in ONCE]
