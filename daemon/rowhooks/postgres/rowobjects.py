"""Row objects: a class for each tracked table, whose instances are its rows, and the query that finds them by key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Protocol

import psycopg
import sqlalchemy
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Session, object_session, registry
from sqlalchemy.orm.exc import StaleDataError

from rowhooks.domain.errors import NotFound, ObjectGone, RowhooksError
from rowhooks.domain.hook import TrackedTable
from rowhooks.postgres.rowsecurity import find_binding


class SessionHolder(Protocol):
    """A run's workspace, as far as objects need it."""

    def with_session(self, work: Any) -> Any:
        """Do some work on the run's session; an awaitable in `async def` receivers."""
        ...


class RowObject:
    """A row of a tracked table, an attribute per column.

    `save`, `delete` and `refresh_from_db` work in the run's transaction; in `async def` receivers they are awaited.
    A column whose name is already taken by one of them (or by Python's `metadata`) is found under its name and `_`.
    """

    __rowhooks_table__: str
    __rowhooks_repr__: tuple[str, ...]
    __rowhooks_equal__: dict[str, str]
    _rowhooks_workspace: SessionHolder | None = None

    def attach(self, workspace: SessionHolder) -> None:
        """Bind the object to a run's workspace."""
        self._rowhooks_workspace = workspace

    def save(self) -> Any:
        """Write the attributes that were assigned since the row was loaded.

        Raises:
            ObjectGone: the row no longer exists.
            PermissionDenied: it is not there, or row security hides it.
        """
        return self._work(lambda session: session.flush())

    def delete(self) -> Any:
        """Delete the row; one that no longer exists is no error."""

        def work(session: Session) -> None:
            session.delete(self)
            session.flush()

        return self._work(work)

    def refresh_from_db(self) -> Any:
        """Read the row again, giving up what was assigned and not saved.

        Raises:
            ObjectGone: the row no longer exists.
            PermissionDenied: it is not there, or row security hides it.
        """
        return self._work(lambda session: session.refresh(self))

    def _work(self, work: Any) -> Any:
        if self._rowhooks_workspace is None:
            raise RuntimeError(f"{self!r} belongs to no run")

        def with_object(session: Session) -> None:
            if object_session(self) is None:
                session.add(self)
            # Asked for before: a flush that fails leaves a session that answers no more, and an object without values.
            name, connection = repr(self), session.connection()
            try:
                work(session)
            except StaleDataError as error:
                raise self._not_there(name, connection) from error
            except InvalidRequestError as error:
                if "Could not refresh" not in str(error):
                    raise
                raise self._not_there(name, connection) from error

        return self._rowhooks_workspace.with_session(with_object)

    def _not_there(self, name: str, connection: sqlalchemy.Connection) -> RowhooksError:
        binding = find_binding(connection, self.__rowhooks_table__)
        if binding is not None:
            return binding.error(f"{name} is not found or may not be written")
        return ObjectGone(f"{name} no longer exists")

    def __str__(self) -> str:
        values = (self.__dict__.get(name) for name in self.__rowhooks_repr__)
        return ", ".join(str(value) for value in values if value is not None)

    def __repr__(self) -> str:
        return f"<{self.__rowhooks_table__} {self}>"


class JsonArray(sqlalchemy.TypeDecorator[Any]):
    """An array of JSON documents, as psycopg has read it: SQLAlchemy would take their lists for more of its own."""

    impl = ARRAY
    cache_ok = True

    def result_processor(self, dialect: Any, coltype: Any) -> None:
        """Leave a value as it is."""


_TAKEN = set(dir(RowObject)) | {"metadata", "registry"}


def load_objects(session: Session, cls: type[RowObject], table: TrackedTable, keys: Sequence[str]) -> dict[str, Any]:
    """Return the objects that exist, by their key as JSON text; they belong to no session."""
    names = [name for _, name, _ in table.key]
    asked = ",".join(_with_present_names(key, names) for key in keys)
    statement = sqlalchemy.text(_select_by_key(table, cls)).bindparams(keys=f"[{asked}]")
    query: Any = sqlalchemy.select(cls, sqlalchemy.column("rowhooks_place"))
    rows = session.execute(query.from_statement(statement)).all()
    session.expunge_all()
    return {keys[place - 1]: instance for instance, place in rows}


def check_key(session: Session, table: TrackedTable, key: str) -> None:
    """Raise DBAPIError where a key is none by the types of its columns."""
    names = [name for _, name, _ in table.key]
    values = ", ".join(_key_value(name, type_) for _, name, type_ in table.key)
    statement = f"select {values} from (select cast(KEY as pg_catalog.jsonb) as key) as k".replace(":", "\\:")  # noqa: S608
    session.execute(
        sqlalchemy.text(statement.replace("KEY", ":key", 1)).bindparams(key=_with_present_names(key, names))
    ).all()


def _with_present_names(key: str, names: list[str]) -> str:
    """Return a key of the log, as JSON text, under the names that its columns have now.

    It tells which is which where one column was renamed; where several were, the row is not found.
    """
    if all(f"{json.dumps(name, ensure_ascii=False)}: " in key for name in names):
        return key
    values: dict[str, Any] = json.loads(key, parse_float=Decimal)
    former, present = values.keys() - set(names), set(names) - values.keys()
    if len(former) == len(present) == 1:
        values[present.pop()] = values.pop(former.pop())
    return json.dumps(values, ensure_ascii=False, default=str)


