"""Recovery: runs on record that have not ended: those of an earlier leader, and those requested by hand."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.configuration import Configuration, HooksAndButtons, JobButton, JobHook
from rowhooks.domain.keys import former_key
from rowhooks.domain.names import TableName
from rowhooks.domain.run import RETRY, WAITING, Press, Run
from rowhooks.pipeline.rules import undecided
from rowhooks.pipeline.scheduling.missing_jobs import Missed
from rowhooks.postgres import missing_jobs, unreadable
from rowhooks.postgres.connections.asyncpg_errors import translated
from rowhooks.postgres.feed import SQL as FEED
from rowhooks.postgres.feed import PostgresFeed
from rowhooks.postgres.log_rows import LARGE, LONGEST_TEXT
from rowhooks.postgres.piecemeal import piecemeal, reading
from rowhooks.postgres.statements import Statements

SQL = Statements(__file__, missing_jobs.SQL, unreadable.SQL, FEED, {"LARGE": LARGE, "LONGEST_TEXT": LONGEST_TEXT})

TAKE_OVER_PATIENCE = "10s"
"""How long taking over waits for a former leader that is recording."""


@dataclass(frozen=True)
class Left:
    """A run that an earlier leader has left unfinished, or that has waited for its job.

    Args:
        result_id: job_result.id.
        retry_at: when it is due, where it waits for its retry.
        lanes: the lanes of the run, see `Run.lanes`.
    """

    result_id: int
    retry_at: datetime | None
    lanes: list[tuple[Any, ...]]

    @property
    def origin(self) -> tuple[bool, int]:
        """Whether the run is of a hook, and the id of the hook or button."""
        is_hook, id_, *_ = self.lanes[0]
        return is_hook, id_


class NewKey(NamedTuple):
    """A change gave a row another key, and started no run of a hook that had runs of the former key.

    Args:
        id: its place among the ids of results.
        table_id: rowhooks.tracked_table.id.
        key: the new key, as JSON text.
        former_key: the former one.
    """

    id: int
    table_id: int
    key: str
    former_key: str


@dataclass(frozen=True)
class TakenUp:
    """A run that this leader has taken up.

    Args:
        result_id: job_result.id.
        run: the run; None where its hook, its button or its change is gone.
        due: when a run that waits for its retry may start.
        problem: why the cause of the run cannot be read; None where it can.
    """

    result_id: int
    run: Run | None
    due: datetime | None
    problem: str | None = None


class UnfinishedRuns:
    """Takes up runs, over one connection and under one leader epoch.

    Args:
        connection: asyncpg, not shared with another task.
        feed: makes object changes of rows of the log.
        leader_epoch: the leader epoch.
    """

    def __init__(self, connection: asyncpg.Connection[Any], feed: PostgresFeed, leader_epoch: uuid.UUID) -> None:
        self._connection = connection
        self._feed = feed
        self._leader_epoch = leader_epoch

    async def left(self, after_id: int, limit: int, without_class: HooksAndButtons) -> list[Left]:
        """Return, beyond `after_id`, the runs that earlier leaders left unfinished or that need not wait any more."""
        with translated():
            rows = await self._connection.fetch(
                SQL["left"], self._leader_epoch, *_lists(without_class), after_id, limit
            )
        return [_left(*row) for row in rows]

    async def note(self, new_keys: Sequence[NewKey]) -> None:
        """Record which rows have another key, for the next leader."""
        with translated():
            await self._connection.execute(SQL["note"], *map(list, zip(*new_keys, strict=True)))

    async def noted(self) -> list[NewKey]:
        """Return the rows with another key, in the order in which they got it."""
        with translated():
            return [NewKey(*row) for row in await self._connection.fetch(SQL["noted"])]

    async def take_over(self, result_ids: Sequence[int], configuration: Configuration) -> list[TakenUp]:
        """Take these runs over, whichever leader has them; runs that have ended are not returned.

        Raises:
            ConnectionFailed: a former leader is recording one of them and does not finish.
        """
        with translated():
            async with self._connection.transaction():
                await self._connection.execute("select set_config('lock_timeout', $1, true)", TAKE_OVER_PATIENCE)
                rows = await self._connection.fetch(SQL["take_over"], self._leader_epoch, list(result_ids))
        return await self._taken_up(rows, configuration)

    async def are_requested(self) -> bool:
        """Say whether a run that was requested by hand waits. This takes no lock that a writer could wait for."""
        with translated():
            return bool(await self._connection.fetchval(SQL["are_requested"]))

    async def take_requested(self, configuration: Configuration, limit: int) -> list[TakenUp]:
        """Take up runs that were requested by hand (presses, retries, replays), the oldest first, at most `limit`."""
        with translated():
            rows = await self._connection.fetch(SQL["take_requested"], self._leader_epoch, limit)
        return await self._taken_up(rows, configuration)

    async def take_released(self, origins: HooksAndButtons, limit: int) -> list[Left]:
        """Take over runs that have waited for the class of these hooks and buttons, the oldest `limit` of them."""
        with translated():
            rows = await self._connection.fetch(
                SQL["take_released"], self._leader_epoch, *_lists(origins), limit, WAITING
            )
        return [_left(*row) for row in rows]

    async def set_aside(self, origins: HooksAndButtons) -> None:
        """Let the unfinished runs of these hooks and buttons wait for a leader that has their class."""
        if origins:
            with translated():
                async with self._connection.transaction():
                    await self._connection.execute("select set_config('lock_timeout', $1, true)", TAKE_OVER_PATIENCE)
                    await self._connection.execute(SQL["set_aside"], WAITING, *_lists(origins))

    async def set_aside_these(self, result_ids: list[int]) -> None:
        """Let these runs wait for a leader that has their class."""
        with translated():
            await self._connection.execute(SQL["set_aside_these"], WAITING, result_ids)

    async def waiting(self) -> dict[int, int]:
        """Return how many runs wait for a leader that has their class, by the jobs' ids."""
        with translated():
            return {row[0]: row[1] for row in await self._connection.fetch(SQL["waiting"])}

    async def note_missed(self, missed: Sequence[Missed]) -> None:
        """Record the changes that were not kept for hooks whose class is missing."""
        rows = [(one.hook_id, one.changes, one.first, one.last) for one in missed]
        with translated():
            await self._connection.execute(SQL["note_missed"], *map(list, zip(*rows, strict=True)))

    async def revoke(self, result_ids: list[int]) -> None:
        """Revoke runs whose hook, button or change no longer exists."""
        with translated():
            await self._connection.execute(SQL["revoke"], result_ids)

    async def described(self, descriptions: Sequence[Mapping[str, Any]], configuration: Configuration) -> list[TakenUp]:
        """Return the runs of descriptions, see `rowhooks.domain.dispatch.description`."""
        with translated():
            return await self._taken_up(descriptions, configuration)

    async def _taken_up(self, rows: Sequence[Mapping[str, Any]], configuration: Configuration) -> list[TakenUp]:
        changes = await self._feed.changes(
            [
                row["object_change_id"]
                for row in rows
                if row["trigger"] != "press" and row["object_change_id"] is not None
            ],
            self._connection,
        )
        presses, problems = await self._presses([row for row in rows if row["trigger"] == "press"], configuration)
        taken_up = []
        for row in rows:
            is_press = row["trigger"] == "press"
            one = self._one(
                row, presses.get(row["result_id"]) if is_press else changes.get(row["object_change_id"]), configuration
            )
            taken_up.append(replace(one, problem=problems.get(one.result_id)))
        return taken_up

    async def _presses(
        self, rows: Sequence[Mapping[str, Any]], configuration: Configuration
    ) -> tuple[dict[int, Press], dict[int, str]]:
        """Return presses by the ids of their results, and why some of them cannot be read."""
        tables = {row["result_id"]: row["tracked_table"] for row in rows}
        found: dict[int, Press] = {}
        problems: dict[int, str] = {}

        async def read(some: list[int]) -> None:
            with reading(self._connection):
                texts = await self._connection.fetch(SQL["presses"], some)
            for id_, *rest in texts:
                found[id_] = _press(tables[id_], configuration, *rest)

        async def alone(id_: int, reason: str) -> None:
            found[id_] = _press(tables[id_], configuration, None, None, "", None)
            problems[id_] = f"the press cannot be read: {reason}"

        await piecemeal(list(tables), read, alone)
        return found, problems

    def _one(self, row: Mapping[str, Any], cause: ObjectChange | Press | None, configuration: Configuration) -> TakenUp:
        origin: JobHook | JobButton | None
        if row["trigger"] == "press":
            origin = next((b for b in configuration.buttons if b.id == row["job_button_id"]), None)
        else:
            origin = next((h for h in configuration.hooks if h.id == row["job_hook_id"]), None)
        if origin is None or cause is None:
            return TakenUp(row["result_id"], None, None)
        run = Run(
            id=row["result_id"],
            key=row["key"],
            cause=cause,
            origin=origin,
            attempt=row["attempt"],
            retries=row["retries"],
            trigger=row["trigger"],
            original_id=row["original_id"],
            undecided=_undecided(cause, origin) if row["original_id"] is None else None,
            former_key=former_key(cause) if isinstance(cause, ObjectChange) else None,
        )
        # The row of a run that waits for its retry describes the attempt before.
        return TakenUp(run.id, run.again() if row["status"] == RETRY else run, row["retry_at"])


