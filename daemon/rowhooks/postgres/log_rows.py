"""Changes as rows of the log: which columns are read, how large they may be, and the object changes made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from rowhooks.domain.change import ObjectChange, made_of, no_decoder
from rowhooks.domain.names import TableName
from rowhooks.postgres.statements import Statements
from rowhooks.postgres.values import RowDecoder

PART_SIZE = 8 * 2**20
"""Bytes of rows after which a part ends."""
COMPRESSED = 30
"""What a compressed byte counts: how large it is without compression, only unpacking would tell."""
LARGEST = 128 * 2**20
"""Bytes of the two rows of a change, as JSON text, that are read; a larger change is delivered by its key."""
LARGE = 256 * 2**10
"""Stored bytes of a row from which on a change is read by itself: as text they may be several hundred times as many."""
TOO_LARGE = f"the change cannot be read: its rows have more than {LARGEST // 2**20} MB as JSON"
LONGEST_TEXT = 1_000_000
"""Characters of what else a user has made (names, context) that are read."""

SQL = Statements(
    __file__,
    {
        "PART_SIZE": PART_SIZE,
        "COMPRESSED": COMPRESSED,
        "LARGEST": LARGEST,
        "LARGE": LARGE,
        "TOO_LARGE": TOO_LARGE,
        "LONGEST_TEXT": LONGEST_TEXT,
    },
)
COLUMNS = SQL["columns"]
"""What `object_change` makes an object change of; `c` is rowhooks.object_change."""
SMALL_COLUMNS = SQL["small_columns"]
"""The same, without large rows; whether they are large is the last column."""
IS_LARGE = 14
"""The place of that column, here and in the `text_columns` of the feed."""
VISIBLE_COLUMNS = SQL["visible_columns"]
"""What `visible_change` makes an object change of, without the two rows; `c` is rowhooks.visible_changes."""
_NAMES = (
    "id", "transaction_id", "time", "action", "tracked_table", "object_id_json", "object_repr", "prechange",
    "postchange", "db_user", "user_name", "request_id", "change_context", "capture_error",
)  # fmt: skip
# In the order of COLUMNS.
_FIELDS = tuple(field.name for field in fields(ObjectChange) if field.name not in ("changed_object_type", "decoder"))
LARGE_BY_ID = SQL["large_by_id"]
"""The statement that reads one change with large rows, by its id."""


def in_parts(sizes: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Return ids, each given with its size in bytes, in lists each of which is to be read in one go."""
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
    """Make an object change of a row of the log, from either driver; this is the only place where that happens.

    Args:
        row: begins with COLUMNS.
        table_name: `schema.table`.
        decoder: gives the change its `before` and `after`.
    """
    # There is one for each change: so its fields are not named one by one.
    values = dict(zip(_FIELDS, row, strict=False))
    values["changed_object_type"] = table_name
    values["object_id_json"] = values["object_id_json"] or "{}"
    values["object_repr"] = values["object_repr"] or ""
    values["decoder"] = no_decoder if decoder is None else decoder.decode
    return made_of(ObjectChange, values)


def visible_change(row: Mapping[str, Any]) -> ObjectChange:
    """Make an object change of a row of rowhooks.visible_changes.

    Its rows have no decoder: they are for rules and pages, and no receiver gets them.

    Args:
        row: has VISIBLE_COLUMNS, the two rows as `prechange` and `postchange`, and others.
    """
    return object_change([row[name] for name in _NAMES], TableName(row["object_type"] or ""))
