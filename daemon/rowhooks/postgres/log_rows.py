"""Changes as rows of the log: what is read of them, how large they are, and what they become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rowhooks.domain.change import ObjectChange, made, no_decoder
from rowhooks.postgres.values import RowDecoder

PART_SIZE = 8 * 2**20
"""Bytes of rows after which a part ends."""
COMPRESSED = 30
"""What a compressed byte counts: how large it is without, only unpacking would tell."""


LARGEST = 128 * 2**20
"""Bytes of the two rows of a change, as JSON text, that are read; a larger one is delivered by its key."""
LARGE = 256 * 2**10
"""Bytes stored of a row from which on a change is read by itself: it may be several hundred times as long as text."""
TOO_LARGE = f"the change cannot be read: its rows have more than {LARGEST // 2**20} MB as JSON"


LONGEST_TEXT = 1_000_000
"""Characters of what else a user has made (names, context) that are read."""

# What capture writes is shorter. It was not always, and the log's owner may write anything.
_HAS_LARGE_KEY = f"coalesce(pg_column_size(c.object_id) > {LARGE}, false)"


def key_of(alias: str, column: str = "object_id") -> str:
    """Return the expression of a key as JSON text; null for one that is too large to be read."""
    return f"case when pg_column_size({alias}.{column}) <= {LARGE} then {alias}.{column}::text end"


def _columns(prechange: str, postchange: str, capture_error: str) -> tuple[str, ...]:
    repr_, user, request, context = (
        f"left(c.{name}, {LONGEST_TEXT})" for name in ("object_repr", "user_name", "request_id", "change_context")
    )
    error = (
        f"case when {_HAS_LARGE_KEY} then concat_ws('; ', 'the key of the change is too large', {capture_error})"
        f" else {capture_error} end"
    )
    return (
        "c.id", "c.transaction_id::text::bigint", "c.time", "c.action", "c.tracked_table", key_of("c"), repr_,
        prechange, postchange, "c.db_user::text", user, request, context, error,
    )  # fmt: skip


COLUMNS = ", ".join(_columns("c.prechange::text", "c.postchange::text", "c.capture_error"))
"""What `object_change` makes an object change of; `c` is rowhooks.object_change."""
_IS_LARGE = f"coalesce(greatest(pg_column_size(c.prechange), pg_column_size(c.postchange)) > {LARGE}, false)"
_SMALL = (
    *_columns(
        f"case when not {_IS_LARGE} then c.prechange::text end",
        f"case when not {_IS_LARGE} then c.postchange::text end",
        "c.capture_error",
    ),
    _IS_LARGE,
)
SMALL_COLUMNS = ", ".join(_SMALL)
"""The same, without large rows; whether they are is the last one."""
IS_LARGE = len(_SMALL) - 1

# Made once: a number of a few bytes (1e131071) may have a hundred thousand characters, which only its text tells.
WITH_TEXTS = f"""
select
  c.*,
  case when not {_IS_LARGE} then c.prechange::text end as prechange_text,
  case when not {_IS_LARGE} then c.postchange::text end as postchange_text
from {{source}} as c
{{where}}
offset 0
"""  # noqa: S608  (constants)
"""Changes of a source, with the texts of those whose rows are not stored as large."""
TEXT_SIZE = "coalesce(octet_length(c.prechange_text), 0) + coalesce(octet_length(c.postchange_text), 0)"
"""Bytes of the texts."""
_IS_LARGE_AS_TEXT = f"({_IS_LARGE} or {TEXT_SIZE} > {PART_SIZE})"
TEXT_COLUMNS = ", ".join(
    (
        *_columns(
            f"case when not {_IS_LARGE_AS_TEXT} then c.prechange_text end",
            f"case when not {_IS_LARGE_AS_TEXT} then c.postchange_text end",
            "c.capture_error",
        ),
        _IS_LARGE_AS_TEXT,
    )
)
"""SMALL_COLUMNS of WITH_TEXTS, without those too that are large as text."""
_SO_FAR = "rowhooks.part_text"
# The sum is kept beside the rows and not by a window, for which the texts of all of them would have to be made. No
# level is merged with another (offset 0), so that a row goes through all of them before the next one does.
_WITH_TEXTS_SO_FAR = WITH_TEXTS.format(
    source=f"""(
  select o.*, current_setting('{_SO_FAR}')::bigint as text_before
  from (
    select r.* from {{source}} as r
    where {{where}} and (select set_config('{_SO_FAR}', '0', true)) is not null
    order by r.id
    offset 0
  ) as o
  offset 0
)""",  # noqa: S608  (constants)
    where=f"where c.text_before < {PART_SIZE}",
)
IN_PART = f"""
select c.*, set_config('{_SO_FAR}', (c.text_before + {TEXT_SIZE})::text, true)::bigint as text_size
from ({_WITH_TEXTS_SO_FAR}) as c
offset 0
"""  # noqa: S608  (constants)
"""WITH_TEXTS of changes `r` of a source, until there are PART_SIZE bytes of texts; text_size says how many are made."""

# Each is done once. Merged with nothing, a jsonb is as large as it is without compression.
_LARGE_COLUMNS = ", ".join(
    _columns(
        "case when not l.is_too_large then t.prechange end",
        "case when not l.is_too_large then t.postchange end",
        f"case when l.is_too_large then concat_ws('; ', '{TOO_LARGE}', c.capture_error) else c.capture_error end",
    )
)
LARGE_BY_ID = f"""
select {_LARGE_COLUMNS}
from rowhooks.object_change as c
cross join lateral (
  select
    coalesce(pg_column_size(c.prechange || '{{}}'::jsonb), 0)
    + coalesce(pg_column_size(c.postchange || '{{}}'::jsonb), 0) <= {LARGEST} as is_tried
  offset 0
) as s
cross join lateral (
  select
    case when s.is_tried then c.prechange::text end as prechange,
    case when s.is_tried then c.postchange::text end as postchange
  offset 0
) as t
cross join lateral (
  select
    not s.is_tried
    or coalesce(octet_length(t.prechange), 0) + coalesce(octet_length(t.postchange), 0) > {LARGEST} as is_too_large
  offset 0
) as l
where c.id = """  # noqa: S608  (a constant)
"""The same, for one change with large rows; the id comes behind it."""


def _size(*columns: str) -> str:
    """Return how large columns are without compression, more or less, and without unpacking them."""
    return "\n      + ".join(
        f"coalesce(pg_column_size({column}), 0)"
        f" * case when pg_column_compression({column}) is null then 1 else {COMPRESSED} end"
        for column in columns
    )


def size_of(alias: str) -> str:
    """Return how large a change is, of everything in it that a user has made."""
    names = (
        "prechange", "postchange", "object_id", "object_repr", "user_name", "request_id", "change_context",
        "capture_error",
    )  # fmt: skip
    return _size(*(f"{alias}.{name}" for name in names))


def in_parts(sizes: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Return ids, each given with its size in bytes, in lists that are to be read at once."""
    parts: list[list[int]] = []
    room = 0
    for id_, size in sizes:
        if room <= 0:
            parts.append([])
            room = PART_SIZE
        parts[-1].append(id_)
        room -= size
    return parts


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
