"""Recorder: results in groups, and the position that goes with them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

import pytest

from rowhooks.domain.errors import DatabaseError, LeadershipLost
from rowhooks.domain.events import Events, RunEnded
from rowhooks.domain.feed import Position, Snapshot
from rowhooks.domain.run import FAILURE, REVOKED, STARTED, SUCCESS, LogEntry, Outcome, now, revoked
from rowhooks.pipeline import recorder as module
from rowhooks.pipeline.ports import EndOnRecord
from rowhooks.pipeline.progress import Progress
from rowhooks.pipeline.recorder import Recorder
from tests.support.make import outcome, run

START = Position(Snapshot(1, 1), Snapshot(2, 2))


class Sink:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.written: list[tuple[list[tuple[int, str]], Position | None]] = []
        self.lines: list[tuple[int, str]] = []
        self.called = asyncio.Event()
        self.problem: Exception | None = None
        self.ends: dict[int, EndOnRecord] = {}
        """What stood there before."""

    async def record(
        self, outcomes: Sequence[Outcome], lines: Sequence[tuple[int, LogEntry]], position: Position | None
    ) -> set[int]:
        if self.problem is not None:
            raise self.problem
        self.written.append(([(one.run.id, one.status) for one in outcomes], position))
        self.lines += [(run_id, entry.message) for run_id, entry in lines]
        self.called.set()
        return {one.run.id for one in outcomes} & self.ends.keys()

    async def on_record(self, run_ids: Collection[int]) -> dict[int, EndOnRecord]:
        return {id_: self.ends[id_] for id_ in run_ids if id_ in self.ends}


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def progress() -> Progress:
    return Progress(START)


@pytest.fixture
def recorder(sink: Sink, progress: Progress) -> Recorder:
    return Recorder(sink, progress)  # type: ignore[arg-type]


async def test_without_results_nothing_is_written(recorder: Recorder, sink: Sink) -> None:
    await recorder.flush()
    assert sink.written == []


async def test_results_that_wait_together_are_written_together_with_the_position_behind_them(
    recorder: Recorder, sink: Sink, progress: Progress
) -> None:
    for n in (1, 2, 3):
        recorder.take(outcome(run(n)), progress.add(START.past(n), 1))
    await recorder.flush()
    assert sink.written == [([(1, SUCCESS), (2, SUCCESS), (3, SUCCESS)], START.past(3))]
    assert progress.open_changes == 0


async def test_the_position_stays_while_an_earlier_run_is_open(
    recorder: Recorder, sink: Sink, progress: Progress
) -> None:
    first, second = progress.add(START.past(1), 1), progress.add(START.past(2), 1)
    recorder.take(outcome(run(2)), second)
    await recorder.flush()
    recorder.take(outcome(run(1)), first)
    await recorder.flush()
    assert sink.written == [([(2, SUCCESS)], None), ([(1, SUCCESS)], START.past(2))]


async def test_a_change_with_two_runs_is_passed_when_both_are_on_record(
    recorder: Recorder, sink: Sink, progress: Progress
) -> None:
    step = progress.add(START.past(1), 2)
    recorder.take(outcome(run(1)), step)
    await recorder.flush()
    recorder.take(outcome(run(2)), step)
    await recorder.flush()
    assert [position for _, position in sink.written] == [None, START.past(1)]


async def test_large_numbers_are_written_in_bounded_groups(
    recorder: Recorder, sink: Sink, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GROUP_SIZE", 2)
    for n in range(1, 6):
        recorder.take(outcome(run(n)), progress.add(START.past(n), 1))
    await recorder.flush()
    assert [(len(outcomes), position) for outcomes, position in sink.written] == [
        (2, START.past(2)),
        (2, START.past(4)),
        (1, START.past(5)),
    ]


@pytest.mark.parametrize("end", [SUCCESS, FAILURE])
async def test_a_started_is_superseded_by_the_end_of_the_same_run(
    recorder: Recorder, sink: Sink, progress: Progress, end: str
) -> None:
    recorder.take(outcome(run(1), STARTED), progress.add(START.past(1), 1))
    recorder.take(outcome(run(1), end), None)
    await recorder.flush()
    assert sink.written == [([(1, end)], START.past(1))]


async def test_a_started_lets_the_position_pass(recorder: Recorder, sink: Sink, progress: Progress) -> None:
    recorder.take(outcome(run(1), STARTED), progress.add(START.past(1), 1))
    await recorder.flush()
    recorder.take(outcome(run(1)), None)
    await recorder.flush()
    assert sink.written == [([(1, STARTED)], START.past(1)), ([(1, SUCCESS)], None)]


async def test_what_stands_on_record_already_only_moves_the_position(
    recorder: Recorder, sink: Sink, progress: Progress
) -> None:
    recorder.take(outcome(run(1), recorded=True), progress.add(START.past(1), 1))
    await recorder.flush()
    assert sink.written == [([], START.past(1))]


async def test_a_started_of_a_run_that_stands_on_record_is_not_written(
    recorder: Recorder, sink: Sink, progress: Progress
) -> None:
    recorder.take(outcome(run(1), STARTED), progress.add(START.past(1), 1))
    recorder.take(outcome(run(1), recorded=True), None)
    await recorder.flush()
    assert sink.written == [([], START.past(1))]


async def test_a_position_that_moved_without_results_is_written_once(
    recorder: Recorder, sink: Sink, progress: Progress
) -> None:
    progress.add(START.past(1), 0)
    await recorder.flush()
    await recorder.flush()
    assert sink.written == [([], START.past(1))]


async def test_room_is_announced_when_something_is_on_record(recorder: Recorder, progress: Progress) -> None:
    recorder.take(outcome(run(1)), progress.add(START.past(1), 1))
    assert not recorder.room.is_set()
    await recorder.flush()
    assert recorder.room.is_set()


async def test_when_the_lead_is_lost_nothing_moves(recorder: Recorder, sink: Sink, progress: Progress) -> None:
    sink.problem = LeadershipLost("another daemon leads")
    recorder.take(outcome(run(1)), progress.add(START.past(1), 1))
    with pytest.raises(LeadershipLost):
        await recorder.flush()
    assert progress.position_after([]) == START
    assert not recorder.room.is_set()


async def test_the_recorder_writes_by_itself_what_is_submitted(
    recorder: Recorder, sink: Sink, progress: Progress
) -> None:
    task = asyncio.create_task(recorder.run())
    for n in (1, 2):
        recorder.take(outcome(run(n)), progress.add(START.past(n), 1))
    await sink.called.wait()
    assert sink.written == [([(1, SUCCESS), (2, SUCCESS)], START.past(2))]
    sink.called.clear()
    recorder.take(outcome(run(3)), progress.add(START.past(3), 1))
    await sink.called.wait()
    assert sink.written[1:] == [([(3, SUCCESS)], START.past(3))]
    task.cancel()


async def test_the_recorder_writes_by_itself_a_position_that_moved_alone(
    recorder: Recorder, sink: Sink, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POSITION_INTERVAL", 0.01)
    task = asyncio.create_task(recorder.run())
    progress.add(START.past(1), 0)
    await sink.called.wait()
    assert sink.written == [([], START.past(1))]
    task.cancel()


def line(message: str) -> LogEntry:
    return LogEntry(now(), "info", message)


async def test_the_lines_of_a_started_are_kept_when_its_status_is_superseded(
    recorder: Recorder, sink: Sink, progress: Progress
) -> None:
    recorder.take(outcome(run(1), STARTED, entries=(line("one"),)), progress.add(START.past(1), 1))
    recorder.take(outcome(run(1), entries=(line("two"),)), None)
    await recorder.flush()
    assert sink.written == [([(1, SUCCESS)], START.past(1))]
    assert sink.lines == [(1, "one"), (1, "two")]


async def test_the_lines_of_a_run_that_recorded_itself_are_written(
    recorder: Recorder, sink: Sink, progress: Progress
) -> None:
    recorder.add_lines(run(1), [line("late")])
    recorder.take(outcome(run(1), recorded=True), progress.add(START.past(1), 1))
    await recorder.flush()
    assert sink.lines == [(1, "late")]


async def test_a_run_whose_result_cannot_be_recorded_has_ended_once(progress: Progress) -> None:
    class Picky(Sink):
        async def record(self, outcomes: Sequence[Outcome], *rest: object) -> set[int]:
            if any(one.status == SUCCESS for one in outcomes):
                raise DatabaseError("a value that the server does not take")
            return set()

    events, ended = Events(), []
    events.subscribe(RunEnded, lambda event: ended.append((event.outcome.run.id, event.outcome.status)))
    recorder = Recorder(Picky(), progress, events)  # type: ignore[arg-type]
    step = progress.add(START.past(1), 1)
    recorder.take(outcome(run(1), STARTED), step)
    recorder.take(outcome(run(1)), None)
    await recorder.flush()
    assert ended == [(1, FAILURE)]


async def test_what_a_run_ends_with_is_what_stands_on_record(sink: Sink, progress: Progress) -> None:
    events, ended = Events(), []
    events.subscribe(RunEnded, lambda event: ended.append((event.outcome.run.id, event.outcome.status)))
    recorder = Recorder(sink, progress, events)  # type: ignore[arg-type]
    earlier, by_hand = EndOnRecord(SUCCESS, now(), now(), None, None, None, None), "by hand"
    sink.ends = {1: earlier, 2: earlier._replace(status=REVOKED, result_json=by_hand)}
    # An earlier attempt has recorded the first; the second was revoked while it went on; the third is not ours.
    for one in (revoked(run(1)), outcome(run(2)), revoked(run(3)), outcome(run(4))):
        recorder.take(one, None)
    await recorder.flush()
    assert ended == [(1, SUCCESS), (2, REVOKED), (4, SUCCESS)]
