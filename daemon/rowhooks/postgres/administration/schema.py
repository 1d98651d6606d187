"""Installs, upgrades and removes schema rowhooks in the target database."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import alembic.command
import alembic.config
import alembic.script
import asyncpg
import psycopg
import sqlalchemy
from psycopg import sql
from psycopg.types.json import set_json_loads

from rowhooks.domain import exact
from rowhooks.domain.errors import Conflict, DatabaseError, PermissionDenied, SchemaMismatch
from rowhooks.postgres.administration import removal
from rowhooks.postgres.administration.leftovers import refuse_leftovers
from rowhooks.postgres.administration.lock_watch import WAIT, patient
from rowhooks.postgres.administration.removal import Kept
from rowhooks.postgres.administration.trust import is_superuser, replace_event_triggers, vet
from rowhooks.postgres.connections.connect import Target, connection
from rowhooks.postgres.connections.errors import translated
from rowhooks.postgres.connections.search_path import ask_qualified
from rowhooks.resources import data_directory, sql_script

# Serialises administrators; nobody but the owner of schema rowhooks can take it.
_INSTALL_LOCK = "lock table rowhooks.installation in share row exclusive mode"
# What two first installations at once meet: the later one finds what the earlier one has made.
_MADE_MEANWHILE = (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateObject, psycopg.errors.DuplicateSchema)
MINIMUM_SERVER_VERSION = 140000
# By what it alone may read beside the owner; whoever asks may read nothing but the catalogue.
_DAEMON_ROLE = """
select a.grantee::pg_catalog.regrole::pg_catalog.text
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
cross join lateral pg_catalog.aclexplode(c.relacl) as a
where n.nspname = 'rowhooks' and c.relname = 'installation' and a.grantee not in (0, c.relowner)
"""
ROLE_KINDS = ("owner", "daemon", "capture", "receiver")
"""The roles of an installation."""
LONGEST_NAME = 63
"""Bytes."""


@dataclass(frozen=True)
class Roles:
    """The roles of an installation.

    Args:
        owner: owns schema rowhooks.
        daemon: the daemon's login is a member of it.
        capture: owns the capture functions; it may append to the log and ring the bell.
        receiver: a login of the receivers' own is a member of it.
    """

    owner: str = "rowhooks_owner"
    daemon: str = "rowhooks_daemon"
    capture: str = "rowhooks_capture"
    receiver: str = "rowhooks_receiver"


@dataclass(frozen=True)
class Installed:
    """What `install` did.

    Args:
        created: there was none before.
        revision: of the schema.
        roles: of the installation.
    """

    created: bool
    revision: str
    roles: Roles

    @property
    def daemon_role(self) -> str:
        """The daemon's role as SQL wants it written."""
        return _written(self.roles.daemon)


def _written(name: str) -> str:
    """Return a name as SQL wants it written, without quotation marks where it needs none."""
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else sql.Identifier(name).as_string()


@functools.cache
def head_revision() -> str:
    """Return the schema revision that this code belongs to."""
    head = alembic.script.ScriptDirectory.from_config(_alembic_config()).get_current_head()
    assert head is not None, "alembic/versions is empty"
    return head


@functools.cache
def known_revisions() -> set[str]:
    """Return every schema revision this code knows."""
    return {
        script.revision for script in alembic.script.ScriptDirectory.from_config(_alembic_config()).walk_revisions()
    }


def current_revision(conn: psycopg.Connection[Any]) -> str | None:
    """Return the revision of the schema in the database, None where there is none."""
    row = conn.execute("select to_regclass('rowhooks.alembic_version')").fetchone()
    if row is None or row[0] is None:
        return None
    found = conn.execute("select version_num from rowhooks.alembic_version").fetchone()
    return str(found[0]) if found else None


def explain_mismatch(current: str | None) -> SchemaMismatch | None:
    """Return the error that a schema of revision `current` means for this code, None where it fits."""
    head = head_revision()
    if current is None:
        return SchemaMismatch("rowhooks is not installed in this database", hint="run: rowhooks init")
    if current == head:
        return None
    if current in known_revisions():
        return SchemaMismatch(
            f"the schema (revision {current}) is older than this rowhooks ({head})", hint="run: rowhooks upgrade"
        )
    return SchemaMismatch(
        f"the schema (revision {current}) is newer than this rowhooks ({head})",
        hint="install the rowhooks release that upgraded it, or a later one",
    )


