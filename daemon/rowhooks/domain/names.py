"""Names of tables: `schema.table` as PostgreSQL stores them.

A part that holds a dot or begins with a quote stands in double quotes, so that no two tables share a name.
"""

from __future__ import annotations

import re

_PART = r'("(?:[^"]|"")+"|[^".][^.]*)'
_NAME = re.compile(rf"{_PART}\.{_PART}")


def split_name(name: str) -> tuple[str, str] | None:
    """Return schema and table of a name; None for a text that is no name, or could mean several tables.

    Quotes may stand around any part. Unlike in SQL, a part without quotes is not lower-cased.
    """
    found = _NAME.fullmatch(name)
    return None if found is None else (_bare(found[1]), _bare(found[2]))


def quoting_hint(name: object) -> str | None:
    """Return what to do about a name that `split_name` cannot read because of its dots; None where that is not why."""
    if not isinstance(name, str) or (name.count(".") < 2 and '"' not in name):
        return None
    return "double quotes around what holds a dot, for example '\"acme.com\".device' or 'dcim.\"device.old\"'"


def join_name(schema: str, table: str) -> str:
    """Return the name of a table as `split_name` reads it."""
    return f"{_quoted(schema)}.{_quoted(table)}"


def _bare(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part


def _quoted(part: str) -> str:
    return '"' + part.replace('"', '""') + '"' if "." in part or part.startswith('"') else part
