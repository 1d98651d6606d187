"""Rows as mapped objects: `changed_object`, loaded for many runs by one query."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from rowhooks.domain import shell
from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.errors import DatabaseError, NotFound, PermissionDenied, ReceiverError
from rowhooks.domain.permissions import PermissionBackend
from rowhooks.domain.row_types import RowType, RowTypes
from rowhooks.postgres.configuration import LOAD, read_configuration
from rowhooks.postgres.connections.engines import async_engine
from rowhooks.postgres.connections.search_path import PINNED, USERS_OWN
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.rows.by_key import check_key, find_indistinct, load_misspelt, load_objects
from rowhooks.postgres.rows.loading_errors import (
    LOST_IN_JSON,
    brief,
    cause_of,
    is_altered,
    is_lost,
    is_of_a_row,
    retried,
    row_name,
    translated,
)
from rowhooks.postgres.rows.mapping import describe_model, reflect
from rowhooks.postgres.rows.privileges import Refusal, find_refusal, is_refused
from rowhooks.postgres.rows.row_security import OFF, Binding, find_binding, refuse_views

NO_KEY = "{}"
"""What the log has as the key of a change whose key cannot be read."""
LOADERS = 5
"""Connections on which rows are loaded."""
LOCK_TIMEOUT = "200ms"
"""How long a connection waits for a table that another session has locked. Then it serves other tables."""

_LOGIN = sqlalchemy.text("select session_user::pg_catalog.text")

RESOLVERS = 2
"""Connections on which the users of runs are looked up."""


class PostgresObjects:
    """Reflects tracked tables, loads their rows, and looks up the users of runs.

    Args:
        target: the database. Rows are read on connections outside any run's transaction.
        permissions: says who a user is.
        rows: the same database for the login that loads rows; None for the login of `target`.
        row_security: whether policies decide which rows are loaded; their code then runs as that login.
        row_types: the classes of the rows; users' own models are named there.
    """

    def __init__(
        self,
        target: Target,
        permissions: PermissionBackend,
        rows: Target | None = None,
        *,
        row_security: bool = False,
        row_types: RowTypes | None = None,
    ) -> None:
        self._permissions = permissions
        self._row_security = row_security
        self._engine = async_engine(target, RESOLVERS, pinned=True)
        self._rows_target = rows or target
        self._rows = async_engine(self._rows_target, LOADERS, pinned=True)
        limits = {"lock_timeout": LOCK_TIMEOUT} | ({} if row_security else OFF)
        # Behind a transaction pooler each transaction has to set them again.
        is_local = not self._rows_target.keeps_session
        begin = [_set(limits, is_local=is_local), *([] if row_security else [refuse_views(is_local=is_local)])]
        self._limits: list[sqlalchemy.TextClause] = [sqlalchemy.text(one) for one in begin] if is_local else []
        if not is_local:
            sqlalchemy.event.listen(self._rows.sync_engine, "connect", lambda connection, _: _begin(connection, begin))
        self.row_types = row_types or RowTypes()

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
            raise translated("the login", error) from error

    def known(self, claimed: str | None, db_user: str) -> str | None:
        """Return the user of such a pair where no query is needed; see `resolve`."""
        return self._permissions.known(claimed, db_user)

    async def resolve(self, pairs: Sequence[tuple[str | None, str]]) -> list[str | Exception]:
        """Return the user of each pair, or the error that looking it up ended with.

        Args:
            pairs: the claimed user (what the application says, if it does) and the database user.

        Raises:
            ConnectionFailed: the server cannot be reached.
        """
        try:
            users = await retried(lambda: self._resolve(pairs))
            if len(users) != len(pairs):
                raise ReceiverError(f"the permission backend answered {len(users)} users for {len(pairs)} runs")
        except Exception as error:
            if is_lost(error):
                raise translated("users", error) from error
            if len(pairs) > 1:
                half = len(pairs) // 2
                return await self.resolve(pairs[:half]) + await self.resolve(pairs[half:])
            return [translated("users", error) if isinstance(error, DBAPIError | psycopg.Error) else error]
        return list(users)

    async def _resolve(self, pairs: Sequence[tuple[str | None, str]]) -> Sequence[str | Exception]:
        async with AsyncSession(self._engine) as session:
            # A permission backend of the users' own runs its queries with the search_path that a receiver has.
            await session.execute(sqlalchemy.text(USERS_OWN))
            return await session.run_sync(lambda session: self._permissions.resolve(session, pairs))

    async def load(self, table: TrackedTable, keys: Sequence[str]) -> dict[str, Any]:
        """Load rows of one table, by one query where nothing goes wrong.

        Args:
            table: as the configuration has it.
            keys: the keys of the rows, as JSON text.

        Returns:
            By key, the object of each row that exists. Where one row cannot be loaded, its error stands in its place.

        Raises:
            ConnectionFailed: the server cannot be reached.
            PermissionDenied: the login may not read the table, or row security binds it.
            TableLocked: another session has locked the table for longer than LOCK_TIMEOUT.
            DatabaseError: the table cannot be read.
            NotFound: the table no longer exists, or it has no key any more.
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
            raise translated(f"rows of {table.name}", error, table.quoted_name) from error

    async def _load_present(self, table: TrackedTable, keys: Sequence[str]) -> dict[str, Any]:
        """Load from the table as it is now: it may be altered meanwhile. Transient errors are retried."""
        try:
            found = await retried(lambda: self._load(table, keys))
            unknown = [key for key, value in found.items() if isinstance(value, NotFound)]
            if unknown and (present := await self._present(table)) not in (None, table):
                # A column of the key was renamed since.
                assert present is not None
                found |= await self._load(present, unknown)
            return found
        except (DBAPIError, NotFound) as error:
            if isinstance(error, DBAPIError) and not is_altered(error):
                raise
            present = await self._present(table)
            if present is None or present == table:
                raise
            return await retried(lambda: self._load(present, keys))

    async def _load(self, table: TrackedTable, keys: Sequence[str]) -> dict[str, Any]:
        if table.identity == "full":
            # Nothing leads back to the row.
            return {}
        if not table.key:
            raise NotFound(
                f"rows of {table.name} cannot be found: it has no primary key any more",
                hint=f"add one, or: {shell.command('rowhooks', 'track', table.quoted_name)} --identity ...",
            )
        rows = await self._row_type(table)
        found = await self._load_in_halves(rows, table, [key for key in keys if key != NO_KEY])
        if NO_KEY in keys:
            found[NO_KEY] = DatabaseError(f"a row of {table.name} cannot be loaded: its key is not known")
        missing = [key for key in keys if key not in found]
        if missing:
            found |= await self._unfindable(rows, table, missing)
            missing = [key for key in missing if key not in found]
        if missing and self._row_security and (binding := await self._binding(table)) is not None:
            for key in missing:
                found[key] = binding.error(f"{row_name(key, table.name)} is not found, which may be no more")
        return found

    async def _unfindable(self, rows: RowType, table: TrackedTable, keys: Sequence[str]) -> dict[str, Any]:
        """Return an error for each key that finds no row although the row is there."""
        if not any(column.is_indistinct for column in rows.key):
            return {}
        async with self._rows_session() as session:
            known = await session.run_sync(find_indistinct, rows, table, keys)
        return {
            key: DatabaseError(
                f"{row_name(key, table.name)} is there, and cannot be loaded by its key in the log: {LOST_IN_JSON}",
                hint="load it by what change.object_data holds, or give the table a key of another type",
            )
            for key in known
        }

    async def _load_in_halves(self, rows: RowType, table: TrackedTable, keys: Sequence[str]) -> dict[str, Any]:
        if not keys:
            return {}
        try:
            async with self._rows_session() as session:
                return await session.run_sync(load_objects, rows, table, keys)
        except Exception as error:  # a row may hold a value that Python cannot hold
            if not is_of_a_row(error):
                raise
            if len(keys) > 1:
                half = len(keys) // 2
                return await self._load_in_halves(rows, table, keys[:half]) | await self._load_in_halves(
                    rows, table, keys[half:]
                )
            return await self._load_difficult(rows, table, keys[0], error)

    async def _load_difficult(self, rows: RowType, table: TrackedTable, key: str, error: Exception) -> dict[str, Any]:
        """Load the one row whose loading has failed with this error."""
        if isinstance(error, NotFound):
            return {key: error}
        if isinstance(cause_of(error), psycopg.errors.CharacterNotInRepertoire):
            return await self._load_misspelt(rows, table, key)
        if not await self._is_key(rows, table, key):
            # No row has this key. The row of the change may still be there, under the value that its key has now.
            error = NotFound(
                f"a row of {table.name} cannot be found by its key in the log ({brief(key)}), which is no value of the"
                " present types of its key",
                hint="its key was given another type since; load the row by what change.object_data holds",
            )
        return {key: translated(row_name(key, table.name), error)}

    async def _load_misspelt(self, rows: RowType, table: TrackedTable, key: str) -> dict[str, Any]:
        """Load a row that holds bytes which are no text."""
        try:
            async with self._rows_session() as session:
                return await session.run_sync(load_misspelt, rows, table, key)
        except DBAPIError as error:
            return {key: translated(row_name(key, table.name), error)}

    async def _is_key(self, rows: RowType, table: TrackedTable, key: str) -> bool:
        """Say whether the types of the key's columns can read a key; the table is not read."""
        try:
            async with self._rows_session() as session:
                await session.run_sync(check_key, rows, table, key)
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
            statement = f"select * from {table.name}"  # noqa: S608  (its words are looked at; it is not executed)
            return await connection.run_sync(find_refusal, error, statement)

    async def _present(self, table: TrackedTable) -> TrackedTable | None:
        """Describe the table as it is now: it may have been altered since the configuration was read."""
        async with self._engine.connect() as connection:
            await connection.execute(sqlalchemy.text(PINNED))
            found = (await connection.execute(sqlalchemy.text(LOAD))).scalar_one()
        return read_configuration(found).tables.get(table.id)

    async def _row_type(self, table: TrackedTable) -> RowType:
        known = self.row_types.of_table(table)
        # A table that was altered or renamed has another description, and is reflected again.
        if known is None:
            async with self._rows_connection() as connection:
                known = await connection.run_sync(self._reflected, table)
            self.row_types.learn(table, known)
        return known

    def _reflected(self, connection: sqlalchemy.Connection, table: TrackedTable) -> RowType:
        model = self.row_types.models.get(table.name)
        return reflect(connection, table) if model is None else describe_model(connection, table, model)


def _set(settings: Mapping[str, str], *, is_local: bool) -> str:
    # One query, so one round trip. The values are constants of ours.
    calls = (f"pg_catalog.set_config('{name}', '{value}', {is_local})" for name, value in settings.items())
    return f"select {', '.join(calls)}"


def _begin(connection: Any, statements: Sequence[str]) -> None:
    cursor = connection.cursor()
    for statement in statements:
        cursor.execute(statement)
    cursor.close()
    connection.commit()
