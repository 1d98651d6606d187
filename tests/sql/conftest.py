"""Tables, roles and connections for the tests of the schema's own SQL."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.support.pressing import add_button
from tests.support.roles import ConnectAs, Connection, MakeRole


@pytest.fixture
def make_role(db: Connection) -> Iterator[MakeRole]:
    """Make login roles that are gone after the test: roles belong to the cluster, not to the test's database."""
    made: list[sql.Identifier] = []

    def make(name: str, attributes: str = "") -> str:
        unique = f"{name}_{uuid.uuid4().hex[:12]}"
        db.execute(sql.SQL("create role {} login {}").format(sql.Identifier(unique), sql.SQL(attributes)))
        made.append(sql.Identifier(unique))
        return unique

    yield make
    for role in made:
        db.execute(sql.SQL("drop owned by {} cascade").format(role))
    for role in made:
        db.execute(sql.SQL("drop role {}").format(role))


@pytest.fixture
def connect_as(make_role: MakeRole, dsn: str) -> Iterator[ConnectAs]:
    """Connect to the test's database as another role; each statement commits."""
    with contextlib.ExitStack() as stack:
        yield lambda role: stack.enter_context(psycopg.connect(make_conninfo(dsn, user=role), autocommit=True))


@pytest.fixture
def stranger(db: Connection, make_role: MakeRole, connect_as: ConnectAs, item: str) -> Connection:
    """A role that may write `shop.item` and create objects in a schema of its own, and no more."""
    name = make_role("stranger")
    db.execute(f"grant usage on schema shop to {name}")
    db.execute(f"grant select, insert, update, delete, truncate on shop.item to {name}")
    db.execute(f"create schema hostile authorization {name}")
    return connect_as(name)


@pytest.fixture
def button(db: Connection, item: str) -> int:
    """`Reboot` on shop.item, whose row 42 is a bolt; everybody may press it who may read the row."""
    db.execute("insert into shop.item values (42, 'bolt', 1)")
    return add_button(db, item)


@pytest.fixture
def clerk(db: Connection, make_role: MakeRole, connect_as: ConnectAs, item: str) -> Connection:
    """A role that may read shop.item, and no more."""
    name = make_role("clerk")
    db.execute(f"grant usage on schema shop to {name}")
    db.execute(f"grant select on shop.item to {name}")
    return connect_as(name)
