"""How many runs are prepared ahead follows how long their rows wait for them."""

from __future__ import annotations

import pytest

from rowhooks.pipeline.scheduling.pace import FEWEST, LONGEST_WAIT, MOST, Pace


class Clock:
    """A time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def drained(pace: Pace, clock: Clock, rate: float, *, loading: float = 0.0, seconds: float = 3.0) -> Pace:
    """Let a backlog be run: as many rows as are allowed are loaded, then their runs begin one after another.

    Args:
        pace: of the pool.
        clock: its time.
        rate: how many runs begin each second.
        loading: how many seconds a query takes.
        seconds: how long it goes on.
    """
    end = clock.now + seconds
    while clock.now < end:
        ahead = 0
        while pace.allows(ahead):
            ahead += 1
        clock.now += loading
        loaded_at = clock.now
        for _ in range(ahead):
            clock.now += 1 / rate
            pace.begun(clock.now - loaded_at)
    return pace


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize("rate", [400, 1_000, 2_000, 8_000])
@pytest.mark.parametrize("loading", [0.002, 0.2])
def test_rows_wait_about_half_the_time_for_which_they_are_fresh(clock: Clock, rate: int, loading: float) -> None:
    pace = drained(Pace(100, clock), clock, rate, loading=loading, seconds=20)
    # It grows by a quarter, and by one at least.
    assert 0.6 * LONGEST_WAIT <= pace.ahead / rate <= 1.6 * LONGEST_WAIT


def test_before_any_run_has_begun_it_is_as_many_as_may_go_on(clock: Clock) -> None:
    assert Pace(7, clock).ahead == 7


def test_it_becomes_small_when_runs_become_slow_and_no_smaller_than_a_few(clock: Clock) -> None:
    pace = drained(Pace(100, clock), clock, 8_000)
    assert drained(pace, clock, 20).ahead == FEWEST


def test_it_becomes_large_again_when_they_become_quick_and_has_an_end(clock: Clock) -> None:
    pace = drained(Pace(100, clock), clock, 20)
    assert drained(pace, clock, 1_000_000, loading=0.001).ahead == MOST * 100


def test_nothing_changes_while_nothing_waits_for_a_place(clock: Clock) -> None:
    pace = Pace(100, clock)
    for _ in range(1_000):
        clock.now += 0.01
        assert pace.allows(0)
        pace.begun(0.001)
    assert pace.ahead == 100
