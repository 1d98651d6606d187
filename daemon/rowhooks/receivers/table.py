"""`table("schema.name")`: a class for a table's rows that needs no connection."""

from __future__ import annotations

from typing import Any

from rowhooks.domain.errors import ReceiverError
from rowhooks.domain.names import join_name, quoting_hint, split_name
from rowhooks.domain.row_types import is_row_of


class TableType(type):
    """The class of what `table()` returns: `isinstance(obj, table("dcim.device"))` is true for rows of that table."""

    table_name: str

    def __instancecheck__(cls, instance: Any) -> bool:
        return is_row_of(instance, cls.table_name)

    def __repr__(cls) -> str:
        return f"table({cls.table_name!r})"


def table(name: str) -> TableType:
    """Return a class that stands for the rows of a table; it is for isinstance() and for `Hook`.

    No connection is needed, and the table need not exist.

    Args:
        name: `schema.table` as PostgreSQL stores it. A part that holds a dot stands in double quotes:
            `"acme.com".device`.

    Raises:
        ReceiverError: the name has no schema, or more dots than one outside quotes.
    """
    parts = split_name(name)
    if parts is None:
        bare = name.strip(".") or name
        raise ReceiverError(
            f"table({name!r}) needs schema and table",
            hint=quoting_hint(name) or f"for example table('public.{bare}')",
        )
    return TableType(parts[1], (), {"table_name": join_name(*parts)})
