"""Runs that other processes execute: what was promised of a run holds wherever it is executed."""

from __future__ import annotations

import asyncio
import threading
import uuid
from typing import Any, ClassVar

import psycopg
import pytest
from sqlalchemy import text

from rowhooks import JobButtonReceiver, JobHookReceiver, ObjectChange
from rowhooks.domain.dispatch import Group
from rowhooks.domain.errors import LeadershipLost, RunTaken, SoftTimeLimitExceeded
from rowhooks.pipeline.scheduling import admission, placement
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.dispatch.leading import DispatchBoard
from rowhooks.runtime import working
from tests.support.daemons import ELSEWHERE, running_daemon, running_worker, worked_daemon
from tests.support.hooks import add_button, add_hook
from tests.support.waiting import eventually, is_read, settled

Connection = psycopg.Connection[Any]
LEADER: dict[str, Any] = {"queues": ("default", ELSEWHERE), "default_queue": ELSEWHERE}


class Seen(JobHookReceiver):
    """Returns what it is called with."""

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.logger.info("seen %s", change.changed_object_id)
        return [action, changed_object.name, change.get_snapshots()["differences"]["added"]["name"]]


class Renaming(JobHookReceiver):
    """A plain receiver that writes its row."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        changed_object.serial = f"{change.postchange['name']}!"  # type: ignore[index]
        changed_object.save()


class Appending(JobHookReceiver):
    """Notes in which order it is called."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.session.execute(
            text("insert into dcim.device values (:id, :name)"),
            {"id": 1000 + change.id, "name": change.postchange["name"]},  # type: ignore[index]
        )


