"""Where in the log the changes of a time span begin."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

Connection = psycopg.Connection[Any]


@pytest.fixture
def log(db: Connection) -> None:
    """Changes with the ids 5000 to 15000, every third, one a minute."""
    db.execute(
        "insert into rowhooks.object_change (id, time, action, tracked_table) overriding system value"
        " select 5000 + 3 * g.n, '2026-01-01 00:00+00'::timestamptz + g.n * interval '1 minute', 'create', 1"
        " from generate_series(0, 3333) as g (n)"
    )


def first_since(db: Connection, time: str) -> int:
    row = db.execute("select rowhooks.first_change_since(%s)", (time,)).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("minutes", [0, 1, 332, 333, 334, 1000, 2666, 3332, 3333])
def test_no_change_from_that_time_on_is_below_it_and_it_is_near(db: Connection, minutes: int) -> None:
    wanted = 5000 + 3 * minutes
    row = db.execute("select c.time::text from rowhooks.object_change as c where c.id = %s", (wanted,)).fetchone()
    assert row is not None
    assert 0 <= wanted - first_since(db, row[0]) < 1003


@pytest.mark.usefixtures("log")
def test_a_time_before_all_or_behind_all_is_answered_too(db: Connection) -> None:
    assert first_since(db, "2020-01-01") == 5000
    assert first_since(db, "-infinity") == 5000
    assert first_since(db, "2036-01-01") == 15000
    assert first_since(db, "infinity") == 15000


def test_an_empty_log_begins_at_zero(db: Connection) -> None:
    assert first_since(db, "2026-01-01") == 0


@pytest.mark.usefixtures("log")
def test_no_more_is_told_than_to_the_thousand(db: Connection) -> None:
    found = {first_since(db, f"2026-01-0{day} {hour:02}:17+00") for day in (1, 2, 3) for hour in range(24)}
    assert found == {1000 * n for n in range(5, 16)}
