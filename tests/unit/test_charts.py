"""Charts: what is drawn, what is said to those who do not see it, and the table beside it."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rowhooks.web.showing.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Chart,
    Series,
    lines,
    short,
    stacked_bars,
)


def bars(*series: Series, count: int = 3) -> Chart:
    labels = [f"0{place}:00" for place in range(count)]
    return stacked_bars("runs", "Runs", "a minute", series, labels, labels)


def test_bars_stand_on_each_other_and_are_as_high_as_their_numbers() -> None:
    chart = bars(Series("ended well", "success", (10.0, 0.0, 5.0)), Series("failed", "failure", (0.0, 10.0, 5.0)))
    well, failed, below, above = chart.bars
    room = HEIGHT - TOP - BOTTOM
    assert (well.height, failed.height) == (room, room)
    assert below.height == above.height == room / 2
    assert above.y + above.height == below.y
    assert below.y + below.height == HEIGHT - BOTTOM
    assert [bar.kind for bar in chart.bars] == ["success", "failure", "success", "failure"]


def test_a_chart_says_what_it_shows_in_words_and_as_a_table() -> None:
    chart = bars(Series("ended well", "success", (10.0, 2000.0, 5.0)), Series("failed", "failure", (None, 1.0, 0.5)))
    assert (
        chart.description == "ended well: at most 2,000, at last 5 a minute; failed: at most 1, at last 0.50 a minute."
    )
    assert chart.rows == [
        ("00:00", ["10", "unknown"]), ("01:00", ["2,000", "1"]), ("02:00", ["5", "0.50"])
    ]  # fmt: skip


@pytest.mark.parametrize(("largest", "labels"), [(0.0, ["0", "1", "2"]), (3.0, ["0", "2.5", "5"]),
                                                 (7.0, ["0", "5", "10"]), (1500.0, ["0", "1 k", "2 k"])])  # fmt: skip
def test_the_axis_has_round_numbers(largest: float, labels: list[str]) -> None:
    assert [tick.label for tick in bars(Series("runs", "success", (largest, 0.0, 0.0))).up] == labels


def test_a_line_has_a_gap_where_a_number_is_not_known() -> None:
    series = [Series("lag", "failure", (1.0, 2.0, None, 3.0))]
    chart = lines("lag", "Lag", "s", series, [0.0, 1.0, 2.0, 3.0], ["a"] * 4, ["a"] * 4)
    assert [points.count(",") for points, _ in chart.lines] == [2, 2]


def test_nothing_is_a_chart_too() -> None:
    empty = lines("lag", "Lag", "s", [Series("lag", "failure", ())], [], [], [])
    assert (empty.lines, empty.description) == ((), "There is nothing to show.")
    assert stacked_bars("runs", "Runs", "", [], [], []).bars == ()


NUMBERS = st.lists(st.none() | st.floats(0, 1e12), min_size=1, max_size=100)


@given(NUMBERS)
@example([5e-324, 0.0])
@example([1e-310])
def test_everything_is_drawn_within_the_chart(numbers: list[float | None]) -> None:
    labels = ["00:00"] * len(numbers)
    series = [Series("one", "success", tuple(numbers)), Series("other", "failure", tuple(numbers))]
    for bar in stacked_bars("a", "A", "", series, labels, labels).bars:
        assert LEFT <= bar.x <= bar.x + bar.width <= WIDTH - RIGHT + 0.2
        assert TOP - 0.1 <= bar.y <= bar.y + bar.height <= HEIGHT - BOTTOM + 0.2
    seconds = [float(place) for place in range(len(numbers))]
    for points, _ in lines("a", "A", "", series, seconds, labels, labels).lines:
        for point in points.split():
            x, y = map(float, point.split(","))
            assert math.isfinite(x)
            assert math.isfinite(y)
            assert LEFT <= x <= WIDTH - RIGHT + 0.1
            assert TOP - 0.1 <= y <= HEIGHT - BOTTOM + 0.1


def test_a_number_is_written_as_a_table_has_it() -> None:
    assert [short(value) for value in (1234.0, 0.25, None)] == ["1,234", "0.25", "unknown"]
