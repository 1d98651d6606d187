"""Lanes: what may start next."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rowhooks.domain.job import JobOptions
from rowhooks.domain.run import now
from rowhooks.pipeline.scheduling import lanes as module
from rowhooks.pipeline.scheduling.lanes import LONGEST_LANE, REFILL_BELOW, Lanes
from rowhooks.pipeline.scheduling.pools import THREADS
from rowhooks.pipeline.scheduling.retries import LaterRetries
from rowhooks.pipeline.scheduling.tasks import Lane, Task
from tests.support.make import change, hook, job, run

UNORDERED = JobOptions(ordered=False)
SINGLETON = JobOptions(is_singleton=True)


def task(id_: int, row: int = 1, options: JobOptions = JobOptions(), **given: Any) -> Task:  # noqa: B008  (frozen)
    cause = change(id_, object_id_json=f'{{"id": {row}}}')
    return Task(run(id_, cause=cause), None, options, THREADS, **given)


class Started(list[int]):
    """The ids of what became ready, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.hungry = 0
        self.lanes = Lanes(lambda ready: self.append(ready.run.id), self.ask)

    def ask(self) -> None:
        self.hungry += 1


@pytest.fixture
def started() -> Started:
    return Started()


def add(started: Started, *tasks: Task) -> None:
    for one in tasks:
        started.lanes.add(one)


def test_runs_of_one_row_become_ready_one_after_another_in_order(started: Started) -> None:
    one, two, three = task(1), task(2), task(3)
    add(started, one, two, three)
    assert started == [1]
    started.lanes.begin(one)
    assert started == [1]
    started.lanes.leave(one)
    assert started == [1, 2]
    started.lanes.leave(two)
    assert started == [1, 2, 3]
    started.lanes.leave(three)
    assert len(started.lanes) == 0


def test_different_rows_do_not_wait_for_each_other(started: Started) -> None:
    add(started, task(1, row=1), task(2, row=2))
    assert started == [1, 2]


def test_two_hooks_on_one_row_do_not_wait_for_each_other(started: Started) -> None:
    one = task(1)
    through_another = run(2, cause=one.run.cause, origin=hook(2, job=job(2)))
    add(started, one, Task(through_another, None, JobOptions(), THREADS))
    assert started == [1, 2]


def test_unordered_runs_of_one_row_do_not_wait_for_each_other(started: Started) -> None:
    add(started, task(1, options=UNORDERED), task(2, options=UNORDERED))
    assert started == [1, 2]


def test_runs_of_a_singleton_take_turns_whatever_their_row(started: Started) -> None:
    one, two, three = (task(n, row=n, options=SINGLETON) for n in (1, 2, 3))
    add(started, one, two, three)
    assert started == [1]
    started.lanes.begin(one)
    started.lanes.leave(one)
    assert started == [1, 2]
    started.lanes.leave(two)
    started.lanes.leave(three)
    assert started == [1, 2, 3]
    add(started, task(4, options=SINGLETON))
    assert started == [1, 2, 3, 4]


def test_so_many_runs_of_a_job_as_it_says_go_on_at_a_time(started: Started) -> None:
    tasks = [task(n, row=n, options=JobOptions(max_concurrency=2)) for n in range(1, 6)]
    add(started, *tasks)
    assert started == [1, 2]
    for one in tasks[:2]:
        started.lanes.begin(one)
    started.lanes.leave(tasks[1])
    assert started == [1, 2, 3]
    for one in (tasks[0], tasks[2], tasks[3], tasks[4]):
        started.lanes.leave(one)
    assert started == [1, 2, 3, 4, 5]
    # Both turns are free again.
    add(started, *(task(n, row=n, options=JobOptions(max_concurrency=2)) for n in (6, 7, 8)))
    assert started == [1, 2, 3, 4, 5, 6, 7]


async def test_a_run_that_waits_for_its_retry_holds_back_its_lane_and_nothing_else(started: Started) -> None:
    one = task(1, options=SINGLETON)
    add(started, one, task(2, options=SINGLETON), task(3, row=3, options=SINGLETON))
    started.lanes.begin(one)
    one.due = now() + timedelta(seconds=3600)
    started.lanes.park(one)
    # The job's turn goes to another row's run.
    assert started == [1, 3]
    assert started.lanes.parked() == [one]


