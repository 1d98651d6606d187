"""The queue of runs that may share a transaction: who takes from it, and when more threads do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rowhooks.pipeline.scheduling import group_queue
from rowhooks.pipeline.scheduling.group_queue import IDLE, PACE, WINDOW, GroupQueue


class Clock:
    """What a thread sees of the time, and of the processor time that it has used itself."""

    def __init__(self) -> None:
        self.now = self.computed = 0.0

    def monotonic(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return self.computed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(group_queue, "time", clock)
    return clock


def queue_of(numbers: int) -> GroupQueue:
    queue = GroupQueue()
    for number in range(numbers):
        queue.put(prepared(number), 0)
    queue.watch()
    return queue


def prepared(number: int) -> Any:
    return SimpleNamespace(run=SimpleNamespace(id=number, origin=None), group_commit=50)


def pass_time(clock: Clock, queue: GroupQueue, threads: str, share: float) -> None:
    """Have threads get through runs for as long as it is measured, and compute for so much of the time together."""
    for _ in range(40):
        clock.now += WINDOW / 20
        for thread in threads:
            clock.computed += share * WINDOW / 20 / len(threads)
            queue.moved(thread, goes_on=True)
        queue.adapt()


def test_one_thread_takes_all_while_it_computes(clock: Clock) -> None:
    queue = queue_of(100)
    assert queue.free == 1
    assert queue.enter("a").run.id == 0  # type: ignore[union-attr]
    assert queue.enter("b") is None
    pass_time(clock, queue, "a", 0.8)
    assert queue.free == 0
    assert queue.enter("b") is None


def test_beside_a_thread_whose_run_goes_on_for_long_another_one_has_a_place(clock: Clock) -> None:
    queue = queue_of(100)
    for newcomers in ("a", "b", "cd"):
        for thread in newcomers:
            assert queue.enter(thread) is not None
        assert queue.free == 0
        clock.now += PACE * 1.1
        queue.adapt()
        assert queue.free == {"a": 1, "b": 2, "cd": 4}[newcomers]
    # One of them goes on: it does not wait, and one more place is enough.
    queue.moved("a", goes_on=True)
    queue.adapt()
    assert queue.free == 0
    # They go on, in their turn: those that are there are enough again.
    for thread in "abcd":
        queue.moved(thread, goes_on=True)
    queue.adapt()
    assert queue.free == 0
    for thread in "abc":
        queue.leave(thread)
        assert queue.enter(thread) is None


def test_a_thread_that_commits_needs_no_other_beside_it(clock: Clock) -> None:
    queue = queue_of(100)
    queue.enter("a")
    clock.computed += WINDOW
    queue.moved("a", goes_on=False)
    clock.now += PACE * 3
    queue.adapt()
    assert queue.free == 0


def test_beside_threads_that_wait_most_of_the_time_others_have_places_and_go_again(clock: Clock) -> None:
    queue = queue_of(100)
    queue.enter("a")
    pass_time(clock, queue, "a", IDLE / 2)
    assert queue.free == 1
    queue.enter("b")
    pass_time(clock, queue, "ab", IDLE * 1.1)
    assert queue.free == 0
    pass_time(clock, queue, "ab", 0.9)
    queue.leave("b")
    assert queue.enter("b") is None


def test_a_place_is_given_to_no_more_threads_than_there_are_runs(clock: Clock) -> None:
    queue = queue_of(1)
    assert queue.is_next(0)
    queue.enter("a")
    clock.now += PACE * 2
    queue.adapt()
    assert queue.free == 0
    assert not queue.is_next(0)
    assert queue.enter("b") is None


def test_what_came_before_a_run_without_the_option_is_executed_before_it() -> None:
    queue = GroupQueue()
    queue.put(prepared(9), 0)
    queue.put(prepared(1), 2)
    assert queue.is_next(0)
    queue.enter("a")
    assert [queue.is_next(begun) for begun in (0, 1, 2)] == [False, False, True]
