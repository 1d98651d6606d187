"""Submission: what changes start gets its ids, however many hooks there are on one table."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from rowhooks.domain.events import Events
from rowhooks.domain.feed import Position, Snapshot
from rowhooks.domain.run import Run
from rowhooks.domain.run_keys import Keys
from rowhooks.pipeline.matcher import Matcher
from rowhooks.pipeline.progress import Progress
from rowhooks.pipeline.reader import Part
from rowhooks.postgres.leadership import epoch
from rowhooks.runtime.submission import IDS_AHEAD, FeedConnection, Submission
from tests.support.make import change, configuration, hook

START = Position(Snapshot(1, 1), Snapshot(2, 2))


class Takes:
    """Takes the runs, in the place of the scheduler, and keeps none, in that of what waits for its job."""

    has_missed = False

    def __init__(self) -> None:
        self.runs: list[Run] = []

    def admit(self, run: Run, step: Any) -> None:
        self.runs.append(run)

    def is_in_doubt(self) -> bool:
        return False


async def test_one_change_may_start_more_runs_than_ids_are_reserved_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    last = 0

    async def reserve(connection: Any, count: int) -> list[int]:
        nonlocal last
        last += count
        return list(range(last - count + 1, last + 1))

    monkeypatch.setattr(epoch, "reserve_result_ids", reserve)
    takes: Any = Takes()
    feed = FeedConnection(None, Keys(UUID(int=1)), 0, batch_size=1)
    submission = Submission(feed, Progress(START), takes, takes, takes, Events())
    hooks = [hook(id_) for id_ in range(1, 2 * IDS_AHEAD + 4)]
    submission.matcher = Matcher(configuration(*hooks))
    await submission.submit(Part(((change(1), START.past(1)),), START))
    assert [run.id for run in takes.runs] == list(range(1, 2 * IDS_AHEAD + 4))
