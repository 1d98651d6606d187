"""Recorder: writes results and log lines in groups and moves the position behind what is on record."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from rowhooks.domain.errors import ConnectionFailed, DatabaseError, PermissionDenied
from rowhooks.domain.events import Events, RunEnded
from rowhooks.domain.feed import Position
from rowhooks.domain.run import PENDING, REVOKED, STARTED, LogEntry, Outcome, Run, now
from rowhooks.pipeline.execution.outcomes import failed
from rowhooks.pipeline.ports import ResultSink
from rowhooks.pipeline.progress import Progress, Step

logger = logging.getLogger(__name__)

GROUP_INTERVAL = 0.02
"""Seconds a result waits for others to be written with."""
GROUP_SIZE = 1000
"""Results written in one statement; when so many have come they wait no longer."""
GROUP_HELD = 8 * 2**20
"""Characters of results that are written in one statement, and for which none waits for others; a larger one alone."""
POSITION_INTERVAL = 0.5
"""Seconds between writes of a position that moved without results."""

Lines = list[tuple[int, LogEntry]]
T = TypeVar("T")


Entry = tuple[Outcome, Step | None]
"""A result on its way, and the step of the feed that waits for it (none once STARTED is on record)."""


class Recorder:
    """Collects outcomes and lines and writes them; there is one writer, so the order is that of `take`.

    Args:
        sink: where they are written.
        progress: the steps of the feed that wait for them.
        events: where it is published that a run has ended, once that is on record.
    """

    def __init__(self, sink: ResultSink, progress: Progress, events: Events | None = None) -> None:
        self._sink = sink
        self._progress = progress
        self._events = events or Events()
        self._waiting: list[Entry] = []
        self.held = 0
        """Characters of results and lines that wait to be written."""
        self._lines: Lines = []
        self._arrived = asyncio.Event()
        self._is_large = asyncio.Event()
        self._stored = progress.position_after([])
        self._writing = asyncio.Lock()
        self.room = asyncio.Event()

    def take(self, outcome: Outcome, step: Step | None) -> None:
        """Take an outcome over; it is on record when its step has moved."""
        if outcome.entries:
            self.add_lines(outcome.run, outcome.entries)
            outcome = replace(outcome, entries=())
        self._waiting.append((outcome, step))
        self.held += _size_of(outcome)
        if len(self._waiting) == 1:
            self._arrived.set()
        if len(self._waiting) == GROUP_SIZE or self.held > GROUP_HELD:
            self._is_large.set()

    def add_lines(self, run: Run, entries: Sequence[LogEntry]) -> None:
        """Take lines over of a run that is on record, or whose outcome is taken next."""
        if entries:
            self._lines += [(run.id, entry) for entry in entries]
            self.held += sum(len(entry.message) for entry in entries)
            self._arrived.set()

    async def run(self) -> None:
        """Write groups until cancelled."""
        while True:
            try:
                async with asyncio.timeout(POSITION_INTERVAL):
                    await self._arrived.wait()
                async with asyncio.timeout(GROUP_INTERVAL):
                    await self._is_large.wait()
            except TimeoutError:
                pass  # few arrived, or none: the position alone may have moved
            await self.flush()

    async def flush(self) -> None:
        """Write everything that waits; returns when it is on record, also what another caller is writing."""
        async with self._writing:
            await self._flush()

    async def ended(self, run_ids: Collection[int]) -> set[int]:
        """Return which of these runs, that are on record or on their way there, are not to begin; see ResultSink."""
        return await self._sink.ended(run_ids)

    async def revoked(self, run_ids: Collection[int]) -> set[int]:
        """Return which of these runs have been revoked."""
        async with self._writing:
            return await self._sink.revoked(run_ids)

    async def undisturbed(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do some work on the sink's connection, with everything on record that was submitted before."""
        async with self._writing:
            await self._flush()
            return await work()

    async def _flush(self) -> None:
        while self._waiting or self._lines or self._progress.position_after([]) != self._stored:
            group = self._next_group()
            if len(self._waiting) < GROUP_SIZE and self.held <= GROUP_HELD:
                self._is_large.clear()
            # A line's run comes with it or before it: lines wait until every outcome has been written.
            lines: Lines = []
            if not self._waiting:
                lines, self._lines = self._lines, []
                self.held -= sum(len(entry.message) for _, entry in lines)
                self._arrived.clear()
            steps = [step for _, step in group if step is not None]
            position = self._progress.position_after(steps)
            others = await self._write(_unrecorded(group), lines, position if position != self._stored else None)
            self._stored = position
            self._progress.record(steps)
            if RunEnded in self._events.wanted:
                await self._publish_ended(group, others)
            self.room.set()

    async def _publish_ended(self, group: Sequence[Entry], others: Mapping[int, Outcome | None]) -> None:
        """Publish once for each run of a group that has ended, as it stands on record."""
        outcomes = {outcome.run.id: outcome for outcome, _ in group if outcome.finished_at is not None}
        # What had ended on record before is not what came of the run here. It is rare, and read.
        unknown = [id_ for id_, one in outcomes.items() if one.status == REVOKED]
        for id_, other in others.items():
            if id_ in outcomes and other is not None:
                outcomes[id_] = other
            elif id_ in outcomes:
                unknown.append(id_)
        ends = await self._sink.on_record(unknown) if unknown else {}
        for id_ in unknown:
            if id_ in ends:
                outcomes[id_] = replace(outcomes[id_], **ends[id_]._asdict())
            else:
                outcomes.pop(id_, None)
        for outcome in outcomes.values():
            self._events.publish(RunEnded(outcome))

    def _next_group(self) -> list[Entry]:
        count = held = 0
        if self.held:
            for outcome, _ in self._waiting[:GROUP_SIZE]:
                if count and held > GROUP_HELD:
                    break
                held += _size_of(outcome)
                count += 1
        else:
            # As mostly: no run has returned or raised anything.
            count = GROUP_SIZE
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        self.held -= held
        return group

    async def _write(
        self, outcomes: list[Outcome], lines: Lines, position: Position | None
    ) -> dict[int, Outcome | None]:
        """Write a group; return for which runs something else is on record, by their ids.

        Returns:
            What is there in the place of what the server did not take; None where a run had ended there before.
        """
        others: dict[int, Outcome | None] = {}
        try:
            others.update(dict.fromkeys(await self._sink.record(outcomes, lines, position)))
        except (ConnectionFailed, PermissionDenied):
            raise
        except DatabaseError:
            # One result that the server does not take must not keep the others from being recorded, nor come again
            # and again: it is found, and recorded as a failure that says so.
            for outcome in outcomes:
                others.update(await self._write_alone(outcome))
            await self._write_lines(lines)
            await self._sink.record([], [], position)
        return others

    async def _write_alone(self, outcome: Outcome) -> dict[int, Outcome | None]:
        try:
            return dict.fromkeys(await self._sink.record([outcome], [], None))
        except (ConnectionFailed, PermissionDenied):
            raise
        except DatabaseError as error:
            logger.exception("the result cannot be recorded as it is", extra=outcome.run.log_fields())
            failure = failed(outcome.run, outcome.started_at or now(), error)
            try:
                await self._sink.record([failure], [], None)
            except (ConnectionFailed, PermissionDenied):
                raise
            except DatabaseError as problem:
                # What the run is about may be what the server does not take.
                failure = failed(_unnamed(outcome.run), outcome.started_at or now(), problem)
                await self._sink.record([failure], [], None)
            return {outcome.run.id: failure}

    async def _write_lines(self, lines: Lines) -> None:
        try:
            await self._sink.record([], lines, None)
        except (ConnectionFailed, PermissionDenied):
            raise
        except DatabaseError:
            if len(lines) > 1:
                # One line that the server does not take must not cost the others.
                half = len(lines) // 2
                await self._write_lines(lines[:half])
                await self._write_lines(lines[half:])
            elif lines:
                run_id, entry = lines[0]
                logger.exception("a log line of run %d cannot be recorded, and is lost: %.1000s", run_id, entry.message)


def _unnamed(run: Run) -> Run:
    """Return a run without what users have called its row and themselves."""
    return replace(
        run, former_key=None, cause=replace(run.cause, object_id_json="{}", object_repr="", user_name=None, db_user="")
    )


def _size_of(outcome: Outcome) -> int:
    """Return how much of a result there is, in characters."""
    if outcome.result_json is None and outcome.exception_type is None:
        return 0
    texts = (outcome.result_json, outcome.exception_message, outcome.traceback)
    return sum(map(len, filter(None, texts)))


def _has_ended(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.status not in (PENDING, STARTED)


def _unrecorded(group: list[Entry]) -> list[Outcome]:
    # A run that ended before its PENDING or STARTED was written needs neither.
    latest: dict[int, Outcome] = {}
    for outcome, _ in group:
        if outcome.status not in (PENDING, STARTED) or not _has_ended(latest.get(outcome.run.id)):
            latest[outcome.run.id] = outcome
    return [outcome for outcome in latest.values() if not outcome.recorded]
