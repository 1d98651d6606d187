"""The log, read by asyncpg: FeedSource."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from operator import itemgetter
from typing import Any

import asyncpg

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.errors import ConnectionFailed
from rowhooks.domain.feed import Position, Snapshot
from rowhooks.domain.names import TableName
from rowhooks.postgres import log_rows, unreadable
from rowhooks.postgres.connections.asyncpg_errors import translated
from rowhooks.postgres.log_rows import IS_LARGE, LARGE_BY_ID, PART_SIZE, TOO_LARGE, in_parts, object_change
from rowhooks.postgres.piecemeal import PASSING_TRIES, Unreadable, note, piecemeal, reading, without_rows
from rowhooks.postgres.statements import Statements
from rowhooks.postgres.values import RowDecoder

FEW = 2
"""A batch of at most so many changes is read by a statement that takes half the time."""

SQL = Statements(__file__, log_rows.SQL, unreadable.SQL, {"PART_SIZE": PART_SIZE, "FEW": FEW})


class PostgresFeed:
    """Reads object changes over one connection.

    Args:
        connection: asyncpg, not shared with another task.
        decoder: gives each change its `before` and `after`.
        reshape: called when a table of the changes just read is no longer what `tables` says; it sets `tables` again.
    """

    def __init__(
        self, connection: asyncpg.Connection[Any], decoder: RowDecoder, reshape: Callable[[], Awaitable[None]]
    ) -> None:
        self._connection = connection
        self._decoder = decoder
        self._reshape = reshape
        self.tables: dict[int, TrackedTable] = {}
        # One of so many of the next changes cannot be read.
        self._suspects = 0
        self._are_requested: bool | None = None

    async def look(self) -> tuple[Snapshot, int]:
        """Return the present snapshot and the version of the configuration in it."""
        with translated():
            row = await self._connection.fetchrow(SQL["look"])
        assert row is not None, "rowhooks.configuration is empty"
        return Snapshot.parse(row[0]), row[1]

    async def anchor(self) -> None:
        """Draw a transaction id: transactions with a higher id draw the ids of their changes after all known ones."""
        with translated():
            await self._connection.execute("select pg_current_xact_id()")

    async def newest_id(self) -> int:
        """Return the highest id that is visible; 0 in an empty log."""
        with translated():
            return int(await self._connection.fetchval(SQL["newest_id"]))

    async def next_batch(
        self, position: Position, limit: int, configure: Callable[[int], Awaitable[None]]
    ) -> tuple[Snapshot, list[ObjectChange], bool]:
        """Begin a batch: `look` and `fetch` in one round trip."""
        self._are_requested = None
        try:
            header, rows = await self._begin(position.snapshot, position.floor_id, limit)
        except Unreadable:
            self._suspects = limit
            snapshot, version = await self.look()
            await configure(version)
            return snapshot, *(await self.fetch(position.aim(snapshot), limit))
        self._are_requested = header[3]
        await configure(header[1])
        return Snapshot.parse(header[0]), *(await self._read(header, rows, limit))

    def take_requested(self) -> bool | None:
        """Say once whether anything that was requested by hand waited at the last look; None where it was not asked."""
        seen, self._are_requested = self._are_requested, None
        return seen

    async def _begin(self, snapshot: Snapshot, floor_id: int, limit: int) -> tuple[list[Any], list[asyncpg.Record]]:
        with reading(self._connection):
            if limit == FEW and not snapshot.xip:
                return _taken_apart(await self._connection.fetch(SQL["begin_with_few"], floor_id, str(snapshot.xmax)))
            return _taken_apart(
                await self._connection.fetch(
                    SQL["begin"], limit, floor_id, str(snapshot.xmax), list(map(str, snapshot.xip))
                )
            )

    async def fetch(self, position: Position, limit: int) -> tuple[list[ObjectChange], bool]:
        """Return the next changes of the batch in hand, ordered by id, and whether the batch ends with them.

        There are at most `limit`, fewer where their rows are large. An unreadable change comes without its rows.

        Raises:
            ConnectionFailed: the connection was lost, or a change cannot be read at all.
        """
        # What was seen is older than what has rung since.
        self._are_requested = None
        tries = 0
        while True:
            # After a failure, half as many, until the change is found that cannot be read.
            size = min(limit, max(self._suspects // 2, 1)) if self._suspects else limit
            place = (
                max(position.after_id, position.floor_id),
                str(position.snapshot.xmax),
                list(map(str, position.ended_since())),
                position.after_id,
                str(position.target),
            )
            try:
                with reading(self._connection):
                    header, rows = _taken_apart(await self._connection.fetch(SQL["fetch"], size, *place))
            except Unreadable as error:
                self._suspects = size
                tries += size == 1
                if size > 1 or (error.passing and tries < PASSING_TRIES):
                    continue
                self._suspects = 0
                return await self._next_without_rows(place, error.reason)
            self._suspects = max(self._suspects - size, 0)
            return await self._read(header, rows, size)

    async def _next_without_rows(self, place: tuple[Any, ...], reason: str) -> tuple[list[ObjectChange], bool]:
        try:
            with reading(self._connection):
                id_ = await self._connection.fetchval(SQL["next_id"], 1, *place)
        except Unreadable as error:
            raise ConnectionFailed(f"the log cannot be read: {error.reason}") from error
        change = None if id_ is None else await without_rows(self._connection, id_, reason, self.change)
        return ([], True) if change is None else ([change], False)

    async def changes(
        self, ids: Sequence[int], connection: asyncpg.Connection[Any] | None = None
    ) -> dict[int, ObjectChange]:
        """Return the changes with these ids that are in the log; they are read in parts where their rows are large.

        Args:
            ids: rowhooks.object_change.id.
            connection: the connection to read from; None for the feed's.
        """
        on = connection or self._connection
        found: dict[int, ObjectChange] = {}

        async def read(some: list[int]) -> None:
            left = some
            while left:
                with reading(on):
                    rows = await on.fetch(SQL["by_id"], left)
                changes = await self._whole(sorted(rows, key=itemgetter(0)), on)
                found.update((change.id, change) for change in changes)
                # The statement returns fewer changes where they are large as text.
                left = [id_ for id_ in left if id_ > changes[-1].id] if changes else []

        async def alone(id_: int, reason: str) -> None:
            if (change := await without_rows(on, id_, reason, self.change)) is not None:
                found[id_] = change

        with translated():
            # One alone is a part, whatever its size.
            sizes = await on.fetch(SQL["sizes"], list(ids)) if len(ids) > 1 else [(id_, 0) for id_ in ids]
        for part in in_parts([(row[0], row[1]) for row in sizes]):
            await piecemeal(part, read, alone)
        return found

    async def _read(self, header: list[Any], rows: list[asyncpg.Record], limit: int) -> tuple[list[ObjectChange], bool]:
        if self._is_reshaped(header[2]):
            await self._reshape()
        changes = await self._whole(rows, self._connection)
        is_end = len(changes) == len(rows) < limit and (not rows or rows[-1][-2] < PART_SIZE)
        return changes, is_end

    async def _whole(self, rows: list[asyncpg.Record], connection: asyncpg.Connection[Any]) -> list[ObjectChange]:
        """Make the changes of a part from rows of text_columns; large changes are read one by one."""
        changes: list[ObjectChange] = []
        room = PART_SIZE
        for row in rows:
            change = await self._large(row[0], connection) if row[IS_LARGE] else None
            changes.append(change or self.change(row))
            room -= len(changes[-1].prechange_json or "") + len(changes[-1].postchange_json or "")
            if room <= 0:
                break
        return changes

    async def _large(self, id_: int, connection: asyncpg.Connection[Any]) -> ObjectChange | None:
        found: list[ObjectChange] = []

        async def read(_: list[int]) -> None:
            with reading(connection):
                row = await connection.fetchrow(LARGE_BY_ID, id_)
            found.extend([] if row is None else [self.change(row)])

        async def alone(_: int, reason: str) -> None:
            change = await without_rows(connection, id_, reason, self.change)
            found.extend([] if change is None else [change])

        await piecemeal([id_], read, alone)
        if found and (found[0].capture_error or "").startswith(TOO_LARGE):
            await note(connection, found[0])
        return found[0] if found else None

    def _is_reshaped(self, shapes: Sequence[Any]) -> bool:
        for id_, name, columns in shapes:
            known = self.tables.get(id_)
            if known is not None and (known.name, known.columns) != (name, tuple(map(tuple, columns or ()))):
                return True
        return False

    def change(self, row: asyncpg.Record) -> ObjectChange:
        """Make an object change of a row of the log."""
        table = self.tables.get(row[4])
        return object_change(row, table.name if table else TableName(f"rowhooks.tracked_table:{row[4]}"), self._decoder)


def _taken_apart(rows: list[asyncpg.Record]) -> tuple[list[Any], list[asyncpg.Record]]:
    """Return the header, and the rows of the changes in order: SQL promises no order for a union."""
    snapshot = version = requested = None
    shapes: list[Any] = []
    for row in rows:
        if row[-1] is not None:
            snapshot, version, known, *asked = json.loads(row[-1].decode("utf-8", "replace"))
            shapes += known or ()
            requested = asked[0] if asked else None
    header = [snapshot, version, shapes, requested]
    return header, sorted((row for row in rows if row[0] is not None), key=itemgetter(0))
