"""The target: the database that rowhooks is attached to, by one DSN that both drivers understand as libpq does."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rowhooks.domain.errors import OptionsRefused, SettingsError
from rowhooks.postgres.connections import libpq
from rowhooks.postgres.connections.attempts import attempts, check_files, timeout

CONNECT_TIMEOUT = 10
"""Seconds to wait for a connection where the DSN does not say."""
SILENCE = 20.0
"""Seconds after which a peer that does not even acknowledge what was sent is given up."""
KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_COUNT = 10, 5, 3
"""When an idle peer is asked whether it is there: after so many seconds, every so many seconds, so often."""

DIRECT, SESSION_POOLER, TRANSACTION_POOLER = "direct", "session pooler", "transaction pooler"


@dataclass(frozen=True)
class Target:
    """The database rowhooks is attached to.

    Args:
        dsn: a libpq URI or keyword string; empty for libpq's own environment (PGHOST, PGSERVICE, ~/.pgpass ...).
        application_name: shown in pg_stat_activity.
        route: what is known of the way to the server: `direct`, `session pooler`, `transaction pooler`, or None.
        password: the login's, where the DSN and its service have none; it precedes PGPASSWORD and ~/.pgpass.
        insists: whether the application name is this one, also where the DSN has another.

    Raises:
        SettingsError: libpq cannot read the DSN, or would not connect with it; a file that it names cannot be read.
    """

    dsn: str = field(default="", repr=False)
    application_name: str = "rowhooks"
    route: str | None = None
    password: str = field(default="", repr=False)
    insists: bool = False

    def __post_init__(self) -> None:
        try:
            given = conninfo_to_dict(self.dsn)
        except psycopg.ProgrammingError as error:
            # libpq's message may quote the DSN, and with it a password.
            raise SettingsError(
                "the DSN cannot be read",
                hint="expected postgresql://user@host:5432/database or 'host=... dbname=...'",
            ) from error.with_traceback(None)
        if "@" in str(given.get("host") or "")[1:]:
            # It is the end of a password, and must not be shown.
            raise SettingsError("the DSN's host contains an @", hint="write an @ in a password as %40")
        if self.route is None:
            self._check()

    def _check(self) -> None:
        # Once, at the beginning: files that are missing later, while they are renewed, come back.
        options = libpq.options(self.conninfo)
        ports = options.get("port", "")
        if not all(port.strip().isdecimal() for port in ports.split(",") if port):
            raise SettingsError(f"the DSN's port {ports!r} is not a number", hint="for example port=5432")
        timeout(options)
        check_files(options)

    @property
    def conninfo(self) -> str:
        """The DSN as libpq reads it, with our application name and a connection time-out."""
        given = conninfo_to_dict(self.dsn)
        defaults: dict[str, str | int] = {
            "application_name": self.application_name,
            "connect_timeout": CONNECT_TIMEOUT,
            "keepalives_idle": KEEPALIVE_IDLE,
            "keepalives_interval": KEEPALIVE_INTERVAL,
            "keepalives_count": KEEPALIVE_COUNT,
            "tcp_user_timeout": int(SILENCE * 1000),
        }
        # Ours, whatever the DSN or a role says: what we read and send is UTF-8.
        ours: dict[str, str | int] = {"client_encoding": "UTF8"}
        if self.insists:
            ours["application_name"] = defaults.pop("application_name")
        if self.password and not libpq.has_password(self.dsn):
            defaults["password"] = self.password
        return make_conninfo(self.dsn, **{k: v for k, v in defaults.items() if k not in given}, **ours)

    def named(self, application: str) -> Target:
        """Return it with an application name by which its sessions can be found, whatever the DSN says."""
        return replace(self, application_name=application, insists=True)

    @property
    def pooled(self) -> bool:
        """Whether server connections change between transactions, so that nothing can be left in them."""
        return self.route == TRANSACTION_POOLER

    @property
    def keeps_session(self) -> bool:
        """Whether what is set for a session is there in the next transaction, and is not left to other clients."""
        return self.route in (DIRECT, SESSION_POOLER)

    @property
    def session_statements(self) -> tuple[str, ...]:
        """The statements by which the server notices that we are gone, and frees what our transactions have locked.

        A pooler watches over the server's connections itself.
        """
        if self.route != DIRECT:
            return ()
        return (
            f"set tcp_keepalives_idle = '{KEEPALIVE_IDLE}'",
            f"set tcp_keepalives_interval = '{KEEPALIVE_INTERVAL}'",
            f"set tcp_keepalives_count = '{KEEPALIVE_COUNT}'",
            f"set tcp_user_timeout = '{int(SILENCE * 1000)}'",
        )

    @property
    def psycopg_arguments(self) -> dict[str, Any]:
        """The arguments of `psycopg.connect` beside the DSN."""
        return {} if self.keeps_session else {"prepare_threshold": None}

    @property
    def label(self) -> str:
        """Database, host and user, without the password."""
        try:
            options = libpq.options(self.conninfo)
        except OptionsRefused:
            # The service file is missing.
            return "the database"
        host = options.get("host") or options.get("hostaddr")
        return f"{options.get('dbname') or options.get('user')} on {host or 'the local socket'}"

    def asyncpg_attempts(self) -> list[dict[str, Any]]:
        """Return the arguments of `asyncpg.connect` that mean what the DSN means to libpq, for each server in its turn.

        Raises:
            SettingsError: the DSN asks for what asyncpg cannot do, or libpq would not connect; a file cannot be read.
        """
        from rowhooks.postgres.connections.asyncpg_settled import TransactionSettled  # commands do not need asyncpg

        kind = {} if self.keeps_session else {"statement_cache_size": 0, "connection_class": TransactionSettled}
        return [{**one, **kind} for one in attempts(self.conninfo)]
