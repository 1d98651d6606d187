r"""Texts of a database that knows no encoding (SQL_ASCII): they may hold bytes that are no UTF-8, and keep them.

Such a byte is a lone surrogate in Python's text, as in the names of files: 0xE9 is U+DCE9. `rowhooks.domain.display`
shows it as `\xe9`. PostgreSQL sends and takes such bytes only if the client's encoding is SQL_ASCII too. psycopg takes
that for ASCII, so it is set for single transactions, by `take_any_bytes`.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql
from psycopg.abc import AdaptContext, Buffer, Loader
from psycopg.errors import CharacterNotInRepertoire
from psycopg.types.json import set_json_loads
from psycopg.types.string import StrDumperUnknown

from rowhooks.domain import exact

SCHEME = "surrogateescape"
"""How Python calls it."""
_TEXTS = (0, 18, 19, 25, 142, 705, 1042, 1043)
"""The oids of types whose values are texts: "char", name, text, xml, unknown, char, varchar; 0 is any other one."""


def may_hold_any_bytes(connection: psycopg.Connection[Any]) -> bool:
    """Say whether the database of a connection knows no encoding."""
    return connection.pgconn.parameter_status(b"server_encoding") == b"SQL_ASCII"


def adapt_to_any_bytes(context: AdaptContext) -> None:
    """Let a connection, or what stands for one, read and write texts as this module says."""
    for oid in _TEXTS:
        context.adapters.register_loader(oid, _AnyText)
    context.adapters.register_dumper(str, _AnyTextDumper)
    set_json_loads(_read_json, context)


def take_any_bytes(connection: psycopg.Connection[Any]) -> None:
    """Let this transaction of a connection send and take any bytes."""
    connection.execute("set local client_encoding = 'SQL_ASCII'")


def is_about_bytes(error: BaseException) -> bool:
    """Say whether an error of ours means that bytes are no text in the client's encoding."""
    return isinstance(error.__cause__, CharacterNotInRepertoire)


def as_sent(connection: psycopg.Connection[Any], query: str | sql.Composed) -> Any:
    """Return a query as psycopg can send it, also in a transaction that takes any bytes."""
    if connection.info.encoding != "ascii":
        return query
    return query.encode() if isinstance(query, str) else query.as_bytes()


def _read_json(document: str | bytes) -> Any:
    return exact.read_exactly(document if isinstance(document, str) else document.decode("utf-8", SCHEME))


class _AnyText:
    format = psycopg.pq.Format.TEXT

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None: ...

    def load(self, data: Buffer) -> str:
        return bytes(data).decode("utf-8", SCHEME)


class _AnyTextDumper(StrDumperUnknown):
    def dump(self, obj: str) -> Buffer | None:
        try:
            return super().dump(obj)
        except UnicodeEncodeError:
            return obj.encode("utf-8", SCHEME)


_: type[Loader] = _AnyText
