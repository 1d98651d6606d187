"""Rows as mapped objects: `changed_object`, loaded for many runs by one query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from rowhooks.domain import shell
from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.errors import DatabaseError, NotFound, PermissionDenied, ReceiverError, RowhooksError
from rowhooks.domain.permissions import PermissionBackend
from rowhooks.domain.row_types import RowType
from rowhooks.postgres.configuration import LOAD, read_configuration
from rowhooks.postgres.connections.engines import async_engine
from rowhooks.postgres.connections.search_path import PINNED, USERS_OWN
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.rows.ahead import load_ahead
from rowhooks.postgres.rows.by_key import check_key, find_indistinct, load_misspelt, load_objects
from rowhooks.postgres.rows.by_model import is_model
from rowhooks.postgres.rows.following import TableFollower
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
from rowhooks.postgres.rows.privileges import Refusal, find_refusal, is_refused
from rowhooks.postgres.rows.row_connections import RowConnections
from rowhooks.postgres.rows.row_security import Binding, find_binding
from rowhooks.postgres.rows.tables import Tables

NO_KEY = "{}"
"""What the log has as the key of a change whose key cannot be read."""
_NOTHING: Mapping[str, Sequence[str]] = {}
RESOLVERS = 2
"""Connections on which the users of runs are looked up."""


class PostgresObjects:
    """Reflects tracked tables, loads their rows, and looks up the users of runs.

    Args:
        target: the database. Rows are read on connections outside any run's transaction.
        permissions: says who a user is.
        rows: the same database for the login that loads rows; None for the login of `target`.
        row_security: whether policies decide which rows are loaded; their code then runs as that login.
        tables: the classes of the database's tables.
    """

    def __init__(
        self,
        target: Target,
        permissions: PermissionBackend,
        rows: Target | None = None,
        *,
        row_security: bool = False,
        tables: Tables | None = None,
    ) -> None:
        self._permissions = permissions
        self._row_security = row_security
        self._engine = async_engine(target, RESOLVERS, pinned=True)
        self._rows = RowConnections(rows or target, row_security=row_security)
        self._tables = tables or Tables()
        self.follower = TableFollower(self._rows, self._tables)

    async def close(self) -> None:
        """Close the connections."""
        await self.follower.close()
        await self._engine.dispose()
        await self._rows.close()

    async def login(self) -> str:
        """Return the login that loads rows.

        Raises:
            ConnectionFailed: the server cannot be reached.
            DatabaseError: it does not answer.
        """
        try:
            return await self._rows.login()
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

    async def load(
        self, table: TrackedTable, keys: Sequence[str], ahead: Mapping[str, Sequence[str]] = _NOTHING
    ) -> dict[str, Any]:
        """Load rows of one table, by one query where nothing goes wrong, and one for each relation.

        Args:
            table: as the configuration has it.
            keys: the keys of the rows, as JSON text.
            ahead: the relations to load with them: by path, such as `location.parent`, the keys of the rows.

        Returns:
            By key, the object of each row that exists. Where one row cannot be loaded, its error stands in its place.

        Raises:
            ConnectionFailed: the server cannot be reached.
            PermissionDenied: the login may not read the table, or row security binds it.
            TableLocked: another session has locked the table for longer than the loader waits.
            DatabaseError: the table cannot be read.
            NotFound: the table no longer exists, or it has no key any more.
        """
        try:
            return await self._load_present(table, keys, ahead)
        except (DBAPIError, psycopg.Error) as error:
            if is_refused(error):
                refusal = await self._binding(table) or await self._refusal(error)
                if refusal is not None:
                    raise PermissionDenied(
                        f"rows of {table.name} are not loaded: {refusal.what}", hint=refusal.way_out
                    ) from error
            raise translated(f"rows of {table.name}", error, table.quoted_name) from error

    async def _load_present(
        self, table: TrackedTable, keys: Sequence[str], ahead: Mapping[str, Sequence[str]]
    ) -> dict[str, Any]:
        """Load from the table as it is now: it may be altered meanwhile. Transient errors are retried."""
        try:
            found = await retried(lambda: self._load(table, keys, ahead))
            unknown = [key for key, value in found.items() if isinstance(value, NotFound)]
            if unknown and (present := await self._present(table)) not in (None, table):
                # A column of the key was renamed since.
                assert present is not None
                found |= await self._load(present, unknown, ahead)
            return found
        except (DBAPIError, NotFound) as error:
            if isinstance(error, DBAPIError) and not is_altered(error):
                raise
            present = await self._present(table)
            if present is None or present == table:
                raise
            return await retried(lambda: self._load(present, keys, ahead))

    async def _load(
        self, table: TrackedTable, keys: Sequence[str], ahead: Mapping[str, Sequence[str]]
    ) -> dict[str, Any]:
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
        together: dict[tuple[str, ...], list[str]] = {}
        for path, some in ahead.items():
            together.setdefault(tuple(some), []).append(path)
        for some, paths in together.items():
            await self._load_ahead(rows, table, {key: found[key] for key in some if key in found}, paths, found)
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

    async def _load_ahead(
        self, rows: RowType, table: TrackedTable, some: Mapping[str, Any], paths: Sequence[str], found: dict[str, Any]
    ) -> None:
        """Load relations for some rows. Where that fails, the error stands in the row's place."""
        some = {key: row for key, row in some.items() if not isinstance(row, Exception)}
        if not some:
            return
        try:
            async with self._rows.session(runs_code=is_model(rows)) as session:
                await session.run_sync(load_ahead, rows, table, some, paths)
        except Exception as error:
            if is_refused(error):
                refusal = await self._refusal(error)
                what = f"Meta.load: {', '.join(paths)} of {table.name} is not loaded"
                reason = f": {refusal.what}" if refusal else f": {str(cause_of(error)).strip()}"
                found.update(
                    dict.fromkeys(some, PermissionDenied(what + reason, hint=refusal.way_out if refusal else None))
                )
                return
            if not is_of_a_row(error):
                raise
            if len(some) == 1 or isinstance(error, RowhooksError):
                what = f"Meta.load: {', '.join(paths)} of a row of {table.name}"
                found.update(dict.fromkeys(some, translated(what, error)))
                return
            half = len(some) // 2
            for part in (dict(list(some.items())[:half]), dict(list(some.items())[half:])):
                await self._load_ahead(rows, table, part, paths, found)

    async def _unfindable(self, rows: RowType, table: TrackedTable, keys: Sequence[str]) -> dict[str, Any]:
        """Return an error for each key that finds no row although the row is there."""
        if not any(column.is_indistinct for column in rows.key):
            return {}
        async with self._rows.session(runs_code=is_model(rows)) as session:
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
            async with self._rows.session(runs_code=is_model(rows)) as session:
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
        if isinstance(cause_of(error), psycopg.errors.CharacterNotInRepertoire) and not is_model(rows):
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
            async with self._rows.session(runs_code=is_model(rows)) as session:
                return await session.run_sync(load_misspelt, rows, table, key)
        except DBAPIError as error:
            return {key: translated(row_name(key, table.name), error)}

    async def _is_key(self, rows: RowType, table: TrackedTable, key: str) -> bool:
        """Say whether the types of the key's columns can read a key; the table is not read."""
        try:
            async with self._rows.session(runs_code=is_model(rows)) as session:
                await session.run_sync(check_key, rows, table, key)
        except DBAPIError as error:
            if not isinstance(error.orig, psycopg.DataError):
                raise
            return False
        return True

    async def _binding(self, table: TrackedTable) -> Binding | None:
        async with self._rows.connection() as connection:
            return await connection.run_sync(find_binding, table.name)

    async def _refusal(self, error: BaseException) -> Refusal | Binding | None:
        async with self._rows.connection() as connection:
            statement = getattr(error, "statement", None) or ""
            return await connection.run_sync(find_refusal, error, statement)

    async def _present(self, table: TrackedTable) -> TrackedTable | None:
        """Describe the table as it is now: it may have been altered since the configuration was read."""
        async with self._engine.connect() as connection:
            await connection.execute(sqlalchemy.text(PINNED))
            found = (await connection.execute(sqlalchemy.text(LOAD))).scalar_one()
        return read_configuration(found).tables.get(table.id)

    async def _row_type(self, table: TrackedTable) -> RowType:
        known = self._tables.row_types.of_table(table)
        # A table that was altered or renamed has another description, and is reflected again.
        if known is None:
            async with self._rows.connection() as connection:
                known = await connection.run_sync(self._tables.row_type, table)
        return known
