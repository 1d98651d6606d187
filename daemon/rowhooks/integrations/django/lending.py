"""A run's own connection lent to Django: what the ORM writes commits with the run's result, as the receiver's.

psycopg lets two connection objects have one connection of libpq. Django gets an object of its own, made by its
backend's own code with the backend's adapters, cursors and time zone. The object does not end transactions, and does
not close.
"""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import sqlalchemy
from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.postgresql.psycopg_any import is_psycopg3
from django.db.transaction import Atomic, TransactionManagementError
from psycopg.pq import TransactionStatus
from sqlalchemy.orm import Session, SessionTransaction

from rowhooks.domain.errors import ReceiverError

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def lent_to_django(session: Session, *, using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Let Django's ORM use the connection, and the transaction, of a run for the length of a block.

    What the ORM writes commits with the run's result, is rolled back with the run, and is known as the receiver's.
    `transaction.atomic()` makes a savepoint. Functions given to `transaction.on_commit()` are called when the run has
    committed. Settings of the database in DATABASES that are made at the beginning of a connection (`assume_role`,
    `isolation_level`, `options`) do not count: the connection is the run's.

    Args:
        session: `self.session` of a plain `def` receiver.
        using: the database in Django's settings whose models are used.

    Raises:
        ReceiverError: the session is an `async def` receiver's, or the database is not PostgreSQL with psycopg 3.
        TransactionManagementError: Django has marked the transaction for a rollback, and the block has ended as if
            nothing were wrong.
    """
    if not isinstance(session, Session):
        raise ReceiverError(
            f"Django cannot use the connection of {type(session).__name__}: Django's ORM is synchronous",
            hint="declare the receiver with `def` instead of `async def`",
        )
    original: Any = connections[using]
    if original.vendor != "postgresql" or not is_psycopg3:
        raise ReceiverError(
            f"a run's connection cannot be lent to Django's database {using}: it is not PostgreSQL with psycopg 3",
            hint="see ENGINE in Django's DATABASES",
        )
    session.flush()
    driver: Any = session.connection().connection.driver_connection
    if isinstance(original, _Lent) and original.driver is driver:
        # A block inside of a block.
        yield
        return
    handlers = driver.pgconn.notice_handler, driver.pgconn.notify_handler
    backend = original.backend if isinstance(original, _Lent) else type(original)
    lent: Any = type("Lent", (_Lent, backend), {"backend": backend})(original, driver)
    connections[using] = lent
    try:
        lent.register_types()
        with _time_zone(driver, lent.timezone_name):
            yield
            lent.check_end()
    finally:
        connections[using] = original
        lent.end()
        driver.pgconn.notice_handler, driver.pgconn.notify_handler = handlers
    session.flush()
    # Django may have written what the session has loaded.
    session.expire_all()
    if functions := lent.take_on_commit():
        _call_after_commit(session, functions)


class _LentConnection(psycopg.Connection[Any]):
    """A second connection object over the run's connection. It neither ends the transaction nor the connection."""

    def commit(self) -> None:
        raise TransactionManagementError("the transaction is the run's: it commits when the receiver returns")

    def rollback(self) -> None:
        raise TransactionManagementError("the transaction is the run's: raise an exception to roll it back")

    def close(self) -> None:
        """Leave it open: it is the run's."""

    def set_isolation_level(self, value: Any) -> None:
        """Leave it as it is: the transaction has begun."""

    @property
    def adapters(self) -> psycopg.adapt.AdaptersMap:
        """The adapters of Django's backend."""
        return self._of_django

    @adapters.setter
    def adapters(self, adapters: psycopg.adapt.AdaptersMap) -> None:
        self._of_django = psycopg.adapt.AdaptersMap(adapters)

    def __del__(self, *_: Any) -> None:
        """Say nothing of a connection that is still open: it is the run's."""


class _Lent:
    """What a lent database's connection in Django has besides its backend's own class.

    Args:
        original: Django's own connection to the database, for its settings.
        driver: the run's connection.
    """

    backend: type
    Database: Any
    get_connection_params: Any
    get_new_connection: Any
    needs_rollback: bool
    run_on_commit: list[tuple[Any, Callable[[], Any], bool]]

    def __init__(self, original: Any, driver: psycopg.Connection[Any]) -> None:
        settings = copy.deepcopy(original.settings_dict)
        settings["OPTIONS"].pop("pool", None)
        super().__init__(settings, original.alias)  # type: ignore[call-arg]
        self.driver = driver
        # As inside of an atomic block: Django makes savepoints, and refuses commit(), rollback() and durable blocks.
        self.in_atomic_block = True
        self.atomic_blocks = [Atomic(original.alias, savepoint=True, durable=False)]
        self.autocommit = False
        self.Database = _Module(self.Database, self._second)
        self.connection = self.get_new_connection(self.get_connection_params())

    def _second(self, context: Any = None, cursor_factory: Any = None, **_: Any) -> _LentConnection:
        second = _LentConnection(self.driver.pgconn)
        # Names of prepared statements are the connection's: the two objects would choose the same ones.
        second.prepare_threshold = None
        second.cursor_factory = cursor_factory
        second.adapters = context.adapters
        return second

    def close(self) -> None:
        """Leave it open: it is the run's."""

    def check_end(self) -> None:
        """Check that the block may end as if nothing were wrong.

        Raises:
            TransactionManagementError: what was written in it cannot be committed.
        """
        if self.needs_rollback or self.driver.info.transaction_status == TransactionStatus.INERROR:
            raise TransactionManagementError(
                "an error has broken the transaction that was lent to Django, or Django has marked it for a rollback:"
                " let the error leave the receiver, or catch it around transaction.atomic()"
            )

    def end(self) -> None:
        """Take the connection away: what still has this object cannot use it, and opens no other connection."""
        self.connection = None
        self.closed_in_transaction = True

    def take_on_commit(self) -> list[tuple[Any, Callable[[], Any], bool]]:
        """Return what was given to `transaction.on_commit()`."""
        taken, self.run_on_commit = self.run_on_commit, []
        return taken

    def register_types(self) -> None:
        """Let the connection read hstore and citext, as Django's own connections do."""
        # Not by Django's signal for new connections: its other receivers may alter the session.
        if apps.is_installed("django.contrib.postgres"):
            from django.contrib.postgres.signals import register_type_handlers

            register_type_handlers(self)


class _Module:
    """The driver's module, as Django's backend sees it, with another `connect`."""

    def __init__(self, module: Any, connect: Callable[..., Any]) -> None:
        self._module = module
        self.connect = connect

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


@contextlib.contextmanager
def _time_zone(driver: psycopg.Connection[Any], name: str | None) -> Iterator[None]:
    """Set the session's time zone for a block: Django reads and writes times in the one of its settings."""
    before = driver.info.parameter_status("TimeZone") or "UTC"
    name = name or before
    if name != before:
        _set_time_zone(driver, name)
    try:
        yield
    finally:
        # What a failed transaction has set ends with it, or with its savepoint.
        is_usable = driver.info.transaction_status == TransactionStatus.INTRANS
        if is_usable and driver.info.parameter_status("TimeZone") != before:
            _set_time_zone(driver, before)


def _set_time_zone(driver: psycopg.Connection[Any], name: str) -> None:
    with psycopg.RawCursor(driver) as cursor:
        cursor.execute("select pg_catalog.set_config('TimeZone', $1, true)", [name])


def _call_after_commit(session: Session, functions: list[tuple[Any, Callable[[], Any], bool]]) -> None:
    """Call functions when the run has committed, unless a savepoint around the block is rolled back."""
    around = []
    transaction: SessionTransaction | None = session.get_nested_transaction() or session.get_transaction()
    while transaction is not None:
        around.append(transaction)
        transaction = transaction.parent

    def committed(session: Session) -> None:
        # The release of a savepoint is such an event, too.
        while functions and not session.in_nested_transaction():
            _, function, _ = functions.pop(0)
            try:
                function()
            except Exception:
                logger.exception("a function given to transaction.on_commit() failed; the run has committed")

    def rolled_back(session: Session, previous: SessionTransaction) -> None:
        if previous in around:
            functions.clear()

    sqlalchemy.event.listen(session, "after_commit", committed)
    sqlalchemy.event.listen(session, "after_soft_rollback", rolled_back)
