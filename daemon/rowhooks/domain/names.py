"""Names of tables: `schema.table` as PostgreSQL stores them.

A part that holds a dot or begins with a quote stands in double quotes, so that no two tables share a name.
"""

from __future__ import annotations

import re

_PART = r'("(?:[^"]|"")+"|[^".][^.]*)'
_NAME = re.compile(rf"{_PART}\.{_PART}")


class TableName(str):
    """The name of a table, `schema.table`, with the names that Nautobot's content types have for its parts."""

    __slots__ = ()

    @property
    def app_label(self) -> str:
        """The schema's name, as PostgreSQL stores it."""
        return self._parts[0]

    @property
    def model(self) -> str:
        """The table's name, as PostgreSQL stores it."""
        return self._parts[1]

    @property
    def name(self) -> str:
        """The same as `model`."""
        return self._parts[1]

    @property
    def _parts(self) -> tuple[str, str]:
        # What stands for a table that was dropped is no name.
        return split_name(self) or ("", str(self))


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


def join_name(schema: str, table: str) -> TableName:
    """Return the name of a table as `split_name` reads it."""
    return TableName(f"{_quoted(schema)}.{_quoted(table)}")


def _bare(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part


def _quoted(part: str) -> str:
    return '"' + part.replace('"', '""') + '"' if "." in part or part.startswith('"') else part
