"""Installs, upgrades and removes schema rowhooks in the target database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.types.json import set_json_loads

from rowhooks.domain.errors import Conflict, DatabaseError, PermissionDenied, SchemaMismatch
from rowhooks.postgres.administration import removal
from rowhooks.postgres.administration.leftovers import refuse_leftovers
from rowhooks.postgres.administration.lock_watch import WAIT, patient
from rowhooks.postgres.administration.removal import Kept
from rowhooks.postgres.administration.revisions import (
    bind,
    current_revision,
    explain_mismatch,
    head_revision,
    known_revisions,
    migrate,
    refuse_checkouts,
)
from rowhooks.postgres.administration.roles import (
    ROLE_KINDS,
    Roles,
    as_owner,
    chosen,
    ensure_roles,
    recorded_roles,
    usual,
    write_down,
    write_down_made,
    written,
)
from rowhooks.postgres.administration.trust import replace_event_triggers, vet
from rowhooks.postgres.connections.command import connection
from rowhooks.postgres.connections.loaders import read_json_exactly
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.statements import Statements
from rowhooks.resources import sql_script

if TYPE_CHECKING:
    import sqlalchemy

SQL = Statements(__file__)

MINIMUM_SERVER_VERSION = 140000
# Serialises administrators; only the owner of schema rowhooks can take it.
_INSTALL_LOCK = "lock table rowhooks.installation in share row exclusive mode"
# What the later of two simultaneous first installations meets: the earlier one has made the object.
_MADE_MEANWHILE = (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateObject, psycopg.errors.DuplicateSchema)


@dataclass(frozen=True)
class Installed:
    """What `install` did.

    Args:
        created: the schema did not exist before.
        revision: the schema's revision.
        roles: the roles of the installation.
    """

    created: bool
    revision: str
    roles: Roles

    @property
    def daemon_role(self) -> str:
        """The daemon's role as SQL wants it written."""
        return written(self.roles.daemon)


@contextlib.contextmanager
def installed_connection(target: Target) -> Iterator[psycopg.Connection[Any]]:
    """Open a connection for one command to a database whose schema fits this code.

    Raises:
        SchemaMismatch: the schema is missing, older or newer, or a dump has left a part of it.
        PermissionDenied: the command asks for what only viewers or the daemon's role may see.
    """
    with connection(target) as conn:
        refuse_leftovers(conn)
        vet(conn)
        try:
            if mismatch := explain_mismatch(current_revision(conn)):
                raise mismatch
            # Every value that PostgreSQL stores can be shown, and no digit of it is lost.
            set_json_loads(read_json_exactly, conn)
            yield conn
        except psycopg.errors.InsufficientPrivilege as error:
            conn.rollback()
            login = written(conn.info.user)
            roles = conn.execute(SQL["roles_that_look_on"]).fetchall()
            if error.diag.message_hint or not roles:
                raise
            raise PermissionDenied(
                f"role {conn.info.user} may not use schema rowhooks",
                hint="connect as an administrator, or let one run: "
                + " or ".join(f"grant {role} to {login}" for (role,) in roles),
            ) from error


def install(
    target: Target,
    roles: Roles | Mapping[str, str],
    *,
    notify: bool | None = None,
    wait: timedelta = WAIT,
    what: str = "init",
    trusting: bool = False,
) -> Installed:
    """Install the schema, or bring it up to date, in one transaction: nothing is ever half done.

    Args:
        target: the database, as an administrator.
        roles: the names of the roles, or of those kinds that are not to have the default names (see `roles.usual`). The
            roles of an existing installation stay.
        notify: whether the bell is a NOTIFY; None: as it is, which is yes for a new installation.
        wait: how long to wait for each lock.
        what: the command, for messages.
        trusting: a superuser vouches for a schema that no superuser has installed.

    Raises:
        DatabaseError: a lock was not available; the message says who holds it.
        PermissionDenied: the connected role may not create roles or schemas, or is a superuser and would run what a
            weaker role may have made.
        SchemaMismatch: the schema in the database is newer than this code, or a dump has left a part of it.
        Conflict: a schema rowhooks exists that is not ours.
    """
    try:
        return _install(target, roles, notify, wait, what, trusting)
    except DatabaseError as error:
        if not isinstance(error.__cause__, _MADE_MEANWHILE):
            raise
    # Another session has installed at the same time.
    return _install(target, roles, notify, wait, what, trusting)


def _install(
    target: Target, given: Roles | Mapping[str, str], notify: bool | None, wait: timedelta, what: str, trusting: bool
) -> Installed:
    with patient(target, what, wait) as conn:
        return install_in(conn, given, notify=notify, what=what, trusting=trusting)


