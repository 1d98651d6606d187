"""The log, read by asyncpg: FeedSource."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from operator import itemgetter
from typing import Any

import asyncpg

from rowhooks.domain.change import ObjectChange, made, no_decoder
from rowhooks.domain.feed import Position, Snapshot
from rowhooks.domain.hook import TrackedTable
from rowhooks.postgres.errors import translated
from rowhooks.postgres.values import RowDecoder

_LOOK = """
select pg_current_snapshot()::text, rowhooks.configuration_version()
"""

PART_SIZE = 8 * 2**20
"""Bytes of rows after which a part ends."""
COMPRESSED = 30
"""What a compressed byte counts: how large it is without, only unpacking would tell."""

COLUMNS = """\
  c.id, c.transaction_id::text::bigint, c.time, c.action, c.tracked_table, c.object_id::text, c.object_repr,
  c.prechange::text, c.postchange::text, c.db_user::text, c.user_name, c.request_id, c.change_context,
  c.capture_error"""
"""What `object_change` makes an object change of; `c` is rowhooks.object_change."""

# The two halves have no row in common. Fresh: transactions at or above the old snapshot's xmax. That is no promise that
# they began after it (xmax is one past the last transaction that had ended, and younger ones may have been running), so
# their ids need not lie above those already delivered; they do lie above floor_id, see the reader. Late: transactions
# that were open at the old snapshot and have ended since, found by their transaction id.
# Texts are read in subqueries, which makes it happen once and not for each row.
# What hook receivers wrote (on tables that audit them) starts no hook.
# Rows are counted by what is stored of them, without unpacking it; there is always one.
_BATCH = """
  select
    b.*,
    coalesce(sum(b.stored) over (order by b.id rows between unbounded preceding and 1 preceding), 0) as stored_before
  from (
    select
      p.*,
      coalesce(pg_column_size(p.prechange), 0)
      * case when pg_column_compression(p.prechange) is null then 1 else {compressed} end
      + coalesce(pg_column_size(p.postchange), 0)
      * case when pg_column_compression(p.postchange) is null then 1 else {compressed} end as stored
    from (
  (
    select f.* from rowhooks.object_change as f
    where f.id > $2::bigint
      and f.transaction_id >= (select $3::text::xid8)
      and {visible}
      and f.receiver is null and f.action <> 'truncate'
    order by f.id
    limit $1
  )
  union all
  (
    select l.*
    from unnest($4::text[]::xid8[]) as ended (transaction_id)
    cross join lateral (
      select o.* from rowhooks.object_change as o
      where o.transaction_id = ended.transaction_id
        and {beyond}
        and o.receiver is null and o.action <> 'truncate'
      order by o.id
      limit $1
    ) as l
    order by l.id
    limit $1
  )
    ) as p
    order by p.id
    limit $1
  ) as b
"""
_SHAPES = """\
(
  select json_agg(json_build_array(
    t.id, concat(n.nspname, '.', r.relname),
    (
      select json_agg(json_build_array(a.attname, a.atttypid::bigint) order by a.attnum) from pg_attribute as a
      where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    )
  ))
  from rowhooks.tracked_table as t
  join pg_class as r on r.oid = t.relation
  join pg_namespace as n on n.oid = r.relnamespace"""
# One row says when this was read and what the tables look like: in a snapshot that sees a change, no table looks older
# than the change. The others are the changes.
_ROWS = f"""
select
  {", ".join(["null"] * (COLUMNS.count(",") + 2))},
  json_build_array(
    pg_current_snapshot(),
    rowhooks.configuration_version(),
    {_SHAPES} where t.id in (select b.tracked_table from batch as b))
  )::text
union all
(
  select
  {COLUMNS}, c.stored_before + c.stored, null
  from batch as c
  where c.stored_before < {PART_SIZE}
  order by c.id
)
"""  # noqa: S608  (a constant)
# Everything that the statement sees belongs to the batch that begins with it.
_BEGIN = f"with batch as materialized ({_BATCH.format(visible='true', beyond='true', compressed=COMPRESSED)}) {_ROWS}"
FEW = 2
"""A batch of so many changes at the most is read by a statement that takes half the time."""
# Where no transaction was open at the old snapshot; whatever the size of the rows.
_BEGIN_WITH_FEW = f"""
select
  {COLUMNS}, 0,
  json_build_array(h.snapshot, h.version, {_SHAPES} where t.id = c.tracked_table))::text
