"""The wrapper around the statements of Django's connections: it marks each transaction with its author."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.signals import connection_created

from rowhooks.integrations.attribution import Attribution
from rowhooks.integrations.marking import Kind, Marks, first_word, kind_of

logger = logging.getLogger(__name__)

IDLE, IN_TRANSACTION = 0, 2
"""libpq's states of a transaction, in psycopg and in psycopg2."""


def install() -> None:
    """Mark the transactions of Django's PostgreSQL connections from now on. Doing so twice has no effect.

    The middleware and the app `rowhooks.integrations.django` do so by themselves.
    """
    connection_created.connect(_connected, dispatch_uid="rowhooks.integrations.django")
    for connection in connections.all(initialized_only=True):
        _connected(connection)


def mark_transaction(using: str = DEFAULT_DB_ALIAS) -> None:
    """Mark the present transaction now, before statements that Django does not see: COPY, callproc(), the driver's own.

    Raises:
        TransactionManagementError: the connection is in autocommit mode. Open a transaction first.
    """
    connection = connections[using]
    if connection.vendor != "postgresql":
        raise transaction.TransactionManagementError(f"{using} is no PostgreSQL database")
    if connection.get_autocommit():
        raise transaction.TransactionManagementError(
            "mark_transaction() needs a transaction: call it inside of transaction.atomic()"
        )
    _wrap(connection).mark()


class _Wrapper:
    """The wrapper of one connection's statements (Django's `execute_wrapper`).

    Args:
        connection: Django's connection.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._marks = Marks()
        self._has_warned = False
        # Statements that Django's wrappers do not see may begin the next transaction.
        for name in ("_commit", "_rollback"):
            setattr(connection, name, self._ending(getattr(connection, name)))

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        """Execute a statement, in a transaction that carries its author where it may write."""
        state = self._transaction_status()
        if state == IDLE:
            self._marks.begun()
        statement = self._text(sql)
        if state in (IDLE, IN_TRANSACTION) and not self._connection.needs_rollback:
            wanted = self._marks.wanted(statement)
            if wanted is not None and state == IDLE and self._connection.autocommit:
                return self._alone(wanted, statement, partial(execute, sql, params, many, context))
            self._set(wanted)
        try:
            return execute(sql, params, many, context)
        finally:
            self._marks.sent(statement)

    def _text(self, sql: Any) -> Any:
        """Return the text of a statement: of bytes, and of what the module `sql` of the drivers composes."""
        if isinstance(sql, bytes):
            return sql.decode("latin-1")
        if isinstance(sql, str) or not hasattr(sql, "as_string"):
            return sql
        try:
            return sql.as_string(self._connection.connection)
        except Exception:  # noqa: BLE001  (the driver says what is wrong with it)
            return sql

    def mark(self) -> None:
        """Mark the present transaction, whatever its next statement is."""
        self._set(self._marks.wanted(None))

    def begun(self) -> None:
        """Note that there is a new connection."""
        self._marks.begun()

    def _set(self, wanted: Attribution | None) -> None:
        """Set the variables of the present transaction, on a cursor that is not the statement's."""
        if wanted is None:
            return
        driver_connection = self._connection.connection
        query, values = self._marks.set(wanted, driver_connection)
        with self._connection.wrap_database_errors, driver_connection.cursor() as cursor:
            cursor.execute(query, values)

    def _alone(self, wanted: Attribution, statement: Any, execute: Callable[[], Any]) -> Any:
        """Execute a statement of autocommit mode in a transaction of its own, which the variables are local to."""
        if kind_of(statement) is Kind.UNKNOWN or connections[self._connection.alias] is not self._connection:
            # PostgreSQL refuses some of these inside of a transaction.
            if not self._has_warned:
                self._has_warned = True
                logger.warning(
                    "%s runs in autocommit mode, so its changes are logged without the user; to name the user, run it"
                    " inside of transaction.atomic()", first_word(str(statement)).upper() or type(statement).__name__,
                )  # fmt: skip
            return execute()
        with transaction.atomic(using=self._connection.alias):
            self._set(wanted)
            return execute()

    def _ending(self, end: Callable[[], Any]) -> Callable[[], Any]:
        @wraps(end)
        def ended() -> Any:
            self._marks.begun()
            return end()

        return ended

    def _transaction_status(self) -> int | None:
        driver_connection = self._connection.connection
        return None if driver_connection is None else int(driver_connection.info.transaction_status)


def _connected(connection: Any, **_: Any) -> None:
    if connection.vendor == "postgresql":
        _wrap(connection).begun()


def _wrap(connection: Any) -> _Wrapper:
    """Give a connection its wrapper, once; return it."""
    for wrapper in connection.execute_wrappers:
        if isinstance(wrapper, _Wrapper):
            return wrapper
    wrapper = _Wrapper(connection)
    # In front: a block of connection.execute_wrapper() that is open takes the last one away when it ends.
    connection.execute_wrappers.insert(0, wrapper)
    return wrapper
