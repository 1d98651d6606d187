"""Snapshots and positions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowhooks.domain.feed import Position, Snapshot


@pytest.mark.parametrize(
    ("text", "snapshot"),
    [
        ("10:10:", Snapshot(10, 10)),
        ("10:20:10,14,19", Snapshot(10, 20, frozenset({10, 14, 19}))),
        ("18446744073709551615:18446744073709551615:", Snapshot(2**64 - 1, 2**64 - 1)),
    ],
)
def test_a_snapshot_is_read_as_postgres_writes_it(text: str, snapshot: Snapshot) -> None:
    assert Snapshot.parse(text) == snapshot
    assert str(snapshot) == text


def test_the_open_transactions_are_written_in_order() -> None:
    assert str(Snapshot(1, 100, frozenset({50, 9, 30}))) == "1:100:9,30,50"


@given(st.integers(3, 2**40), st.integers(0, 50), st.frozensets(st.integers(0, 49)))
def test_what_is_written_is_read_again(xmin: int, width: int, open_: frozenset[int]) -> None:
    snapshot = Snapshot(xmin, xmin + width, frozenset(xmin + offset for offset in open_ if offset < width))
    assert Snapshot.parse(str(snapshot)) == snapshot


@pytest.mark.parametrize("text", ["", "1:2", "1:2:3:4", "a:b:"])
def test_what_is_no_snapshot_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Snapshot.parse(text)


@pytest.mark.parametrize(("xid", "seen"), [(9, True), (10, False), (11, True), (12, False), (15, False), (16, False)])
def test_a_snapshot_sees_what_had_ended(xid: int, seen: bool) -> None:
    assert Snapshot(10, 15, frozenset({10, 12})).sees(xid) is seen


def test_a_position_aims_moves_and_arrives() -> None:
    old, new = Snapshot(10, 10), Snapshot(20, 20)
    aimed = Position(old, floor_id=7).aim(new)
    assert aimed == Position(old, new, 0, 7)
    assert aimed.past(9) == Position(old, new, 9, 7, 9)
    assert aimed.past(9).arrive(8) == Position(new, None, 0, 8, 9)


def test_aiming_begins_at_the_start_of_the_batch() -> None:
    assert Position(Snapshot(10, 10), after_id=5).aim(Snapshot(20, 20)).after_id == 0


def test_the_floor_id_never_falls() -> None:
    # A batch of nothing but late changes ends below what came before it.
    assert Position(Snapshot(10, 12, frozenset({10})), floor_id=100).aim(Snapshot(12, 12)).arrive(3).floor_id == 100


def test_a_position_without_a_batch_can_neither_arrive_nor_tell_who_is_late() -> None:
    position = Position(Snapshot(10, 10))
    with pytest.raises(AssertionError):
        position.arrive(1)
    with pytest.raises(AssertionError):
        position.ended_since()


def test_late_are_the_transactions_that_were_open_and_have_ended() -> None:
    position = Position(Snapshot(10, 20, frozenset({10, 13, 17}))).aim(Snapshot(13, 25, frozenset({13, 24})))
    assert sorted(position.ended_since()) == [10, 17]
