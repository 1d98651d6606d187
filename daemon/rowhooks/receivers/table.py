"""`table("schema.name")`: a name for a table's rows that needs no connection at import."""

from __future__ import annotations

from typing import Any

from rowhooks.domain.errors import ReceiverError
from rowhooks.domain.names import join_name, quoting_hint, split_name


class TableType(type):
    """Makes `isinstance(obj, table("dcim.device"))` true for every object of that table."""

    table_name: str

    def __instancecheck__(cls, instance: Any) -> bool:
        return getattr(type(instance), "__rowhooks_table__", None) == cls.table_name

    def __repr__(cls) -> str:
        return f"table({cls.table_name!r})"


def table(name: str) -> TableType:
    """Return a class that stands for the rows of a table.

    Args:
        name: `schema.table` as PostgreSQL stores it; in double quotes what holds a dot: `"acme.com".device`.

    Raises:
        ReceiverError: the schema is missing, or a dot too many.
    """
    parts = split_name(name)
    if parts is None:
        bare = name.strip(".") or name
        raise ReceiverError(
            f"table({name!r}) needs schema and table",
            hint=quoting_hint(name) or f"for example table('public.{bare}')",
        )
    return TableType(parts[1], (), {"table_name": join_name(*parts)})
