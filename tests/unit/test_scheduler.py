"""Scheduler: what waits is on record in order, and what is on record still runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rowhooks.domain.events import RunSubmitted
from rowhooks.domain.job import JobOptions
from rowhooks.domain.run import FAILURE, PENDING, RETRY, REVOKED, STARTED, SUCCESS, Run
from rowhooks.pipeline.concurrency import first_of
from rowhooks.pipeline.execution import runner
from rowhooks.pipeline.scheduling import admission, batches, loads, preparation, records, retries, thread_pool
from rowhooks.pipeline.scheduling import scheduler as module
from rowhooks.pipeline.scheduling.lanes import LONGEST_LANE
from tests.support.waiting import eventually
from tests.support.world import START, World, working


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A scheduler for which a moment is already long."""
    monkeypatch.setattr(records, "STARTED_AFTER", 0.0)
    monkeypatch.setattr(module, "SWEEP_INTERVAL", 0.001)
    monkeypatch.setattr(module, "REVOCATION_INTERVAL", 0.001)
    made = World()
    async with working(made):
        yield made


async def test_a_run_that_is_put_on_record_while_its_row_is_loaded_runs_all_the_same(world: World) -> None:
    world.loading[1] = asyncio.Event()
    world.submit(1)
    await eventually(lambda: (1, PENDING) in world.written)
    world.loading[1].set()
    await eventually(lambda: (1, SUCCESS) in world.written)
    assert world.called == [1]


async def test_a_follower_is_never_on_record_before_the_head_of_its_lane(world: World) -> None:
    world.loading[1] = asyncio.Event()
    for number in range(1, 6):
        world.submit(number)
    await eventually(lambda: len(world.written) == 5)
    assert world.written == [(number, PENDING) for number in range(1, 6)]
    world.loading[1].set()
    await eventually(lambda: (5, SUCCESS) in world.written)
    assert world.called == [1, 2, 3, 4, 5]


async def test_a_table_that_cannot_be_loaded_for_now_holds_up_its_own_runs_alone(world: World) -> None:
    world.loading[1] = asyncio.Event()
    world.submit(1, table=1)
    world.submit(2, table=2)
    await eventually(lambda: (2, SUCCESS) in world.written)
    assert world.called == [2]
    world.loading[1].set()
    await eventually(lambda: (1, SUCCESS) in world.written)


async def test_many_runs_of_a_table_that_loads_slowly_hold_up_their_own_alone(world: World) -> None:
    world.loading[1] = asyncio.Event()
    for number in range(1, 301):
        world.submit(number, row=number, table=1)
    for number in range(301, 311):
        world.submit(number, row=number, table=2)
    await eventually(lambda: len([1 for _, status in world.written if status == SUCCESS]) == 10)
    assert sorted(world.called) == list(range(301, 311))
    world.loading[1].set()
    await eventually(lambda: len([1 for _, status in world.written if status == SUCCESS]) == 310)


async def test_no_more_rows_are_loaded_ahead_than_the_workers_use_while_they_are_fresh(world: World) -> None:
    go_on = asyncio.Event()
    world.receive = lambda run: go_on.wait()
    for number in range(1, 301):
        world.submit(number, row=number)
    await eventually(lambda: len(world.called) == 100)
    assert 100 <= len(world.scheduler._handed) <= 200
    go_on.set()
    await eventually(lambda: len([1 for _, status in world.written if status == SUCCESS]) == 300)


async def test_many_runs_of_a_locked_table_leave_their_places_to_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # More runs than places.
    monkeypatch.setattr(preparation, "OF_EACH_TABLE", 0)
    world.locked.add(1)
    for number in range(1, 301):
        world.submit(number, row=number, table=1)
    await eventually(lambda: len(world.written) == 300)
    assert {status for _, status in world.written} == {PENDING}
    world.submit(301, table=2)
    await eventually(lambda: (301, SUCCESS) in world.written)
    assert world.called == [301]
    # One look at a time; none of them is STARTED.
    assert world.loads < 10
    assert not set(world.asked) - {301}
    again = asyncio.create_task(world.rows.reload(world.run(1)))
    await eventually(lambda: world.scheduler.waiting == 300)
    world.locked.clear()
    await eventually(lambda: len([1 for _, status in world.written if status == SUCCESS]) == 301)
    assert await again == "row"
    assert sorted(world.called) == list(range(1, 302))