@contextlib.contextmanager
def installed_connection(target: Target) -> Iterator[psycopg.Connection[Any]]:
    """Open a connection for one command to a database whose schema fits this code.

    Raises:
        SchemaMismatch: the schema is missing, older or newer, or what a dump has left of it is there.
    """
    with connection(target) as conn:
        refuse_leftovers(conn)
        vet(conn)
        try:
            mismatch = explain_mismatch(current_revision(conn))
        except psycopg.errors.InsufficientPrivilege as error:
            conn.rollback()
            grant = " or ".join(f"grant {role} to {_written(conn.info.user)}" for (role,) in conn.execute(_DAEMON_ROLE))
            raise PermissionDenied(
                f"role {conn.info.user} may not use schema rowhooks",
                hint=f"connect as an administrator, or let one run: {grant}",
            ) from error
        if mismatch:
            raise mismatch
        # Whatever PostgreSQL stores can be shown, and no digit of it is lost.
        set_json_loads(_read_json, conn)
        yield conn


def _read_json(data: str | bytes) -> Any:
    return exact.read_exactly(data if isinstance(data, str) else data.decode())


async def check_schema(connection: asyncpg.Connection[Any]) -> None:
    """Make sure that the schema fits this code.

    Raises:
        SchemaMismatch: it is missing, older or newer.
        PermissionDenied: the login may not read it.
    """
    with translated():
        present = await connection.fetchval("select to_regclass('rowhooks.alembic_version') is not null")
        current = await connection.fetchval("select version_num from rowhooks.alembic_version") if present else None
    mismatch = explain_mismatch(current)
    if mismatch:
        raise mismatch


def install(
    target: Target,
    roles: Roles | Mapping[str, str],
    *,
    notify: bool | None = None,
    wait: timedelta = WAIT,
    what: str = "init",
    trusting: bool = False,
) -> Installed:
    """Install the schema, or bring it up to date; one transaction, so nothing is ever half done.

    Args:
        target: the database, as an administrator.
        roles: the names of the roles, or of those kinds of them that are not to have the usual ones (see `_usual`);
            those of an installation that is there already stay.
        notify: whether the bell is a NOTIFY; None: as it is, and to begin with it is.
        wait: how long to wait for each lock.
        what: the command, for messages.
        trusting: a superuser vouches for a schema that no superuser has installed.

    Raises:
        DatabaseError: a lock was not to be had; the message says who holds it.
        PermissionDenied: the connected role may not create roles or schemas, or is a superuser and would run what
            somebody weaker may have made.
        SchemaMismatch: the schema in the database is newer than this code, or what a dump has left of it is there.
        Conflict: a schema rowhooks exists that is not ours.
    """
    try:
        return _install(target, roles, notify, wait, what, trusting)
    except DatabaseError as error:
        if not isinstance(error.__cause__, _MADE_MEANWHILE):
            raise
    # Somebody else has installed at the same time.
    return _install(target, roles, notify, wait, what, trusting)


