"""`table("schema.name")`: a name for a table's rows that needs no connection at import."""

from __future__ import annotations

from typing import Any

from rowhooks.domain.errors import ReceiverError


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
        name: `schema.table`, unquoted, as PostgreSQL stores it.

    Raises:
        ReceiverError: the schema is missing.
    """
    schema, dot, bare = name.partition(".")
    if not (dot and schema and bare):
        raise ReceiverError(
            f"table({name!r}) needs schema and table", hint=f"for example table('public.{bare or name}')"
        )
    return TableType(bare, (), {"table_name": name})
