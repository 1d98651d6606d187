"""The object change: one row of the log, as it travels through the pipeline to receivers."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, TypeVar

from rowhooks.domain import exact
from rowhooks.domain.computed import computed
from rowhooks.domain.errors import ReceiverError
from rowhooks.domain.names import TableName

Row = dict[str, Any]
T = TypeVar("T")


def made(cls: type[T], **values: Any) -> T:
    """Make an instance of a frozen dataclass without its constructor, which would set each field by itself.

    It is for classes of which one instance is made for each change.

    Args:
        cls: the dataclass.
        values: its fields; those with a plain default may be missing.
    """
    return made_of(cls, values)


def made_of(cls: type[T], values: dict[str, Any]) -> T:
    """Do the same with fields that are in a dictionary already, which the instance takes over."""
    instance = object.__new__(cls)
    object.__setattr__(instance, "__dict__", values)
    return instance


def no_decoder(table: str, data: str | None) -> Row | None:
    """Refuse to decode: the change was made in a place that does not know the tables."""
    raise LookupError(f"the column types of {table} are not known here")


@dataclass(frozen=True, repr=False)
class ObjectChange:
    """One created, updated or deleted row.

    The two rows travel as JSON text. They are decoded when a receiver, or a condition, first asks for them.

    Args:
        id: the change's place in the log.
        transaction_id: the top-level transaction that made the change (PostgreSQL's xid8).
        time: when the row was written, by the server's clock; with time zone.
        action: `create`, `update` or `delete`.
        table_id: the table's id in rowhooks.tracked_table.
        changed_object_type: the table, as `schema.table`; a str with `app_label`, `model` and `name`.
        object_id_json: the row's key after the change (for a delete, before it): columns to values, as JSON text.
        object_repr: what people call the row.
        prechange_json: the row before the change, as JSON text; None for a create.
        postchange_json: the row after the change, as JSON text; None for a delete.
        db_user: the login that made the change.
        user_name: the user that the application named with the session variable rowhooks.user; None without.
        request_id: the value of rowhooks.request_id that the application set; None without.
        change_context: the value of rowhooks.context that the application set; None without.
        capture_error: why a row, or a part of it, is missing or could not be read; None where nothing is missing.
        decoder: turns the JSON text of a row into Python values by the types of its columns.
    """

    id: int
    transaction_id: int
    time: datetime
    action: str
    table_id: int
    changed_object_type: TableName
    object_id_json: str
    object_repr: str
    prechange_json: str | None
    postchange_json: str | None
    db_user: str
    user_name: str | None = None
    request_id: str | None = None
    change_context: str | None = None
    capture_error: str | None = None
    decoder: Callable[[str, str | None], Row | None] = field(default=no_decoder, compare=False)

    @property
    def pk(self) -> int:
        """The same as `id`, under Django's name."""
        return self.id

    @computed
    def changed_object(self) -> Any:
        """The row, as the receiver is called with it: None if it no longer exists.

        Raises:
            ReceiverError: it was not loaded: the receiver has `Meta.loads_object = False` or the batch form, or this is
                not the change that the receiver was called with.
        """
        raise ReceiverError(
            f"the row of {self} was not loaded",
            hint="a receiver with Meta.loads_object = False, or with the batch form, reads rows with self.session",
        )

    @computed
    def changed_object_id(self) -> Row:
        """The row's key after the change (for a delete, before it): key columns to values."""
        found: Row = exact.read(self.object_id_json)
        return found

    @computed
    def prechange(self) -> Row | None:
        """The row before the change with JSON values; None for a create."""
        return None if self.prechange_json is None else exact.read(self.prechange_json)

    @computed
    def postchange(self) -> Row | None:
        """The row after the change with JSON values; None for a delete."""
        return None if self.postchange_json is None else exact.read(self.postchange_json)

    @computed
    def exact_prechange(self) -> Row | None:
        """The row before the change; its numbers have all their digits (int and Decimal)."""
        return _exact(self.prechange, self.prechange_json)

    @computed
    def exact_postchange(self) -> Row | None:
        """The row after the change; its numbers have all their digits (int and Decimal)."""
        return _exact(self.postchange, self.postchange_json)

    @property
    def object_data(self) -> Row | None:
        """The row after the change with JSON values; for a delete, the row before."""
        return self.prechange if self.action == "delete" else self.postchange

    @computed
    def before(self) -> Row | None:
        """The row before the change with Python values (Decimal, datetime, UUID ...); None for a create."""
        return self.decoder(self.changed_object_type, self.prechange_json)

    @computed
    def after(self) -> Row | None:
        """The row after the change with Python values (Decimal, datetime, UUID ...); None for a delete."""
        return self.decoder(self.changed_object_type, self.postchange_json)

    def changed(self, column: str) -> bool:
        """Say whether a column's value differs between the two rows; in a create or delete every column does.

        Where capture_error is set, a column that is not in both rows counts as changed, because its value is unknown.

        Args:
            column: the column's name.
        """
        return column in self.changed_columns or self.is_unknown(column)

    def is_unknown(self, column: str) -> bool:
        """Say whether the log does not tell if a column has changed; capture_error says why.

        Args:
            column: the column's name.
        """
        if self.capture_error is None:
            return False
        return not all(row is not None and column in row for row in (self.prechange, self.postchange))

    def get_snapshots(self) -> dict[str, Any]:
        """Return `prechange`, `postchange` and their `differences`, as Nautobot's method of this name does.

        Returns:
            A mapping with these three keys. `differences` has `added` (the new values) and `removed` (the old values):
            for an update of the columns that differ; for a create the whole row and None; for a delete the reverse.
        """
        before, after, names = self.prechange, self.postchange, self.changed_columns
        return {
            "prechange": before,
            "postchange": after,
            "differences": {"removed": _pick(before, names), "added": _pick(after, names)},
        }

    @computed
    def changed_columns(self) -> list[str]:
        """The names of the columns whose values differ between the two rows, in order; all of a create or delete.

        Where capture_error is set, a column that is in one row only is among them. A column that is in neither row is
        not: see `changed`.
        """
        before, after = self.exact_prechange, self.exact_postchange
        if before is not None and after is not None and _are_told_apart(before, after):
            return differing_columns(before, after, operator.eq)
        return differing_columns(before, after)

    def __repr__(self) -> str:
        # Nothing of the row, not even its name: texts of logs and exceptions are made of it.
        return f"<ObjectChange {self.id}: {self.action} {self.changed_object_type}>"

    def copy(self) -> ObjectChange:
        """Return an equal change that shares no decoded row with this one. A receiver may alter the copy."""
        known = self.__dict__
        if len(known) > _FIELDS:
            known = {name: value for name, value in known.items() if name not in _DECODED}
        else:
            known = known.copy()
        return made_of(ObjectChange, known)

    def forget(self) -> None:
        """Free the decoded rows, which are several times as large as their text. They are decoded again when needed."""
        known = self.__dict__
        if len(known) > _FIELDS:
            for name in _DECODED:
                known.pop(name, None)


_FIELDS = len(fields(ObjectChange))
_DECODED = {name for name, value in vars(ObjectChange).items() if isinstance(value, computed)}


def differing_columns(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, same: Callable[[Any, Any], bool] = exact.same
) -> list[str]:
    """Return the columns whose values differ, in the rows' order; all of them where one row is missing."""
    if before is None or after is None:
        return list(after or before or ())
    missing = object()
    names = [name for name, value in after.items() if not same(before.get(name, missing), value)]
    return names + [name for name in before if name not in after]


_PLAIN = {str, int, bool, type(None)}


def _are_told_apart(before: Row, after: Row) -> bool:
    """Say whether Python's == surely tells two rows' values apart as PostgreSQL does: it takes true for 1."""
    kinds = {*map(type, before.values()), *map(type, after.values())}
    if not kinds <= _PLAIN:
        return False
    return bool not in kinds or all(
        isinstance(value, bool) is isinstance(before.get(name), bool) for name, value in after.items()
    )


def _exact(row: Row | None, data: str | None) -> Row | None:
    if row is None or data is None or all(type(value) in _PLAIN for value in row.values()):
        return row
    # A float makes two long numbers equal.
    found: Row = exact.read_exactly(data)
    return found


def _pick(row: Mapping[str, Any] | None, names: list[str]) -> Row | None:
    return None if row is None else {name: row[name] for name in names if name in row}
