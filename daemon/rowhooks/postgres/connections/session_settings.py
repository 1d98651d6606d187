"""The settings that our sessions begin with, whatever a database, a role, PGOPTIONS or the DSN says.

There is one table for every connection. Where a session is ours for its whole life, they are set once, when it is
opened. Where a transaction pooler may be in between, each transaction sets them for itself: nothing is lost, and
nothing is left to other clients.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class SessionSetting:
    """A setting that our statements rely on.

    Args:
        name: PostgreSQL's name.
        value: the value that is set.
        why: what would go wrong otherwise.
        since: the first major version of PostgreSQL that has it.
        is_for_receivers: whether it is also set in sessions of receivers, and in those that load their rows.
        is_privileged: not every login may set it; the server's error says so where a login may not and needs to.
    """

    name: str
    value: str
    why: str
    since: int = 0
    is_for_receivers: bool = True
    is_privileged: bool = False


_LIMIT = "a receiver has its time limits; nothing else of ours may end halfway, and be tried again for ever"

SETTINGS: Sequence[SessionSetting] = (
    SessionSetting("DateStyle", "ISO", "psycopg reads no timestamp in another style; the order (DMY) stays"),
    SessionSetting("IntervalStyle", "postgres", "psycopg reads no interval in another style"),
    SessionSetting("TimeZone", "UTC", "moments are the same for whoever asks", is_for_receivers=False),
    SessionSetting("bytea_output", "hex", "bytes are compared as texts"),
    SessionSetting("extra_float_digits", "1", "a float would be read as another number, which no row has"),
    SessionSetting("array_nulls", "on", "NULL in an array would be written as the text NULL"),
    SessionSetting("standard_conforming_strings", "on", "a backslash in a text is a backslash"),
    SessionSetting("quote_all_identifiers", "off", "names are compared as the server quotes them"),
    SessionSetting("xmloption", "content", "what was read from an xml column can be written again"),
    SessionSetting("exit_on_error", "off", "an error ends a statement and not the session"),
    SessionSetting("statement_timeout", "0", _LIMIT),
    SessionSetting("lock_timeout", "0", _LIMIT),
    SessionSetting("idle_in_transaction_session_timeout", "0", _LIMIT),
    SessionSetting("idle_session_timeout", "0", _LIMIT),
    SessionSetting("transaction_timeout", "0", _LIMIT, since=17),
    SessionSetting("default_transaction_isolation", "read committed", "what others commit meanwhile must be seen"),
    SessionSetting("default_transaction_read_only", "off", "what happened is written down"),
    SessionSetting("default_transaction_deferrable", "off", "nothing of ours waits for a quiet moment"),
    SessionSetting("jit", "off", "to compile our statements takes longer than to execute them", is_for_receivers=False),
    SessionSetting(
        "session_replication_role",
        "origin",
        "the triggers of our own tables fire",
        is_for_receivers=False,
        is_privileged=True,
    ),
)
"""What is set, and why; documented in docs/settings.md."""

_MODES = "default_transaction_"
"""These do not affect a transaction that has begun; see modes()."""


def of_session(server_version: int, *, for_receivers: bool) -> list[str]:
    """Return the first statements of a session that is ours for its whole life.

    Args:
        server_version: libpq's number, such as 180001.
        for_receivers: whether the session is for receivers.
    """
    return [_set(one, is_local=False) for one in _known(server_version, for_receivers=for_receivers)]


@cache
def of_transaction(server_version: int, *, for_receivers: bool) -> tuple[str, ...]:
    """Return the first statements of a transaction, after its modes, where other clients have the session next."""
    return tuple(
        _set(one, is_local=True)
        for one in _known(server_version, for_receivers=for_receivers)
        if not one.name.startswith(_MODES)
    )


def _known(server_version: int, *, for_receivers: bool) -> Iterator[SessionSetting]:
    for one in SETTINGS:
        if server_version >= one.since * 10000 and (one.is_for_receivers or not for_receivers):
            yield one


def _set(one: SessionSetting, *, is_local: bool) -> str:
    if one.is_privileged:
        return (
            f"select pg_catalog.set_config('{one.name}', '{one.value}', {is_local})"
            f" where pg_catalog.current_setting('{one.name}') operator(pg_catalog.<>) '{one.value}'"
        )
    return f"set {'local ' if is_local else ''}{one.name} = '{one.value}'"


def modes(*, in_recovery: bool, isolation: bool = True, read_write: bool = True, deferrable: bool = True) -> list[str]:
    """Return the first statement of a transaction, which gives it the modes of SETTINGS.

    Args:
        in_recovery: the server is a standby, which refuses to write.
        isolation: no other isolation level was chosen.
        read_write: neither read-only nor read-write was chosen.
        deferrable: neither deferrable nor its opposite was chosen.
    """
    asked = [
        *(["isolation level read committed"] if isolation else []),
        *(["read write"] if read_write and not in_recovery else []),
        *(["not deferrable"] if deferrable else []),
    ]
    return [f"set transaction {', '.join(asked)}"] if asked else []
