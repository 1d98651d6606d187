"""How many runs are prepared ahead follows how quickly runs end."""

from __future__ import annotations

import pytest

from rowhooks.pipeline.scheduling.pace import AHEAD, AT_MOST, Pace


class Clock:
    """A time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def paced(rate: int, seconds: float = 1.0, limit: int = 100) -> Pace:
    """Return the pace of a pool in which so many runs end each second."""
    clock = Clock()
    pace = Pace(limit, clock)
    for _ in range(int(rate * seconds)):
        clock.now += 1 / rate
        pace.ended()
    return pace


@pytest.mark.parametrize(
    ("rate", "places"),
    [(10, 2 * 100), (1_000, 2 * 100), (2_000, 2 * 100), (8_000, 100 + 8_000 // 20), (100_000, 10 * 100)],
)
def test_what_is_prepared_is_begun_within_half_the_time_for_which_it_is_fresh(rate: int, places: int) -> None:
    assert paced(rate).places == pytest.approx(places, rel=0.02)


def test_before_any_run_has_ended_it_is_twice_what_may_go_on() -> None:
    assert Pace(7).places == AHEAD * 7


def test_it_becomes_small_again_when_runs_become_slow() -> None:
    clock = Clock()
    pace = Pace(100, clock)
    for _ in range(10_000):
        clock.now += 0.0001
        pace.ended()
    assert pace.places == pytest.approx(100 + 500, rel=0.02)
    for _ in range(20):
        clock.now += 0.05
        pace.ended()
    assert pace.places == AHEAD * 100


def test_a_pool_of_one_worker_prepares_a_few() -> None:
    assert paced(10_000, limit=1).places == AT_MOST