def install_in(
    conn: psycopg.Connection[Any],
    given: Roles | Mapping[str, str],
    *,
    notify: bool | None = None,
    what: str = "init",
    trusting: bool = False,
) -> Installed:
    """Do what `install` does in a transaction of the caller's, which waits for locks as the caller has chosen.

    Args:
        conn: a connection with our search_path; its transaction has done nothing yet.
        given: as `roles` of `install`.
        notify: as for `install`.
        what: as for `install`.
        trusting: as for `install`.
    """
    alembic = bind(conn)
    refuse_leftovers(conn)
    vet(conn, trusting=trusting)
    if conn.info.server_version < MINIMUM_SERVER_VERSION:
        raise Conflict(f"PostgreSQL {conn.info.server_version // 10000} is too old", hint="14 or newer is needed")
    current = current_revision(conn)
    if current is None and what == "upgrade":
        raise SchemaMismatch("rowhooks is not installed in this database", hint="run: rowhooks init")
    if current is not None and current not in known_revisions():
        mismatch = explain_mismatch(current)
        assert mismatch is not None
        raise mismatch
    roles = _make(conn, alembic, given) if current is None else _bring_up_to_date(conn, alembic)
    with as_owner(conn, roles):
        conn.execute(sql_script("functions"))
        # The generated functions follow their generator.
        conn.execute(SQL["set_notify"], {"notify": notify})
        if current is None:
            conn.execute("select rowhooks.extend_object_change()")
    replace_event_triggers(conn)
    return Installed(created=current is None, revision=head_revision(), roles=roles)


def _make(conn: psycopg.Connection[Any], alembic: sqlalchemy.Connection, given: Roles | Mapping[str, str]) -> Roles:
    """Make the roles, the schema and its structure."""
    if conn.execute("select 1 from pg_namespace where nspname = 'rowhooks'").fetchone():
        raise Conflict(
            "a schema rowhooks exists already that rowhooks did not make",
            hint="rename or drop it: alter schema rowhooks rename to ...",
        )
    roles = chosen(given, usual(conn))
    made = ensure_roles(conn, roles)
    _create_schema(conn, roles.owner)
    with as_owner(conn, roles):
        migrate(alembic)
        write_down(conn, roles, made)
    return roles


def _bring_up_to_date(conn: psycopg.Connection[Any], alembic: sqlalchemy.Connection) -> Roles:
    """Migrate the structure, and make the roles that were dropped."""
    roles, _ = recorded_roles(conn)
    made = ensure_roles(conn, roles)
    with as_owner(conn, roles):
        conn.execute(_INSTALL_LOCK)
        migrate(alembic)
        write_down_made(conn, made)
    return roles


def upgrade(
    target: Target,
    roles: Roles | Mapping[str, str] | None = None,
    *,
    notify: bool | None = None,
    wait: timedelta = WAIT,
    trusting: bool = False,
) -> Installed:
    """Bring an installed schema up to date; see install().

    Raises:
        DatabaseError: a lock was not available; the message says who holds it.
        SchemaMismatch: rowhooks is not installed, or the schema is newer than this code.
    """
    return install(target, roles or {}, notify=notify, wait=wait, what="upgrade", trusting=trusting)


def uninstall(target: Target, *, cascade: bool = False, wait: timedelta = WAIT) -> list[Kept]:
    """Remove every trigger, function, table and role that rowhooks made. Rows of the user's tables are never touched.

    Args:
        target: the database, as an administrator.
        cascade: also remove objects of others that need rowhooks: views, columns of our types, foreign keys.
        wait: how long to wait for each lock.

    Returns:
        The roles that stay, each with the reason.

    Raises:
        SchemaMismatch: rowhooks is not installed, or by a checkout before the first release.
        Conflict: objects of others need rowhooks; the message names them.
        DatabaseError: a lock was not available; the message says who holds it.
    """
    with patient(target, "uninstall", wait) as conn:
        refuse_leftovers(conn)
        vet(conn)
        current = current_revision(conn)
        if current is None:
            raise SchemaMismatch("rowhooks is not installed in this database", hint="there is nothing to uninstall")
        refuse_checkouts(current)
        roles, created = recorded_roles(conn)
        with as_owner(conn, roles):
            conn.execute(_INSTALL_LOCK)
        # First, so that they do not follow what comes now.
        conn.execute("drop event trigger if exists rowhooks_after_ddl")
        conn.execute("drop event trigger if exists rowhooks_after_drop")
        removal.drop_triggers(conn)
        with as_owner(conn, roles):
            removal.lock_everything(conn)
        if not cascade and (dependents := removal.dependents(conn)):
            raise Conflict(
                f"rowhooks cannot be removed without what others have made of it: {', '.join(dependents)}",
                hint="drop or alter these first, or let them go too: rowhooks uninstall --cascade",
            )
        conn.execute("drop schema rowhooks cascade")
        # The owner's role last: what it granted to the others depends on both.
        found = [
            removal.drop_role(conn, role) if kind in created else Kept(role, "it was there before rowhooks")
            for kind in reversed(ROLE_KINDS)
            for role in [getattr(roles, kind)]
        ]
        return [kept for kept in found if kept is not None]


def _create_schema(conn: psycopg.Connection[Any], owner: str) -> None:
    try:
        conn.execute(sql.SQL("create schema rowhooks authorization {}").format(sql.Identifier(owner)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise PermissionDenied(
            f"role {conn.info.user} may not create a schema in database {conn.info.dbname}",
            hint=f"let its owner run: grant create on database {written(conn.info.dbname)}"
            f" to {written(conn.info.user)}",
        ) from error
