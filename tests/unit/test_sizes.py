"""Sizes: everything that users made counts in what a daemon keeps in memory."""

from __future__ import annotations

from typing import Any

import pytest

from rowhooks.domain.errors import DatabaseError
from rowhooks.domain.feed import Position, Snapshot
from rowhooks.pipeline.execution.outcomes import LONGEST_MESSAGE, LONGEST_RESULT, failed, succeeded
from rowhooks.pipeline.progress import Progress
from rowhooks.pipeline.recorder import GROUP_HELD, Recorder
from rowhooks.pipeline.scheduling.tasks import size_of
from tests.support.make import NOON, change, outcome, press, pressed, run

LONG = "x" * 1000


@pytest.mark.parametrize(
    "column",
    [
        "object_id_json", "object_repr", "prechange_json", "postchange_json", "db_user", "user_name", "request_id",
        "change_context", "capture_error",
    ],
)  # fmt: skip
def test_every_column_of_a_change_counts(column: str) -> None:
    assert size_of(run(cause=change(**dict[str, Any]({column: LONG})))) >= len(LONG)


def test_what_a_press_says_counts() -> None:
    assert size_of(pressed(cause=press(user_name=LONG))) >= len(LONG)


class Sink:
    """Remembers how many results came in one statement."""

    def __init__(self) -> None:
        self.groups: list[int] = []

    async def record(self, outcomes: list[Any], lines: object, position: object) -> set[int]:
        self.groups.append(len(outcomes))
        return set()


async def test_large_results_are_written_in_several_statements_and_counted_until_then() -> None:
    sink = Sink()
    recorder = Recorder(sink, Progress(Position(Snapshot(1, 1))))  # type: ignore[arg-type]
    for number in range(1, 5):
        recorder.take(outcome(run(number), result_json="x" * (GROUP_HELD // 2 + 1)), None)
    assert recorder.held == 4 * (GROUP_HELD // 2 + 1)
    await recorder.flush()
    assert sink.groups == [2, 2]
    assert recorder.held == 0


class Picky(Sink):
    """Takes no row of this name, as a server would that cannot hold it."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[tuple[int, str, str | None]] = []

    async def record(self, outcomes: list[Any], lines: object, position: object) -> set[int]:
        if any(one.run.object_repr == "unheard of" for one in outcomes):
            raise DatabaseError("no such text")
        self.taken += [(one.run.id, one.status, one.exception_message) for one in outcomes]
        return set()


async def test_a_run_whose_names_the_server_does_not_take_is_a_failure_and_keeps_no_other_from_its_record() -> None:
    sink = Picky()
    recorder = Recorder(sink, Progress(Position(Snapshot(1, 1))))  # type: ignore[arg-type]
    recorder.take(outcome(run(1, cause=change(object_repr="unheard of"))), None)
    recorder.take(outcome(run(2)), None)
    await recorder.flush()
    assert sink.taken == [(1, "FAILURE", "no such text"), (2, "SUCCESS", None)]


def test_what_a_receiver_returns_or_raises_is_kept_up_to_a_length() -> None:
    assert succeeded(run(1), NOON, "x" * LONGEST_RESULT).result_json is None
    assert succeeded(run(1), NOON, "x" * 10).result_json == '"xxxxxxxxxx"'
    message = failed(run(1), NOON, ValueError("x" * (LONGEST_MESSAGE + 5))).exception_message
    assert message == f"{'x' * LONGEST_MESSAGE}... (5 more characters)"
