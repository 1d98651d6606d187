"""Sizes: everything that users made counts in what a daemon keeps in memory."""

from __future__ import annotations

import pytest

from rowhooks.domain.feed import Position, Snapshot
from rowhooks.pipeline.lanes import size_of
from rowhooks.pipeline.progress import Progress
from rowhooks.pipeline.recorder import GROUP_HELD, Recorder
from tests.unit.make import change, outcome, press, pressed, run

LONG = "x" * 1000


@pytest.mark.parametrize(
    "column",
    [
        "object_id_json", "object_repr", "prechange_json", "postchange_json", "db_user", "user_name", "request_id",
        "change_context", "capture_error",
    ],
)  # fmt: skip
def test_every_column_of_a_change_counts(column: str) -> None:
    assert size_of(run(cause=change(**{column: LONG}))) >= len(LONG)


def test_what_a_press_says_counts() -> None:
    assert size_of(pressed(cause=press(user_name=LONG))) >= len(LONG)


class Sink:
    """Remembers how many results came in one statement."""

    def __init__(self) -> None:
        self.groups: list[int] = []

    async def record(self, outcomes: list[object], lines: object, position: object) -> None:
        self.groups.append(len(outcomes))


async def test_large_results_are_written_in_several_statements_and_counted_until_then() -> None:
    sink = Sink()
    recorder = Recorder(sink, Progress(Position(Snapshot(1, 1))))  # type: ignore[arg-type]
    for number in range(1, 5):
        recorder.submit(outcome(run(number), result_json="x" * (GROUP_HELD // 2 + 1)), None)
    assert recorder.held == 4 * (GROUP_HELD // 2 + 1)
    await recorder.flush()
    assert sink.groups == [2, 2]
    assert recorder.held == 0
