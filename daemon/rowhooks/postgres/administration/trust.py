"""Trust: whose code a superuser would run; which roles may replace rowhooks' functions, and what is not ours."""

from __future__ import annotations

import functools
import re
from collections import Counter
from typing import Any

import psycopg
from psycopg.sql import Identifier

from rowhooks.domain import shell
from rowhooks.domain.errors import Conflict, PermissionDenied
from rowhooks.postgres.administration.drift import wanted_functions
from rowhooks.postgres.administration.questions import Question, Rows, Steps, answer, ask
from rowhooks.postgres.administration.revisions import current_revision, refuse_checkouts
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
    return _foreign(conn.execute(SQL["present_objects"]).fetchall())


@functools.cache
def _expected() -> dict[str, Counter[str]]:
    script = sql_script("functions", "superuser")
    return {kind: Counter(names.findall(script)) for kind, names in _NAMES.items()}


def _foreign(present: Rows) -> list[str]:
    expected = _expected()
    found: dict[str, Counter[str]] = {
        kind: Counter(name for other, name, _ in present if other == kind) for kind in expected
    }
    return [
        f"{kind} {description}"
        for kind, name, description in present
        if kind not in expected
        or not (
            found[kind][name] <= expected[kind][name]
            or (kind == "function" and re.fullmatch(r"capture_\d+(_statement|_mark)?", name))
        )
    ]


def is_approved(conn: psycopg.Connection[Any]) -> bool:
    """Say whether schema rowhooks is what a superuser has installed.

    The catalogue is read first. Only if it agrees is a table of the schema read, which runs what is attached to it.
    """
    with conn.transaction():
        return answer(conn, _approval())


def _approval() -> Steps[bool]:
    # The event triggers run the same query. The function in the database may have been replaced: the text is run.
    (fingerprint,) = [one.source for one in wanted_functions("superuser") if one.name == "fingerprint"]
    _, approved, present = yield [
        Question(SQL["settings_of_fingerprint"], (SEARCH_PATH,)), Question(SQL["approved"]), Question(fingerprint),
    ]  # fmt: skip
    if not approved or not present or not str(approved[0][0]).startswith(f"{present[0][0]} "):
        return False
    roles = yield from ask(SQL["roles"])
    return bool(roles) and bool(approved[0][0] == f"{present[0][0]} {roles[0][0]}")


def vet(conn: psycopg.Connection[Any], *, trusting: bool = False) -> None:
    """Refuse a superuser's command that would run code of schema rowhooks which a weaker role may have made.

    Call it before anything of the schema is read.

    Args:
        conn: any login; only a superuser's is checked.
        trusting: the superuser vouches for the schema as it is.

    Raises:
        PermissionDenied: a weaker role may replace that code, or the schema is not what a superuser has installed.
        Conflict: an object in it was not made by rowhooks.
        SchemaMismatch: a checkout before the first release made it.
    """
    if not is_superuser(conn) or (installed := conn.execute(SQL["is_installed"]).fetchone()) is None:
        return
    if installed == (True,):
        refuse_checkouts(current_revision(conn))
    for role in weaker_roles(conn):
        raise PermissionDenied(
            f"{conn.info.user} is a superuser, and {role}, which is none, may replace what rowhooks runs",
            hint=f"connect as {role} or as the table's owner; or: "
            + shell.command("psql", "-c", _taking_back(conn.execute(SQL["owner_of_schema"]).fetchall(), role))
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


def distrusted() -> Steps[list[tuple[str, *tuple[str | list[str], ...]]]]:
    """Return what keeps the event triggers from working, and objects that are none of ours: each with its way out."""
    upgrade = ["rowhooks", "upgrade", "--trust-schema"]
    present, approved, weaker, owner = yield [
        Question(SQL[name]) for name in ("present_objects", "approved", "weaker_roles", "owner_of_schema")
    ]
    found: list[tuple[str, *tuple[str | list[str], ...]]] = [
        (f"{what} is none of rowhooks'", "if nobody needs it: ", ["psql", "-c", f"drop {what}"])
        if what.startswith(("function ", "trigger ", "rule ", "policy "))
        else (f"{what} is none of rowhooks'", "drop it, if nobody needs it")
        for what in _foreign(present)
    ]
    if not approved:
        return found
    for (role,) in weaker:
        what = f"the event triggers leave DDL to the daemon: role {role}, no superuser, may act as the schema's owner"
        found.append((what, ["psql", "-c", _taking_back(owner, role)]))
    if not weaker and not (yield from _approval()):
        what = "the event triggers leave DDL to the daemon: schema rowhooks is not what a superuser has installed"
        found.append((what, "if you know why, let a superuser run: ", upgrade))
    return found


def replace_event_triggers(conn: psycopg.Connection[Any]) -> None:
    """Make the event triggers, where the connected role may. Without them the daemon notices altered tables later.

    The schema as it is now becomes what a superuser has installed.
    """
    if is_superuser(conn):
        conn.execute(sql_script("superuser"))


def is_superuser(conn: psycopg.Connection[Any]) -> bool:
    """Say whether the connected role is a superuser."""
    return conn.info.parameter_status("is_superuser") == "on"


def _taking_back(owner: Rows, role: str) -> str:
    [(name,)] = owner
    return f"revoke {name} from {Identifier(role).as_string(None)} cascade"
