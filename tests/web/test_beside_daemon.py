"""The console, attacked and then killed, beside a daemon and writers that it must not touch: real processes."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.support.console import PASSWORD, make_people
from tests.support.console_process import ConsoleProcess
from tests.support.processes import Process
from tests.support.waiting import eventually, is_settled, wait

Connection = psycopg.Connection[Any]

RECEIVERS = """
from rowhooks import JobHookReceiver, register_jobs
from sqlalchemy import text

class Note(JobHookReceiver):
    def receive_job_hook(self, change, action, changed_object):
        self.session.execute(text("insert into noted values (:id)"), {"id": changed_object.id})

register_jobs(Note)
"""
_TABLES = """
create table public.thing (id integer primary key);
create table public.noted (id integer not null);
grant select, insert on public.thing, public.noted to rowhooks_daemon;
grant select on public.thing to rowhooks_viewer;
select rowhooks.track('public.thing');
insert into rowhooks.job (class_path, kind, name, enabled) values ('noting.Note', 'hook', 'Note', true);
insert into rowhooks.job_hook (name, job_id, type_create) select 'Note', id, true from rowhooks.job;
insert into rowhooks.job_hook_table select h.id, t.id from rowhooks.job_hook as h, rowhooks.tracked_table as t;
"""
HALF_OPEN, LOG_INS, BODIES = 300, 60, 6
SLOWEST_WRITE = "5s"
"""After which a write fails here: none may wait for the console."""


class Writer:
    """Writes one row after another, each in a transaction of its own, until it is stopped.

    Args:
        dsn: the database.
    """

    def __init__(self, dsn: str) -> None:
        self.written = 0
        self.problem: psycopg.Error | None = None
        self._dsn = make_conninfo(dsn, options=f"-c statement_timeout={SLOWEST_WRITE}")
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="writer")

    def _work(self) -> None:
        try:
            with psycopg.connect(self._dsn, autocommit=True) as conn:
                while not self._is_over.wait(0.005):
                    conn.execute("insert into public.thing values (%s)", (self.written + 1,))
                    self.written += 1
        except psycopg.Error as error:
            self.problem = error

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()


@pytest.fixture
def daemon(db: Connection, daemon_dsn: str, tmp_path: Path) -> Iterator[Process]:
    db.execute(_TABLES)
    (tmp_path / "noting.py").write_text(RECEIVERS)
    process = Process(daemon_dsn, tmp_path, "noting.py")
    try:
        process.wait_for("ready: ")
        yield process
    finally:
        process.kill()


@pytest.fixture
def killed_console(db: Connection, dsn: str, tmp_path: Path) -> Iterator[ConsoleProcess]:
    make_people(db)
    given = {name: value for name, value in conninfo_to_dict(dsn).items() if name in ("host", "port", "dbname")}
    allowed = {"ROWHOOKS_CONSOLE_ALLOW_PASSWORDLESS": "true"}
    with ConsoleProcess(tmp_path, "--dsn", make_conninfo("", **given), "--listen", "127.0.0.1:0", **allowed) as process:
        yield process


async def test_neither_the_daemon_nor_writers_notice_that_the_console_is_attacked_and_killed(
    db: Connection, dsn: str, daemon: Process, killed_console: ConsoleProcess
) -> None:
    address = killed_console.address()
    with Writer(dsn) as writer:
        async with attack(address) as statuses:
            begun = writer.written
            await eventually(lambda: writer.problem or noted(db) > begun + 20)
            assert {413, 429} <= set(statuses), statuses
            assert connected(db)
            killed_console.child.kill()
            await eventually(lambda: not connected(db))
        killed = writer.written
        await eventually(lambda: writer.problem or noted(db) > killed + 20)
    assert writer.problem is None
    wait(lambda: is_settled(db))
    assert noted(db) == writer.written
    assert db.execute("select status, count(*) from rowhooks.results group by 1").fetchall() == [
        ("SUCCESS", writer.written)
    ]
    assert not daemon.ended
    said = daemon.log.read_text()
    assert "WARNING" not in said, said
    assert "ERROR" not in said, said


@contextlib.asynccontextmanager
async def attack(address: str) -> AsyncIterator[list[int]]:
    """Attack a console: requests that do not end, bodies that are too large, log-ins, streams that nobody reads.

    Yields:
        the statuses of the answers, when all attempts have begun and most were answered.
    """
    host, port = address.removeprefix("http://").split(":")
    opened: list[asyncio.StreamWriter] = []
    stream = await stream_of(address)
    for number in range(HALF_OPEN):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(stream if number % 10 == 0 else b"POST /login HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        opened.append(writer)
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(base_url=address, headers={"origin": address}, limits=limits, timeout=60) as client:
        large = [client.post("/login", data={"role": "x" * 2_000_000}) for _ in range(BODIES)]
        guesses = [client.post("/login", data={"role": "alice", "password": str(n)}) for n in range(LOG_INS)]
        answers = await asyncio.gather(*large, *guesses, return_exceptions=True)
    try:
        yield [answer.status_code for answer in answers if isinstance(answer, httpx.Response)]
    finally:
        for writer in opened:
            writer.close()


async def stream_of(address: str) -> bytes:
    """Log alice in; return her request for a stream of events."""
    async with httpx.AsyncClient(base_url=address, headers={"origin": address}) as client:
        answer = await client.post("/login", data={"role": "alice", "password": PASSWORD})
        cookie = answer.headers["set-cookie"].partition(";")[0]
        page = await client.get("/runs", headers={"cookie": cookie})
    path = page.text.partition('data-live="')[2].partition('"')[0].replace("&amp;", "&")
    assert path.startswith("/runs/events"), page.text
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode()


def noted(db: Connection) -> int:
    """Return how many rows the receiver has noted."""
    return number(db, "select count(*) from public.noted")


def connected(db: Connection) -> int:
    """Return how many connections the console has for alice."""
    return number(db, "select count(*) from pg_stat_activity where usename = 'alice'")


def number(db: Connection, query: str) -> int:
    """Return the one number that a query gives."""
    [(found,)] = db.execute(query).fetchall()
    return int(found)
