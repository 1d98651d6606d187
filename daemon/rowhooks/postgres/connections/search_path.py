"""The search_path of our own connections: no name in their statements means what somebody else has made.

A database's or a login's search_path may name a schema in which others make functions, operators and types. Receivers'
sessions keep it, for it is theirs; so does the session of somebody who presses a button.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy

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
