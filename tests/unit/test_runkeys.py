"""Keys of runs, as they are derived."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest

from rowhooks.domain.run_keys import Keys
from tests.support.make import change, hook

HISTORY = uuid.UUID(int=7)
TIME = datetime(2026, 11, 29, 8, 0, 0, 123457, tzinfo=UTC)


@pytest.mark.parametrize("number", range(1, 40))
def test_a_key_is_the_uuid_of_that_name_in_the_history(number: int) -> None:
    one = change(number, transaction_id=900, time=TIME)
    microseconds = 1_795_939_200_123_457
    expected = uuid.uuid5(HISTORY, f"{number}:900:{microseconds}:3")
    assert Keys(HISTORY).of(one, hook(3)) == str(expected)


def test_a_time_zone_makes_no_other_key_and_a_microsecond_does() -> None:
    keys, one = Keys(HISTORY), hook(3)
    elsewhere = TIME.astimezone(timezone(timedelta(hours=5, minutes=30)))
    same = [keys.of(change(1, time=when), one) for when in (TIME, elsewhere)]
    assert same[0] == same[1]
    assert keys.of(change(1, time=TIME + timedelta(microseconds=1)), one) not in same
