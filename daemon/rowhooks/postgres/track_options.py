"""The words of the `rowhooks track` command that makes a table what it is, as SQL expressions."""

from __future__ import annotations

from rowhooks.postgres.statements import Statements


def _statements(relation: str = "t.relation", schema: str = "t.schema_name", name: str = "t.table_name") -> Statements:
    return Statements(__file__, {"relation": relation, "schema": schema, "name": name})


MARKS, OPTIONS = _statements()["marks"], _statements()["options"]
"""What the command was told of a table (or MARKS: of a rule); `t` is its entry, or the rule."""


def columns_left_out(relation: str) -> str:
    """Return the options for columns that are kept out of the log, or do not count.

    Args:
        relation: an expression of ours: the oid of the table that will be tracked; `t` is the former entry.
    """
    return _statements(relation=relation)["columns_left_out"]


def named(schema: str, name: str) -> str:
    """Return the oid of what has a name, as an expression.

    Args:
        schema: an expression of ours: the schema's name.
        name: likewise, the relation's.
    """
    return _statements(schema=schema, name=name)["named"]
