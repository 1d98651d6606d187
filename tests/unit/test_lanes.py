"""Lanes: what may start next."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from rowhooks.domain.job import JobOptions
from rowhooks.domain.run import now
from rowhooks.pipeline.lanes import LONGEST_LANE, REFILL_BELOW, Lane, Lanes, Ticket
from tests.unit.make import change, hook, job, run

UNORDERED = JobOptions(ordered=False)
SINGLETON = JobOptions(is_singleton=True)


def ticket(id_: int, row: int = 1, options: JobOptions = JobOptions(), **given: Any) -> Ticket:  # noqa: B008  (frozen)
    cause = change(id_, object_id_json=f'{{"id": {row}}}')
    given = {"on_record": False, "due": None, **given}
    return Ticket(run(id_, cause=cause), None, options, asynchronous=False, **given)


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


def add(started: Started, *tickets: Ticket) -> None:
    for one in tickets:
        started.lanes.add(one)


def test_runs_of_one_row_become_ready_one_after_another_in_order(started: Started) -> None:
    one, two, three = ticket(1), ticket(2), ticket(3)
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
    add(started, ticket(1, row=1), ticket(2, row=2))
    assert started == [1, 2]


def test_two_hooks_on_one_row_do_not_wait_for_each_other(started: Started) -> None:
    one = ticket(1)
    through_another = run(2, cause=one.run.cause, starter=hook(2, job=job(2)))
    add(started, one, Ticket(through_another, None, JobOptions(), False, on_record=False, due=None))
    assert started == [1, 2]


def test_unordered_runs_of_one_row_do_not_wait_for_each_other(started: Started) -> None:
    add(started, ticket(1, options=UNORDERED), ticket(2, options=UNORDERED))
    assert started == [1, 2]


def test_runs_of_a_singleton_take_turns_whatever_their_row(started: Started) -> None:
    one, two, three = (ticket(n, row=n, options=SINGLETON) for n in (1, 2, 3))
    add(started, one, two, three)
    assert started == [1]
    started.lanes.begin(one)
    started.lanes.leave(one)
    assert started == [1, 2]
    started.lanes.leave(two)
    started.lanes.leave(three)
    assert started == [1, 2, 3]
    add(started, ticket(4, options=SINGLETON))
    assert started == [1, 2, 3, 4]


async def test_a_run_that_waits_for_its_retry_holds_back_its_lane_and_nothing_else(started: Started) -> None:
    one = ticket(1, options=SINGLETON)
    add(started, one, ticket(2, options=SINGLETON), ticket(3, row=3, options=SINGLETON))
    started.lanes.begin(one)
    one.due = now() + timedelta(seconds=3600)
    started.lanes.park(one)
    # The job's turn goes to another row's run.
    assert started == [1, 3]
    assert started.lanes.parked() == [one]


async def test_a_parked_run_that_is_dropped_lets_the_next_in(started: Started) -> None:
    one = ticket(1)
    add(started, one, ticket(2))
    started.lanes.begin(one)
    one.due = now() + timedelta(seconds=3600)
    started.lanes.park(one)
    started.lanes.drop(one)
    assert started == [1, 2]
    assert started.lanes.parked() == []


async def test_a_run_whose_retry_is_due_is_ready_at_once(started: Started) -> None:
    one = ticket(1)
    add(started, one, ticket(2))
    started.lanes.begin(one)
    one.due = now() - timedelta(seconds=1)
    started.lanes.park(one)
    assert started == [1, 1]


def test_what_waits_is_listed_heads_before_followers(started: Started) -> None:
    add(started, ticket(1), ticket(2), ticket(3, row=3), ticket(4))
    assert [one.run.id for one in started.lanes] == [1, 3, 2, 4]
    assert len(started.lanes) == 4


def test_nothing_becomes_ready_after_closing(started: Started) -> None:
    one = ticket(1, options=SINGLETON)
    add(started, one, ticket(2, options=SINGLETON))
    started.lanes.begin(one)
    started.lanes.close()
    started.lanes.leave(one)
    assert started == [1]
    assert len(started.lanes) == 0


def test_a_long_lane_is_refilled_from_its_shelf_behind_its_followers(started: Started) -> None:
    lanes = started.lanes
    add(started, *(ticket(n) for n in range(1, LONGEST_LANE + 2)))
    lane = ticket(1).lane
    assert lanes.is_long(lane)
    for number in range(LONGEST_LANE + 2, LONGEST_LANE + 5):
        lanes.shelve(lane, number)
    assert len(lanes) == LONGEST_LANE + 1
    for number in range(1, LONGEST_LANE - REFILL_BELOW + 2):
        assert started.hungry == 0
        lanes.leave(ticket_of(lanes, number))
    assert started.hungry == 1
    assert lanes.unshelve(1000) == {lane: [LONGEST_LANE + 2, LONGEST_LANE + 3, LONGEST_LANE + 4]}
    # What comes meanwhile must not overtake what is being fetched.
    assert lanes.is_long(lane)
    lanes.shelve(lane, LONGEST_LANE + 5)
    lanes.refill(lane, [ticket(LONGEST_LANE + 2), ticket(LONGEST_LANE + 4)])
    assert lanes.unshelve(1000) == {}
    for _ in range(2):
        lanes.leave(ticket_of(lanes, started[-1]))
    assert lanes.unshelve(1000) == {lane: [LONGEST_LANE + 5]}
    lanes.refill(lane, [])
    assert not lanes.is_long(lane)
    add(started, ticket(LONGEST_LANE + 6))
    while len(lanes):
        lanes.leave(ticket_of(lanes, started[-1]))
    assert started == [*range(1, LONGEST_LANE + 3), LONGEST_LANE + 4, LONGEST_LANE + 6]


def test_a_lane_that_has_run_dry_goes_on_with_what_was_on_its_shelf(started: Started) -> None:
    lanes, lane = started.lanes, run_dry(started)
    assert lanes.unshelve(1000) == {lane: [LONGEST_LANE + 2]}
    lanes.refill(lane, [ticket(LONGEST_LANE + 2)])
    assert started[-1] == LONGEST_LANE + 2
    lanes.leave(ticket_of(lanes, LONGEST_LANE + 2))
    # The lane is forgotten.
    assert not lanes.is_long(lane)
    add(started, ticket(LONGEST_LANE + 3))
    assert started[-1] == LONGEST_LANE + 3


def test_a_dry_lane_of_which_everything_was_revoked_is_forgotten(started: Started) -> None:
    lanes, lane = started.lanes, run_dry(started)
    lanes.unshelve(1000)
    lanes.refill(lane, [])
    add(started, ticket(LONGEST_LANE + 3))
    assert started[-1] == LONGEST_LANE + 3


def run_dry(started: Started) -> Lane:
    """Let everything in memory of a long lane come to its end; one run is on its shelf."""
    lanes, lane = started.lanes, ticket(1).lane
    add(started, *(ticket(n) for n in range(1, LONGEST_LANE + 2)))
    lanes.shelve(lane, LONGEST_LANE + 2)
    while len(lanes):
        lanes.leave(ticket_of(lanes, started[-1]))
    return lane


def ticket_of(lanes: Lanes, number: int) -> Ticket:
    return next(one for one in lanes if one.run.id == number)
