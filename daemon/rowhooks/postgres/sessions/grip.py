"""The grip: the hold on a run's connection by which the run is ended from outside."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any

import psycopg
from sqlalchemy.exc import DBAPIError

from rowhooks.domain.errors import ReceiverError, TimeLimitExceeded, TransactionEnded

logger = logging.getLogger(__name__)


class Grip:
    """The hold that other threads have on a run's connection while the run has it."""

    # What hardly any run changes is the class' own, which costs each run nothing.
    touched = False
    aborted = False
    refused: DBAPIError | None = None
    """The last statement that was refused on the connection because of a missing privilege."""
    _connection: Any = None
    _request: threading.Thread | None = None
    _has_ended = False
    _is_marked = False
    _was_ended = False

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def check(self) -> None:
        """Check that the run still goes on.

        Raises:
            ReceiverError: the run has ended.
        """
        if self._has_ended:
            # A thread or a task that the receiver has left running may swallow the exception.
            logger.error("a receiver uses its session after its run has ended, which is refused", stack_info=True)
            raise ReceiverError(
                "the run has ended, and with it its session: nothing is written any more",
                hint="wait for threads and tasks before the receiver returns",
            )

    def close(self) -> None:
        """Note that the run has ended."""
        self._has_ended = True

    def hold(self, connection: Any) -> None:
        """Note the driver's connection that the run now uses.

        Raises:
            TimeLimitExceeded: the run was ended from outside.
            ReceiverError: the run has ended.
            TransactionEnded: the receiver has ended the transaction that went before.
        """
        self.check()
        self._is_marked = False
        self.check_transaction()
        with self._lock:
            if self.aborted:
                raise TimeLimitExceeded("the run was ended; its session cannot be used any more")
            self._connection = connection

    def release(self) -> bool:
        """Note that the run gives its connection back; return False if the connection was touched from outside."""
        with self._lock:
            self._connection = None
            return not self.touched

    def marked(self) -> None:
        """Note that the connection is in a transaction that is marked as the run's."""
        self._is_marked = True

    def check_transaction(self) -> None:
        """Check that no statement of the receiver has ended the marked transaction.

        Raises:
            TransactionEnded: one has.
        """
        if self._was_ended or self._is_unmarked():
            raise TransactionEnded

    def let_go(self) -> None:
        """Note that the marked transaction is about to end: by the run, unless the receiver has ended it before."""
        self._was_ended |= self._is_unmarked()
        self._is_marked = False

    def check_rolled_back(self) -> None:
        """Check, once, that what was rolled back was the marked transaction.

        Raises:
            TransactionEnded: the receiver had ended it before.
        """
        was_ended, self._was_ended = self._was_ended, False
        if was_ended:
            raise TransactionEnded

    def _is_unmarked(self) -> bool:
        # The driver knows it from the server's last answer: nothing is asked.
        connection = self._connection if self._is_marked else None
        return connection is not None and connection.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE

    def take_refused(self) -> DBAPIError | None:
        """Return the error of the last statement that was refused, once."""
        refused, self.refused = self.refused, None
        return refused

    def cancel(self) -> None:
        """Ask the server to give up the statement that runs on the connection."""
        with self._lock:
            if (
                self._connection is None
                or self._connection.pgconn.transaction_status != psycopg.pq.TransactionStatus.ACTIVE
            ):
                return
            self.touched = True
            request = self._connection.pgconn.get_cancel()
            # The request opens a connection of its own, which may take some time.
            self._request = threading.Thread(target=_send, args=(request,), daemon=True)
            self._request.start()

    def settle(self) -> None:
        """Wait until a request to cancel has reached the server."""
        if self._request is not None:
            self._request.join()

    @contextlib.asynccontextmanager
    async def idle(self, patience: float) -> AsyncIterator[None]:
        """Let no coroutine begin to wait on the connection in a block, which begins when none does any more.

        Args:
            patience: seconds after which it begins all the same: psycopg's lock is taken for the whole of a COPY.
        """
        # psycopg's own, under which each of its steps is made, and ours.
        lock: asyncio.Lock | None = None if self._connection is None else self._connection.lock
        has_taken = False
        if lock is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    has_taken = await lock.acquire()
        try:
            yield
        finally:
            if lock is not None and has_taken:
                lock.release()

    def abort(self) -> None:
        """End the transaction: the statement is cancelled and the connection cut."""
        self.cancel()
        with self._lock:
            self.aborted = True
            if self._connection is None:
                return
            self.touched = True
            cut_off(self._connection)


def cut_off(connection: Any) -> None:
    """End a driver's connection that another thread may use."""
    # Not close(): a thread that waits for the connection notices this immediately.
    with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)


def _send(request: Any) -> None:
    try:
        request.cancel()
    except psycopg.Error as error:
        logger.warning("the server did not take a request to cancel: %s", error)
