"""Results and the position, written: ResultSink, and the statements that a run's own transaction uses."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Sequence
from typing import Any

import asyncpg

from rowhooks.domain.encodings import Repertoire
from rowhooks.domain.errors import LeadershipLost
from rowhooks.domain.feed import Position
from rowhooks.domain.run import LogEntry, Outcome
from rowhooks.pipeline.ports import EndOnRecord
from rowhooks.postgres.connections.asyncpg_errors import translated
from rowhooks.postgres.connections.encodings import of_connection
from rowhooks.postgres.result_rows import ENTRY, FRESH, RESULT, entry_row, fresh_row, result_row
from rowhooks.postgres.statements import Statements

FEW = 10
"""Results that are written by one statement, where possible with the position, in the place of COPY."""
ON_RECORD = "rowhooks: the run is on record"
ENDED = "rowhooks: the run's transaction has ended"
RUN = "rowhooks.run"
"""The session variable of a run's transaction; it ends with the transaction."""


def _names(columns: Sequence[tuple[str, str]]) -> str:
    return ", ".join(name for name, _ in columns)


def _given_many(columns: Sequence[tuple[str, str]], parameter: str = "${}", first: int = 1) -> str:
    # jsonb travels as text: asyncpg then needs no codec for it.
    arrays = ", ".join(
        f"{parameter.format(n)}::{'text' if type_ == 'jsonb' else type_}[]"
        for n, (_, type_) in enumerate(columns, start=first)
    )
    values = ", ".join(f"v.{name}::{type_} as {name}" for name, type_ in columns)
    return f"select {values} from unnest({arrays}) as v ({_names(columns)})"  # noqa: S608  (names of the tables above)


def _statements(given: str) -> Statements:
    constants = {
        "columns": _names(RESULT),
        "entry_columns": _names(ENTRY),
        "given": given,
        "given_entries": _given_many(ENTRY),
        "ENDED": ENDED.replace("'", "''"),
        "RUN": RUN,
    }
    return Statements(__file__, constants)


_MANY = _statements(_given_many(RESULT))
_MANY_IN_RUN = _statements(_given_many(RESULT, "%s"))
# Nothing is given where another daemon leads. The position comes first.
_WITH_POSITION = _statements(f"{_given_many(RESULT, first=7)} cross join leads")
# By `Run.is_requested`.
_RECORD_MANY = {False: _MANY["record_started"], True: _MANY["record_requested"]}
_RECORD_FEW = {False: _WITH_POSITION["record_few_started"], True: _WITH_POSITION["record_few_requested"]}
_RECORD_BATCH = {False: _MANY_IN_RUN["record_started_in_run"], True: _MANY_IN_RUN["record_requested_in_run"]}
LEADS = "select true from rowhooks.feed where leader_epoch operator(pg_catalog.=) %s::pg_catalog.uuid"
FENCE_ONE = f"{LEADS} for share"
"""For psycopg, in a run's own transaction."""
# Not `for share`, which runs that are committed together hold: each would wait for results that the other has written.
_FENCE = "select true from rowhooks.feed where leader_epoch = $1 for no key update"
ANOTHER_LEADS = "another daemon has taken the lead"


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def statements_for(
    each: Sequence[Outcome], leader_epoch: uuid.UUID, held: Repertoire
) -> list[tuple[str, tuple[list[Any], ...]]]:
    """Return the statements that record runs in their own transaction, for psycopg; they return the runs' ids."""
    statements = []
    for is_requested, statement in _RECORD_BATCH.items():
        rows = [result_row(one, leader_epoch, held) for one in each if one.run.is_requested == is_requested]
        if rows:
            statements.append((statement, tuple(_columns(rows))))
    return statements


def _are_of_one_kind(outcomes: Sequence[Outcome]) -> bool:
    return len({outcome.run.is_requested for outcome in outcomes}) <= 1


