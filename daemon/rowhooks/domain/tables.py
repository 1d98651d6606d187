"""What `table()` returns: a class for the rows of a table, which takes its shape from the database of the run."""

from __future__ import annotations

import contextvars
from typing import Any, NoReturn, Protocol

from rowhooks.domain.errors import ReceiverError
from rowhooks.domain.names import join_name
from rowhooks.domain.row_types import is_row_of


class RowSource(Protocol):
    """A run, as far as the classes of its rows are concerned."""

    def row_class(self, table_name: str) -> Any:
        """Return SQLAlchemy's class for the rows of a table; where nothing tells these apart, SQLAlchemy's table.

        Raises:
            NotFound: there is no table of that name.
        """
        ...

    def connect(self) -> Any:
        """Return SQLAlchemy's synchronous connection of the run.

        Raises:
            ReceiverError: the receiver is `async def`, and this is no place where it waits for the database.
        """
        ...


current_rows: contextvars.ContextVar[RowSource | None] = contextvars.ContextVar("current_rows", default=None)
"""The run of which the present code is a part."""

_named: dict[str, None] = {}


def named_tables() -> tuple[str, ...]:
    """Return the names that `table()` was called with."""
    return tuple(_named)


class TableType(type):
    """The class of what `table()` returns.

    `isinstance(obj, table("dcim.device"))` is true for the rows of that table. Everything else that is asked of it is
    asked of the class that SQLAlchemy has for the table in the database of the run.
    """

    table_name: str

    @property
    def _row_class(cls) -> Any:
        """SQLAlchemy's class for the rows; where nothing tells these apart, SQLAlchemy's table.

        Raises:
            ReceiverError: no run goes on here, or there is no table of that name.
        """
        source = current_rows.get()
        if source is None:
            raise ReceiverError(
                f"{cls!r} is used outside a run: only a run has a database to look into",
                hint="use it inside the receiver; at the top of a module only isinstance() and Hook() take it",
            )
        return source.row_class(cls.table_name)

    def __call__(cls, *args: Any, **values: Any) -> Any:
        """Return a new row; `save()` or the session inserts it."""
        found = cls._row_class
        if not isinstance(found, type):
            raise ReceiverError(
                f"{cls!r} cannot be constructed: nothing tells the rows of {cls.table_name} apart",
                hint=f"self.session.execute(insert({cls!r}.__table__), values); or add a primary key",
            )
        return found(*args, **values)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith(("__", "_sa_")) and name not in ("__table__", "__mapper__"):
            raise AttributeError(f"{cls!r} has no attribute {name!r}")
        found = cls._row_class
        if isinstance(found, type):
            return getattr(found, name)
        if name == "__table__":
            return found
        if name in found.c:
            return found.c[name]
        return getattr(found, name)

    def __instancecheck__(cls, instance: Any) -> bool:
        return is_row_of(instance, cls.table_name)

    def __repr__(cls) -> str:
        return f"table({cls.table_name!r})"


def table_of_class(value: object) -> str | None:
    """Return the table, `schema.table`, of what `table()` returns or of a class that SQLAlchemy maps.

    None for anything else, and for a class that names no schema.
    """
    if isinstance(value, TableType):
        return value.table_name
    mapped = getattr(value, "__table__", None) if isinstance(value, type) else None
    schema, name = (getattr(mapped, attribute, None) for attribute in ("schema", "name"))
    return join_name(str(schema), str(name)) if schema is not None and name is not None else None


def make_table_type(name: str, table_name: str) -> TableType:
    """Return what stands for the rows of a table.

    Args:
        name: what the class is called.
        table_name: `schema.table`.
    """
    _named[table_name] = None
    return TableType(name, (), {"table_name": table_name, "__init_subclass__": classmethod(_refuse_subclass)})


def _refuse_subclass(cls: Any, /, **_: Any) -> NoReturn:
    raise ReceiverError(
        f"{cls.table_name} cannot be subclassed by what table() returns",
        hint="write a mapped class of your own, and name its module in the setting `models`",
    )