class Failing(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.session.execute(text("delete from dcim.device"))
        raise ValueError("not this one")


class SecondTime(JobHookReceiver):
    class Meta:
        autoretry_for = (ValueError,)
        retry_backoff = 0

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.session.execute(text("update dcim.device set serial = coalesce(serial, '') || 'x'"))
        if self.job_result.attempt == 1:
            raise ValueError("not yet")
        return self.job_result.attempt


class Stumbling(Appending):
    """The same, and stumbles once over the fiftieth."""

    class Meta:
        autoretry_for = (ValueError,)
        retry_backoff = 0

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        super().receive_job_hook(change, action, changed_object)
        if change.postchange["name"] == "50" and self.job_result.attempt == 1:  # type: ignore[index]
            raise ValueError("not yet")


class Grouped(JobHookReceiver):
    class Meta:
        group_commit = 20
        loads_object = False

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.session.execute(text("insert into dcim.device values (:id, 'grouped')"), {"id": 1000 + change.id})


class Many(JobHookReceiver):
    class Meta:
        batch_size = 10
        batch_wait = 0.05

    def receive_job_hooks(self, changes: list[ObjectChange]) -> Any:
        self.session.execute(text("insert into dcim.device values (:id, 'batch')"), {"id": 1000 + changes[0].id})
        return len(changes)


class Pressed(JobButtonReceiver):
    def receive_job_button(self, obj: Any) -> Any:
        return [obj.name, self.user.username]


class Held(JobHookReceiver):
    """Waits for the test."""

    entered: threading.Event
    release: threading.Event

    class Meta:
        time_limit = 0

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.logger.info("entered")
        changed_object.serial = "written"
        changed_object.save()
        self.entered.set()
        assert self.release.wait(30)


class Endless(JobHookReceiver):
    class Meta:
        time_limit = 0.5

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        await asyncio.sleep(3600)


class Softly(JobHookReceiver):
    class Meta:
        soft_time_limit = 0.3

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        try:
            await asyncio.sleep(3600)
        except SoftTimeLimitExceeded:
            return "cleaned up"


@pytest.fixture(autouse=True)
def held() -> None:
    Held.entered, Held.release = threading.Event(), threading.Event()


def insert(conn: Connection, number: int, name: str = "sw") -> None:
    conn.execute("insert into dcim.device values (%s, %s)", (number, name))


def results(db: Connection, columns: str = "status, result") -> list[tuple[Any, ...]]:
    return db.execute(f"select {columns} from rowhooks.results order by object_change_id, id").fetchall()


async def test_a_worker_loads_the_row_and_its_result_log_and_position_are_on_record(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Seen, device, "create")
    async with worked_daemon(daemon_dsn, Seen):
        insert(db, 1, "one")
        await settled(db)
        assert is_read(db)
    assert results(db) == [("SUCCESS", ["create", "one", "one"])]
    assert db.execute("select message from rowhooks.job_log_entry").fetchall() == [("seen {'id': 1}",)]
    assert db.execute("select count(*) from rowhooks.dispatch").fetchone() == (0,)


async def test_what_a_receiver_writes_in_a_worker_starts_no_hook_and_is_there_once(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Renaming, device)
    async with worked_daemon(daemon_dsn, Renaming):
        for number in range(50):
            insert(db, number, f"sw{number}")
        await settled(db)
    assert results(db, "status") == [("SUCCESS",)] * 50
    assert db.execute("select count(*) from dcim.device where serial = name || '!'").fetchone() == (50,)
    assert db.execute("select count(*) from rowhooks.object_change").fetchone() == (50,)


async def test_runs_of_one_row_happen_in_the_order_of_its_changes(db: Connection, daemon_dsn: str, device: str) -> None:
    add_hook(db, Appending, device, "update")
    insert(db, 1, "0")
    async with worked_daemon(daemon_dsn, Appending):
        for number in range(1, 40):
            db.execute("update dcim.device set name = %s where id = 1", (str(number),))
        await settled(db)
    order = db.execute("select name::int from dcim.device where id >= 1000 order by xmin::text::bigint").fetchall()
    assert order == [(number,) for number in range(1, 40)]


async def test_a_failure_leaves_nothing_of_what_was_written_and_has_its_traceback(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Failing, device)
    async with worked_daemon(daemon_dsn, Failing):
        insert(db, 1)
        await settled(db)
    ((status, error, message, traceback),) = db.execute(
        "select status, exception_type, exception_message, traceback from rowhooks.job_result"
    ).fetchall()
    assert (status, error, message) == ("FAILURE", "ValueError", "not this one")
    assert "receive_job_hook" in traceback
    assert db.execute("select count(*) from dcim.device").fetchone() == (1,)


async def test_a_retry_is_planned_by_the_leader_and_counted_once(db: Connection, daemon_dsn: str, device: str) -> None:
    add_hook(db, SecondTime, device)
    async with worked_daemon(daemon_dsn, SecondTime):
        insert(db, 1)
        await settled(db)
    assert results(db, "status, result, attempt, retries") == [("SUCCESS", 2, 2, 1)]
    assert db.execute("select serial from dcim.device").fetchone() == ("x",)


async def test_a_batch_is_one_call_in_a_worker_too(db: Connection, daemon_dsn: str, device: str) -> None:
    add_hook(db, Many, device)
    async with worked_daemon(daemon_dsn, Many):
        db.execute("insert into dcim.device select g, 'sw' from generate_series(1, 25) as g")
        await settled(db)
    assert [status for (status,) in results(db, "status")] == ["SUCCESS"] * 25
    (calls,) = db.execute("select count(*) from dcim.device where name = 'batch'").fetchone() or (0,)
    assert 3 <= calls < 25


async def test_a_press_is_executed_in_a_worker(db: Connection, daemon_dsn: str, device: str) -> None:
    add_button(db, Pressed, device, roles=["public"])
    insert(db, 1, "one")
    async with worked_daemon(daemon_dsn, Pressed):
        db.execute("select rowhooks.press('Pressed', 'dcim.device', '1')")
        await settled(db)
    ((status, result),) = results(db)
    assert (status, result[0]) == ("SUCCESS", "one")


async def test_time_limits_hold_in_a_worker(db: Connection, daemon_dsn: str, device: str) -> None:
    add_hook(db, Endless, device, name="hard")
    add_hook(db, Softly, device, name="soft")
    async with worked_daemon(daemon_dsn, Endless, Softly):
        insert(db, 1)
        await settled(db)
    found = db.execute(
        "select hook_name, status, exception_type, result from rowhooks.job_result order by 1"
    ).fetchall()
    assert found == [
        ("hard", "FAILURE", "rowhooks.domain.errors.TimeLimitExceeded", None),
        ("soft", "SUCCESS", None, "cleaned up"),
    ]


async def test_a_long_run_shows_its_log_while_it_goes_on_and_can_be_revoked(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Held, device)
    async with worked_daemon(daemon_dsn, Held):
        insert(db, 1)
        await eventually(Held.entered.is_set)
        await eventually(lambda: db.execute("select 1 from rowhooks.job_log_entry").fetchone())
        assert results(db, "status") == [("STARTED",)]
        # The position does not wait for it.
        await eventually(lambda: is_read(db))
        db.execute("select rowhooks.revoke(id) from rowhooks.job_result")
        await eventually(lambda: db.execute("select count(*) from rowhooks.dispatch").fetchone() == (0,))
        Held.release.set()
    assert results(db, "status") == [("REVOKED",)]
    assert db.execute("select serial from dcim.device").fetchone() == (None,)


async def test_without_a_worker_that_has_the_class_runs_wait_and_are_taken_by_the_first_that_has_it(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Seen, device)
    async with running_daemon(daemon_dsn, Seen, Failing, **LEADER):
        async with running_worker(daemon_dsn, Failing):
            insert(db, 1)
            await eventually(lambda: results(db, "status") == [("PENDING",)])
            assert db.execute("select count(*) from rowhooks.dispatch").fetchone() == (0,)
        async with running_worker(daemon_dsn, Seen):
            await settled(db)
    assert results(db, "status") == [("SUCCESS",)]


async def test_what_the_last_worker_with_its_class_has_left_keeps_nothing_else_waiting(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Held, device, "create")
    add_hook(db, Renaming, device, "update")
    async with running_daemon(daemon_dsn, Held, Renaming, **LEADER), running_worker(daemon_dsn, Renaming, threads=1):
        async with running_worker(daemon_dsn, Held, threads=1, grace_period=0.0):
            await eventually(lambda: db.execute("select count(*) from rowhooks.worker").fetchone() == (2,))
            groups = "select count(worker), count(*) filter (where worker is null) from rowhooks.dispatch"
            for number in (1, 2):
                # It takes no more then.
                insert(db, number)
                await eventually(lambda number=number: db.execute(groups).fetchone() == (number, 0))
            db.execute("insert into dcim.device select g, 'sw' from generate_series(3, 10) as g")
            await eventually(lambda: db.execute(groups).fetchone() in [(2, 1), (2, 2)])
        Held.release.set()
        db.execute("update dcim.device set name = 'other'")
        done = "select count(*) from rowhooks.job_result where status = 'SUCCESS'"
        await eventually(lambda: db.execute(done).fetchone() == (10,))
        async with running_worker(daemon_dsn, Held):
            await settled(db)
    assert set(results(db, "status")) == {("SUCCESS",)}


async def test_a_worker_that_stops_lets_what_runs_end_and_gives_the_rest_back(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Held, device)
    async with running_daemon(daemon_dsn, Held, **LEADER):
        async with running_worker(daemon_dsn, Held, threads=1) as first:
            db.execute("insert into dcim.device select g, 'sw' from generate_series(1, 2) as g")
            await eventually(Held.entered.is_set)
            await eventually(lambda: db.execute("select 1 from rowhooks.dispatch where worker is not null").fetchone())
            first.stop()
            Held.release.set()
        async with running_worker(daemon_dsn, Held):
            await settled(db)
    assert results(db, "status, attempt") == [("SUCCESS", 1)] * 2


class Elsewhere(JobHookReceiver):
    threads: ClassVar[set[str]] = set()

    class Meta:
        queue = ELSEWHERE

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        return "there"


class Here(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        return "here"


async def test_a_job_with_a_queue_of_its_own_goes_to_workers_and_the_others_stay(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Elsewhere, device)
    add_hook(db, Here, device)
    async with running_daemon(daemon_dsn, Elsewhere, Here, queues=("default", ELSEWHERE)):
        insert(db, 1)
        await eventually(lambda: ("SUCCESS", "here") in results(db))
        await eventually(lambda: ("PENDING", None) in results(db))
        async with running_worker(daemon_dsn, Elsewhere):
            await settled(db)
    assert sorted(results(db)) == [("SUCCESS", "here"), ("SUCCESS", "there")]


async def test_the_runs_of_a_busy_row_are_handed_out_together_and_stop_behind_a_retry(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Stumbling, device, "update")
    insert(db, 1, "0")
    async with running_daemon(daemon_dsn, Stumbling, **LEADER):
        for number in range(1, 101):
            db.execute("update dcim.device set name = %s where id = 1", (str(number),))
        await eventually(lambda: is_read(db))
        async with running_worker(daemon_dsn, Stumbling):
            await settled(db)
    order = db.execute("select name::int from dcim.device where id >= 1000 order by xmin::text::bigint").fetchall()
    assert order == [(number,) for number in range(1, 101)]
    # The first 50 of them and the one that is to be retried; that again with the others.
    ((groups,),) = db.execute("select last_value from rowhooks.dispatch_number_seq").fetchall()
    assert groups <= 10


class HeldByFirst(Held):
    """Waits for the test with the first row alone."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        if change.changed_object_id["id"] == 1:
            super().receive_job_hook(change, action, changed_object)


async def test_a_busy_row_keeps_no_other_row_of_its_worker_waiting(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, HeldByFirst, device)
    async with running_daemon(daemon_dsn, HeldByFirst, **LEADER):
        insert(db, 1)
        for _ in range(60):
            db.execute("update dcim.device set name = name || 'x' where id = 1")
        await eventually(lambda: is_read(db))
        async with running_worker(daemon_dsn, HeldByFirst):
            await eventually(Held.entered.is_set)
            db.execute("insert into dcim.device select g, 'sw' from generate_series(2, 100) as g")
            await eventually(lambda: results(db, "status").count(("SUCCESS",)) == 99)
            Held.release.set()
            await settled(db)
    assert results(db, "status") == [("SUCCESS",)] * 160


async def test_runs_that_share_their_transaction_do_so_in_a_worker(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Grouped, device)
    async with running_daemon(daemon_dsn, Grouped, **LEADER):
        db.execute("insert into dcim.device select g, 'sw' from generate_series(1, 40) as g")
        await eventually(lambda: is_read(db))
        async with running_worker(daemon_dsn, Grouped, threads=1):
            await settled(db)
    assert results(db, "status") == [("SUCCESS",)] * 40
    ((transactions,),) = db.execute("select count(distinct xmin::text) from dcim.device where id >= 1000").fetchall()
    # The first ones may be executed before others are there; each has a savepoint of its own.
    ((rows,),) = db.execute("select count(*) from dcim.device where id >= 1000").fetchall()
    assert rows == 40
    assert transactions <= 40


async def test_a_queue_without_a_worker_keeps_nothing_else_waiting_and_its_runs_wait_in_the_table(
    db: Connection, daemon_dsn: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "MOST_FOR_WORKERS", 10)
    monkeypatch.setattr(admission, "FETCHED_TOGETHER", 10)
    add_hook(db, Elsewhere, device)
    add_hook(db, Here, device)
    async with running_daemon(daemon_dsn, Elsewhere, Here, queues=("default", ELSEWHERE)) as daemon:
        db.execute("insert into dcim.device select g, 'sw' from generate_series(1, 300) as g")
        await eventually(lambda: is_read(db))
        await eventually(lambda: results(db, "status").count(("SUCCESS",)) == 300)
        # Those of one part of the feed come together.
        waiting, _ = daemon._in_memory()
        assert waiting <= 300
        db.execute("insert into dcim.device select g, 'sw' from generate_series(301, 600) as g")
        await eventually(lambda: is_read(db))
        assert daemon._in_memory()[0] == waiting
        async with running_worker(daemon_dsn, Elsewhere):
            await settled(db)
    assert results(db, "status") == [("SUCCESS",)] * 1200


class AtMostThree(JobHookReceiver):
    lock: ClassVar[threading.Lock] = threading.Lock()
    going: ClassVar[int] = 0
    most: ClassVar[int] = 0

    class Meta:
        max_concurrency = 3

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        with self.lock:
            AtMostThree.going += 1
            AtMostThree.most = max(AtMostThree.most, AtMostThree.going)
        for _ in range(20):
            await asyncio.sleep(0)
        with self.lock:
            AtMostThree.going -= 1


async def test_a_job_goes_on_so_often_at_a_time_as_it_says_over_all_workers(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, AtMostThree, device)
    async with (
        running_daemon(daemon_dsn, AtMostThree, **LEADER),
        running_worker(daemon_dsn, AtMostThree),
        running_worker(daemon_dsn, AtMostThree),
    ):
        db.execute("insert into dcim.device select g, 'sw' from generate_series(1, 40) as g")
        await settled(db)
    assert AtMostThree.most == 3
    assert results(db, "status") == [("SUCCESS",)] * 40


class Counted(Held):
    """The same, and counts how often it is called."""

    calls: ClassVar[int] = 0

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        Counted.calls += 1
        super().receive_job_hook(change, action, changed_object)


async def test_what_was_taken_from_a_worker_is_not_recorded_by_it(db: Connection, daemon_dsn: str, device: str) -> None:
    Counted.calls = 0
    add_hook(db, Counted, device)
    async with running_daemon(daemon_dsn, Counted, **LEADER), running_worker(daemon_dsn, Counted):
        insert(db, 1)
        await eventually(Held.entered.is_set)
        # As a leader does that has not heard of the worker.
        db.execute("delete from rowhooks.dispatch")
        Held.release.set()
        await settled(db)
    assert results(db, "status") == [("SUCCESS",)]
    assert Counted.calls == 2


class InOrder(Held):
    """Waits where a change is the first of its row, and notes the order in which its effects come."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.session.execute(text("insert into dcim.noted (change_id) values (:id)"), {"id": change.id})
        if action == "create":
            self.entered.set()
            assert self.release.wait(30)


@pytest.mark.parametrize("interval", [0.02, 5.0], ids=["looked at before it comes again", "after that"])
async def test_what_is_taken_from_a_worker_and_handed_to_it_again_keeps_its_order(
    db: Connection, daemon_dsn: str, device: str, monkeypatch: pytest.MonkeyPatch, interval: float
) -> None:
    monkeypatch.setattr(working, "SWEEP_INTERVAL", interval)
    db.execute(
        "create table dcim.noted (change_id bigint, at bigint generated always as identity);"
        "grant insert on dcim.noted to rowhooks_daemon"
    )
    add_hook(db, InOrder, device)
    insert(db, 1)
    for n in range(20):
        db.execute("update dcim.device set name = %s", (str(n),))
    async with running_daemon(daemon_dsn, InOrder, **LEADER), running_worker(daemon_dsn, InOrder):
        await eventually(InOrder.entered.is_set)
        InOrder.entered.clear()
        db.execute("delete from rowhooks.dispatch")
        await eventually(InOrder.entered.is_set)
        InOrder.release.set()
        await settled(db)
    assert set(results(db, "status")) == {("SUCCESS",)}
    found = [row[0] for row in db.execute("select change_id from dcim.noted order by at").fetchall()]
    assert found == sorted(set(found))
    assert len(found) == 21


class Unwound(JobHookReceiver):
    """Waits, for the database or for something else, and notes by what it is ended."""

    begun: ClassVar[list[str]] = []
    ended_by: ClassVar[list[BaseException]] = []

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        if len(self.begun) == 2:
            return
        self.begun.append(changed_object.name)
        try:
            await self.session.execute(text(f"select pg_sleep({3600 if changed_object.name == 'the database' else 0})"))
            await asyncio.sleep(3600)
        except BaseException as error:
            self.ended_by.append(error)
            raise


async def test_receivers_whose_runs_are_taken_from_a_worker_are_ended_where_they_wait(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    Unwound.begun.clear()
    Unwound.ended_by.clear()
    add_hook(db, Unwound, device)
    async with running_daemon(daemon_dsn, Unwound, **LEADER), running_worker(daemon_dsn, Unwound):
        insert(db, 1, "the database")
        insert(db, 2, "something else")
        asleep = "select 1 from pg_stat_activity where query like 'select pg_sleep(3600)%' and state = 'active'"
        await eventually(lambda: len(Unwound.begun) == 2 and db.execute(asleep).fetchone())
        db.execute("delete from rowhooks.dispatch")
        await settled(db)
        assert [type(error) for error in Unwound.ended_by] == [RunTaken, RunTaken]
    assert results(db, "status") == [("SUCCESS",)] * 2
    assert "could not be rolled back" not in caplog.text


async def test_a_new_leader_takes_back_what_the_former_one_has_handed_out(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Held, device)
    async with running_worker(daemon_dsn, Held):
        async with running_daemon(daemon_dsn, Held, grace_period=0.1, **LEADER):
            insert(db, 1)
            await eventually(Held.entered.is_set)
        Held.entered.clear()
        async with running_daemon(daemon_dsn, Held, **LEADER):
            await eventually(Held.entered.is_set)
            Held.release.set()
            await settled(db)
    assert results(db, "status") == [("SUCCESS",)]
    assert db.execute("select serial from dcim.device").fetchone() == ("written",)


async def test_a_leader_that_another_replaces_hands_nothing_more_out(db: Connection, dsn: str, daemon_dsn: str) -> None:
    epoch = uuid.uuid4()
    db.execute("update rowhooks.feed set leader_epoch = %s", (epoch,))
    board = DispatchBoard(Target(daemon_dsn), epoch, 10.0, lambda _: None)
    await board.open(lambda: None)
    try:
        await board.hand_out([Group(uuid.uuid4(), ELSEWHERE, False, 0, ())])
        waiting = (
            "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%insert into rowhooks.dis%'"
        )
        with psycopg.connect(dsn) as successor:
            successor.execute("update rowhooks.feed set leader_epoch = %s", (uuid.uuid4(),))
            handing_out = asyncio.create_task(board.hand_out([Group(uuid.uuid4(), ELSEWHERE, False, 0, ())]))
            await eventually(lambda: db.execute(waiting).fetchone())
        with pytest.raises(LeadershipLost):
            await handing_out
    finally:
        board.close()
    assert db.execute("select count(*) from rowhooks.dispatch").fetchone() == (1,)