class PostgresResults:
    """Writes results, under one leader epoch.

    Args:
        connection: asyncpg, not shared with another task.
        leader_epoch: the leader epoch.
        looking: another connection, for reads that must not wait for what is being written; None: the same.
    """

    def __init__(
        self,
        connection: asyncpg.Connection[Any],
        leader_epoch: uuid.UUID,
        looking: asyncpg.Connection[Any] | None = None,
    ) -> None:
        self._connection = connection
        self._looking = looking or connection
        self._look = asyncio.Lock()
        self._leader_epoch = leader_epoch
        self._held = of_connection(connection)
        # Runs that this leader has put on record, or found there, and that have not ended.
        self._unfinished: set[int] = set()

    async def record(
        self, outcomes: Sequence[Outcome], lines: Sequence[tuple[int, LogEntry]], position: Position | None
    ) -> set[int]:
        """Write results, log lines (each with its run's id) and the position in one transaction.

        Returns:
            The ids of runs that had ended on record before, which is left as it is.

        Raises:
            LeadershipLost: another daemon leads; nothing was written.
        """
        with translated():
            try:
                left = await self._record(outcomes, lines, position, self._is_fresh)
            except asyncpg.UniqueViolationError:
                # A former leader has recorded one of them after all.
                left = await self._record(outcomes, lines, position, lambda outcome: False)
        for outcome in outcomes:
            if outcome.waits:
                continue
            if outcome.finished_at is None:
                self._unfinished.add(outcome.run.id)
            else:
                self._unfinished.discard(outcome.run.id)
        return left

    def _is_fresh(self, outcome: Outcome) -> bool:
        run = outcome.run
        return run.attempt == 1 and run.retries == 0 and run.id not in self._unfinished and not run.is_requested

    async def _record(
        self,
        outcomes: Sequence[Outcome],
        lines: Sequence[tuple[int, LogEntry]],
        position: Position | None,
        is_fresh: Callable[[Outcome], bool],
    ) -> set[int]:
        if position is not None and not lines and len(outcomes) <= FEW and _are_of_one_kind(outcomes):
            return await self._record_few(outcomes, position)
        async with self._connection.transaction():
            # First: a batch, or a run's retry, that commits meanwhile has locked the same row, and then waits for the
            # results that are written here. So this must not wait for that lock with results written already.
            outcomes, lines = await self._fenced(outcomes, lines, position)
            fresh: list[Outcome] = []
            known: list[Outcome] = []
            for outcome in outcomes:
                (fresh if is_fresh(outcome) else known).append(outcome)
            if len(fresh) <= FEW:
                fresh, known = [], list(outcomes)
            left = {outcome.run.id for outcome in known}
            if fresh:
                await self._connection.copy_records_to_table(
                    "job_result",
                    schema_name="rowhooks",
                    columns=FRESH,
                    records=[fresh_row(outcome, self._leader_epoch, self._held) for outcome in fresh],
                )
            for is_requested, statement in _RECORD_MANY.items():
                rows = [
                    result_row(o, self._leader_epoch, self._held) for o in known if o.run.is_requested == is_requested
                ]
                if rows:
                    left.difference_update([id_ for (id_,) in await self._connection.fetch(statement, *_columns(rows))])
            if lines:
                entries = [entry_row(result_id, entry, self._held) for result_id, entry in lines]
                await self._connection.execute(_MANY["record_lines"], *_columns(entries), self._leader_epoch)
        return left

    async def _record_few(self, outcomes: Sequence[Outcome], position: Position) -> set[int]:
        """Write results of one kind and the position by one statement: where little happens, each has its own."""
        leads, recorded = await self._move(position, outcomes)
        if not leads:
            raise LeadershipLost(ANOTHER_LEADS)
        return {outcome.run.id for outcome in outcomes}.difference(recorded)

    async def ended(self, run_ids: Collection[int]) -> set[int]:
        """Return those of these runs, on record or on their way there, that are not to begin."""
        async with self._look:
            with translated():
                ended = {row[0] for row in await self._looking.fetch(_MANY["ended"], self._leader_epoch, list(run_ids))}
        self._unfinished.update(id_ for id_ in run_ids if id_ not in ended)
        return ended

    async def revoked(self, run_ids: Collection[int]) -> set[int]:
        """Return those of these runs that were revoked."""
        with translated():
            return {row[0] for row in await self._connection.fetch(_MANY["revoked"], list(run_ids))}

    async def on_record(self, run_ids: Collection[int]) -> dict[int, EndOnRecord]:
        """Return how these runs have ended on record, by their ids; those that have not are missing."""
        with translated():
            rows = await self._connection.fetch(_MANY["on_record"], list(run_ids))
        return {id_: EndOnRecord(*rest) for id_, *rest in rows}

    async def _fenced(
        self, outcomes: Sequence[Outcome], lines: Sequence[tuple[int, LogEntry]], position: Position | None
    ) -> tuple[Sequence[Outcome], Sequence[tuple[int, LogEntry]]]:
        """Lock the row of the feed, under this leadership; store the position there, if there is one.

        Returns:
            What may be written.
        """
        # A new leader's take-over waits for this lock, and afterwards this finds nothing. Otherwise a STARTED row,
        # written after the new leader has read the unfinished runs, would block that run for ever.
        if position is None:
            leads = await self._connection.fetchval(_FENCE, self._leader_epoch)
        else:
            leads, _ = await self._move(position, ())
        if not leads:
            raise LeadershipLost(ANOTHER_LEADS)
        return outcomes, lines

    async def _move(self, position: Position, outcomes: Sequence[Outcome]) -> tuple[bool, Collection[int]]:
        """Store the position and results of one kind; say whether this daemon leads, and which runs were recorded."""
        place = (
            self._leader_epoch,
            str(position.snapshot),
            None if position.target is None else str(position.target),
            position.after_id,
            position.floor_id,
            position.newest_id,
        )
        if not outcomes:
            return bool(await self._connection.fetchval(_MANY["move"], *place)), ()
        rows = [result_row(outcome, self._leader_epoch, self._held) for outcome in outcomes]
        statement = _RECORD_FEW[outcomes[0].run.is_requested]
        leads, recorded = await self._connection.fetchrow(statement, *place, *_columns(rows))
        return leads, recorded
