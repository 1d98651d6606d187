"""The pool of workers: hands runs to other processes in groups, and takes what became of them from the record.

What is handed out is bounded by what the workers get through in a moment. The rest waits here, where a press overtakes
what waits, and in the table.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

from rowhooks.domain.dispatch import Group, LiveWorker, Progress
from rowhooks.domain.errors import Interruption, ReceiverError, TimeLimitExceeded
from rowhooks.domain.run import STARTED, LogEntry, Outcome, Run, now
from rowhooks.pipeline.concurrency import first_of
from rowhooks.pipeline.execution.outcomes import failed
from rowhooks.pipeline.ports import StateOnRecord
from rowhooks.pipeline.scheduling.board import Board, Doorbell, outcome_of
from rowhooks.pipeline.scheduling.outgoing import Outgoing, can_be_taken
from rowhooks.pipeline.scheduling.placement import Placement
from rowhooks.pipeline.scheduling.pools import WORKERS, PoolOwner, PreparedRun

logger = logging.getLogger(__name__)

LIMIT = 1000
"""How many runs are prepared ahead for workers at first, whether they are there or not."""
LOOK_INTERVAL, LOOK_WITHOUT_BELL = 0.25, 0.05
"""Seconds between looks at what workers have done, where they ring and where that is not heard."""
WORKERS_INTERVAL = 0.5
"""Seconds between looks at which workers there are."""


class _Elsewhere:
    """A run in the hands of a worker."""

    def __init__(self, run: Run, seconds: float) -> None:
        self.run = run
        self.started_at: datetime = now() - timedelta(seconds=seconds)
        self.began = time.monotonic() - seconds

    def take_lines(self) -> Sequence[LogEntry]:
        """Return nothing: the worker writes the lines."""
        return ()


class WorkerPool:
    """Hands runs to workers.

    Args:
        board: where that is done.
        placement: says which queue a run is in.
        is_allowed: says whether the settings allow a queue; what is in another one waits.
        doorbell: rung for what was handed out; None: workers find it by themselves.
    """

    name = WORKERS
    limit = LIMIT
    needs_rows = False
    is_elsewhere = True

    def __init__(
        self,
        board: Board,
        placement: Placement,
        is_allowed: Callable[[str], bool],
        doorbell: Doorbell | None = None,
    ) -> None:
        self.running: dict[int, _Elsewhere] = {}
        self.joined: Mapping[int, _Elsewhere] = {}
        self.workers: Sequence[LiveWorker] = ()
        self._board = board
        self._placement = placement
        self._doorbell = doorbell
        self._owner: PoolOwner
        self._outgoing = Outgoing(placement, is_allowed)
        self._handed: dict[uuid.UUID, Group] = {}
        # What became of runs that went out with the one before them in their lane, and stand behind it still.
        self._early: dict[int, Outcome] = {}
        self._wake = asyncio.Event()
        self._has_rung = False
        self._closed = False
        self._is_empty = asyncio.Event()

    @property
    def waiting(self) -> dict[str, int]:
        """How many runs wait here for a worker, by their queues; in any thread."""
        return self._outgoing.waiting

    def knows(self, run_id: int) -> bool:
        """Say whether what became of a run is known before it is handed over."""
        return run_id in self._early

    def backlog(self, queue: str) -> int:
        """Return how many runs of a queue wait here for a worker."""
        return self._outgoing.backlog(queue)

    def attach(self, owner: PoolOwner) -> None:
        """Report to an owner from now on."""
        self._owner = owner

    def accept(self, group: Collection[PreparedRun]) -> None:
        """Take runs; each is handed out when there is a worker for it."""
        for prepared in group:
            run = prepared.run
            if prepared.refused is not None:
                self._owner.ended(run.id, failed(run, now(), prepared.refused), None)
                continue
            if (early := self._early.pop(run.id, None)) is not None:
                # It went out with the one before it in its lane.
                self._owner.ended(run.id, early, None)
                continue
            if self._placement.moved and self._placement.pool_of(run.job.class_path, run.origin) != self.name:
                # Its queue has become another one while it was prepared.
                self._owner.ended(run.id, None, None)
                continue
            self._outgoing.add(run)
        self._wake.set()

    def look_again(self) -> None:
        """Give back what waits in a queue to which it does not belong any more, going by the placement."""
        for run in self._outgoing.take_moved():
            self._owner.ended(run.id, None, None)

    def interrupt(self, run_id: int) -> bool:
        """Say that it is seen to: the worker does this itself."""
        return run_id in self.running

    def abandon(self, run_id: int, error: Interruption) -> None:
        """Leave a run as it is: the worker ends it itself, and one that does not is lost, with all that it executes."""

    async def drain(self, grace: float) -> int:
        """Hand nothing more out, and wait for what workers have taken.

        Args:
            grace: seconds after which the rest is left to the next leader, which takes it back.
        """
        self._closed = True
        self._outgoing.clear()
        self._wake.set()
        if self._handed:
            await first_of(self._is_empty.wait(), asyncio.sleep(grace))
        late = sum(len(group.runs) for group in self._handed.values())
        if late:
            logger.warning("%d runs go on in workers after %s s; they are executed again", late, grace)
        return 0

    # What goes on beside the feed.

    async def run(self) -> None:
        """Hand out and collect, until cancelled; raise an error that ends the leadership."""
        # Most daemons have no workers.
        await self._wake.wait()
        await self._board.open(self._ring)
        interval = LOOK_INTERVAL if self._board.hears else LOOK_WITHOUT_BELL
        looked = workers_looked = 0.0
        while True:
            await self._sleep(interval if self._handed or self.waiting else None)
            moment = time.monotonic()
            if moment - workers_looked >= WORKERS_INTERVAL:
                await self._look_at_workers()
                workers_looked = moment
            if self._handed and (self._has_rung or moment - looked >= interval):
                self._has_rung, looked = False, moment
                await self._collect()
            if self._closed:
                await self._take_back_unclaimed()
            else:
                await self._hand_out()

    async def _look_at_workers(self) -> None:
        self.workers = await self._board.workers()
        self._outgoing.acquit(self.workers)

    def _ring(self) -> None:
        self._has_rung = True
        self._wake.set()

    async def _sleep(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass  # it looks by itself
        self._wake.clear()

    async def _hand_out(self) -> None:
        groups = self._outgoing.groups(self.workers, self._handed, self._owner.followers)
        if not groups:
            return
        # Before it is known whether they were handed out: what is not there is found to be gone, and comes again.
        self._handed.update((group.id, group) for group in groups)
        await self._board.hand_out(groups)
        if self._doorbell is not None:
            self._doorbell.ring(groups)

    async def _take_back_unclaimed(self) -> None:
        """At a stop, take back what no worker has taken: it comes again."""
        for id_ in await self._board.take_back_unclaimed(list(self._handed)) if self._handed else ():
            del self._handed[id_]
        self._note_end()

    def _note_end(self) -> None:
        if self._closed and not self._handed:
            self._is_empty.set()

    async def _collect(self) -> None:
        """Look what workers have done, and take back what was lost."""
        found = await self._board.progress(list(self._handed))
        alive = {worker.id for worker in self.workers}
        ended: dict[uuid.UUID, Progress | None] = {}
        stranded: list[uuid.UUID] = []
        for id_, group in self._handed.items():
            progress = found.get(id_)
            if progress is None or progress.is_done:
                ended[id_] = progress
            elif progress.worker is not None and progress.worker not in alive:
                # It may have come a moment ago.
                await self._look_at_workers()
                alive = {worker.id for worker in self.workers}
                if progress.worker not in alive:
                    ended[id_] = progress
            elif progress.worker is not None:
                for run in group.runs:
                    if run.id not in self.running:
                        self.running[run.id] = _Elsewhere(run, progress.seconds)
            elif not can_be_taken(group, self.workers):
                stranded.append(id_)
        if stranded:
            # Left where it is, it would keep what other workers can execute from being handed out.
            ended.update((id_, found[id_]) for id_ in await self._board.take_back_unclaimed(stranded))
        if not ended:
            return
        for id_ in await self._board.take_back(ended):
            # It is looked at again.
            del ended[id_]
        groups = {id_: self._handed[id_] for id_ in ended}
        singles = [single for group in groups.values() for run in group.runs for single in run.singles]
        states = await self._board.on_record(singles)
        for id_, group in groups.items():
            del self._handed[id_]
            self._outgoing.ended(group)
            runs = group.runs
            if group.is_lane:
                self._note_early(runs[1:], states)
                runs = runs[:1]
            for run in runs:
                self._settle(run, group, ended[id_], states)
        self._note_end()

    def _note_early(self, followers: Sequence[Run], states: Mapping[int, StateOnRecord]) -> None:
        """Keep what became of runs for when those before them in their lane have ended."""
        for run in followers:
            self.running.pop(run.id, None)
        for run in followers:
            outcome = outcome_of(run, states)
            if outcome is None:
                # It was not executed, nor was what is behind it.
                break
            self._early[run.id] = outcome

    def _settle(self, run: Run, group: Group, progress: Progress | None, states: Mapping[int, StateOnRecord]) -> None:
        """Report what became of a run."""
        self.running.pop(run.id, None)
        outcome = outcome_of(run, states)
        if outcome is None and progress is not None and run.id in progress.refused:
            outcome = failed(run, now(), ReceiverError(progress.refused[run.id]))
        if outcome is None and progress is not None and progress.is_done:
            # The worker has given it back: it stops, or does not know the run's hook yet.
            self._owner.ended(run.id, None, None)
        elif outcome is None and progress is not None and progress.worker is not None:
            self._lose(run, group, progress, states)
        elif outcome is None:
            self._owner.ended(run.id, None, None)
        else:
            self._outgoing.forgive(run)
            self._owner.ended(run.id, outcome, None)

    def _lose(self, run: Run, group: Group, progress: Progress, states: Mapping[int, StateOnRecord]) -> None:
        """Report a run that was lost with its worker; one that is beyond its time limit has failed by that."""
        limit = self._placement.receivers.options(run.job.class_path).time_limit
        state = states.get(run.id)
        began = state.started_at if state is not None and state.status == STARTED else None
        seconds = progress.seconds if len(group.runs) == 1 else 0.0
        if began is not None:
            # By the worker's clock, which may be wrong.
            seconds = min((now() - began).total_seconds(), progress.seconds)
        if limit is not None and seconds >= limit:
            error = TimeLimitExceeded(
                f"the run was ended at its time limit of {limit} s, with the worker it had stopped"
            )
            self._outgoing.forgive(run)
            self._owner.ended(run.id, failed(run, began or now(), error), None)
            return
        assert progress.worker is not None
        for_good = self._outgoing.lose(run, progress.worker)
        self._owner.lost(run.id, "the worker that executed it has ended, or was not heard of", for_good=for_good)
