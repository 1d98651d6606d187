"""Groups of runs as a worker sees them: takes them, and says what it has done."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import asyncpg

from rowhooks.domain.errors import LeadershipLost
from rowhooks.domain.feed import Position
from rowhooks.domain.run import LogEntry, Outcome
from rowhooks.postgres.connections.asyncpg_errors import translated
from rowhooks.postgres.dispatch.leading import DONE, HANDED_OUT
from rowhooks.postgres.results import PostgresResults
from rowhooks.postgres.statements import Statements

SQL = Statements(__file__, {"DONE": DONE})


class Claimed(NamedTuple):
    """A group that a worker has taken.

    Args:
        id: rowhooks.dispatch.id, the fencing token of its runs.
        asynchronous: whether its receivers are `async def`.
        lanes: in how many lanes its runs are.
        tasks: what its runs are found by, see `rowhooks.domain.dispatch.description`; a list for each task.
        version: the configuration as it was when the group was taken.
    """

    id: uuid.UUID
    asynchronous: bool
    lanes: int
    tasks: list[list[dict[str, Any]]]
    version: int


class WorkBoard:
    """What a worker writes and reads of dispatch, over one connection.

    Args:
        connection: asyncpg, not shared with another task. As long as it lasts, the worker is alive.
        worker_id: drawn by the worker.
        queues: those that it serves.
        receivers: the classes that its code has.
        hears: whether notifications reach this connection, and its server process is its own.
        respite: seconds in which a group is left to the worker that is called for it.
    """

    def __init__(
        self,
        connection: asyncpg.Connection[Any],
        worker_id: uuid.UUID,
        queues: Sequence[str],
        receivers: Sequence[str],
        *,
        hears: bool,
        respite: float = 0.0,
    ) -> None:
        self.hears = hears
        self._connection = connection
        self._id = worker_id
        self._queues = list(queues)
        self._receivers = list(receivers)
        self._respite = timedelta(seconds=respite)

    async def enter(self, name: str, threads: int, tasks: int, code_version: str, rung: Callable[[], None]) -> None:
        """Make the worker known, and listen for groups.

        Args:
            name: HOST:PID.
            threads: how many plain receivers it executes at the same time.
            tasks: how many that are `async def`.
            code_version: tells its code from that of others.
            rung: called when groups were handed out; not where groups are left to those that are called.
        """
        with translated():
            await self._connection.execute(
                SQL["enter"], self._id, name, self.hears, self._queues, threads, tasks, self._receivers, code_version,
                time.time(),
            )  # fmt: skip
            if self.hears and not self._respite:
                await self._connection.add_listener(HANDED_OUT, lambda *_: rung())

    async def beat(self, *, is_stopping: bool) -> uuid.UUID | None:
        """Say that the worker is alive; return the present leader epoch, None where nobody has led yet.

        Raises:
            LeadershipLost: the leader counts the worker as lost.
        """
        with translated():
            row = await self._connection.fetchrow(SQL["beat"], self._id, is_stopping)
        if row is None:
            raise LeadershipLost("the leader counts this worker as lost, and takes its runs back")
        found: uuid.UUID | None = row[0]
        return found

    async def leave(self) -> None:
        """Take the worker out."""
        with translated():
            await self._connection.execute(SQL["leave"], self._id)

    async def claim(self, leader_epoch: uuid.UUID, kinds: Collection[bool], limit: int) -> list[Claimed]:
        """Take the next groups that a leader has handed out.

        Args:
            leader_epoch: of the leader.
            kinds: of receivers: True for `async def`, False for the others.
            limit: so many at the most.
        """
        with translated():
            rows = await self._connection.fetch(
                SQL["claim"], self._id, self._queues, self._receivers, leader_epoch, list(kinds), limit, self._respite
            )
        return _claimed(rows)

    async def claim_called(self, leader_epoch: uuid.UUID, ids: Collection[uuid.UUID]) -> list[Claimed]:
        """Take those of these groups that a leader has handed out and nobody has taken."""
        with translated():
            rows = await self._connection.fetch(SQL["claim_called"], self._id, self._receivers, leader_epoch, list(ids))
        return _claimed(rows)

    async def held(self, ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
        """Return which of these groups the worker still has."""
        with translated():
            return {row[0] for row in await self._connection.fetch(SQL["held"], self._id, list(ids))}

    async def finish(self, ids: Collection[uuid.UUID], refused: Mapping[uuid.UUID, Mapping[int, str]]) -> None:
        """Say that the worker is finished with groups, and why runs of them could not be executed."""
        given = {str(id_): {str(run): why for run, why in runs.items()} for id_, runs in refused.items()}
        with translated():
            await self._connection.execute(SQL["finish"], self._id, list(ids), json.dumps(given))


def _claimed(rows: list[Any]) -> list[Claimed]:
    rows.sort(key=lambda row: (-row["priority"], row["number"]))
    return [
        Claimed(row["id"], row["asynchronous"], row["lanes"], json.loads(row["runs"]), row["version"]) for row in rows
    ]


class DispatchedResults(PostgresResults):
    """Results of runs that a worker executes: those of a group that was taken from it are not recorded.

    Args:
        connection: asyncpg, not shared with another task.
        leader_epoch: of the leader that has handed them out.
        group_of: the ids of the groups, by those of the runs.
        looking: another connection, for reads that must not wait for what is being written.
    """

    def __init__(
        self,
        connection: asyncpg.Connection[Any],
        leader_epoch: uuid.UUID,
        group_of: Mapping[int, uuid.UUID],
        looking: asyncpg.Connection[Any],
    ) -> None:
        super().__init__(connection, leader_epoch, looking)
        self._group_of = group_of

    async def _fenced(
        self, outcomes: Sequence[Outcome], lines: Sequence[tuple[int, LogEntry]], position: Position | None
    ) -> tuple[Sequence[Outcome], Sequence[tuple[int, LogEntry]]]:
        """Lock the rows of the groups; return what is of those that are still there."""
        assert position is None, "the position is the leader's"
        groups = {self._group_of.get(id_) for id_ in (*(one.run.id for one in outcomes), *(id_ for id_, _ in lines))}
        rows = await self._connection.fetch(SQL["fence"], [id_ for id_ in groups if id_ is not None])
        held = {row[0] for row in rows}
        return (
            [one for one in outcomes if self._group_of.get(one.run.id) in held],
            [(id_, line) for id_, line in lines if self._group_of.get(id_) in held],
        )