from (select pg_current_snapshot() as snapshot, rowhooks.configuration_version() as version) as h
left join (
  select f.* from rowhooks.object_change as f
  where f.id > $1::bigint
    and f.transaction_id >= (select $2::text::xid8)
    and f.receiver is null and f.action <> 'truncate'
  order by f.id
  limit {FEW}
) as c on true
order by c.id
"""  # noqa: S608  (a constant)
_visible = "pg_visible_in_snapshot(f.transaction_id, (select $6::text::pg_snapshot))"
_FETCH = (
    f"with batch as materialized"
    f" ({_BATCH.format(visible=_visible, beyond='o.id > $5::bigint', compressed=COMPRESSED)}) {_ROWS}"
)


class PostgresFeed:
    """Reads object changes over one connection.

    Args:
        connection: asyncpg, not shared with another task.
        decoder: gives each change its `before` and `after`.
        reshape: called when a table of the changes just read is no longer what `tables` says; it sets them anew.
    """

    def __init__(
        self, connection: asyncpg.Connection[Any], decoder: RowDecoder, reshape: Callable[[], Awaitable[None]]
    ) -> None:
        self._connection = connection
        self._decoder = decoder
        self._reshape = reshape
        self.tables: dict[int, TrackedTable] = {}

    async def look(self) -> tuple[Snapshot, int]:
        """Return the present snapshot and the version of the configuration in it."""
        with translated():
            row = await self._connection.fetchrow(_LOOK)
        assert row is not None, "rowhooks.configuration is empty"
        return Snapshot.parse(row[0]), row[1]

    async def anchor(self) -> None:
        """Draw a transaction id: transactions with a higher one draw their changes' ids later than all known ones."""
        with translated():
            await self._connection.execute("select pg_current_xact_id()")

    async def newest_id(self) -> int:
        """Return the highest id that is visible; 0 in an empty log."""
        with translated():
            return int(
                await self._connection.fetchval("select coalesce(max(c.id), 0) from rowhooks.object_change as c")
            )

    async def next_batch(
        self, position: Position, limit: int, configure: Callable[[int], Awaitable[None]]
    ) -> tuple[Snapshot, list[ObjectChange], bool]:
        """Begin a batch: `look` and `fetch` in one round trip."""
        snapshot = position.snapshot
        with translated():
            if limit == FEW and not snapshot.xip:
                rows = await self._connection.fetch(_BEGIN_WITH_FEW, position.floor_id, str(snapshot.xmax))
            else:
                rows = await self._connection.fetch(
                    _BEGIN, limit, position.floor_id, str(snapshot.xmax), list(map(str, snapshot.xip))
                )
        header, rows = _taken_apart(rows)
        await configure(header[1])
        return Snapshot.parse(header[0]), *(await self._read(header, rows, limit))

    async def fetch(self, position: Position, limit: int) -> tuple[list[ObjectChange], bool]:
        """Return the next changes of the batch in hand, ordered by id, and whether the batch ends with them.

        They are at most `limit`, and fewer where their rows are large.
        """
        with translated():
            rows = await self._connection.fetch(
                _FETCH,
                limit,
                max(position.after_id, position.floor_id),
                str(position.snapshot.xmax),
                list(map(str, position.ended_since())),
                position.after_id,
                str(position.target),
            )
        return await self._read(*_taken_apart(rows), limit)

    async def _read(self, header: list[Any], rows: list[asyncpg.Record], limit: int) -> tuple[list[ObjectChange], bool]:
        if self._is_reshaped(header[2]):
            await self._reshape()
        is_end = len(rows) < limit and (not rows or rows[-1][-2] < PART_SIZE)
        return [self.change(row) for row in rows], is_end

    def _is_reshaped(self, shapes: Sequence[Any]) -> bool:
        for id_, name, columns in shapes:
            known = self.tables.get(id_)
            if known is not None and (known.name, known.columns) != (name, tuple(map(tuple, columns or ()))):
                return True
        return False

    def change(self, row: asyncpg.Record) -> ObjectChange:
        """Make an object change of a row of the log."""
        table = self.tables.get(row[4])
        return object_change(row, table.name if table else f"rowhooks.tracked_table:{row[4]}", self._decoder)


def _taken_apart(rows: list[asyncpg.Record]) -> tuple[list[Any], list[asyncpg.Record]]:
    """Return what is said of all, and the rows of changes in order; SQL does not promise it of a union."""
    snapshot = version = None
    shapes: list[Any] = []
    for row in rows:
        if row[-1] is not None:
            snapshot, version, known = json.loads(row[-1])
            shapes += known or ()
    return [snapshot, version, shapes], sorted((row for row in rows if row[0] is not None), key=itemgetter(0))


def object_change(row: Sequence[Any], table_name: str, decoder: RowDecoder | None = None) -> ObjectChange:
    """Make an object change of a row of the log, of either driver; the one place where that happens.

    Args:
        row: begins with COLUMNS.
        table_name: `schema.table`.
        decoder: gives the change its `before` and `after`.
    """
    return made(
        ObjectChange,
        id=row[0],
        transaction_id=row[1],
        time=row[2],
        action=row[3],
        table_id=row[4],
        changed_object_type=table_name,
        object_id_json=row[5] or "{}",
        object_repr=row[6] or "",
        prechange_json=row[7],
        postchange_json=row[8],
        db_user=row[9],
        user_name=row[10],
        request_id=row[11],
        change_context=row[12],
        capture_error=row[13],
        decoder=no_decoder if decoder is None else decoder.decode,
    )
