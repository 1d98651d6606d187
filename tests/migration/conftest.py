"""Databases and roles of one's own, for tests that install and remove the schema."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from types import SimpleNamespace

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rowhooks.postgres.administration.roles import Roles
from tests.support.roles import Connection, MakeDatabase, MakeRole


@pytest.fixture
def administration(server: SimpleNamespace) -> Iterator[Connection]:
    """The administrator, connected to the maintenance database."""
    dsn = make_conninfo(
        "", host=server.host, port=server.port, user=server.user, password=server.password,
        dbname=server.maintenance_dbname,
    )  # fmt: skip
    with psycopg.connect(dsn, autocommit=True) as conn:
        yield conn


@pytest.fixture
def roles(administration: Connection) -> Iterator[Roles]:
    """Names for an installation's roles that no other test uses; none of them exists."""
    suffix = uuid.uuid4().hex[:12]
    named = Roles(f"Own er_{suffix}", f"dae'mon_{suffix}", f'cap"ture_{suffix}', f"receiver_{suffix}")
    yield named
    for role in (named.receiver, named.capture, named.daemon, named.owner):
        administration.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(role)))


@pytest.fixture
def make_role(administration: Connection) -> Iterator[MakeRole]:
    """Make login roles that are gone after the test; they are made before the databases, and dropped after them."""
    made: list[str] = []

    def make(name: str, attributes: str = "") -> str:
        unique = f"{name}_{uuid.uuid4().hex[:12]}"
        administration.execute(sql.SQL("create role {} login {}").format(sql.Identifier(unique), sql.SQL(attributes)))
        made.append(unique)
        return unique

    yield make
    for role in reversed(made):
        administration.execute(sql.SQL("drop owned by {} cascade").format(sql.Identifier(role)))
        administration.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


@pytest.fixture
def make_database(administration: Connection, roles: Roles, make_role: MakeRole) -> Iterator[MakeDatabase]:
    """Make databases without rowhooks; each call returns the administrator's DSN of a new one."""
    made: list[str] = []
    info = administration.info

    def make() -> str:
        name = f"empty_{uuid.uuid4().hex[:12]}"
        administration.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        made.append(name)
        return make_conninfo("", host=info.host, port=info.port, user=info.user, password=info.password, dbname=name)

    yield make
    for name in made:
        administration.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def database(make_database: MakeDatabase) -> str:
    """A database without rowhooks."""
    return make_database()


@pytest.fixture
def admin(database: str) -> Iterator[Connection]:
    """The administrator, connected to `database`."""
    with contextlib.closing(psycopg.connect(database, autocommit=True)) as conn:
        yield conn
