"""The search_path of our own connections: no name in their statements refers to an object of another role.

The search_path of a database or login may name a schema in which others create functions, operators and types. Sessions
of receivers keep it, because it is theirs; so do sessions that press a button.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlalchemy

SEARCH_PATH = "pg_catalog, pg_temp"
"""Without pg_temp at the end, that would be searched first for relations and types."""
PINNED = f"set local search_path = {SEARCH_PATH}"
"""The first statement of our own transactions. The path ends with the transaction, also behind a pooler."""
PINNED_SESSION = f"set search_path = {SEARCH_PATH}"
"""The same for a session that no other client will use."""
USERS_OWN = "set local search_path to default"
"""Until the next PINNED, names mean again what they mean to the connected login."""


def ask_qualified(dialect: sqlalchemy.Dialect) -> None:
    """Let SQLAlchemy query a new connection by qualified names alone, whatever its search_path.

    Create the dialect with `use_native_hstore=False`: SQLAlchemy looks for that type by names that are not qualified.
    """
    vars(dialect)["_get_default_schema_name"] = _default_schema


def _default_schema(connection: sqlalchemy.Connection) -> Any:
    return connection.exec_driver_sql("select pg_catalog.current_schema()").scalar()
