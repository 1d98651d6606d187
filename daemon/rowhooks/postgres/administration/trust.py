"""Trust: whose code a superuser would run; which roles may replace rowhooks' functions, and what is not ours."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.sql import Identifier

from rowhooks.domain import shell
from rowhooks.domain.errors import Conflict, PermissionDenied
from rowhooks.postgres.administration.drift import wanted_functions
from rowhooks.postgres.connections.search_path import SEARCH_PATH
from rowhooks.postgres.statements import Statements
from rowhooks.resources import sql_script

SQL = Statements(__file__)

_NAMES = {
    kind: re.compile(rf"^create (?:or replace )?(?:constraint )?{kind} (?:rowhooks\.)?(\w+)", re.MULTILINE)
    for kind in ("function", "trigger")
}


def weaker_roles(conn: psycopg.Connection[Any]) -> list[str]:
    """Return the roles without superuser that may act as the owner of schema rowhooks, and so replace its functions."""
    return [name for (name,) in conn.execute(SQL["weaker_roles"])]


def foreign_objects(conn: psycopg.Connection[Any]) -> list[str]:
    """Return the objects in schema rowhooks, or attached to its tables, that this release did not make."""
    script = sql_script("functions", "superuser")
    expected = {kind: Counter(names.findall(script)) for kind, names in _NAMES.items()}
    present = conn.execute(SQL["present_objects"]).fetchall()
    found: dict[str, Counter[str]] = {
        kind: Counter(name for other, name, _ in present if other == kind) for kind in expected
    }
    return [
        f"{kind} {description}"
        for kind, name, description in present
        if kind not in expected
        or not (
            found[kind][name] <= expected[kind][name] or (kind == "function" and re.fullmatch(r"capture_\d+", name))
        )
    ]


def is_approved(conn: psycopg.Connection[Any]) -> bool:
    """Say whether schema rowhooks is what a superuser has installed.

    The catalogue is read first. Only if it agrees is a table of the schema read, which runs what is attached to it.
    """
    # The event triggers run the same query. The function in the database may have been replaced: the text is run.
    (fingerprint,) = [one.source for one in wanted_functions("superuser") if one.name == "fingerprint"]
    with conn.transaction():
        conn.execute(SQL["settings_of_fingerprint"], {"search_path": SEARCH_PATH})
        approved, present = conn.execute(SQL["approved"]).fetchone(), conn.execute(fingerprint.encode()).fetchone()
        if approved is None or present is None or not str(approved[0]).startswith(f"{present[0]} "):
            return False
        roles = conn.execute(SQL["roles"]).fetchone()
    return roles is not None and approved[0] == f"{present[0]} {roles[0]}"


def vet(conn: psycopg.Connection[Any], *, trusting: bool = False) -> None:
    """Refuse a superuser's command that would run code of schema rowhooks which a weaker role may have made.

    Call it before anything of the schema is read.

    Args:
        conn: any login; only a superuser's is checked.
        trusting: the superuser vouches for the schema as it is.

    Raises:
        PermissionDenied: a weaker role may replace that code, or the schema is not what a superuser has installed.
        Conflict: an object in it was not made by rowhooks.
    """
    if not is_superuser(conn) or conn.execute(SQL["is_installed"]).fetchone() is None:
        return
    for role in weaker_roles(conn):
        raise PermissionDenied(
            f"{conn.info.user} is a superuser, and {role}, which is none, may replace what rowhooks runs",
            hint=f"connect as {role} or as the table's owner; or: "
            + shell.command("psql", "-c", _taking_back(conn, role))
            + ", then rowhooks upgrade --trust-schema",
        )
    if trusting:
        # A function that nothing calls does no harm.
        for what in (found for found in foreign_objects(conn) if not found.startswith("function ")):
            raise Conflict(f"{what} is none of rowhooks'", hint="drop it, if nobody needs it")
    elif not is_approved(conn):
        raise PermissionDenied(
            f"{conn.info.user} is a superuser, and schema rowhooks is not what a superuser has installed: its code"
            " would run with all rights",
            hint="if nobody but superusers could ever act as its owner: rowhooks upgrade --trust-schema; else uninstall"
            " it as whoever installed it, and init anew",
        )


def distrusted(conn: psycopg.Connection[Any]) -> Iterator[tuple[str, *tuple[str | list[str], ...]]]:
    """Yield what keeps the event triggers from working, and objects that are none of ours: each with its way out."""
    upgrade = ["rowhooks", "upgrade", "--trust-schema"]
    for what in foreign_objects(conn):
        yield f"{what} is none of rowhooks'", "drop it, if nobody needs it"
    if conn.execute(SQL["approved"]).fetchone() is None:
        return
    weaker = weaker_roles(conn)
    for role in weaker:
        what = f"the event triggers leave DDL to the daemon: role {role}, no superuser, may act as the schema's owner"
        yield what, ["psql", "-c", _taking_back(conn, role)]
    if not weaker and not is_approved(conn):
        what = "the event triggers leave DDL to the daemon: schema rowhooks is not what a superuser has installed"
        yield what, "if you know why, let a superuser run: ", upgrade


def replace_event_triggers(conn: psycopg.Connection[Any]) -> None:
    """Make the event triggers, where the connected role may. Without them the daemon notices altered tables later.

    The schema as it is now becomes what a superuser has installed.
    """
    if is_superuser(conn):
        conn.execute(sql_script("superuser"))


def is_superuser(conn: psycopg.Connection[Any]) -> bool:
    """Say whether the connected role is a superuser."""
    return conn.info.parameter_status("is_superuser") == "on"


def _taking_back(conn: psycopg.Connection[Any], role: str) -> str:
    row = conn.execute(SQL["owner_of_schema"]).fetchone()
    assert row is not None, "there is no schema rowhooks"
    return f"revoke {row[0]} from {Identifier(role).as_string(conn)} cascade"