async def test_most_of_what_waits_for_a_locked_table_is_not_in_memory_and_runs_in_order_when_it_is_free(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loads, "KEPT", 10)
    monkeypatch.setattr(admission, "FETCHED_TOGETHER", 50)
    world.locked.add(1)
    for number in range(1, 301):
        world.submit(number, row=number, table=1)
    await eventually(lambda: world.scheduler.waiting == 10)
    # Of rows whose first runs are in the table.
    for number in range(301, 601):
        world.submit(number, row=number - 300, table=1)
    world.revoked_ids = {200, 450}
    await eventually(lambda: len(world.written) == 600)
    assert world.scheduler.waiting <= 20
    world.locked.clear()
    await eventually(lambda: len([1 for _, status in world.written if status == SUCCESS]) == 598)
    assert sorted(world.called) == [n for n in range(1, 601) if n not in world.revoked_ids]
    place = {id_: place for place, id_ in enumerate(world.called)}
    assert all(place[n] < place[n + 300] for n in range(1, 301) if n not in (200, 150))
    assert world.scheduler.waiting == 0


async def test_what_is_revoked_while_its_table_is_locked_is_not_started(world: World) -> None:
    world.locked.add(1)
    world.submit(1, row=1)
    world.submit(2, row=2)
    await eventually(lambda: len(world.written) == 2)
    world.revoked_ids.add(1)
    world.locked.clear()
    await eventually(lambda: (2, SUCCESS) in world.written and world.scheduler.waiting == 0)
    assert world.called == [2]


async def test_a_run_on_record_that_was_revoked_meanwhile_is_not_started_and_lets_the_next_in(world: World) -> None:
    go_on = asyncio.Event()
    world.receive = lambda run: go_on.wait() if run.id == 1 else asyncio.sleep(0)
    for number in (1, 2, 3):
        world.submit(number)
    await eventually(lambda: {(2, PENDING), (3, PENDING)} <= set(world.written))
    world.revoked_ids = {2}
    go_on.set()
    await eventually(lambda: (3, SUCCESS) in world.written)
    assert world.called == [1, 3]
    # The first one may have been put on record too before it began.
    assert world.asked[-2:] == [2, 3]


async def test_a_run_that_goes_on_is_on_record_as_started_before_it_ends(world: World) -> None:
    go_on = asyncio.Event()
    world.receive = lambda run: go_on.wait()
    world.submit(1)
    await eventually(lambda: (1, STARTED) in world.written)
    await eventually(lambda: world.progress.open_changes == 0)
    go_on.set()
    await eventually(lambda: (1, SUCCESS) in world.written)


async def test_a_permission_backend_that_answers_for_too_few_runs_fails_them_and_nothing_else(world: World) -> None:
    world.users = []
    world.submit(1)
    await eventually(lambda: (1, FAILURE) in world.written)
    world.users = None
    world.submit(2)
    await eventually(lambda: (2, SUCCESS) in world.written)
    assert world.called == [2]


async def test_what_comes_behind_a_long_lane_waits_on_record_and_runs_in_order(world: World) -> None:
    go_on = asyncio.Event()
    world.receive = lambda run: go_on.wait() if run.id == 1 else asyncio.sleep(0)
    count = 3 * LONGEST_LANE
    for number in range(1, count + 1):
        world.submit(number)
    world.submit(count + 1, row=2)
    await eventually(lambda: (count + 1, SUCCESS) in world.written)
    await eventually(lambda: world.progress.open_changes == 0)
    # They have no place in memory, and the position is behind them.
    assert world.scheduler.waiting <= LONGEST_LANE
    world.revoked_ids = {count - 1}
    go_on.set()
    await eventually(lambda: (count, SUCCESS) in world.written)
    assert set(world.called[:2]) == {1, count + 1}
    assert world.called[2:] == [*range(2, count - 1), count]
    assert max(map(len, world.fetched)) <= LONGEST_LANE
    assert world.scheduler.waiting == 0


