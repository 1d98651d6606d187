"""DSNs made of another one: for another login of the same database, and without a password."""

from __future__ import annotations

import re
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rowhooks.postgres.connections import libpq
from rowhooks.postgres.connections.target import Target

_PLACE = ("host", "hostaddr", "port", "dbname")
_OF_A_LOGIN = ("user", "password", "passfile", "sslpassword", "application_name")


def dsn_for_login(target: Target, login: str, passfile: Path | None = None) -> str:
    """Return the DSN of another login of the same database; host, port and database do not depend on the environment.

    Args:
        target: the database.
        login: the login.
        passfile: the file with its password; None: libpq looks where it always does.
    """
    given = {name: value for name, value in conninfo_to_dict(target.dsn).items() if name not in _OF_A_LOGIN}
    file = {} if passfile is None else {"passfile": str(passfile)}
    return make_conninfo("", **{**given, **_place(target), "user": login, **file})


def dsn_without_password(target: Target) -> str:
    """Return the DSN of the same login of the same database, without its password."""
    given = {name: value for name, value in conninfo_to_dict(target.dsn).items() if name != "password"}
    user = libpq.options(target.conninfo).get("user")
    return make_conninfo("", **{**given, **_place(target), **({"user": user} if user else {})})


def has_password(target: Target) -> bool:
    """Say whether the DSN, or its service, has a password."""
    return libpq.has_password(target.dsn)


def login_of(dsn: str) -> str:
    """Return the login that a DSN names, an empty text where it names none."""
    return str(conninfo_to_dict(dsn).get("user") or "")


def passfile_of(dsn: str) -> str:
    """Return the password file that a DSN names, an empty text where it names none."""
    return str(conninfo_to_dict(dsn).get("passfile") or "")


def passfile_line(target: Target, login: str, password: str) -> str:
    """Return the line of a password file for a login of the same database, on any host that the DSN names."""
    database = libpq.options(target.conninfo).get("dbname", "*")
    return ":".join(["*", "*", *(re.sub(r"([\\:])", r"\\\1", text) for text in (database, login, password))]) + "\n"


def _place(target: Target) -> dict[str, str]:
    found = libpq.options(target.conninfo)
    return {name: found[name] for name in _PLACE if found.get(name)}
