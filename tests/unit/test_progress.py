"""Progress: the position moves only over steps that are on record, without a gap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rowhooks.domain.feed import Position, Snapshot
from rowhooks.pipeline.progress import Progress, Step

START = Position(Snapshot(1, 1), Snapshot(2, 2))


def test_a_change_without_runs_moves_the_position_at_once() -> None:
    progress = Progress(START)
    progress.add(START.past(1), 0)
    assert progress.position_after([]) == START.past(1)
    assert progress.open_changes == 0


def test_a_change_with_runs_holds_the_position_until_the_last_is_on_record() -> None:
    progress = Progress(START)
    step = progress.add(START.past(1), 2)
    progress.record([step])
    assert progress.position_after([]) == START
    progress.record([step])
    assert progress.position_after([]) == START.past(1)


def test_a_later_change_does_not_overtake_an_open_one() -> None:
    progress = Progress(START)
    first, second = progress.add(START.past(1), 1), progress.add(START.past(2), 1)
    progress.add(START.past(3), 0)
    progress.record([second])
    assert progress.position_after([]) == START
    assert progress.open_changes == 3
    progress.record([first])
    assert progress.position_after([]) == START.past(3)
    assert progress.open_changes == 0


def test_asking_for_the_position_after_some_runs_moves_nothing() -> None:
    progress = Progress(START)
    step = progress.add(START.past(1), 2)
    assert progress.position_after([step]) == START
    assert progress.position_after([step, step]) == START.past(1)
    assert progress.position_after([]) == START


@given(
    st.lists(st.integers(0, 3), max_size=15),
    st.data(),
)
def test_the_position_is_behind_the_longest_run_of_recorded_changes(open_runs: list[int], data: st.DataObject) -> None:
    progress = Progress(START)
    steps: list[Step] = [progress.add(START.past(n), runs) for n, runs in enumerate(open_runs, start=1)]
    waiting = [n for n, runs in enumerate(open_runs) for _ in range(runs)]
    order = data.draw(st.permutations(waiting))
    left = list(open_runs)
    while True:
        behind = next((n for n, runs in enumerate(left) if runs), len(left))
        expected = START.past(behind) if behind else START
        assert progress.position_after([]) == expected
        assert progress.open_changes == len(left) - behind
        if not order:
            break
        group, order = order[: (size := data.draw(st.integers(1, 4)))], order[size:]
        foreseen = progress.position_after([steps[n] for n in group])
        progress.record([steps[n] for n in group])
        assert progress.position_after([]) == foreseen
        for n in group:
            left[n] -= 1
    assert progress.open_changes == 0