async def test_a_parked_run_that_is_dropped_lets_the_next_in(started: Started) -> None:
    one = task(1)
    add(started, one, task(2))
    started.lanes.begin(one)
    one.due = now() + timedelta(seconds=3600)
    started.lanes.park(one)
    started.lanes.drop(one)
    assert started == [1, 2]
    assert started.lanes.parked() == []


async def test_a_run_whose_retry_is_due_is_ready_at_once(started: Started) -> None:
    one = task(1)
    add(started, one, task(2))
    started.lanes.begin(one)
    one.due = now() - timedelta(seconds=1)
    started.lanes.park(one)
    assert started == [1, 1]


def test_what_waits_is_listed_heads_before_followers(started: Started) -> None:
    add(started, task(1), task(2), task(3, row=3), task(4))
    assert [one.run.id for one in started.lanes] == [1, 3, 2, 4]
    assert len(started.lanes) == 4


def test_nothing_becomes_ready_after_closing(started: Started) -> None:
    one = task(1, options=SINGLETON)
    add(started, one, task(2, options=SINGLETON))
    started.lanes.begin(one)
    started.lanes.close()
    started.lanes.leave(one)
    assert started == [1]
    assert len(started.lanes) == 0


def test_a_long_lane_is_refilled_from_its_shelf_behind_its_followers(started: Started) -> None:
    lanes = started.lanes
    add(started, *(task(n) for n in range(1, LONGEST_LANE + 2)))
    lane = task(1).lane
    assert lanes.is_long(lane)
    for number in range(LONGEST_LANE + 2, LONGEST_LANE + 5):
        lanes.shelve([lane], number)
    assert len(lanes) == LONGEST_LANE + 1
    for number in range(1, LONGEST_LANE - REFILL_BELOW + 2):
        assert started.hungry == 0
        lanes.leave(task_of(lanes, number))
    assert started.hungry == 1
    taken = lanes.unshelve(1000)
    assert taken == {lane: [LONGEST_LANE + 2, LONGEST_LANE + 3, LONGEST_LANE + 4]}
    # What comes meanwhile must not overtake what is being fetched.
    assert lanes.is_long(lane)
    lanes.shelve([lane], LONGEST_LANE + 5)
    lanes.refill(lane, taken[lane], {n: task(n) for n in (LONGEST_LANE + 2, LONGEST_LANE + 4)})
    assert lanes.unshelve(1000) == {}
    for _ in range(2):
        lanes.leave(task_of(lanes, started[-1]))
    assert lanes.unshelve(1000) == {lane: [LONGEST_LANE + 5]}
    lanes.refill(lane, [LONGEST_LANE + 5], {})
    assert not lanes.is_long(lane)
    add(started, task(LONGEST_LANE + 6))
    while len(lanes):
        lanes.leave(task_of(lanes, started[-1]))
    assert started == [*range(1, LONGEST_LANE + 3), LONGEST_LANE + 4, LONGEST_LANE + 6]


def test_a_lane_that_has_run_dry_goes_on_with_what_was_on_its_shelf(started: Started) -> None:
    lanes, lane = started.lanes, run_dry(started)
    assert lanes.unshelve(1000) == {lane: [LONGEST_LANE + 2]}
    lanes.refill(lane, [LONGEST_LANE + 2], {LONGEST_LANE + 2: task(LONGEST_LANE + 2)})
    assert started[-1] == LONGEST_LANE + 2
    lanes.leave(task_of(lanes, LONGEST_LANE + 2))
    # The lane is forgotten.
    assert not lanes.is_long(lane)
    add(started, task(LONGEST_LANE + 3))
    assert started[-1] == LONGEST_LANE + 3