def _install(
    target: Target, given: Roles | Mapping[str, str], notify: bool | None, wait: timedelta, what: str, trusting: bool
) -> Installed:
    with patient(target, what, wait) as conn:
        bind = _bind(conn)
        refuse_leftovers(conn)
        vet(conn, trusting=trusting)
        if conn.info.server_version < MINIMUM_SERVER_VERSION:
            raise Conflict(f"PostgreSQL {conn.info.server_version // 10000} is too old", hint="14 or newer is needed")
        current = current_revision(conn)
        if current is None and what == "upgrade":
            raise SchemaMismatch("rowhooks is not installed in this database", hint="run: rowhooks init")
        if current is not None:
            roles = _installed_roles(conn, given)
            if current not in known_revisions():
                mismatch = explain_mismatch(current)
                assert mismatch is not None
                raise mismatch
            made = _ensure_roles(conn, roles)
            with _as_owner(conn, roles):
                conn.execute(_INSTALL_LOCK)
                _migrate(bind)
                _write_down(conn, roles, made)
                _replace_functions(conn, notify)
            replace_event_triggers(conn)
            return Installed(created=False, revision=head_revision(), roles=roles)

        if conn.execute("select 1 from pg_namespace where nspname = 'rowhooks'").fetchone():
            raise Conflict(
                "a schema rowhooks exists already that rowhooks did not make",
                hint="rename or drop it: alter schema rowhooks rename to ...",
            )
        roles = _chosen(given, _usual(conn))
        made = _ensure_roles(conn, roles)
        _create_schema(conn, roles.owner)
        with _as_owner(conn, roles):
            _migrate(bind)
            conn.execute(
                "insert into rowhooks.installation (owner_role, daemon_role, owner_role_created, daemon_role_created)"
                " values (%s, %s, false, false)",
                (roles.owner, roles.daemon),
            )
            _write_down(conn, roles, made)
            _replace_functions(conn, notify)
            conn.execute("select rowhooks.extend_object_change()")
        replace_event_triggers(conn)
        return Installed(created=True, revision=head_revision(), roles=roles)


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
        DatabaseError: a lock was not to be had; the message says who holds it.
        SchemaMismatch: rowhooks is not installed, or the schema is newer than this code.
    """
    return install(target, roles or {}, notify=notify, wait=wait, what="upgrade", trusting=trusting)


def uninstall(target: Target, *, cascade: bool = False, wait: timedelta = WAIT) -> list[Kept]:
    """Remove every trigger, function, table and role that rowhooks made; user's rows are never touched.

    Args:
        target: the database, as an administrator.
        cascade: remove what others have made and that needs rowhooks too: views, columns of our types, foreign keys.
        wait: how long to wait for each lock.

    Returns:
        The roles that stay, each with the reason.

    Raises:
        SchemaMismatch: rowhooks is not installed.
        Conflict: others have made what needs rowhooks; the message names it.
        DatabaseError: a lock was not to be had; the message says who holds it.
    """
    with patient(target, "uninstall", wait) as conn:
        refuse_leftovers(conn)
        vet(conn)
        if current_revision(conn) is None:
            raise SchemaMismatch("rowhooks is not installed in this database", hint="there is nothing to uninstall")
        roles = _installed_roles(conn, Roles())
        recorded = removal.installation(conn)
        with _as_owner(conn, roles):
            conn.execute(_INSTALL_LOCK)
        # First, so that they do not follow what comes now.
        conn.execute("drop event trigger if exists rowhooks_after_ddl")
        conn.execute("drop event trigger if exists rowhooks_after_drop")
        removal.drop_triggers(conn)
        with _as_owner(conn, roles):
            removal.lock_everything(conn)
        if not cascade and (dependents := removal.dependents(conn)):
            raise Conflict(
                f"rowhooks cannot be removed without what others have made of it: {', '.join(dependents)}",
                hint="drop or alter these first, or let them go too: rowhooks uninstall --cascade",
            )
        conn.execute("drop schema rowhooks cascade")
        kept: list[Kept] = []
        # The owner's role last: what it granted to the others hangs on both.
        for kind in reversed(ROLE_KINDS):
            role = getattr(roles, kind)
            if f"{kind}_role" not in recorded:
                # An older release did not have it.
                continue
            if not recorded.get(f"{kind}_role_created"):
                kept.append(Kept(role, "it was there before rowhooks"))
            elif held := removal.drop_role(conn, role):
                kept.append(held)
        return kept


def _alembic_config() -> alembic.config.Config:
    config = alembic.config.Config()
    # A percent sign in the path would be read as interpolation.
    config.set_main_option("script_location", str(data_directory("alembic")).replace("%", "%%"))
    return config


def _bind(conn: psycopg.Connection[Any]) -> sqlalchemy.Connection:
    """Return a SQLAlchemy connection on top of `conn`, for Alembic, which then joins conn's transaction.

    To be called before the transaction begins: SQLAlchemy asks the server its version first, and rolls back.
    """
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: conn,
        poolclass=sqlalchemy.StaticPool,
        pool_reset_on_return=None,
        use_native_hstore=False,
    )
    ask_qualified(engine.dialect)
    return engine.connect()


def _migrate(bind: sqlalchemy.Connection) -> None:
    config = _alembic_config()
    config.attributes["connection"] = bind
    # Begun here, the transaction is not Alembic's to commit.
    bind.begin()
    try:
        alembic.command.upgrade(config, "head")
    except sqlalchemy.exc.DBAPIError as error:
        if error.orig is None:
            raise
        raise error.orig from error


def _replace_functions(conn: psycopg.Connection[Any], notify: bool | None) -> None:
    conn.execute(sql_script("functions"))
    # The generated functions follow their generator.
    conn.execute("select rowhooks.set_notify(coalesce(%s, i.notify)) from rowhooks.installation as i", (notify,))


def _usual(conn: psycopg.Connection[Any]) -> Roles:
    """Return the names that the roles of a new installation have where none are given.

    A superuser's installation shares them with those in other databases of the cluster. A login that is none has to be
    a member of the owner's role: were that another database's too, it could read and replace what rowhooks has there.
    """
    if is_superuser(conn):
        return Roles()
    database, oid = conn.execute(
        "select d.datname::text, d.oid from pg_database as d where d.datname = current_database()"
    ).fetchone() or ("", 0)
    names = {kind: f"rowhooks_{kind}_{database}" for kind in ROLE_KINDS}
    is_too_long = any(len(name.encode()) > LONGEST_NAME for name in names.values())
    return Roles(**{kind: f"rowhooks_{kind}_{oid}" for kind in ROLE_KINDS} if is_too_long else names)


def _chosen(given: Roles | Mapping[str, str], others: Roles) -> Roles:
    return given if isinstance(given, Roles) else replace(others, **given)


def _installed_roles(conn: psycopg.Connection[Any], given: Roles | Mapping[str, str]) -> Roles:
    """Return the roles on record; for those that an older release does not have, the names given or the usual ones."""
    recorded = removal.installation(conn)
    # What an older release has made for every database is not given another's name beside it.
    usual = Roles() if recorded["owner_role"] == Roles().owner else _usual(conn)
    others = _chosen(given, usual)
    return Roles(**{kind: recorded.get(f"{kind}_role") or getattr(others, kind) for kind in ROLE_KINDS})


def _ensure_roles(conn: psycopg.Connection[Any], roles: Roles) -> list[str]:
    """Make the roles that are not there; return which kinds those were."""
    made = [kind for kind in ROLE_KINDS if _ensure_role(conn, getattr(roles, kind))]
    _ensure_membership(conn, roles.owner)
    # It makes the capture functions, and hands them over.
    _ensure_membership(conn, roles.capture, roles.owner)
    return made


def _write_down(conn: psycopg.Connection[Any], roles: Roles, made: Sequence[str]) -> None:
    """Note the roles' names, and which of them are ours to drop one day."""
    conn.execute(
        "update rowhooks.installation set capture_role = %s, receiver_role = %s", (roles.capture, roles.receiver)
    )
    for kind in made:
        column = sql.Identifier(f"{kind}_role_created")
        conn.execute(sql.SQL("update rowhooks.installation set {} = true").format(column))


