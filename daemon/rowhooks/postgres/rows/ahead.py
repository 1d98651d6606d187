"""Relations that are loaded ahead, with the rows: one query for each, whatever the number of rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import psycopg
import sqlalchemy
from sqlalchemy.orm import Session, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.errors import ReceiverError
from rowhooks.domain.row_types import RowType
from rowhooks.postgres.rows.by_key import asking, identifier, keys_alone, keys_and_rows, literally
from rowhooks.postgres.rows.by_model import is_model, select_models
from rowhooks.postgres.rows.classes import RowClasses
from rowhooks.postgres.rows.shapes import Relation, Shape

_Place = int


class _Step(NamedTuple):
    """One relation on a path: its name, where it begins and where it leads to."""

    path: tuple[str, ...]
    relation: Relation
    source: RowType
    target: RowType
    shape: Shape


class Ahead:
    """Loads relations for rows that were loaded.

    A row that several rows lead to is loaded for each of them: these belong to different runs.

    Args:
        session: where they are read.
        rows: the row type of the rows.
        table: their table.
        found: the rows, by their keys as JSON text.
    """

    def __init__(self, session: Session, rows: RowType, table: TrackedTable, found: Mapping[str, Any]) -> None:
        self._session = session
        self._rows = rows
        self._table = table
        self._keys = list(found)
        self._classes: RowClasses = vars(rows.cls)["_rowhooks_owner"]
        self._at: dict[tuple[str, ...], dict[_Place, list[Any]]] = {
            (): {place: [row] for place, row in enumerate(found.values(), start=1)}
        }
        # Of one row, each row that it leads to is one object.
        self._objects = {(place, type(row), _identity(row)): row for place, row in enumerate(found.values(), start=1)}

    def load(self, paths: Iterable[str]) -> None:
        """Load the relations of some paths, such as `location` and `location.parent`.

        Raises:
            ReceiverError: a name on it is no relation.
            DBAPIError: the server refused a query.
        """
        for path in paths:
            steps: list[_Step] = []
            for name in path.split("."):
                steps.append(self._step(steps, name))
                if steps[-1].path not in self._at:
                    self._at[steps[-1].path] = self._read(steps)

    def _step(self, before: Sequence[_Step], name: str) -> _Step:
        source = before[-1].target if before else self._rows
        if not self._classes.add_relation(source.cls, name, self._session.connection):
            names = ", ".join(self._classes.relation_names(source.cls)) or "none"
            raise ReceiverError(
                f"Meta.load: {source.table_name} has no relation {name!r}", hint=f"its relations: {names}"
            )
        found = self._classes.names(self._classes.relation_of(source.cls)).relations[name]
        target = self._classes.row_type(found.leads_to, self._session.connection)
        assert target is not None
        path = (*before[-1].path, name) if before else (name,)
        return _Step(path, found, source, target, self._classes.shape(found.leads_to))

    def _read(self, steps: Sequence[_Step]) -> dict[_Place, list[Any]]:
        step = steps[-1]
        owners = self._at[step.path[:-1]]
        columns = self._classes.table(step.shape.relation).c
        own_key = [column.name for column in step.source.key]
        own_mapper: Any = sqlalchemy.inspect(step.source.cls)
        own_columns = own_mapper.local_table.c
        described = [sqlalchemy.column(f"c{place}", column.type) for place, column in enumerate(columns)]
        described += [sqlalchemy.column(f"o{place}", own_columns[name].type) for place, name in enumerate(own_key)]
        statement = asking(self._statement(steps, list(columns.keys()), own_key), self._table, self._keys)
        rows = self._session.execute(
            statement.columns(*described, sqlalchemy.column("place", sqlalchemy.Integer))
        ).all()
        led_to: dict[tuple[_Place, Any], list[Any]] = {}
        at: dict[_Place, list[Any]] = {}
        for *values, place in rows:
            one = self._object(place, step.target, dict(zip(columns.keys(), values, strict=False)))
            at.setdefault(place, []).append(one)
            led_to.setdefault((place, tuple(values[len(columns) :])), []).append(one)
        for place, some in owners.items():
            for owner in some:
                _relate(owner, step, led_to.get((place, _identity(owner)), []), self._classes)
        return at

    def _object(self, place: _Place, rows: RowType, values: Mapping[str, Any]) -> Any:
        identity = tuple(values[column.name] for column in rows.key)
        known = self._objects.get((place, rows.cls, identity))
        if known is not None:
            return known
        mapper: Any = sqlalchemy.inspect(rows.cls)
        one = mapper.class_manager.new_instance()
        for name, value in values.items():
            set_committed_value(one, rows.attributes[name], value)
        make_transient_to_detached(one)
        self._objects[(place, rows.cls, identity)] = one
        return one

    def _statement(self, steps: Sequence[_Step], columns: Iterable[str], own_key: Iterable[str]) -> str:
        joins, last = [], "t"
        for number, step in enumerate(steps):
            previous, last = last, f"r{number}"
            key, is_forward = step.relation.key, step.relation.is_forward
            # The key's own operators, with the column that is referred to on the left.
            referred, referring = (last, previous) if is_forward else (previous, last)
            conditions = " and ".join(
                f"{referred}.{identifier(theirs)} {literally(equal)} {referring}.{identifier(ours)}"
                for theirs, equal, ours in zip(key.target_columns, key.equal, key.columns, strict=True)
            )
            name = psycopg.sql.Identifier(step.shape.schema_name, step.shape.table_name).as_string()
            joins.append(f" join {literally(name)} as {last} on {conditions}")
        selected = [f"{last}.{identifier(name)} as c{place}" for place, name in enumerate(columns)]
        selected += [f"{previous}.{identifier(name)} as o{place}" for place, name in enumerate(own_key)]
        order = ", ".join(f"{last}.{identifier(column.name)}" for column in steps[-1].target.key)
        return (
            f"select {', '.join(selected)}, k.place from {keys_and_rows(self._rows, self._table)}"  # noqa: S608  (quoted)
            f"{''.join(joins)} order by {order}"
        )


def load_ahead(
    session: Session, rows: RowType, table: TrackedTable, found: Mapping[str, Any], paths: Sequence[str]
) -> None:
    """Load relations for rows that were loaded.

    Args:
        session: where they are read.
        rows: the row type of the rows.
        table: their table.
        found: the rows, by their keys as JSON text.
        paths: the relations, such as `location` and `location.parent`.

    Raises:
        ReceiverError: a name in `paths` is no relation.
        DBAPIError: the server refused a query.
    """
    if is_model(rows):
        # SQLAlchemy loads what the objects that it finds again do not have yet.
        session.add_all(found.values())
        select_models(session, rows, keys_alone(rows, table, list(found)), paths)
        session.expunge_all()
    else:
        Ahead(session, rows, table, found).load(paths)


def _relate(owner: Any, step: _Step, found: Sequence[Any], classes: RowClasses) -> None:
    name, relation = step.path[-1], step.relation
    if relation.is_set:
        set_committed_value(owner, name, list(found))
    elif found:
        set_committed_value(owner, name, found[0])
    elif not relation.is_forward or _has_no_key(owner, step):
        # Where there is a key and no row, reading it says why.
        set_committed_value(owner, name, None)
    if not relation.is_forward:
        back = classes.names(relation.key.relation).name_of(relation.key, is_forward=True)
        for one in found:
            set_committed_value(one, back, owner)


def _has_no_key(owner: Any, step: _Step) -> bool:
    return any(getattr(owner, step.source.attributes[name]) is None for name in step.relation.key.columns)


def _identity(row: Any) -> tuple[Any, ...]:
    return tuple(sqlalchemy.inspect(row).identity or ())
