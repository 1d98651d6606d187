"""Recorder: writes results in groups and moves the position behind what is on record."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from rowhooks.domain.errors import ConnectionFailed, DatabaseError, PermissionDenied
from rowhooks.domain.feed import Position
from rowhooks.domain.run import PENDING, STARTED, Outcome, now
from rowhooks.pipeline.ports import ResultSink
from rowhooks.pipeline.progress import Progress, Step
from rowhooks.pipeline.runner import failed

logger = logging.getLogger(__name__)

GROUP_INTERVAL = 0.02
"""Seconds a result waits for others to be written with."""
GROUP_SIZE = 500
"""Results written in one statement."""
POSITION_INTERVAL = 0.5
"""Seconds between writes of a position that moved without results."""


@dataclass(frozen=True)
class Entry:
    """A result on its way, and the step of the feed that waits for it (none once STARTED is on record)."""

    outcome: Outcome
    step: Step | None


class Recorder:
    """Collects outcomes and writes them; there is one writer, so the order is that of `submit`."""

    def __init__(self, sink: ResultSink, progress: Progress) -> None:
        self._sink = sink
        self._progress = progress
        self._waiting: list[Entry] = []
        self._arrived = asyncio.Event()
        self._stored = progress.position_after([])
        self._writing = asyncio.Lock()
        self.room = asyncio.Event()

    def submit(self, outcome: Outcome, step: Step | None) -> None:
        """Take an outcome over; it is on record when its step has moved."""
        self._waiting.append(Entry(outcome, step))
        self._arrived.set()

    async def run(self) -> None:
        """Write groups for ever."""
        while True:
            try:
                async with asyncio.timeout(POSITION_INTERVAL):
                    await self._arrived.wait()
                await asyncio.sleep(GROUP_INTERVAL)
            except TimeoutError:
                pass  # nothing arrived: the position alone may have moved
            await self.flush()

    async def flush(self) -> None:
        """Write everything that waits; returns when it is on record, also what another caller is writing."""
        async with self._writing:
            await self._flush()

    async def _flush(self) -> None:
        while self._waiting or self._progress.position_after([]) != self._stored:
            group, self._waiting = self._waiting[:GROUP_SIZE], self._waiting[GROUP_SIZE:]
            if not self._waiting:
                self._arrived.clear()
            steps = [entry.step for entry in group if entry.step is not None]
            position = self._progress.position_after(steps)
            await self._write(_unrecorded(group), position if position != self._stored else None)
            self._stored = position
            self._progress.record(steps)
            self.room.set()

    async def _write(self, outcomes: list[Outcome], position: Position | None) -> None:
        try:
            await self._sink.record(outcomes, position)
        except (ConnectionFailed, PermissionDenied):
            raise
        except DatabaseError:
            # One result that the server does not take must not keep the others from being recorded, nor come again
            # and again: it is found, and recorded as a failure that says so.
            for outcome in outcomes:
                await self._write_alone(outcome)
            await self._sink.record([], position)

    async def _write_alone(self, outcome: Outcome) -> None:
        try:
            await self._sink.record([outcome], None)
        except (ConnectionFailed, PermissionDenied):
            raise
        except DatabaseError as error:
            logger.exception("the result cannot be recorded as it is", extra=outcome.run.log_fields())
            await self._sink.record([failed(outcome.run, outcome.started_at or now(), error, [])], None)


def _has_ended(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.status not in (PENDING, STARTED)


def _unrecorded(group: list[Entry]) -> list[Outcome]:
    # A run that ended before its PENDING or STARTED was written needs neither.
    latest: dict[int, Outcome] = {}
    for entry in group:
        if entry.outcome.status not in (PENDING, STARTED) or not _has_ended(latest.get(entry.outcome.run.id)):
            latest[entry.outcome.run.id] = entry.outcome
    return [outcome for outcome in latest.values() if not outcome.recorded]
