"""Rows as mapped objects: `changed_object`, loaded for many runs at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

import psycopg
import sqlalchemy
from sqlalchemy.exc import DBAPIError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, object_session, registry
from sqlalchemy.orm.exc import StaleDataError

from rowhooks.domain import shell
from rowhooks.domain.errors import ConnectionFailed, DatabaseError, NotFound, ObjectGone, PermissionDenied
from rowhooks.domain.hook import TrackedTable
from rowhooks.domain.permissions import PermissionBackend
from rowhooks.postgres.configuration import LOAD, read_configuration
from rowhooks.postgres.connect import Target, async_engine, is_lost_connection
from rowhooks.postgres.search_path import PINNED, USERS_OWN

# Of a type of an extension, which our search_path does not find; nobody but a superuser makes an operator class.
_EQUALS = sqlalchemy.text("""
select a.attname::text, format('operator(%I.%s)', n.nspname, o.oprname)
from pg_attribute as a
join pg_type as t on t.oid = a.atttypid
join pg_opclass as c on c.opcintype = case t.typtype when 'd' then t.typbasetype else t.oid end and c.opcdefault
join pg_am as m on m.oid = c.opcmethod and m.amname = 'btree'
join pg_amop as p
  on p.amopfamily = c.opcfamily and p.amopstrategy = 3
  and p.amoplefttype = c.opcintype and p.amoprighttype = c.opcintype
join pg_operator as o on o.oid = p.amopopr
join pg_namespace as n on n.oid = o.oprnamespace
where a.attrelid = cast(:relation as oid) and a.attnum > 0 and n.nspname <> 'pg_catalog'
""")

_ALTERED = (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName)
"""What the server says of a query that was written before the table was altered."""


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
    __rowhooks_equals__: Mapping[str, str]
    _rowhooks_workspace: SessionHolder | None = None

    def attach(self, workspace: SessionHolder) -> None:
        """Bind the object to a run's workspace."""
        self._rowhooks_workspace = workspace

    def save(self) -> Any:
        """Write the attributes that were assigned since the row was loaded.

        Raises:
            ObjectGone: the row no longer exists.
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
        """
        return self._work(lambda session: session.refresh(self))

    def _work(self, work: Any) -> Any:
        if self._rowhooks_workspace is None:
            raise RuntimeError(f"{self!r} belongs to no run")

        def with_object(session: Session) -> None:
            if object_session(self) is None:
                session.add(self)
            try:
                work(session)
            except StaleDataError as error:
                raise ObjectGone(f"{self!r} no longer exists") from error
            except InvalidRequestError as error:
                if "Could not refresh" not in str(error):
                    raise
                raise ObjectGone(f"{self!r} no longer exists") from error

        return self._rowhooks_workspace.with_session(with_object)

    def __str__(self) -> str:
        values = (self.__dict__.get(name) for name in self.__rowhooks_repr__)
        return ", ".join(str(value) for value in values if value is not None)

    def __repr__(self) -> str:
        return f"<{self.__rowhooks_table__} {self}>"


_TAKEN = set(dir(RowObject)) | {"metadata", "registry"}


LOADERS = 5
"""Connections on which rows are loaded: so many tables may be locked by somebody before the others have to wait."""