def _left(
    id_: int,
    retry_at: datetime | None,
    by_hook: bool,
    origin: int,
    table_id: int,
    key: bytes | None,
    former: bytes | None,
) -> Left:
    keys = [b"{}" if key is None else key, *([] if former is None else [former])]
    return Left(id_, retry_at, [(by_hook, origin, table_id, one.decode("utf-8", "replace")) for one in keys])


def _lists(origins: HooksAndButtons) -> tuple[list[int], list[int]]:
    return sorted(origins.hooks), sorted(origins.buttons)


def _undecided(cause: ObjectChange | Press, origin: JobHook | JobButton) -> str | None:
    if not isinstance(cause, ObjectChange) or not isinstance(origin, JobHook):
        return None
    return undecided(origin, cause)


def _press(
    table_id: int,
    configuration: Configuration,
    object_id_json: str | None,
    object_repr: bytes | None,
    db_user: str,
    user_name: str | None,
    inputs_json: str | None = None,
) -> Press:
    table = configuration.tables.get(table_id)
    return Press(
        table_id=table_id,
        changed_object_type=table.name if table else TableName(f"rowhooks.tracked_table:{table_id}"),
        object_id_json=object_id_json or "{}",
        # It is for display and need not be exact.
        object_repr=(object_repr or b"").decode("utf-8", "replace"),
        db_user=db_user,
        user_name=user_name,
        inputs_json=inputs_json,
    )
