"""Databases and roles of one's own, for tests that install and remove the schema."""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from collections.abc import Iterator
from types import SimpleNamespace

import psycopg
import pytest
from psycopg import sql

from rowhooks.postgres.administration.roles import Roles
from tests.support.databases import dsn_of, new_database
from tests.support.roles import Connection, MakeDatabase, MakeRole


@pytest.fixture
def administration(server: SimpleNamespace) -> Iterator[Connection]:
    """The administrator, connected to the maintenance database."""
    with psycopg.connect(dsn_of(server, server.maintenance_dbname), autocommit=True) as conn:
        yield conn


@pytest.fixture
def roles(administration: Connection) -> Iterator[Roles]:
    """Names for an installation's roles that no other test uses; none of them exists."""
    suffix = uuid.uuid4().hex[:12]
    odd = ("Own er_", "dae'mon_", 'cap"ture_', "receiver_", "view er_", "opeRator_", "admin_", "con%sole_")
    named = Roles(*(f"{name}{suffix}" for name in odd))
    yield named
    for role in reversed(dataclasses.astuple(named)):
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
def make_database(
    server: SimpleNamespace, administration: Connection, roles: Roles, make_role: MakeRole
) -> Iterator[MakeDatabase]:
    """Make databases without rowhooks; each call returns the administrator's DSN of a new one."""
    with contextlib.ExitStack() as stack:
        yield lambda: dsn_of(server, stack.enter_context(new_database(administration, "empty")))


@pytest.fixture
def database(make_database: MakeDatabase) -> str:
    """A database without rowhooks."""
    return make_database()


@pytest.fixture
def admin(database: str) -> Iterator[Connection]:
    """The administrator, connected to `database`."""
    with contextlib.closing(psycopg.connect(database, autocommit=True)) as conn:
        yield conn
