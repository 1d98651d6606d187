"""`table("schema.name")`: a class for a table's rows that needs no connection."""

from __future__ import annotations

from rowhooks.domain.errors import ReceiverError
from rowhooks.domain.names import join_name, quoting_hint, split_name
from rowhooks.domain.tables import TableType, make_table_type


def table(name: str) -> TableType:
    """Return a class that stands for the rows of a table.

    No connection is needed, and the table need not exist. isinstance() and `Hook` take it everywhere. Inside a receiver
    it is the mapped class that SQLAlchemy has for the table in the database of the run: `select(Device)`,
    `self.session.get(Device, id)`, `Device.name`, `Device(name="sw1")`.

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
    return make_table_type(parts[1], join_name(*parts))