def reflect(connection: sqlalchemy.Connection, table: TrackedTable) -> type[RowObject]:
    """Return a class for the rows of a table.

    Raises:
        NotFound: the table no longer exists.
    """
    schema, _, name = table.name.partition(".")
    try:
        reflected = sqlalchemy.Table(
            name, sqlalchemy.MetaData(), schema=schema, autoload_with=connection, resolve_fks=False
        )
    except sqlalchemy.exc.NoSuchTableError as error:
        raise NotFound(f"table {table.name} no longer exists", hint="run: rowhooks doctor") from error
    # The tables it refers to are not reflected; a flush would look for them.
    for constraint in list(reflected.foreign_key_constraints):
        reflected.constraints.discard(constraint)
        for column in constraint.columns:
            column.foreign_keys.clear()
    reflected.foreign_keys.clear()
    for column in reflected.c:
        if isinstance(column.type, ARRAY) and isinstance(column.type.item_type, sqlalchemy.JSON):
            column.type = JsonArray(column.type.item_type, dimensions=column.type.dimensions)
    key = [reflected.c[column] for _, column, _ in table.key]
    representing = [column.name for column in reflected.c if column.name == table.repr_column]
    cls = type(
        name,
        (RowObject,),
        {
            "__rowhooks_table__": table.name,
            "__rowhooks_equal__": _equalities(connection, table),
            "__rowhooks_repr__": tuple(representing or (column for _, column, _ in table.key)),
        },
    )
    registry().map_imperatively(
        cls,
        reflected,
        primary_key=key,
        # RETURNING brings generated columns and defaults back: an asynchronous object cannot load them later.
        eager_defaults=True,
        properties={f"{column.name}_": column for column in reflected.c if column.name in _TAKEN},
        confirm_deleted_rows=False,
    )
    return cls


# Compared by the equality of the key's own index, whichever schema it is in; its primary key's before another's.
_EQUALITIES = sqlalchemy.text("""
select distinct on (a.attname)
  a.attname::pg_catalog.text, pg_catalog.format('operator(%I.%s)', n.nspname, o.oprname)
from pg_catalog.pg_index as i
cross join lateral pg_catalog.unnest(i.indkey::pg_catalog.int2[]) with ordinality as k (attnum, position)
join pg_catalog.pg_attribute as a
  on a.attrelid operator(pg_catalog.=) i.indrelid and a.attnum operator(pg_catalog.=) k.attnum
join pg_catalog.pg_opclass as c on c.oid operator(pg_catalog.=) i.indclass[k.position operator(pg_catalog.-) 1]
join pg_catalog.pg_am as m on m.oid operator(pg_catalog.=) c.opcmethod and m.amname operator(pg_catalog.=) 'btree'
join pg_catalog.pg_amop as e
  on e.amopfamily operator(pg_catalog.=) c.opcfamily
  and e.amopstrategy operator(pg_catalog.=) 3
  and e.amoplefttype operator(pg_catalog.=) c.opcintype
  and e.amoprighttype operator(pg_catalog.=) c.opcintype
join pg_catalog.pg_operator as o on o.oid operator(pg_catalog.=) e.amopopr
join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) o.oprnamespace
where i.indrelid operator(pg_catalog.=) cast(:relation as pg_catalog.oid)
  and k.position operator(pg_catalog.<=) i.indnkeyatts
order by a.attname, i.indisprimary desc, i.indisunique desc, i.indexrelid
""")


def _equalities(connection: sqlalchemy.Connection, table: TrackedTable) -> dict[str, str]:
    return {row[0]: row[1] for row in connection.execute(_EQUALITIES, {"relation": table.relation})}


def _select_by_key(table: TrackedTable, cls: type[RowObject]) -> str:
    # Column by column, in the mapper's order: rows are matched by place, and a column may have been added since.
    columns = ", ".join(
        f"t.{psycopg.sql.Identifier(column.name).as_string()}" for column in sqlalchemy.inspect(cls).local_table.c
    )
    # Names and types were written by the server (quote_ident, format_type); a colon in one is no parameter.
    equal = cls.__rowhooks_equal__
    condition = " and ".join(
        f"t.{quoted} {equal.get(name, 'operator(pg_catalog.=)')} {_key_value(name, type_)}"
        for quoted, name, type_ in table.key
    )
    select = f"select {columns}, k.place as rowhooks_place from KEYS join {table.quoted_name} as t on {condition}"  # noqa: S608
    keys = "pg_catalog.jsonb_array_elements(cast(:keys as pg_catalog.jsonb)) with ordinality as k (key, place)"
    return select.replace(":", "\\:").replace("KEYS", keys, 1)


def _key_value(name: str, type_: str) -> str:
    return f"(k.key operator(pg_catalog.->>) {_literal(name)})::{type_}"


def _literal(text: str) -> str:
    return psycopg.sql.Literal(text).as_string()
