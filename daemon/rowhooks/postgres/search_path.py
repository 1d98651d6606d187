"""The search_path of our own connections: no name in their statements means what somebody else has made.

A database's or a login's search_path may name a schema in which others make functions, operators and types. Receivers'
sessions keep it, for it is theirs; so does the session of somebody who presses a button.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy.dialects.postgresql import CITEXT, HSTORE

SEARCH_PATH = "pg_catalog, pg_temp"
"""Without pg_temp in the last place it would be searched first, for relations and types."""
PINNED = f"set local search_path = {SEARCH_PATH}"
"""What our own transactions begin with. The path goes with the transaction, also behind a pooler."""
PINNED_SESSION = f"set search_path = {SEARCH_PATH}"
"""The same for a session that nobody else will use."""
USERS_OWN = "set local search_path to default"
"""Names mean again what they mean to the login that is connected; until the next PINNED."""


def ask_qualified(dialect: sqlalchemy.Dialect) -> None:
    """Let SQLAlchemy ask a new connection, whatever its search_path, by qualified names alone.

    The dialect is to be made with `use_native_hstore=False`: looking for the type is not done so.
    """
    vars(dialect)["_get_default_schema_name"] = _default_schema


def _default_schema(connection: sqlalchemy.Connection) -> Any:
    return connection.exec_driver_sql("select pg_catalog.current_schema()").scalar()


class TypeNames(dict[str, Any]):
    """SQLAlchemy's types by their names, also where the server names them with their schema.

    In our search_path it does so for the types of extensions. What PostgreSQL itself has is never named so: another
    type that has its name is another type.
    """

    def get(self, name: str, default: Any = None) -> Any:
        """Return the type of a name."""
        schema, _, bare = name.rpartition(".")
        found = super().get(bare, default)
        is_built_in = found is not default and found.__module__.startswith("sqlalchemy.") and found not in _EXTENSIONS
        return default if schema and is_built_in else found


_EXTENSIONS = (CITEXT, HSTORE)
