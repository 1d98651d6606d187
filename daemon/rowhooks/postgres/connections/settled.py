"""Connections whose transactions each begin with our settings, for where a transaction pooler may be in between.

There, what is set for a session would be lost with the next transaction, or left to other clients.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import psycopg
from psycopg import generators

from rowhooks.postgres.connections import session_settings
from rowhooks.postgres.connections.search_path import PINNED

_DONE = (psycopg.pq.ExecStatus.COMMAND_OK, psycopg.pq.ExecStatus.TUPLES_OK)


class _Settled:
    """What both kinds of psycopg's connections have in common here. They are not for autocommit."""

    pinned = False
    """Whether our search_path is among the settings."""
    for_receivers = False
    """Whether the transactions are receivers'."""
    lock_timeout: str | None = None
    """How long a transaction waits for a lock, as PostgreSQL reads it; None for ever."""

    def settling(self: Any) -> list[str]:
        """Return the first statements of a transaction, after BEGIN."""
        return [
            *session_settings.modes(
                in_recovery=self.pgconn.parameter_status(b"in_hot_standby") == b"on",
                isolation=self.isolation_level is None,
                read_write=self.read_only is None,
                deferrable=self.deferrable is None,
            ),
            *session_settings.of_transaction(self.pgconn.server_version, for_receivers=self.for_receivers),
            *([PINNED] if self.pinned else []),
            *([f"set local lock_timeout = '{self.lock_timeout}'"] if self.lock_timeout else []),
        ]

    def _exec_command(self: Any, command: Any, *options: Any, **named: Any) -> Generator[Any, Any, Any]:
        if _is_begin(command) and not self._pipeline:
            return (yield from self._begin(command))
        done = yield from super()._exec_command(command, *options, **named)  # type: ignore[misc]
        if _is_begin(command):
            for one in self.settling():
                yield from super()._exec_command(one)  # type: ignore[misc]
        return done

    def _begin(self: Any, begin: bytes) -> Generator[Any, Any, None]:
        # In one round trip. Not by a SELECT: after one, a receiver could no longer choose its isolation level.
        yield from executed(self, b"; ".join([begin, *(one.encode() for one in self.settling())]))


class SettledConnection(_Settled, psycopg.Connection[Any]):
    """A synchronous connection of psycopg's whose transactions each begin with our settings."""


class SettledAsyncConnection(_Settled, psycopg.AsyncConnection[Any]):
    """An asynchronous one."""


def executed(driver: Any, text: bytes) -> Generator[Any, Any, None]:
    """Execute statements without parameters in one round trip: a generator of psycopg's, for both kinds of connections.

    Raises:
        psycopg.Error: the server refused one of them, or the connection is lost.
    """
    driver.pgconn.send_query(text)
    check((yield from generators.execute(driver.pgconn)), driver)


def check(answers: Sequence[Any], driver: Any) -> None:
    """Raise the error that is among the server's answers.

    Raises:
        psycopg.Error: the server refused a statement.
    """
    for answer in answers:
        if answer.status not in _DONE:
            raise psycopg.errors.error_from_result(answer, driver.info.encoding)


def _is_begin(command: Any) -> bool:
    return isinstance(command, bytes) and command.startswith(b"BEGIN")