def test_a_dry_lane_of_which_everything_was_revoked_is_forgotten(started: Started) -> None:
    lanes, lane = started.lanes, run_dry(started)
    lanes.unshelve(1000)
    lanes.refill(lane, [LONGEST_LANE + 2], {})
    add(started, task(LONGEST_LANE + 3))
    assert started[-1] == LONGEST_LANE + 3


def moved(id_: int, former: int, row: int, **given: Any) -> Task:
    """Return the task of a change that gave a row another key."""
    one = task(id_, row, **given)
    one.former_lane = task(id_, former).lane
    return one


def test_a_run_whose_change_gave_its_row_another_key_follows_the_runs_of_both_keys_and_goes_before_both(
    started: Started,
) -> None:
    old, new, move = task(1, row=1), task(2, row=2), moved(3, 1, 2)
    add(started, old, new, move, task(4, row=1), task(5, row=2))
    assert started == [1, 2]
    assert [one.run.id for one in started.lanes] == [1, 2, 3, 4, 5]
    started.lanes.leave(new)
    assert started == [1, 2]
    started.lanes.leave(old)
    assert started == [1, 2, 3]
    started.lanes.leave(move)
    assert started[:3] == [1, 2, 3]
    assert set(started[3:]) == {4, 5}


def test_a_swap_of_keys_comes_to_its_end(started: Started) -> None:
    moves = [moved(1, 1, 3), moved(2, 2, 1), moved(3, 3, 2)]
    add(started, *moves, task(4, row=2))
    for number in range(1, 4):
        assert started == list(range(1, number + 1))
        started.lanes.leave(moves[number - 1])
    assert started == [1, 2, 3, 4]


def test_thousands_of_changes_of_one_key_that_start_nothing_let_the_next_run_wait_for_the_first(
    started: Started,
) -> None:
    first = task(1, row=0)
    add(started, first)
    for row in range(3000):
        started.lanes.join(task(1, row + 1).lane, task(1, row).lane)
    add(started, task(2, row=3000))
    assert started == [1]
    started.lanes.leave(first)
    assert started == [1, 2]


numbers = st.integers(0, 30)
rows = st.integers(0, 3)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), rows, rows),
        st.tuples(st.sampled_from(["move", "move unseen"]), rows, rows),
        st.tuples(st.sampled_from(["end", "end", "retry", "fetch", "revoke", "put back"]), numbers, rows),
    ),
    max_size=60,
)


class Model:
    """Lanes of which hardly anything is in memory, and what each run must wait for."""

    def __init__(self) -> None:
        self.keys: list[set[int]] = []
        self.runs: list[int] = []
        self.waits_for: list[set[int]] = []
        self.shelved: dict[int, tuple[int, int]] = {}
        self.ready: list[Task] = []
        self.started: list[int] = []
        self.ended: set[int] = set()
        self.lanes = Lanes(self.start, lambda: None)

    def take(self, what: str, number: int, row: int) -> None:
        if what == "write":
            self.submit(row, row)
        elif what == "move":
            self.submit(number, row)
        elif what == "move unseen" and number != row:
            if self.is_taken(number):
                self.come({number, row})
                self.lanes.join(task(0, row).lane, task(0, number).lane)
        elif what == "fetch":
            self.fetch()
        elif what == "revoke" and self.shelved:
            id_ = list(self.shelved)[number % len(self.shelved)]
            del self.shelved[id_]
            self.ended.add(id_)
        elif what == "put back" and self.ready:
            self.put_back(self.ready[number % len(self.ready)])
        elif what in ("end", "retry") and self.ready:
            one = self.ready.pop(number % len(self.ready))
            self.lanes.begin(one)
            if what == "retry":
                self.started.remove(one.run.id)
                self.lanes.park(one)
            else:
                self.ended.add(one.run.id)
                self.lanes.leave(one)

    def submit(self, former: int, row: int) -> None:
        id_ = self.come({former, row})
        self.runs.append(id_)
        one = moved(id_, former, row) if former != row else task(id_, row)
        lanes = [one.lane] if one.former_lane is None else [one.lane, one.former_lane]
        if any(map(self.lanes.is_long, lanes)):
            self.shelved[id_] = (former, row)
            for empty in self.lanes.shelve(lanes, id_):
                self.lanes.wake(empty)
        else:
            self.lanes.add(one)

    def put_back(self, one: Task) -> None:
        before = len(self.lanes)
        gone = self.lanes.put_back(one)
        assert len(self.lanes) == before - len(gone)
        for other in gone:
            self.shelved[other.run.id] = (row := json.loads(other.run.cause.object_id_json)["id"], row)
        if gone:
            self.ready.remove(one)
            self.started.remove(one.run.id)
            self.lanes.wake(one.lane)

    def come(self, keys: set[int]) -> int:
        id_ = len(self.keys) + 1
        known = {other for other in range(1, id_) if keys & self.keys[other - 1]}
        self.keys.append(keys)
        self.waits_for.append(known.union(*(self.waits_for[other - 1] for other in known)))
        return id_

    def is_taken(self, key: int) -> bool:
        known = {id_ for id_, keys in enumerate(self.keys, start=1) if key in keys}
        found = bool(known.union(*(self.waits_for[id_ - 1] for id_ in known)) & set(self.runs) - self.ended)
        assert self.lanes.is_taken(task(0, key).lane) >= found
        return found

    def start(self, one: Task) -> None:
        id_ = one.run.id
        assert id_ not in self.started
        assert not (self.waits_for[id_ - 1] & set(self.runs)) - self.ended
        self.started.append(id_)
        self.ready.append(one)

    def fetch(self) -> None:
        taken = self.lanes.unshelve(5)
        found = {}
        for id_ in self.lanes.missing(taken):
            if id_ in self.shelved:
                former, row = self.shelved.pop(id_)
                found[id_] = moved(id_, former, row) if former != row else task(id_, row)
        for lane, ids in taken.items():
            self.lanes.refill(lane, ids, found)


