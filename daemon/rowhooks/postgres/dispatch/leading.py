"""Groups of runs as the leader sees them: hands them out, watches them, and takes them back."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Any

import asyncpg

from rowhooks.domain.dispatch import Group, LiveWorker, Progress, description, session_name
from rowhooks.domain.errors import LeadershipLost
from rowhooks.domain.run import REVOKED, Run
from rowhooks.pipeline.ports import StateOnRecord
from rowhooks.postgres.connections.asyncpg_errors import translated
from rowhooks.postgres.connections.connect import connect
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.results import ANOTHER_LEADS
from rowhooks.postgres.statements import Statements

logger = logging.getLogger(__name__)

HANDED_OUT, DONE = "rowhooks_dispatch", "rowhooks_done"
"""The channels on which the leader wakes workers, and workers the leader."""
PATIENCE = "10s"
"""How long a new leader waits for what is being recorded of what a former one has handed out."""
LONG_LOCK = 10.0
"""Seconds after which a group that is locked is told of, again and again."""
SET_PATIENCE = "select set_config('lock_timeout', $1, true)"
ANSWER_PATIENCE = 60.0
"""Seconds for one statement, after which the connection counts as lost."""
_FOUND_BY = ("result_id", "object_change_id", "job_hook_id")

SQL = Statements(__file__, {"HANDED_OUT": HANDED_OUT})


async def take_back_all(connection: asyncpg.Connection[Any], leader_epoch: uuid.UUID) -> None:
    """Take back what former leaders have handed out, before their unfinished runs are taken over.

    Raises:
        TableLocked: a worker is recording one of the runs and does not finish.
    """
    with translated():
        async with connection.transaction():
            await connection.execute(SET_PATIENCE, PATIENCE)
            await connection.execute(SQL["take_back_all"], leader_epoch)


async def forget_lost(connection: asyncpg.Connection[Any], silence: timedelta, lost: Callable[[str], None]) -> None:
    """End the sessions of workers that have ended or are silent, and take them out.

    The process of a worker whose connection has ended may live on: it is left until it has entered again, or is silent.

    Args:
        connection: the leader's.
        silence: after which a worker of which nothing is heard counts as lost.
        lost: called with the name of each that is silent.
    """
    with translated():
        for id_, name, is_new, is_silent, has_returned in await connection.fetch(SQL["lost"], silence):
            await connection.fetch(SQL["end_backends"], session_name(name, id_))
            if is_new:
                logger.warning("worker %s has ended, or was not heard of for %s", name, silence)
            if has_returned or is_silent:
                await connection.execute(SQL["forget_worker"], id_)
            else:
                await connection.execute(SQL["note_end"], id_)
            if is_silent and not has_returned:
                lost(name)


class DispatchBoard:
    """What the leader writes and reads of dispatch, over one connection and under one leader epoch.

    Args:
        target: the database; a transaction pooler passes no notifications on.
        leader_epoch: the leader epoch.
        silence: seconds after which a worker of which nothing is heard counts as lost.
        lost: called with the name of each worker that is silent.
    """

    _connection: asyncpg.Connection[Any]

    def __init__(self, target: Target, leader_epoch: uuid.UUID, silence: float, lost: Callable[[str], None]) -> None:
        self.hears = not target.pooled
        self._target = target
        self._leader_epoch = leader_epoch
        self._silence = timedelta(seconds=silence)
        self._lost = lost
        self._locked: dict[uuid.UUID, float] = {}

    async def open(self, rung: Callable[[], None]) -> None:
        """Connect, and listen for what workers have done.

        Args:
            rung: called when a worker has done something.
        """
        self._connection = await connect(self._target, patience=ANSWER_PATIENCE)
        if self.hears:
            with translated():
                await self._connection.add_listener(DONE, lambda *_: rung())

    def close(self) -> None:
        """Disconnect, if it has been connected."""
        if (connection := vars(self).get("_connection")) is not None:
            connection.terminate()

    async def hand_out(self, groups: Sequence[Group]) -> None:
        """Hand groups out.

        Raises:
            LeadershipLost: another daemon leads; nothing was handed out.
        """
        given = [
            {
                "id": str(group.id), "queue": group.queue, "asynchronous": group.asynchronous,
                "priority": group.priority, "receivers": group.class_paths, "lanes": group.lanes,
                "runs": group.described(),
            }
            for group in groups
        ]  # fmt: skip
        with translated():
            leads = await self._connection.fetchrow(SQL["hand_out"], self._leader_epoch, json.dumps(given))
        if leads is None:
            raise LeadershipLost(ANOTHER_LEADS)

    async def workers(self) -> list[LiveWorker]:
        """Return the workers that take groups; one that has been lost is taken out first, with its sessions.

        A worker that is stopping is among them, without a slot.
        """
        await forget_lost(self._connection, self._silence, self._lost)
        with translated():
            rows = await self._connection.fetch(SQL["workers"], self._silence)
        return [
            LiveWorker(
                id_,
                name,
                frozenset(queues),
                0 if stopping else threads,
                0 if stopping else tasks,
                frozenset(receivers),
                version,
            )
            for id_, name, queues, threads, tasks, receivers, version, stopping in rows
        ]

    async def progress(self, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Progress]:
        """Return how far these groups have come, by their ids; those that are gone are missing."""
        with translated():
            rows = await self._connection.fetch(SQL["progress"], list(ids))
        return {
            id_: Progress(worker, seconds, done, {int(k): v for k, v in json.loads(refused or "{}").items()})
            for id_, worker, seconds, done, refused in rows
        }

    async def take_back(self, ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
        """Take groups back: afterwards nothing of their runs is recorded under them.

        Returns:
            Those that another session keeps locked, as a worker does while it records. They are still there.
        """
        with translated():
            locked = {row[0] for row in await self._connection.fetch(SQL["take_back"], list(ids))}
        moment = time.monotonic()
        self._locked = {id_: self._locked.get(id_, moment + LONG_LOCK) for id_ in locked}
        if late := [id_ for id_, due in self._locked.items() if due <= moment]:
            logger.warning(
                "%d groups of runs have been locked in rowhooks.dispatch for more than %s s, as by a worker that"
                " records a run or by a session of the receivers' login: their runs wait", len(late), LONG_LOCK,
            )  # fmt: skip
            self._locked.update(dict.fromkeys(late, moment + LONG_LOCK))
        return locked

    async def take_back_unclaimed(self, ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
        """Take those groups back that no worker has taken; return them."""
        with translated():
            return {row[0] for row in await self._connection.fetch(SQL["take_back_unclaimed"], list(ids))}

    async def on_record(self, runs: Collection[Run]) -> dict[int, StateOnRecord]:
        """Return what stands on record of these runs by their ids; what another run has done is REVOKED."""
        with translated():
            rows = await self._connection.fetch(SQL["on_record"], [run.id for run in runs], self._leader_epoch)
            found = {id_: StateOnRecord(*rest) for id_, *rest in rows}
            doubtful = [description(run) for run in runs if run.id not in found and not run.is_requested]
            if doubtful:
                columns = [[one[name] for one in doubtful] for name in _FOUND_BY]
                rows = await self._connection.fetch(SQL["on_record_as_others"], *columns)
                found.update({id_: StateOnRecord(REVOKED, *rest) for id_, *rest in rows})
        return found
