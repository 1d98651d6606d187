"""Submission: matches the changes that were read, and hands the runs to the scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from rowhooks.domain.change import ObjectChange, made
from rowhooks.domain.configuration import Configuration, JobHook
from rowhooks.domain.events import DeadlineSet, Events
from rowhooks.domain.keys import former_key
from rowhooks.domain.run import Run
from rowhooks.domain.run_keys import Keys
from rowhooks.pipeline.matcher import Matcher
from rowhooks.pipeline.progress import Progress, Step
from rowhooks.pipeline.reader import Part
from rowhooks.pipeline.scheduling.admission import Admission
from rowhooks.pipeline.scheduling.missing_jobs import RunsWithoutClass
from rowhooks.postgres.leadership import epoch as leadership
from rowhooks.postgres.recovery import NewKey, UnfinishedRuns

LOOK = "a look at the log"
"""The name of what must end in time."""
LONGEST_LOOK = 600.0
"""Seconds that one look at the log may take, with its matching; its statements are given up before."""
LONGEST_TURN = 0.02
"""Seconds of matching after which other tasks of the event loop have their turn."""
IDS_AHEAD = 10
"""For how many parts of the feed one statement reserves ids of results."""


class FeedConnection:
    """The connection of the feed: one statement at a time.

    Args:
        connection: asyncpg; code that uses it takes `turn` first.
        keys: derives the keys of runs.
        last_recorded: changes up to this id may have runs on record already.
        batch_size: changes in a part at the most.
    """

    def __init__(self, connection: Any, keys: Keys, last_recorded: int, batch_size: int) -> None:
        self.turn = asyncio.Lock()
        self.ids: list[int] = []
        """Reserved ids of results; the last one in the list is used next."""
        self.keys = keys
        self._connection = connection
        self._last_recorded = last_recorded
        self._ids_ahead = IDS_AHEAD * batch_size

    async def runs_on_record(self, part: Part) -> set[tuple[int, int]]:
        """Return the runs of these changes that an earlier leader has put on record: ids of change and hook."""
        doubtful = [change.id for change, _ in part.changes if change.id <= self._last_recorded]
        if not doubtful:
            return set()
        async with self.turn:
            return await leadership.runs_on_record(self._connection, doubtful)

    async def reserve_ids(self) -> None:
        """Reserve more ids of results.

        The ids that are left are used before these, because the order of the ids is the order of the runs.
        """
        async with self.turn:
            reserved = await leadership.reserve_result_ids(self._connection, self._ids_ahead)
        self.ids[:0] = reserved[::-1]


class Submission:
    """Submits what changes start.

    Args:
        feed: the feed's connection.
        progress: is told of each change.
        admission: takes the runs.
        unfinished: notes which rows have another key.
        runs_without_class: keeps the runs of jobs that this leader's code does not have.
        events: those of the daemon.
    """

    def __init__(
        self,
        feed: FeedConnection,
        progress: Progress,
        admission: Admission,
        unfinished: UnfinishedRuns,
        runs_without_class: RunsWithoutClass,
        events: Events,
    ) -> None:
        self.matcher = Matcher(Configuration(0, {}, (), ()))
        self._feed = feed
        self._progress = progress
        self._admission = admission
        self._unfinished = unfinished
        self._runs_without_class = runs_without_class
        self._events = events

    async def submit(self, part: Part) -> None:
        """Submit the runs of a part in the order of its changes."""
        on_record = await self._feed.runs_on_record(part)
        if self.matcher.keeps and self._runs_without_class.is_in_doubt():
            async with self._feed.turn:
                await self._runs_without_class.recount()
        new_keys: list[NewKey] = []
        steps: list[Step] = []
        loop, ids = asyncio.get_running_loop(), self._feed.ids
        began = loop.time()
        for change, position in part.changes:
            if loop.time() - began > LONGEST_TURN:
                # Conditions may be slow; the other tasks must not wait for a whole part.
                self._events.publish(DeadlineSet(LOOK, LONGEST_LOOK))
                await asyncio.sleep(0)
                began = loop.time()
            matches = self.matcher.match(change)
            if on_record:
                matches = [one for one in matches if (change.id, one[0].id) not in on_record]
            former = former_key(change)
            expected = len(matches) + (former is not None)
            while len(ids) < expected:
                await self._feed.reserve_ids()
            step = self._progress.add(position, expected)
            submitted: set[int] = set()
            if matches:
                change.forget()
                submitted = self._submit_runs(change, matches, former, step)
            if former is not None:
                if (new_key := self._follow_key(change, former, submitted)) is not None:
                    new_keys.append(new_key)
                steps.append(step)
        await self._record(part, new_keys, steps)

    def _submit_runs(
        self, change: ObjectChange, matches: Sequence[tuple[JobHook, str | None]], former: str | None, step: Step
    ) -> set[int]:
        """Submit the runs of one change; return the ids of the hooks that have one."""
        submitted: set[int] = set()
        for hook, undecided in matches:
            lacks_class = hook.lacks_class
            if lacks_class and not self._runs_without_class.has_room(hook):
                self._runs_without_class.miss(hook, change, step)
                continue
            submitted.add(hook.id)
            run = made(
                Run, id=self._feed.ids.pop(), key=self._feed.keys.of(change, hook), cause=change, origin=hook,
                undecided=undecided, former_key=former, sensitive=lacks_class and hook.job.sensitive,
            )  # fmt: skip
            if lacks_class:
                self._runs_without_class.keep(run, step)
            else:
                self._admission.admit(run, step)
        return submitted

    def _follow_key(self, change: ObjectChange, former: str, submitted: set[int]) -> NewKey | None:
        """Make runs of a row's new key wait for those of its former key, see `Admission.join`.

        Returns:
            What is to be noted for the next leader, where there are such runs.
        """
        others = [one for one in self.matcher.hooks_of(change.table_id).values() if one.id not in submitted]
        is_joined = self._admission.join(others, change.table_id, change.object_id_json, former)
        # The runs of a hook that lacks its class are only in the table, where the scheduler does not see them.
        if not is_joined and not any(hook.lacks_class for hook in others):
            return None
        return NewKey(self._feed.ids.pop(), change.table_id, change.object_id_json, former)

    async def _record(self, part: Part, new_keys: list[NewKey], steps: list[Step]) -> None:
        """Put on record what the scheduler does not, and let the position move past it."""
        if self._runs_without_class.has_missed:
            async with self._feed.turn:
                await self._runs_without_class.write_down()
        self._progress.add(part.end, 0)
        if new_keys:
            async with self._feed.turn:
                await self._unfinished.note(new_keys)
        # Only now may the position move past them: a new leader does not read them again.
        self._progress.record(steps)
