"""The tables of users' own classes, as a login finds them: what is said of a class whose table is not there."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable

import sqlalchemy
from sqlalchemy.orm import class_mapper

from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.errors import ReceiverError
from rowhooks.domain.names import join_name, split_name
from rowhooks.domain.row_types import KeyColumn, RowType
from rowhooks.postgres.connections.search_path import PINNED, USERS_OWN
from rowhooks.postgres.rows.models import (
    Models,
    attributes_of,
    class_path,
    describe_models,
    misfit,
    name_of,
)
from rowhooks.postgres.rows.shapes import Shape
from rowhooks.postgres.statements import Statements

logger = logging.getLogger(__name__)

_SQL = {name: sqlalchemy.text(Statements(__file__)[name]) for name in ("found_by_path", "present")}


class ModelTables:
    """Knows which table has which class, and which class cannot be used.

    Args:
        models: the classes.
    """

    def __init__(self, models: Models) -> None:
        self._models = models
        self._by_table: dict[str, type] = {}
        self._by_relation: dict[int, type] = {}
        self._schema: str | None = None
        self._is_found = not models
        self._refused: dict[str, str] = {}

    def learn(self, connection: sqlalchemy.Connection, tables: Iterable[TrackedTable]) -> None:
        """Take account of the tracked tables as they are now; log each class that cannot be used, once.

        Args:
            connection: of the login that loads rows, with our search_path.
            tables: the tracked tables.
        """
        self.find(connection)
        former, self._refused = self._refused, self.refusals(tables)
        for table, problem in self._refused.items():
            if former.get(table) != problem:
                logger.error("rows of %s are not loaded, and their runs fail: %s", table, problem)

    def find(self, connection: sqlalchemy.Connection) -> None:
        """Find the tables of the classes, once; log what is to be said of classes whose tables are not there.

        Args:
            connection: of the login that loads rows, with our search_path.
        """
        if self._is_found:
            return
        for problem in self._find(connection):
            logger.warning("models: %s", problem)
        self._is_found = True

    def _find(self, connection: sqlalchemy.Connection) -> list[str]:
        models = self._models
        by_path = _by_path(connection, models.without_schema)
        schemas = sorted({schema for schema in by_path.values() if schema is not None})
        self._by_table = dict(models.by_table)
        if len(schemas) == 1:
            self._schema = schemas[0]
            placed = {name: cls for name, cls in models.without_schema.items() if by_path[name] is not None}
            self._by_table |= {join_name(schemas[0], name): cls for name, cls in placed.items()}
        describe_models(self._by_table)
        problems = [
            f"{class_path(models.by_table[name])} maps {name}, which this database does not have"
            for name in _absent(connection, models.by_table)
        ]
        if len(schemas) > 1:
            problems.append(
                f"{', '.join(sorted(map(class_path, models.without_schema.values())))} name no schema, and the"
                f" search_path leads to tables in {', '.join(schemas)}: name the schema in each of them"
            )
        return problems

    def absent(self, connection: sqlalchemy.Connection) -> list[str]:
        """Return what is to be said of classes whose tables are not there; as `find`, which logs it."""
        self._is_found = True
        return self._find(connection)

    def refusals(self, tables: Iterable[TrackedTable]) -> dict[str, str]:
        """Return the tables whose rows cannot be loaded, each with what is wrong with the class for it."""
        problems = {
            table.name: self._problem(
                table.name, table.relation, [name for name, _ in table.columns], [name for _, name, _ in table.key]
            )
            for table in tables
        }
        return {name: problem for name, problem in problems.items() if problem is not None}

    def row_type(self, shape: Shape, key: tuple[KeyColumn, ...]) -> RowType | None:
        """Return the row type of a table with the user's own class for it; None where it has none.

        Raises:
            ReceiverError: the class cannot be used for the table.
        """
        columns = [column.name for column in shape.columns]
        problem = self._problem(shape.name, shape.relation, columns, [column.name for column in key])
        if problem is not None:
            raise ReceiverError(problem, hint="correct the class or the table, or take its module out of `models`")
        model = self._by_table.get(shape.name)
        if model is None:
            return None
        is_bare = class_mapper(model).local_table.schema is None
        options = {"schema_translate_map": {None: self._schema}} if is_bare else {}
        return RowType(model, shape.name, key, attributes_of(model), name_of, options)

    def _problem(self, name: str, relation: int, columns: Iterable[str], key: Iterable[str]) -> str | None:
        model = self._by_table.get(name)
        if model is not None:
            self._by_relation[relation] = model
            return misfit(model, name, columns, key)
        if (former := self._by_relation.get(relation)) is not None:
            return f"{class_path(former)} maps this table by another name, which it had before"
        parts = split_name(name)
        unplaced = self._models.without_schema.get(parts[1]) if parts is not None else None
        if parts is None or unplaced is None or self._is_placed(parts[1]):
            return None
        return (
            f"{class_path(unplaced)} names no schema, and by the search_path of the login that loads rows it does not"
            f" stand for {name}: name the schema in the class"
        )

    def _is_placed(self, name: str) -> bool:
        return self._schema is not None and join_name(self._schema, name) in self._by_table


def _by_path(connection: sqlalchemy.Connection, names: Collection[str]) -> dict[str, str | None]:
    if not names:
        return {}
    connection.execute(sqlalchemy.text(USERS_OWN))
    found = connection.execute(_SQL["found_by_path"], {"names": list(names)}).all()
    connection.execute(sqlalchemy.text(PINNED))
    return {row.name: row.schema for row in found}


def _absent(connection: sqlalchemy.Connection, tables: Collection[str]) -> list[str]:
    parts = [part for part in map(split_name, tables) if part is not None]
    given = {"schemas": [schema for schema, _ in parts], "names": [name for _, name in parts]}
    present = {join_name(*row) for row in connection.execute(_SQL["present"], given)}
    return [name for name in tables if name not in present]