@given(steps)
# The only one of a lane ends before what came behind it from a long lane is fetched.
@example([("write", 0, 1), *[("write", 0, 0)] * 4, ("move", 0, 1)])
# The run of the change of the key is revoked.
@example([*[("write", 0, 0)] * 4, ("move", 0, 1), ("write", 0, 1), ("revoke", 0, 0)])
def test_however_keys_change_runs_keep_their_order_and_all_come_to_their_end(
    steps: list[tuple[str, int, int]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LONGEST_LANE", 3)
        patch.setattr(module, "REFILL_BELOW", 2)
        model = Model()
        for step in steps:
            model.take(*step)
        for _ in range(5 * len(steps)):
            model.take("end", 0, 0)
            model.fetch()
    assert model.ended == set(model.runs)
    assert len(model.lanes) == 0
    assert not any(model.lanes.is_taken(task(0, row).lane) for row in range(4))


def test_what_waits_in_the_table_alone_takes_little_memory(started: Started) -> None:
    lanes, later, due = started.lanes, LaterRetries(), datetime.now(UTC)
    of_all = [(number, task(number, row=number).lane) for number in range(1, 5001)]
    tracemalloc.start()
    try:
        for number, lane in of_all:
            later.put(due, number, *lanes.shelve([lane], number))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used / len(of_all) < 500


def test_of_retries_each_is_asked_about_in_its_turn_also_one_that_comes_again() -> None:
    later, due = LaterRetries(), datetime.now(UTC)
    for number in (1, 2, 3, 1):
        later.take([number])
        later.put(due, number, task(number).lane)
    assert [later.next_to_ask(2), later.next_to_ask(2), later.next_to_ask(9)] == [[2, 3], [1, 2], [3, 1, 2]]


def run_dry(started: Started) -> Lane:
    """Let everything in memory of a long lane come to its end; one run is on its shelf."""
    lanes, lane = started.lanes, task(1).lane
    add(started, *(task(n) for n in range(1, LONGEST_LANE + 2)))
    lanes.shelve([lane], LONGEST_LANE + 2)
    while len(lanes):
        lanes.leave(task_of(lanes, started[-1]))
    return lane


def task_of(lanes: Lanes, number: int) -> Task:
    return next(one for one in lanes if one.run.id == number)