class PostgresObjects:
    """Reflects tracked tables and loads their rows, and looks up whom runs are for.

    Args:
        target: the database; rows are read on connections outside any run's transaction.
        permissions: says who a user is.
    """

    def __init__(self, target: Target, permissions: PermissionBackend) -> None:
        self._permissions = permissions
        self._engine = async_engine(target, LOADERS, pinned=True)
        self._classes: dict[int, tuple[TrackedTable, type[RowObject]]] = {}

    async def close(self) -> None:
        """Close the connection."""
        await self._engine.dispose()

    def known(self, claimed: str | None, db_user: str) -> str | None:
        """Return the user for such a pair where that needs no asking."""
        return self._permissions.known(claimed, db_user)

    async def resolve(self, pairs: Sequence[tuple[str | None, str]]) -> list[str]:
        """Return the user for each pair of claimed user (what the application says) and database user.

        Raises:
            ConnectionFailed: the server cannot be reached.
            DatabaseError: the permission backend's query was refused.
        """
        try:
            async with AsyncSession(self._engine) as session:
                # What a backend of the users' own asks is asked as a receiver would.
                await session.execute(sqlalchemy.text(USERS_OWN))
                return await session.run_sync(lambda session: self._permissions.resolve(session, pairs))
        except (DBAPIError, psycopg.Error) as error:
            raise _translated("users", error) from error

    async def load(self, table: TrackedTable, keys: Sequence[str]) -> dict[str, Any]:
        """Return the objects that exist, by their key as JSON text; one query.

        Raises:
            ConnectionFailed: the server cannot be reached.
            PermissionDenied: the daemon's role may not read the table.
            DatabaseError: the server refused the query.
        """
        try:
            try:
                return await self._load(table, keys)
            except (DBAPIError, NotFound) as error:
                if isinstance(error, DBAPIError) and not isinstance(error.orig, _ALTERED):
                    raise
                present = await self._present(table)
                if present is None or present == table:
                    raise
                return await self._load(present, keys)
        except (DBAPIError, psycopg.Error) as error:
            raise _translated(f"rows of {table.name}", error, table.quoted_name) from error

    async def _load(self, table: TrackedTable, keys: Sequence[str]) -> dict[str, Any]:
        if table.identity == "full":
            # Nothing leads back to the row.
            return {}
        if not table.key:
            raise NotFound(
                f"rows of {table.name} cannot be found: it has no primary key any more",
                hint=f"add one, or: {shell.command('rowhooks', 'track', table.quoted_name)} --identity ...",
            )
        cls = await self._class(table)
        async with AsyncSession(self._engine) as session:
            try:
                return await session.run_sync(load_objects, cls, table, keys)
            except DBAPIError as error:
                if not isinstance(error.orig, psycopg.DataError):
                    raise
        # A key from before its column's type was changed is no value of the present type, and no row has it.
        return await self._load_one_by_one(cls, table, keys)

    async def _load_one_by_one(self, cls: type[RowObject], table: TrackedTable, keys: Sequence[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key in keys:
            async with AsyncSession(self._engine) as session:
                try:
                    found |= await session.run_sync(load_objects, cls, table, [key])
                except DBAPIError as error:
                    if not isinstance(error.orig, psycopg.DataError):
                        raise
        return found

    async def _present(self, table: TrackedTable) -> TrackedTable | None:
        """Return what the table is now: it may have been altered since the configuration was read."""
        async with self._engine.connect() as connection:
            await connection.execute(sqlalchemy.text(PINNED))
            found = (await connection.execute(sqlalchemy.text(LOAD))).scalar_one()
        return read_configuration(found).tables.get(table.id)

    async def _class(self, table: TrackedTable) -> type[RowObject]:
        known = self._classes.get(table.id)
        # An altered or renamed table is an unequal description: it is reflected again.
        if known is None or known[0] != table:
            async with self._engine.connect() as connection:
                known = (table, await connection.run_sync(reflect, table))
            self._classes[table.id] = known
        return known[1]


def load_objects(session: Session, cls: type[RowObject], table: TrackedTable, keys: Sequence[str]) -> dict[str, Any]:
    """Return the objects that exist, by their key as JSON text; they belong to no session."""
    names = [name for _, name, _ in table.key]
    asked = ",".join(_with_present_names(key, names) for key in keys)
    statement = sqlalchemy.text(_select_by_key(table, cls)).bindparams(keys=f"[{asked}]")
    query: Any = sqlalchemy.select(cls, sqlalchemy.column("rowhooks_place"))
    rows = session.execute(query.from_statement(statement)).all()
    session.expunge_all()
    return {keys[place - 1]: instance for instance, place in rows}


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
    key = [reflected.c[column] for _, column, _ in table.key]
    representing = [column.name for column in reflected.c if column.name == table.repr_column]
    cls = type(
        name,
        (RowObject,),
        {
            "__rowhooks_table__": table.name,
            "__rowhooks_repr__": tuple(representing or (column for _, column, _ in table.key)),
            "__rowhooks_equals__": dict(connection.execute(_EQUALS, {"relation": table.relation}).all()),
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


def _select_by_key(table: TrackedTable, cls: type[RowObject]) -> str:
    # Column by column, in the mapper's order: rows are matched by place, and a column may have been added since.
    columns = ", ".join(
        f"t.{psycopg.sql.Identifier(column.name).as_string()}" for column in sqlalchemy.inspect(cls).local_table.c
    )
    # Names and types were written by the server (quote_ident, format_type); a colon in one is no parameter.
    condition = " and ".join(
        f"t.{quoted} {cls.__rowhooks_equals__.get(name, '=')} (k.key ->> {_literal(name)})::{type_}"
        for quoted, name, type_ in table.key
    )
    select = f"select {columns}, k.place as rowhooks_place from KEYS join {table.quoted_name} as t on {condition}"  # noqa: S608
    keys = "jsonb_array_elements(cast(:keys as jsonb)) with ordinality as k (key, place)"
    return select.replace(":", "\\:").replace("KEYS", keys, 1)


def _literal(text: str) -> str:
    return psycopg.sql.Literal(text).as_string()


def _translated(what: str, error: Exception, quoted_name: str | None = None) -> DatabaseError:
    cause = error.orig if isinstance(error, DBAPIError) else error
    message = str(cause).strip()
    if isinstance(cause, psycopg.errors.InsufficientPrivilege):
        hint = quoted_name and f"grant select on {quoted_name} to rowhooks_daemon"
        return PermissionDenied(f"the daemon may not read {what}: {message}", hint=hint)
    if is_lost_connection(cause):
        return ConnectionFailed(f"the connection was lost: {message}")
    return DatabaseError(f"loading {what}: {message}")
