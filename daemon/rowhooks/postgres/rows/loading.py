"""Rows as mapped objects: `changed_object`, loaded for many runs at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import psycopg
import sqlalchemy
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from rowhooks.domain import shell
from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.errors import (
    ConnectionFailed,
    DatabaseError,
    NotFound,
    PermissionDenied,
    ReceiverError,
    RowhooksError,
    TableLocked,
)
from rowhooks.domain.permissions import PermissionBackend
from rowhooks.postgres.configuration import LOAD, read_configuration
from rowhooks.postgres.connections.connect import Target, async_engine, is_lost_connection, verdict_of
from rowhooks.postgres.connections.search_path import PINNED, USERS_OWN
from rowhooks.postgres.rows.mapping import RowObject, check_key, find_indistinct, load_misspelt, load_objects, reflect
from rowhooks.postgres.rows.privileges import Refusal, find_refusal, is_refused
from rowhooks.postgres.rows.row_security import NO_VIEWS, OFF, Binding, find_binding

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

_IS_A_VIEW = psycopg.errors.ObjectNotInPrerequisiteState
_ALTERED = (
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedTable,
    psycopg.errors.InvalidSchemaName,
    # The table was renamed, and a view has its name.
    _IS_A_VIEW,
)
"""What the server says of a query that was written before the table was altered."""
_OF_THE_TABLE = (*_ALTERED, psycopg.errors.LockNotAvailable)
"""What it says of a table and not of one of its rows."""

_LESS_AT_ONCE = ("53200", "53400", "55P03")
"""What loading fewer rows may avoid (memory, a limit), and a locked table, which is waited for elsewhere."""

TRIES, PAUSE = 5, 0.05
"""How often rows are loaded while the server says what passes, and the seconds before the second time, then doubled."""

NO_KEY = "{}"
"""The key of a change whose key cannot be read."""
LOST_IN_JSON = "JSON has no array that begins elsewhere than at 1, and no null that is a value"
"""Why a row is not found by the key that the log has for it."""
LONGEST_KEY = 200
"""Characters of a key that an error repeats."""
LOADERS = 5
"""Connections on which rows are loaded."""
LOCK_TIMEOUT = "200ms"
"""For so long a connection waits for a table that another session has locked, before it is there for other tables."""

_LOGIN = sqlalchemy.text("select session_user::pg_catalog.text")

RESOLVERS = 2
"""Connections on which it is asked whom runs are for."""


class PostgresObjects:
    """Reflects tracked tables and loads their rows, and looks up whom runs are for.

    Args:
        target: the database; rows are read on connections outside any run's transaction.
        permissions: says who a user is.
        rows: the database for the login that loads rows; None for the same.
        row_security: let policies decide which rows are loaded, by running their code.
    """

    def __init__(
        self,
        target: Target,
        permissions: PermissionBackend,
        rows: Target | None = None,
        *,
        row_security: bool = False,
    ) -> None:
        self._permissions = permissions
        self._row_security = row_security
        self._engine = async_engine(target, RESOLVERS, pinned=True)
        self._rows_target = rows or target
        self._rows = async_engine(self._rows_target, LOADERS, pinned=True)
        limits = {"lock_timeout": LOCK_TIMEOUT} | ({} if row_security else OFF)
        # Behind a transaction pooler each transaction says so by itself.
        is_local = not self._rows_target.keeps_session
        begin = [_set(limits, is_local=is_local), *([] if row_security else [NO_VIEWS.format(is_local=is_local)])]
        self._limits: list[sqlalchemy.TextClause] = [sqlalchemy.text(one) for one in begin] if is_local else []
        if not is_local:
            sqlalchemy.event.listen(self._rows.sync_engine, "connect", lambda connection, _: _begin(connection, begin))
        self._classes: dict[int, tuple[TrackedTable, type[RowObject]]] = {}

    async def close(self) -> None:
        """Close the connections."""
        await self._engine.dispose()
        await self._rows.dispose()

    async def login(self) -> str:
        """Return the login that loads rows.

        Raises:
            ConnectionFailed: the server cannot be reached.
            DatabaseError: it does not answer.
        """
        try:
            async with self._rows_connection() as connection:
                return str((await connection.execute(_LOGIN)).scalar_one())
        except (DBAPIError, psycopg.Error) as error:
            raise _translated("the login", error) from error

    def known(self, claimed: str | None, db_user: str) -> str | None:
        """Return the user for such a pair where that needs no asking."""
        return self._permissions.known(claimed, db_user)

    async def resolve(self, pairs: Sequence[tuple[str | None, str]]) -> list[str | Exception]:
        """Return the user for each pair of claimed user (what the application says) and database user, or the error.

        Raises:
            ConnectionFailed: the server cannot be reached.
        """
        try:
            users = await _again(lambda: self._resolve(pairs))
            if len(users) != len(pairs):
                raise ReceiverError(f"the permission backend answered {len(users)} users for {len(pairs)} runs")
        except Exception as error:
            if _is_lost(error):
                raise _translated("users", error) from error
            if len(pairs) > 1:
                half = len(pairs) // 2
                return await self.resolve(pairs[:half]) + await self.resolve(pairs[half:])
            return [_translated("users", error) if isinstance(error, DBAPIError | psycopg.Error) else error]
        return list(users)

    async def _resolve(self, pairs: Sequence[tuple[str | None, str]]) -> Sequence[str | Exception]:
        async with AsyncSession(self._engine) as session:
            # What a backend of the users' own asks is asked as a receiver would.
            await session.execute(sqlalchemy.text(USERS_OWN))
            return await session.run_sync(lambda session: self._permissions.resolve(session, pairs))

    async def load(self, table: TrackedTable, keys: Sequence[str]) -> dict[str, Any]:
        """Return the objects that exist, by their key as JSON text, or the error that one's loading ended with.

        One query, where nothing goes wrong. Where something does, it costs the rows that it is about.

        Raises:
            ConnectionFailed: the server cannot be reached.
            PermissionDenied: the daemon's role may not read the table, or row security binds it.
            TableLocked: another session has locked it, for longer than LOCK_TIMEOUT.
            DatabaseError: the table cannot be read.
            NotFound: it is gone, or has no key any more.
        """
        try:
            return await self._load_present(table, keys)
        except (DBAPIError, psycopg.Error) as error:
            if is_refused(error):
                refusal = await self._binding(table) or await self._refusal(table, error)
                if refusal is not None:
                    raise PermissionDenied(
                        f"rows of {table.name} are not loaded: {refusal.what}", hint=refusal.way_out
                    ) from error
            raise _translated(f"rows of {table.name}", error, table.quoted_name) from error

    async def _load_present(self, table: TrackedTable, keys: Sequence[str]) -> dict[str, Any]:
        """Load from the table as it is now, also where it is altered meanwhile, or the server says what passes."""
        try:
            found = await _again(lambda: self._load(table, keys))
            unknown = [key for key, value in found.items() if isinstance(value, NotFound)]
            if unknown and (present := await self._present(table)) not in (None, table):
                # Its key was renamed since.
                assert present is not None
                found |= await self._load(present, unknown)
            return found
        except (DBAPIError, NotFound) as error:
            if isinstance(error, DBAPIError) and not isinstance(error.orig, _ALTERED):
                raise
            present = await self._present(table)
            if present is None or present == table:
                raise
            return await _again(lambda: self._load(present, keys))

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
        found = await self._load_in_halves(cls, table, [key for key in keys if key != NO_KEY])
        if NO_KEY in keys:
            found[NO_KEY] = DatabaseError(f"a row of {table.name} cannot be loaded: its key is not known")
        missing = [key for key in keys if key not in found]
        if missing:
            found |= await self._unfindable(cls, table, missing)
            missing = [key for key in missing if key not in found]
        if missing and self._row_security and (binding := await self._binding(table)) is not None:
            for key in missing:
                found[key] = binding.error(f"row {_brief(key)} of {table.name} is not found, which may be no more")
        return found

    async def _unfindable(self, cls: type[RowObject], table: TrackedTable, keys: Sequence[str]) -> dict[str, Any]:
        """Return the error for each of the keys that would find no row though it is there."""
        if not any(column.is_indistinct for column in cls.__rowhooks_key__):
            return {}
        async with self._rows_session() as session:
            known = await session.run_sync(find_indistinct, cls, table, keys)
        return {
            key: DatabaseError(
                f"row {_brief(key)} of {table.name} is there, and cannot be loaded by its key in the log:"
                f" {LOST_IN_JSON}",
                hint="load it by what change.object_data holds, or give the table a key of another type",
            )
            for key in known
        }

    async def _load_in_halves(self, cls: type[RowObject], table: TrackedTable, keys: Sequence[str]) -> dict[str, Any]:
        if not keys:
            return {}
        try:
            async with self._rows_session() as session:
                return await session.run_sync(load_objects, cls, table, keys)
        except Exception as error:  # a value of a row may be none that Python can hold
            if (
                _is_lost(error)
                or is_refused(error)
                or _is_transient(error)
                or isinstance(getattr(error, "orig", error), _OF_THE_TABLE)
            ):
                raise
            if len(keys) == 1 and isinstance(error, NotFound):
                return {keys[0]: error}
            if len(keys) > 1:
                half = len(keys) // 2
                return await self._load_in_halves(cls, table, keys[:half]) | await self._load_in_halves(
                    cls, table, keys[half:]
                )
            if isinstance(getattr(error, "orig", error), psycopg.errors.CharacterNotInRepertoire):
                return await self._load_misspelt(cls, table, keys[0])
            if not await self._is_key(cls, table, keys[0]):
                # No row has it; but that of the change may be there, under the value that became of it.
                error = NotFound(
                    f"a row of {table.name} cannot be found by its key in the log ({_brief(keys[0])}), which is no"
                    " value of the present types of its key",
                    hint="its key was given another type since; load the row by what change.object_data holds",
                )
                return {keys[0]: error}
            return {keys[0]: _translated(f"row {_brief(keys[0])} of {table.name}", error)}

    async def _load_misspelt(self, cls: type[RowObject], table: TrackedTable, key: str) -> dict[str, Any]:
        """Load a row that holds bytes that are no text."""
        try:
            async with self._rows_session() as session:
                return await session.run_sync(load_misspelt, cls, table, key)
        except DBAPIError as error:
            return {key: _translated(f"row {_brief(key)} of {table.name}", error)}

    async def _is_key(self, cls: type[RowObject], table: TrackedTable, key: str) -> bool:
        """Say whether a key is one by the types of its columns; asked of it alone, without the table."""
        try:
            async with self._rows_session() as session:
                await session.run_sync(check_key, cls, table, key)
        except DBAPIError as error:
            if not isinstance(error.orig, psycopg.DataError):
                raise
            return False
        return True

    @contextlib.asynccontextmanager
    async def _rows_session(self) -> AsyncIterator[AsyncSession]:
        async with AsyncSession(self._rows) as session:
            for limit in self._limits:
                await session.execute(limit)
            yield session

    @contextlib.asynccontextmanager
    async def _rows_connection(self) -> AsyncIterator[AsyncConnection]:
        async with self._rows.connect() as connection:
            for limit in self._limits:
                await connection.execute(limit)
            yield connection

    async def _binding(self, table: TrackedTable) -> Binding | None:
        async with self._rows_connection() as connection:
            return await connection.run_sync(find_binding, table.name)

    async def _refusal(self, table: TrackedTable, error: BaseException) -> Refusal | Binding | None:
        async with self._rows_connection() as connection:
            # For its words alone, and not run.
            statement = f"select * from {table.name}"  # noqa: S608
            return await connection.run_sync(find_refusal, error, statement)

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
            async with self._rows_connection() as connection:
                known = (table, await connection.run_sync(reflect, table))
            self._classes[table.id] = known
        return known[1]


def _set(settings: Mapping[str, str], *, is_local: bool) -> str:
    # One query, which a driver sends in one round trip; the values are ours.
    calls = (f"pg_catalog.set_config('{name}', '{value}', {is_local})" for name, value in settings.items())
    return f"select {', '.join(calls)}"


def _begin(connection: Any, statements: Sequence[str]) -> None:
    cursor = connection.cursor()
    for statement in statements:
        cursor.execute(statement)
    cursor.close()
    connection.commit()


def _is_lost(error: BaseException) -> bool:
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or is_lost_connection(error.orig)
    return is_lost_connection(error)


async def _again(work: Callable[[], Awaitable[_T]]) -> _T:
    """Do some work again while the server says what passes by itself, for TRIES times."""
    for tries in range(TRIES):
        try:
            return await work()
        except DBAPIError as error:
            if not _is_transient(error) or tries == TRIES - 1:
                raise
            logger.info("asked again: %s", str(error.orig).strip())
        await asyncio.sleep(PAUSE * 2**tries * random.uniform(0.5, 1.5))
    raise AssertionError("the last try returns or raises")


def _is_transient(error: BaseException) -> bool:
    """Say whether a query may go through when all of it is asked again: the server has said so."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    found = None if cause is None or is_lost_connection(cause) else verdict_of(cause)
    return found is not None and found.daemon and found.code not in _LESS_AT_ONCE


def _brief(key: str) -> str:
    return key if len(key) <= LONGEST_KEY else f"{key[:LONGEST_KEY]}..."


def _translated(what: str, error: Exception, quoted_name: str | None = None) -> RowhooksError:
    if isinstance(error, RowhooksError):
        return error
    cause = error.orig if isinstance(error, DBAPIError) else error
    message = str(cause).strip()
    if isinstance(cause, psycopg.errors.InsufficientPrivilege):
        return PermissionDenied(f"the daemon may not read {what}: {message}", hint="see: rowhooks doctor")
    if is_lost_connection(cause):
        return ConnectionFailed(f"the connection was lost: {message}")
    if isinstance(cause, _IS_A_VIEW) and quoted_name:
        return DatabaseError(
            f"{what} are not loaded: something else has the table's name: {message}", hint="run: rowhooks doctor"
        )
    if isinstance(cause, psycopg.errors.LockNotAvailable):
        return TableLocked(f"loading {what}: another session has locked the table", hint="see: rowhooks doctor")
    return DatabaseError(f"loading {what}: {message or type(cause).__name__}")
