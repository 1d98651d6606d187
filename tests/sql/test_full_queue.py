"""The server's queue of notifications fills up where somebody LISTENs in a long transaction: no write fails for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from rowhooks.demo.embedded import find_binaries
from rowhooks.domain.errors import EmbeddedServerError
from rowhooks.postgres.administration.roles import Roles
from rowhooks.postgres.administration.schema import install, upgrade
from rowhooks.postgres.connections.target import Target
from tests.support.databases import embedded_server

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def small_queue() -> Iterator[str]:
    """A server of its own whose queue holds half a megabyte, with rowhooks and a tracked table; its DSN."""
    try:
        find_binaries(18)
    except EmbeddedServerError as error:
        pytest.skip(str(error))
    # PostgreSQL knows the setting since version 17; before, the queue holds 8 GB.
    with embedded_server({"max_notify_queue_pages": "64"}) as server:
        install(Target(server.dsn()), Roles())
        with psycopg.connect(server.dsn(), autocommit=True) as conn:
            conn.execute("create table public.thing (id integer primary key generated always as identity)")
            conn.execute("select rowhooks.track('public.thing')")
        yield server.dsn()


@pytest.fixture
def forgotten(small_queue: str) -> Iterator[Connection]:
    """A session that LISTENs and has forgotten its transaction."""
    with psycopg.connect(small_queue) as conn:
        conn.execute("listen other")
        conn.commit()
        conn.execute("select 1")
        yield conn
        conn.rollback()


@pytest.fixture
def asleep(small_queue: str) -> Iterator[None]:
    """A leader that sleeps: everybody who writes rings."""
    with psycopg.connect(small_queue, autocommit=True) as leader:
        leader.execute("select pg_advisory_lock(hashtextextended('rowhooks.bell', 0))")
        yield


def fill(dsn: str, share: float) -> None:
    """Fill the queue to this share, by other people's notifications."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        while True:
            row = conn.execute("select pg_notification_queue_usage()").fetchone()
            assert row is not None
            if row[0] >= share:
                return
            try:
                conn.execute("select pg_notify('other', repeat('x', 7900))")
            except psycopg.OperationalError:
                return


WRITES = [
    "insert into public.thing default values",
    "truncate public.thing",
    "update rowhooks.job set enabled = enabled",
    "update rowhooks.tracked_table set always = always",
    "select rowhooks.ring_bell()",
    "insert into rowhooks.job_result (trigger, status, job_id, class_path) values ('press', 'PENDING', 1, 'a.B')",
    "alter table public.thing add column if not exists n integer",
]


@pytest.mark.parametrize("statement", WRITES)
def test_a_full_queue_fails_no_write(small_queue: str, forgotten: Connection, asleep: None, statement: str) -> None:
    fill(small_queue, 1.0)
    with psycopg.connect(small_queue, autocommit=True) as writer:
        with pytest.raises(psycopg.OperationalError, match="too many notifications"):
            writer.execute("select pg_notify('other', repeat('x', 7900))")
        for _ in range(20):
            writer.execute(statement)


def test_nor_does_the_choice_of_the_bell(small_queue: str, forgotten: Connection, asleep: None) -> None:
    fill(small_queue, 1.0)
    upgrade(Target(small_queue), notify=False)
    upgrade(Target(small_queue), notify=True)


def test_nothing_of_ours_is_added_to_a_queue_that_is_half_full(
    small_queue: str, forgotten: Connection, asleep: None
) -> None:
    fill(small_queue, 0.5)
    usage = "select pg_notification_queue_usage()"
    with psycopg.connect(small_queue, autocommit=True) as writer:
        before = writer.execute(usage).fetchone()
        for _ in range(2000):
            writer.execute("insert into public.thing default values")
        assert writer.execute(usage).fetchone() == before


def test_below_that_the_bell_rings(small_queue: str, asleep: None) -> None:
    with psycopg.connect(small_queue, autocommit=True) as listener:
        listener.execute("listen rowhooks")
        with psycopg.connect(small_queue, autocommit=True) as writer:
            writer.execute("insert into public.thing default values")
        assert [note.channel for note in listener.notifies(timeout=10, stop_after=1)] == ["rowhooks"]