async def test_what_is_on_record_of_a_long_lane_is_never_there_before_what_stands_before_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leader that dies then leaves a lane without gaps: its successor begins with what is on record."""
    monkeypatch.setattr(records, "STARTED_AFTER", 3600.0)
    go_on = asyncio.Event()
    world.receive = lambda run: go_on.wait()
    world.submit(1, row=1)
    world.submit(2, row=1)
    # A row that came from the lane of the first: what is behind it is behind the first too.
    moved = replace(world.run(3, row=2), former_key='{"id": 1}')
    world.scheduler.admission.admit(moved, world.progress.add(START.past(3), 1))
    last = LONGEST_LANE + 4
    await eventually(lambda: world.called == [1])
    for number in range(4, last + 1):
        world.submit(number, row=2)
    await eventually(lambda: (last, PENDING) in world.written)
    assert world.written == [(1, STARTED), *((number, PENDING) for number in range(2, last + 1))]
    go_on.set()
    await eventually(lambda: (last, SUCCESS) in world.written)
    assert world.called == list(range(1, last + 1))


async def test_a_lane_that_was_long_takes_new_runs_in_their_order(world: World) -> None:
    go_on = asyncio.Event()
    world.receive = lambda run: go_on.wait() if run.id == 1 else asyncio.sleep(0)
    for number in range(1, LONGEST_LANE + 100):
        world.submit(number)
    go_on.set()
    for number in range(LONGEST_LANE + 100, LONGEST_LANE + 300):
        world.submit(number)
        await asyncio.sleep(0)
    last = LONGEST_LANE + 299
    await eventually(lambda: (last, SUCCESS) in world.written)
    assert world.called == list(range(1, last + 1))


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_a_run_without_a_connection_is_tried_for_as_long_as_that_takes(
    world: World, monkeypatch: pytest.MonkeyPatch, asynchronous: bool
) -> None:
    monkeypatch.setattr(runner, "LONGEST_PAUSE", 0.0)
    world.asynchronous, world.unreachable = asynchronous, 1100

    async def waits() -> None:
        fails()

    def fails() -> None:
        if world.unreachable > 0:
            raise OSError("no connection")

    world.receive = lambda run: waits() if asynchronous else fails()
    world.submit(1)
    world.submit(2)
    await eventually(lambda: (2, SUCCESS) in world.written)
    assert world.called == [1] * 1101 + [2]


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_what_a_worker_raises_ends_its_run_is_seen_and_lets_the_next_in(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, asynchronous: bool
) -> None:
    async def broken(execution: runner.Execution) -> None:
        raise OverflowError("int too large")

    monkeypatch.setattr(runner.Execution, "wait", broken)
    world.asynchronous, world.unreachable = asynchronous, 1
    world.receive = lambda run: _raise(OSError("no connection")) if run.id == 1 else None
    world.submit(1)
    world.submit(2)
    await eventually(lambda: (2, SUCCESS) in world.written)
    assert (1, FAILURE) in world.written
    assert world.errors == 1
    assert "the run ended by an error of rowhooks" in caplog.text


async def test_what_goes_wrong_before_a_run_begins_ends_this_one_and_not_the_one_before_it(world: World) -> None:
    go_on = asyncio.Event()
    world.receive = lambda run: go_on.wait()
    world.submit(1)
    world.submit(2)
    await eventually(lambda: world.called == [1])
    world.known_problem = ValueError("the backend is wrong")
    go_on.set()
    await eventually(lambda: (2, FAILURE) in world.written)
    assert (1, SUCCESS) in world.written
    world.known_problem = None
    world.submit(3)
    await eventually(lambda: (3, SUCCESS) in world.written)


async def test_a_thread_that_cannot_be_started_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(thread_pool, "NEXT_THREAD", 0.01)
    world.asynchronous = False
    world.receive = lambda run: None
    submit, refusals = world.threads.submit, iter(range(3))

    def refuse(*args: Any) -> Any:
        if next(refusals, None) is not None:
            raise RuntimeError("can't start new thread")
        return submit(*args)

    monkeypatch.setattr(world.threads, "submit", refuse)
    world.submit(1)
    await eventually(lambda: (1, SUCCESS) in world.written)
    assert "plain receivers wait for a thread: can't start new thread" in caplog.text


async def test_the_first_of_several_to_raise_is_heard() -> None:
    with pytest.raises(ValueError, match="heard"):
        await first_of(asyncio.sleep(3600), asyncio.to_thread(_raise, ValueError("heard")))


def _raise(error: Exception) -> None:
    raise error


async def test_what_is_revoked_while_it_waits_for_a_worker_is_not_started(world: World) -> None:
    """It needed nothing when it became ready, and was put on record while it waited."""
    world.job_options, world.known_user = JobOptions(loads_object=False), "somebody"
    go_on = asyncio.Event()
    world.receive = lambda run: go_on.wait()
    for number in range(1, 106):
        world.submit(number, row=number)
    await eventually(lambda: len(world.called) == 100)
    await eventually(lambda: (105, PENDING) in world.written)
    world.revoked_ids.add(103)
    await asyncio.sleep(module.FRESH)
    go_on.set()
    await eventually(lambda: (105, SUCCESS) in world.written)
    await eventually(lambda: world.scheduler.waiting == 0 and world.scheduler.running == 0)
    assert sorted(world.called) == [n for n in range(1, 106) if n != 103]


async def test_what_is_put_on_record_and_revoked_while_it_is_asked_for_others_is_not_started(world: World) -> None:
    asking = asyncio.Event()
    ended = world.ended

    async def slow(run_ids: Collection[int]) -> set[int]:
        # Of those that are asked for: the other one may be on record by the time that it is its turn.
        await asking.wait()
        return await ended(run_ids)

    world.ended = slow  # type: ignore[method-assign]
    world.scheduler.admission.admit(world.run(1, row=1), None)
    world.submit(2, row=2)
    await eventually(lambda: (2, PENDING) in world.written)
    world.revoked_ids.add(2)
    asking.set()
    await eventually(lambda: world.scheduler.waiting == 0 and world.scheduler.running == 0)
    assert world.called == [1]


@pytest.mark.parametrize("parked", [False, True])
async def test_what_was_left_to_the_table_is_not_kept_waiting_by_what_may_not_begin(
    world: World, monkeypatch: pytest.MonkeyPatch, parked: bool
) -> None:
    monkeypatch.setattr(loads, "KEPT", 10)
    monkeypatch.setattr(admission, "FETCHED_TOGETHER", 50)
    world.locked.add(1)
    for number in range(1, 101):
        world.submit(number, row=number, table=1)
    await eventually(lambda: world.scheduler.waiting == 10)
    hang = asyncio.Event()
    world.receive = lambda run: hang.wait() if run.cause.table_id == 2 else asyncio.sleep(0)
    for number in range(101, 301):
        if parked:
            due = datetime.now(UTC) + timedelta(hours=1)
            world.scheduler.admission.admit(world.run(number, row=number, table=2), None, due=due)
        else:
            world.submit(number, table=2)
    world.locked.clear()
    await eventually(lambda: len([1 for _, status in world.written if status == SUCCESS]) == 100)
    hang.set()


@pytest.mark.parametrize(
    "options",
    [JobOptions(), JobOptions(ordered=False), JobOptions(is_singleton=True)],
    ids=["", "unordered", "singleton"],
)
async def test_of_very_much_that_is_taken_over_most_stays_in_the_table(
    world: World, monkeypatch: pytest.MonkeyPatch, options: JobOptions
) -> None:
    world.job_options = options
    monkeypatch.setattr(admission, "MOST_TAKEN_OVER", 20)
    monkeypatch.setattr(admission, "FETCHED_TOGETHER", 50)
    most, submitted = 0, list[int]()
    world.events.subscribe(RunSubmitted, lambda event: submitted.append(event.run.id))
    for number in range(1, 501):
        one = world.submitted[number] = world.run(number, row=number)
        world.written.append((number, PENDING))
        if world.scheduler.admission.is_better_shelved(one.lanes, one.job):
            world.scheduler.admission.shelve(one.lanes, number, one.job)
        else:
            world.scheduler.admission.admit(one, None)
        most = max(most, world.scheduler.waiting)
    assert most == 20
    # What comes now to the rows of those in the table is behind them.
    for number in range(501, 511):
        world.submit(number, row=number - 50)
    await eventually(lambda: len([1 for _, status in world.written if status == SUCCESS]) == 510)
    place = {id_: place for place, id_ in enumerate(world.called)}
    assert not options.ordered or all(place[n - 50] < place[n] for n in range(501, 511))
    assert world.scheduler.waiting == 0 == world.scheduler.held
    # Each was told of once, also what was taken by its id alone.
    assert sorted(submitted) == list(range(1, 511))


async def test_of_a_batch_s_runs_that_are_taken_over_most_stay_in_the_table_and_all_come_in_order(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.job_options = JobOptions(batch_size=3, batch_wait=0.01)
    monkeypatch.setattr(admission, "MOST_TAKEN_OVER", 5)
    monkeypatch.setattr(admission, "FETCHED_TOGETHER", 4)
    calls: list[list[int]] = []
    go_on = asyncio.Event()

    async def receive(run: Run) -> None:
        calls.append([one.id for one in run.singles])
        await go_on.wait()

    world.receive = receive
    for number in range(1, 31):
        one = world.submitted[number] = world.run(number, row=number)
        world.written.append((number, PENDING))
        if world.scheduler.admission.is_better_shelved(one.lanes, one.job):
            world.scheduler.admission.shelve(one.lanes, number, one.job)
        else:
            world.scheduler.admission.admit(one, None)
    # What comes now is behind what is in the table.
    for number in range(31, 41):
        world.submit(number, row=number)
    await eventually(lambda: (40, PENDING) in world.written)
    assert world.scheduler.waiting <= 10
    world.revoked_ids.add(28)
    go_on.set()
    await eventually(lambda: (40, SUCCESS) in world.written and world.scheduler.waiting == 0)
    assert [id_ for call in calls for id_ in call] == [n for n in range(1, 41) if n != 28]
    assert max(map(len, calls)) == 3
    assert world.scheduler.held == 0


async def test_what_is_on_record_of_a_batch_job_is_never_there_before_the_batch_that_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The sweep would put them on record too.
    monkeypatch.setattr(records, "STARTED_AFTER", 3600)
    monkeypatch.setattr(batches, "LONGEST_LINE", 2)
    go_on = asyncio.Event()
    world.receive = lambda run: go_on.wait()
    world.job_options = JobOptions(batch_size=2)
    for number in (1, 2):
        world.submit(number, row=number)
    await eventually(lambda: world.called)
    for number in (3, 4, 5):
        world.submit(number, row=number)
    await eventually(lambda: len(world.written) == 5)
    assert world.written == [(1, STARTED), (2, STARTED), (3, PENDING), (4, PENDING), (5, PENDING)]
    go_on.set()
    await eventually(lambda: (5, SUCCESS) in world.written)


async def test_of_very_many_retries_most_wait_in_the_table_and_are_had_again_when_they_are_due(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "MOST_RETRIES", 20)
    monkeypatch.setattr(admission, "SOON", timedelta(0))
    world.job_options = JobOptions(max_retries=1, autoretry_for=(ValueError,), retry_backoff=600.0, retry_jitter=False)
    failing = True

    async def receive(run: Run) -> None:
        if failing and run.id <= 200:
            raise ValueError("not now")

    world.receive = receive
    for number in range(1, 101):
        # Behind each stands another one.
        world.submit(number, row=number)
        world.submit(number + 100, row=number)
    await eventually(lambda: len([1 for _, status in world.written if status == RETRY]) == 100)
    # A follower that is not on record yet keeps its lane in memory, until the sweep has put it there.
    await eventually(lambda: world.scheduler.waiting <= 40)
    failing = False
    # One that was revoked lets the next one of its row in, though it is in the table.
    await eventually(lambda: 100 in world.scheduler.admission.retries._lanes)
    world.revoked_ids.add(100)
    await eventually(lambda: (200, SUCCESS) in world.written)
    assert (100, SUCCESS) not in world.written
    monkeypatch.setattr(retries, "now", lambda: datetime.now(UTC) + timedelta(hours=2))
    # Those in memory wait for their timers, and for each its follower.
    await eventually(lambda: len([1 for _, status in world.written if status == SUCCESS]) == 199 - 40)
    await eventually(lambda: world.scheduler.waiting == 40)


async def test_retries_that_are_taken_over_wait_in_the_table_until_they_are_due(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "MOST_TAKEN_OVER", 0)
    taken = world.scheduler.admission
    for number in range(1, 101):
        one = world.submitted[number] = world.run(number, row=number)
        world.written.append((number, RETRY))
        assert taken.is_better_shelved(one.lanes, one.job)
        taken.shelve(one.lanes, number, one.job, datetime.now(UTC) + timedelta(hours=1))
    world.submit(101, row=101)
    await eventually(lambda: (101, SUCCESS) in world.written)
    assert world.fetched == []
    assert world.scheduler.waiting == 0
    monkeypatch.setattr(retries, "now", lambda: datetime.now(UTC) + timedelta(hours=2))
    await eventually(lambda: len([1 for _, status in world.written if status == SUCCESS]) == 101)


async def test_two_runs_of_one_id_end_the_leadership_with_an_error() -> None:
    world, go_on = World(), asyncio.Event()
    world.receive = lambda run: go_on.wait()
    async with working(world):
        world.submit(1, row=1)
        await eventually(lambda: world.called)
        world.submit(1, row=2)
        with pytest.raises(RuntimeError, match="run 1 is in memory twice"):
            await world.scheduler.dispatch()
    assert world.called == [1]


async def test_a_run_that_goes_on_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEEP_INTERVAL", 3600)
    world, go_on = World(), asyncio.Event()
    world.receive = lambda run: go_on.wait()
    async with working(world):
        world.submit(1)
        world.submit(2)
        await eventually(lambda: world.called)
        assert (world.scheduler.waiting, world.scheduler.running) == (1, 1)
        go_on.set()
        await eventually(lambda: (2, SUCCESS) in world.written)


async def test_what_was_revoked_has_ended(world: World) -> None:
    go_on = asyncio.Event()
    world.receive = lambda run: go_on.wait()
    for number in (1, 2):
        world.submit(number)
    world.scheduler.admission.admit(world.run(3, row=3), None, due=datetime.now(UTC) + timedelta(hours=1))
    await eventually(lambda: {(1, STARTED), (2, PENDING)} <= set(world.written))
    world.revoked_ids |= {1, 2, 3}
    await eventually(lambda: len(world.ends) == 3)
    assert sorted(world.ends) == [(1, REVOKED), (2, REVOKED), (3, REVOKED)]
    assert world.called == [1]


async def test_what_a_batch_held_that_was_revoked_is_held_no_more(world: World) -> None:
    world.job_options = JobOptions(batch_size=3, batch_wait=0.01)
    for number in (1, 2, 3):
        world.scheduler.admission.admit(world.run(number, row=number), None)
    world.revoked_ids.add(2)
    await eventually(lambda: (3, SUCCESS) in world.written)
    await eventually(lambda: world.scheduler.running == 0)
    assert world.scheduler.held == 0