@contextlib.contextmanager
def _as_owner(conn: psycopg.Connection[Any], roles: Roles) -> Iterator[None]:
    try:
        conn.execute(sql.SQL("set local role {}").format(sql.Identifier(roles.owner)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise PermissionDenied(
            f"role {conn.info.user} may not act as {roles.owner}, which owns schema rowhooks",
            hint=f"connect as a superuser, or: grant {_written(roles.owner)} to {_written(conn.info.user)}",
        ) from error
    yield
    conn.execute("reset role")


def _ensure_role(conn: psycopg.Connection[Any], role: str) -> bool:
    if conn.execute("select 1 from pg_roles where rolname = %s", (role,)).fetchone():
        return False
    try:
        conn.execute(sql.SQL("create role {} nologin").format(sql.Identifier(role)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise PermissionDenied(
            f"role {conn.info.user} may not create the role {role}",
            hint=f"let an administrator run: create role {_written(role)} nologin; then repeat; or name existing roles"
            " with --owner-role, --daemon-role, --capture-role and --receiver-role",
        ) from error
    return True


def _ensure_membership(conn: psycopg.Connection[Any], role: str, member: str | None = None) -> None:
    """Let a role (None: the connected one) act as another."""
    member = member or conn.info.user
    usable = "set" if conn.info.server_version >= 160000 else "member"
    row = conn.execute("select pg_has_role(%s, %s, %s)", (member, role, usable)).fetchone()
    if row and row[0]:
        return
    try:
        conn.execute(sql.SQL("grant {} to {}").format(sql.Identifier(role), sql.Identifier(member)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise PermissionDenied(
            f"role {member} may not act as {role}",
            hint=f"let an administrator run: grant {_written(role)} to {_written(member)}",
        ) from error


def _create_schema(conn: psycopg.Connection[Any], owner: str) -> None:
    try:
        conn.execute(sql.SQL("create schema rowhooks authorization {}").format(sql.Identifier(owner)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise PermissionDenied(
            f"role {conn.info.user} may not create a schema in database {conn.info.dbname}",
            hint=f"let its owner run: grant create on database {_written(conn.info.dbname)}"
            f" to {_written(conn.info.user)}",
        ) from error
