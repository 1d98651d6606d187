"""A row's JSON, turned into the Python values that psycopg would give: `change.before` and `change.after`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer

from rowhooks.domain.hook import TrackedTable

_oid = psycopg.adapters.types.get_oid
# to_jsonb writes these in ISO 8601, whatever the server's DateStyle; psycopg's own loaders read the DateStyle.
_ISO = {
    _oid("timestamptz"): datetime.fromisoformat,
    _oid("timestamp"): datetime.fromisoformat,
    _oid("date"): date.fromisoformat,
    _oid("time"): time.fromisoformat,
}
_AS_IT_IS = {_oid("json"), _oid("jsonb"), _oid("text"), _oid("varchar"), _oid("bool")}


class RowDecoder:
    """Decodes rows by the column types of the tracked tables, which are set with each configuration."""

    def __init__(self) -> None:
        self._columns: dict[str, dict[str, int]] = {}
        self._transformer = Transformer()

    def learn(self, tables: Mapping[int, TrackedTable]) -> None:
        """Take over the tables' columns."""
        self._columns = {table.name: dict(table.columns) for table in tables.values()}

    def decode(self, table: str, data: str | None) -> dict[str, Any] | None:
        """Return a row with Python values; None for None.

        A column whose type is not known any more, and a date beyond Python's range, keep their JSON value.
        """
        if data is None:
            return None
        # Numbers as they are written: a numeric of any precision stays exact.
        row: dict[str, Any] = json.loads(data, parse_float=Decimal)
        columns = self._columns.get(table, {})
        return {name: self._value(columns.get(name, 0), value) for name, value in row.items()}

    def _value(self, oid: int, value: Any) -> Any:
        if value is None or oid in _AS_IT_IS:
            return value
        if oid in _ISO:
            try:
                return _ISO[oid](value)
            except ValueError:  # infinity, or a year that Python does not have
                return value
        if isinstance(value, list):
            info = psycopg.adapters.types.get(oid)
            return [self._value(info.oid if info and info.array_oid == oid else 0, item) for item in value]
        if isinstance(value, str):
            # JSON strings hold the type's own text form.
            return self._load(oid, value)
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            return self._load(oid, str(value))
        return value

    def _load(self, oid: int, text: str) -> Any:
        return self._transformer.get_loader(oid, pq.Format.TEXT).load(text.encode())
