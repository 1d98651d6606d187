"""Rows in JSON, turned into the Python values that psycopg would give: `change.before` and `change.after`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer

from rowhooks.domain import exact
from rowhooks.domain.configuration import TrackedTable
from rowhooks.postgres.connections.loaders import adapted

_oid = psycopg.adapters.types.get_oid


def _time(text: str) -> time:
    if text.startswith("24"):
        raise ValueError("Python's days end before 24:00")
    return time.fromisoformat(text)


# to_jsonb writes these in ISO 8601, whatever the server's DateStyle; psycopg's own loaders read the DateStyle.
_ISO = {
    _oid("timestamptz"): datetime.fromisoformat,
    _oid("timestamp"): datetime.fromisoformat,
    _oid("date"): date.fromisoformat,
    _oid("time"): _time,
}
_JSON = {_oid("json"), _oid("jsonb")}
_AS_IT_IS = {_oid("text"), _oid("varchar"), _oid("bool")}


class RowDecoder:
    """Decodes rows by the column types of the tracked tables, which are set with each configuration."""

    def __init__(self) -> None:
        self._columns: dict[str, dict[str, int]] = {}
        self._transformer = Transformer(adapted())

    def learn(self, tables: Mapping[int, TrackedTable]) -> None:
        """Take over the tables' columns."""
        self._columns = {table.name: dict(table.columns) for table in tables.values()}

    def decode(self, table: str, data: str | None) -> dict[str, Any] | None:
        """Return a row with Python values; None for None.

        A value of a type that psycopg does not know, and a text that Python has no value for (infinity, 24:00), keep
        their JSON value.
        """
        if data is None:
            return None
        # Numbers as they are written: a numeric of any precision stays exact.
        row: dict[str, Any] = exact.read_exactly(data)
        columns = self._columns.get(table, {})
        return {name: self._value(columns.get(name, 0), value) for name, value in row.items()}

    def _value(self, oid: int, value: Any) -> Any:
        if value is None or oid in _AS_IT_IS:
            return value
        if oid in _JSON:
            try:
                return _plain(value)
            except RecursionError:
                # Nested too deep for that: its numbers stay exact.
                return value
        if isinstance(value, list):
            return self._list(oid, value)
        if isinstance(value, bool | dict):
            return value
        try:
            # JSON strings hold the type's own text form.
            return _ISO[oid](value) if oid in _ISO else self._load(oid, value)
        except (ValueError, psycopg.DataError):
            return value

    def _list(self, oid: int, value: list[Any]) -> list[Any]:
        info = psycopg.adapters.types.get(oid)
        item_oid = info.oid if info and info.array_oid == oid else 0
        return [self._list(oid, item) if isinstance(item, list) else self._value(item_oid, item) for item in value]

    def _load(self, oid: int, value: str | int | Decimal) -> Any:
        if oid == 0 or psycopg.adapters.get_loader(oid, pq.Format.TEXT) is None:
            return value
        return self._transformer.get_loader(oid, pq.Format.TEXT).load(str(value).encode())


def _plain(value: Any) -> Any:
    """Return the value as the json module would have read it."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value
