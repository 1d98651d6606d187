"""Typed classes for tables, as Python source that can be named as models: `rowhooks stubs`.

Only that command imports this module, because sqlacodegen is an extra.
"""

from __future__ import annotations

import sys
import types
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.exc import NoReferenceError, SAWarning
from sqlalchemy.orm import DeclarativeBase

from rowhooks.domain import shell
from rowhooks.domain.display import visible
from rowhooks.domain.errors import Conflict, NotFound
from rowhooks.domain.names import join_name
from rowhooks.postgres.administration.common import Connection, Row, fetch
from rowhooks.postgres.administration.stub_source import End, StubGenerator, plain_type
from rowhooks.postgres.administration.tables import find_tables
from rowhooks.postgres.connections.engines import over
from rowhooks.postgres.rows.catalogue import read_shapes
from rowhooks.postgres.rows.classes import names_in
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__)
_MODULE = "rowhooks_stubs"


def write_stubs(conn: Connection, patterns: Sequence[str]) -> str:
    """Return the source of a module with a class for each table.

    The module has been loaded once, and its classes fit each other.

    Args:
        conn: an open connection with our search_path.
        patterns: names and patterns of tables, as `find_tables` reads them.

    Raises:
        NotFound: a table does not exist, or is none that rowhooks could track.
        Conflict: the tables have no source in which they can stand together.
    """
    with _on(conn) as connection:
        found = _find(conn, patterns)
        metadata = _read(conn, connection, found)
        names = _relation_names(connection, [row["relation"] for row in found])
        notes = list(_without_foreign_keys_that_lead_out(metadata))
        _check_enums(metadata)
        source = StubGenerator(metadata, connection, names).generate()
    _load(source)
    return "\n".join([*_heading(patterns, notes), source])


def _heading(patterns: Sequence[str], notes: Sequence[str]) -> Iterator[str]:
    options = [word for pattern in patterns for word in ("--table", pattern)]
    yield f"# {visible(shell.command('rowhooks', 'stubs', *options))}"
    for note in notes:
        yield f"# {visible(note)}"


def _on(conn: Connection) -> sqlalchemy.Connection:
    connection = over(conn)
    assert isinstance(connection.dialect, PGDialect)
    # An extension's types bear the name of its schema, which is not in our search_path.
    known = connection.dialect.ischema_names
    elsewhere = fetch(conn, _SQL["types_elsewhere"], list(known))
    vars(connection.dialect)["ischema_names"] = known | {row["qualified"]: known[row["name"]] for row in elsewhere}
    return connection


def _find(conn: Connection, patterns: Sequence[str]) -> list[Row]:
    quoted = find_tables(conn, patterns)
    found = fetch(conn, _SQL["tables"], quoted)
    if len(found) < len(quoted):
        raise NotFound(f"{', '.join(patterns)}: not all of them are tables", hint="stubs are for tables, not for views")
    return found


def _relation_names(connection: sqlalchemy.Connection, relations: Sequence[int]) -> dict[End, str]:
    """Return what the relations are called, which are as those of `table()`."""
    return {
        (join_name(relation.key.schema_name, relation.key.table_name), relation.key.columns, relation.is_forward): name
        for shape in read_shapes(connection, relations)
        for name, relation in names_in(shape).relations.items()
    }


def _read(conn: Connection, connection: sqlalchemy.Connection, found: Sequence[Row]) -> sqlalchemy.MetaData:
    """Return the tables without what no class needs: names of constraints, checks, limits of sequences."""
    metadata = sqlalchemy.MetaData()
    with warnings.catch_warnings():
        # They are about types that SQLAlchemy does not have, and about indexes.
        warnings.simplefilter("ignore", SAWarning)
        for schema in {row["schema"] for row in found}:
            named = [row["name"] for row in found if row["schema"] == schema and not row["is_foreign"]]
            metadata.reflect(connection, schema, only=named, resolve_fks=False)
        for row in found:
            if row["is_foreign"]:
                schema, name = row["schema"], row["name"]
                sqlalchemy.Table(name, metadata, schema=schema, autoload_with=connection, resolve_fks=False)
    identity = _identities(conn)
    for row in found:
        table = metadata.tables[f"{row['schema']}.{row['name']}"]
        _simplify(table, row["types"])
        key = identity.get((row["schema"], row["name"]))
        if key and not table.primary_key:
            table.append_constraint(sqlalchemy.PrimaryKeyConstraint(*(table.c[name] for name in key)))
    return metadata


