"""What `rowhooks quickstart` finds in a database, and does there in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import psycopg
from psycopg import sql

from rowhooks.domain.errors import Conflict, PermissionDenied
from rowhooks.postgres.administration.common import Connection, fetch
from rowhooks.postgres.administration.leftovers import refuse_leftovers
from rowhooks.postgres.administration.lock_watch import patient
from rowhooks.postgres.administration.outline import Outline, find_outline
from rowhooks.postgres.administration.revisions import (
    current_revision,
    explain_mismatch,
    head_revision,
    known_revisions,
)
from rowhooks.postgres.administration.roles import Roles, chosen, recorded_roles, usual, written
from rowhooks.postgres.administration.schema import install_in
from rowhooks.postgres.administration.tables import track
from rowhooks.postgres.administration.trust import vet
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__)


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Args:
        table: the table, as PostgreSQL reads its name.
        login: the daemon's login.
        privileges: what receivers may do with the table: select, insert, update, delete.
        roles: names of roles, for a new installation.
        hook: the hook's name.
    """

    table: str
    login: str
    privileges: Sequence[str]
    roles: Mapping[str, str]
    hook: str


@dataclass(frozen=True)
class Found:
    """What is there.

    Args:
        outline: the table.
        revision: that of schema rowhooks; None: it is not installed.
        roles: those of the installation, also of the one to come.
        has_login: whether the login exists.
        is_member: whether it has what the daemon's role has.
        lacks_usage: whether the daemon's role may not use the table's schema.
        lacking: the privileges that it lacks on the table.
        is_tracked: whether the table is tracked.
        has_hook: whether there is a hook of that name.
    """

    outline: Outline
    revision: str | None
    roles: Roles
    has_login: bool
    is_member: bool
    lacks_usage: bool
    lacking: Sequence[str]
    schema: str
    is_tracked: bool = False
    has_hook: bool = False

    @property
    def is_current(self) -> bool:
        """Whether schema rowhooks is that of this release."""
        return self.revision == head_revision()

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do in the database."""
        return (
            self.is_current and self.is_tracked and self.has_login and self.is_member
            and not (self.lacks_usage or self.lacking)
        )  # fmt: skip

    def role_statement(self, login: str) -> str | None:
        """Return the SQL that gives the daemon its login, without the password; None where it has it."""
        daemon = written(self.roles.daemon)
        if not self.has_login:
            return f"create role {written(login)} login in role {daemon}"
        return None if self.is_member else f"grant {daemon} to {written(login)}"

    def grants(self) -> Iterator[str]:
        """Yield the SQL that lets receivers work with the table."""
        daemon = written(self.roles.daemon)
        if self.lacks_usage:
            yield f"grant usage on schema {self.schema} to {daemon}"
        if self.lacking:
            yield f"grant {', '.join(self.lacking)} on {self.outline.quoted} to {daemon}"


def look(conn: Connection, wanted: Wanted) -> Found:
    """Return what of a quick start is done already.

    Raises:
        NotFound: there is no such table.
        Conflict: it cannot be tracked, or nothing tells its rows apart; or the login cannot log in.
        SchemaMismatch: schema rowhooks is newer than this code, or a dump has left a part of it.
        PermissionDenied: the role is a superuser and would run what a weaker role may have made.
    """
    refuse_leftovers(conn)
    vet(conn)
    revision = current_revision(conn)
    if revision is not None and revision not in known_revisions() and (mismatch := explain_mismatch(revision)):
        raise mismatch
    outline = find_outline(conn, wanted.table)
    roles = chosen(wanted.roles, usual(conn)) if revision is None else recorded_roles(conn)[0]
    has_login, is_member = _login(conn, wanted.login, roles)
    [lacking] = fetch(conn, _SQL["lacking"], outline.quoted, roles.daemon, list(wanted.privileges))
    is_tracked = revision is not None and fetch(conn, _SQL["is_tracked"], outline.quoted)[0]["is_so"]
    if not outline.key and not is_tracked:
        raise Conflict(
            f"table {outline.quoted} has no primary key: nothing tells its rows apart",
            hint="say what does, then repeat: rowhooks init, and rowhooks track TABLE --identity COLUMN (or full)",
        )
    return Found(
        outline, revision, roles, has_login, is_member, lacking["lacks_usage"], lacking["privileges"],
        lacking["schema"], is_tracked,
        has_hook=revision is not None and fetch(conn, _SQL["has_hook"], wanted.hook)[0]["is_so"],
    )  # fmt: skip


def _login(conn: Connection, login: str, roles: Roles) -> tuple[bool, bool]:
    rows = fetch(conn, _SQL["login"], login, roles.daemon)
    if rows and not rows[0]["can_log_in"]:
        raise Conflict(f"role {login} cannot log in", hint="name another one with --login, or: alter role ... login")
    return bool(rows), bool(rows and rows[0]["is_member"])


def carry_out(
    target: Target, wanted: Wanted, password: str, wait: timedelta, *, before_commit: Callable[[], None]
) -> Found:
    """Do what is left, in one transaction; return what was there before.

    Args:
        target: the database, as an administrator.
        wanted: what is asked for.
        password: that of a new login. The server gets its SCRAM verifier alone.
        wait: how long to wait for each lock.
        before_commit: is called when the database has taken everything; where it raises, nothing is done.

    Raises:
        DatabaseError: a lock was not available; the message says who holds it.
        PermissionDenied: the connected role may not do a part of it.
    """
    with patient(target, "quickstart", wait) as conn:
        found = look(conn, wanted)
        if not found.is_current:
            install_in(conn, wanted.roles, what="quickstart")
        if statement := found.role_statement(wanted.login):
            _let_in(conn, statement, None if found.has_login else (wanted.login, password))
        for grant in found.grants():
            _grant(conn, grant, found)
        # Of privileges that it may not give, PostgreSQL only warns.
        for grant in look(conn, wanted).grants():
            raise _not_granted(conn, grant, found)
        if not found.is_tracked:
            track(conn, found.outline.quoted, audit_receivers=False)
        before_commit()
    return found


def _let_in(conn: Connection, statement: str, new: tuple[str, str] | None) -> None:
    password = ""
    if new is not None:
        login, text = new
        verifier = conn.pgconn.encrypt_password(text.encode(), login.encode(), b"scram-sha-256").decode()
        password = f" password {sql.Literal(verifier).as_string(conn)}"
    try:
        conn.execute(f"{statement}{password}".encode())
    except psycopg.errors.InsufficientPrivilege as error:
        raise PermissionDenied(
            f"role {conn.info.user} may not: {statement}",
            hint="connect as a superuser, or as a role with CREATEROLE; or let one run this and give the login a"
            " password, then repeat with --login",
        ) from error


def _grant(conn: Connection, statement: str, found: Found) -> None:
    try:
        with conn.transaction():
            conn.execute(statement.encode())
    except psycopg.errors.InsufficientPrivilege as error:
        raise _not_granted(conn, statement, found) from error


def _not_granted(conn: Connection, statement: str, found: Found) -> PermissionDenied:
    return PermissionDenied(
        f"role {conn.info.user} may not: {statement}",
        hint=f"connect as {found.outline.owner}, which owns the table, or as a superuser; or let one of them run this"
        " first",
    )
