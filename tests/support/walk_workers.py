"""The workers of a random walk: each executes what a leader hands out, as `rowhooks.runtime.working` does."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from rowhooks.domain.dispatch import LiveWorker, new_process, worker_id
from rowhooks.domain.errors import ConnectionFailed, LeadershipLost
from rowhooks.domain.feed import Position
from rowhooks.domain.run import LogEntry, Outcome
from rowhooks.pipeline.concurrency import first_of, forever
from rowhooks.pipeline.ports import AlreadyRecorded
from rowhooks.pipeline.scheduling.placement import Placement
from rowhooks.postgres.dispatch.working import Claimed
from rowhooks.runtime.in_hand import NOBODYS, InHand
from tests.support.walk_tables import Handed
from tests.support.walking import LONGEST_LOCK, Process, Scene

TASKS = 2
"""Receivers that a worker executes at the same time."""
INTERVAL, BEAT_INTERVAL = 0.01, 0.05
"""Seconds between its looks, and between its signs of life."""
CLAIMED_TOGETHER = 2


class Working(Process):
    """What a worker does for one leader.

    Args:
        scene: where it executes.
        id_: of the worker.
        epoch: of the leader.
        stopping: set when the worker is to stop.
    """

    def __init__(self, scene: Scene, id_: uuid.UUID, epoch: uuid.UUID, stopping: asyncio.Event) -> None:
        self._wake = asyncio.Event()
        self._in_hand = InHand({True: TASKS, False: 0}, self._wake)
        super().__init__(
            scene, epoch, tasks=TASKS, placement=Placement(self, own_queues=None),
            left=lambda task: self._in_hand.end(task.run.id),
        )  # fmt: skip
        self._id = id_
        self._stopping = stopping

    def has(self, token: uuid.UUID) -> bool:
        return not self.is_over and token in self.tables.groups

    def token_of(self, run_id: int) -> uuid.UUID:
        return self._in_hand.group_of.get(run_id, NOBODYS)

    @contextmanager
    def fence(self, token: uuid.UUID) -> Iterator[None]:
        with self.tables.fence([token]) as held:
            if not held:
                raise AlreadyRecorded
            yield

    async def run_until_stopped(self) -> None:
        """Work until told to stop; raise what ends it."""
        scheduler, bell = self.scheduler, self._wake.set
        self.tables.bells.append(bell)
        work = [
            self.recorder.run(), scheduler.dispatch(), scheduler.sweep(), scheduler.watch_revocations(),
            self._claim_all(), self._report(), forever(INTERVAL, self._check_held), forever(BEAT_INTERVAL, self._beat),
        ]  # fmt: skip
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(one) for one in work]
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
            await self._stop()
        except BaseException:
            self._in_hand.forget(list(self._in_hand.groups))
            scheduler.abandon()
            await scheduler.finish(0.0)
            raise
        finally:
            self.tables.bells.remove(bell)
            for task in (*tasks, stopping):
                task.cancel()
            await asyncio.gather(*tasks, stopping, return_exceptions=True)

    async def _stop(self) -> None:
        if (known := self.tables.workers.get(self._id)) is not None:
            self.tables.workers[self._id] = replace(known, threads=0, tasks=0)
        await self.scheduler.finish(self.walk.choice([0.0, 0.01]))
        await self.recorder.flush()
        await self._finish(list(self._in_hand.groups))

    # What it says to the server.

    async def _statement(self, longest: float = 0.002) -> None:
        await self.tables.pause(longest)
        if self.is_over:
            raise ConnectionFailed("the connection is lost")

    async def _beat(self) -> None:
        await self._statement()
        if self._id not in self.tables.workers or self.tables.epoch != self.epoch:
            raise LeadershipLost("this worker counts as lost, or another one leads")

    async def _claim_all(self) -> None:
        while True:
            self._wake.clear()
            while not self._stopping.is_set() and (claimed := await self._claim()):
                for one in claimed:
                    tasks = [[{"result_id": single.id} for single in run.singles] for run in one.group.runs]
                    self._in_hand.take(Claimed(one.group.id, True, one.group.lanes, tasks, 1))
                # It reads the runs.
                await self._statement()
                for run in (run for one in claimed for run in one.group.runs):
                    if run.batch:
                        self.scheduler.admission.admit_batch(run.batch)
                    else:
                        self.scheduler.admission.admit(run, None)
            await first_of(self._wake.wait(), asyncio.sleep(INTERVAL))

    async def _claim(self) -> list[Handed]:
        await self._statement()
        if not self._in_hand.kinds_with_room() or self._id not in self.tables.workers:
            return []
        free = [one for one in self.tables.groups.values() if one.worker is None and one.epoch == self.epoch]
        claimed = sorted(free, key=lambda one: -one.group.priority)[:CLAIMED_TOGETHER]
        for one in claimed:
            one.worker, one.claimed_at = self._id, time.monotonic()
        await self._statement()
        return claimed

    async def _report(self) -> None:
        while True:
            await self._in_hand.has_finished.wait()
            finished = [one.id for one in self._in_hand.finished()]
            await self.recorder.flush()
            await self._finish(finished)
            self._in_hand.forget(finished)
            self._wake.set()

    async def _finish(self, ids: Sequence[uuid.UUID]) -> None:
        await self._statement()
        for id_ in ids:
            if (handed := self.tables.groups.get(id_)) is not None and handed.worker == self._id:
                handed.is_done = True
        self.tables.ring_leader()
        await self._statement()

    async def _check_held(self) -> None:
        asked = list(self._in_hand.groups)
        await self._statement()
        groups = self.tables.groups
        held = {id_ for id_ in asked if id_ in groups and not groups[id_].is_done}
        await self._statement()
        if any(id_ not in held and id_ in self._in_hand.groups for id_ in asked):
            raise LeadershipLost("runs were taken from this worker")

    async def record(
        self, outcomes: Sequence[Outcome], lines: Sequence[tuple[int, LogEntry]], position: Position | None
    ) -> set[int]:
        group_of = self._in_hand.group_of
        await self._statement()
        with self.tables.fence({group_of.get(one.run.id, NOBODYS) for one in outcomes}) as held:
            await self._statement(LONGEST_LOCK)
            left = self.tables.record([one for one in outcomes if group_of.get(one.run.id) in held], self.epoch)
        await self._statement()
        return left


class Worker:
    """A worker process, which begins at once.

    Args:
        scene: where it executes.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._process = new_process()
        self._id = worker_id(self._process)
        self._stopping = asyncio.Event()
        self._working: Working | None = None
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        tables = self._scene.tables
        while not self._stopping.is_set():
            self._id = worker_id(self._process)
            tables.workers[self._id] = LiveWorker(
                self._id, "host:1", frozenset({"there"}), 1, TASKS, frozenset(tables.options)
            )
            self._working = Working(self._scene, self._id, tables.epoch, self._stopping)
            try:
                await self._working.run_until_stopped()
            except (LeadershipLost, ConnectionFailed):
                await tables.pause()
            except Exception as error:
                tables.problems.append(f"a worker has ended: {error!r}")
                raise
            finally:
                self._working.is_over = True
                tables.workers.pop(self._id, None)

    def kill(self) -> None:
        """End the process in the middle of everything."""
        self.cut()
        self.task.cancel()

    def cut(self) -> None:
        """Let it lose its connections, which it notices later."""
        self.silence()
        if self._working is not None:
            self._working.is_over = True

    def silence(self) -> None:
        """Let it count as lost."""
        self._scene.tables.workers.pop(self._id, None)

    def stop(self) -> None:
        """Have it stop, with what it executes given back after a moment."""
        self._stopping.set()
