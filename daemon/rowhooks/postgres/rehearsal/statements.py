"""Statements that a test executes to arrange rows and to look at them."""

from __future__ import annotations

from typing import Any

import sqlalchemy


def execute_statement(connection: sqlalchemy.Connection, statement: Any, parameters: Any) -> list[dict[str, Any]]:
    """Execute a statement in a savepoint and return its rows; refused, it leaves the transaction as it was."""
    executable = sqlalchemy.text(statement) if isinstance(statement, str) else statement
    with connection.begin_nested():
        result = connection.execute(executable, parameters)
        return [dict(row) for row in result.mappings()] if result.returns_rows else []