def _identities(conn: Connection) -> dict[tuple[str, str], list[str]]:
    """Return the columns by which rowhooks tells the rows of tables apart, where they were named by hand."""
    rows = fetch(conn, _SQL["identities"]) if fetch(conn, _SQL["is_readable"])[0]["is_so"] else []
    return {(row["schema"], row["name"]): row["columns"] for row in rows}


def _simplify(table: sqlalchemy.Table, types_: Mapping[str, str]) -> None:
    """Take out what no class needs: checks, names of constraints, limits of sequences."""
    for column in table.c:
        column.type = plain_type(column.type, types_[column.name])
        if isinstance(column.server_default, sqlalchemy.Identity):
            for name in ("start", "increment", "minvalue", "maxvalue", "cycle", "cache"):
                setattr(column.server_default, name, None)
    for constraint in list(table.constraints):
        constraint.name = None
        if isinstance(constraint, sqlalchemy.CheckConstraint):
            table.constraints.discard(constraint)


def _without_foreign_keys_that_lead_out(metadata: sqlalchemy.MetaData) -> Iterator[str]:
    """Take out the foreign keys that refer to other tables; say so of each."""
    for table in metadata.tables.values():
        for constraint in sorted(table.foreign_key_constraints, key=lambda one: list(one.column_keys)):
            try:
                for key in constraint.elements:
                    _ = key.column
            except NoReferenceError:
                columns = ", ".join(constraint.column_keys)
                referred = constraint.elements[0].target_fullname.rpartition(".")[0]
                yield f"{table.fullname} ({columns}) refers to {referred}, which is not here: add its --table"
                table.constraints.discard(constraint)
                for key in constraint.elements:
                    key.parent.foreign_keys.discard(key)
                    table.foreign_keys.discard(key)


def _check_enums(metadata: sqlalchemy.MetaData) -> None:
    """Raise Conflict where a class of labels would stand for two enum types."""
    meant: dict[str, tuple[str, list[str]]] = {}
    for table in metadata.tables.values():
        for column in table.c:
            type_: Any = getattr(column.type, "item_type", column.type)
            if not isinstance(type_, sqlalchemy.Enum):
                continue
            name = join_name(str(type_.schema), str(type_.name))
            # sqlacodegen makes no difference between tables, or types, of one name in two schemas.
            of_table, of_type = f"{table.name}.{column.name}", str(type_.name).replace("_", "").lower()
            for key in (of_table, of_type):
                other, labels = meant.setdefault(key, (name, type_.enums))
                if labels != type_.enums:
                    raise Conflict(
                        f"the enum types {other} and {name} would have one class", hint="write a file for each schema"
                    )


def _load(source: str) -> None:
    """Load the module once, so that it is known to work.

    Raises:
        Conflict: it does not; names in the tables make it so.
    """
    module = types.ModuleType(_MODULE)
    sys.modules[_MODULE] = module
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SAWarning)
            exec(compile(source, "stubs", "exec"), module.__dict__)  # noqa: S102  (what is printed is to be imported)
            base = getattr(module, "Base", None)
            if isinstance(base, type) and issubclass(base, DeclarativeBase):
                base.registry.configure()
    except Exception as error:
        raise Conflict(
            f"the classes for these tables cannot be loaded: {type(error).__name__}: {error}",
            hint="name fewer tables, one file for each part: --table again for each",
        ) from error
    finally:
        del sys.modules[_MODULE]
