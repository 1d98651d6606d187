"""Several servers in one DSN: each in its turn, by both drivers, and the daemon goes where one takes writes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rowhooks.postgres.connections.target import Target
from tests.support.daemons import running_daemon
from tests.support.drivers import IN_THE_CLEAR, OVER_TLS, let_in, refused
from tests.support.server import PASSWORD, Server, free_port
from tests.support.waiting import eventually


@pytest.fixture
def silent() -> Iterator[int]:
    """A port of localhost where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        yield port


@pytest.fixture
def read_only(server: Server) -> Iterator[None]:
    """The server as one that takes no writes from the daemon's login."""
    server.execute("alter role rowhooks set default_transaction_read_only = on")
    yield
    server.execute("alter role rowhooks reset default_transaction_read_only")


def hosts(server: Server, *before: int, **more: Any) -> str:
    """Return a DSN with other ports of localhost before the server's."""
    ports = (*before, server.port)
    return server.over_tcp(host=",".join(["127.0.0.1"] * len(ports)), port=",".join(map(str, ports)), **more)


async def test_a_dead_host_is_passed_over(server: Server) -> None:
    assert await let_in(Target(hosts(server, free_port(), password=PASSWORD))) == ("rowhooks", OVER_TLS)


async def test_a_host_that_never_answers_has_a_time_out_of_its_own(server: Server, silent: int) -> None:
    dsn = hosts(server, silent, password=PASSWORD, connect_timeout=2)
    assert await let_in(Target(dsn)) == ("rowhooks", OVER_TLS)


async def test_a_host_that_does_not_let_us_in_is_not_the_last(server: Server) -> None:
    # By the socket `plain` would have to be the operating system's user.
    dsn = server.over_tcp("plain", host=f"{server.directory},localhost", sslmode="disable", password=PASSWORD)
    assert await let_in(Target(dsn)) == ("plain", IN_THE_CLEAR)


async def test_each_host_has_its_own_line_in_the_password_file(server: Server, nowhere: Path) -> None:
    dead = free_port()
    file = nowhere / ".pgpass"
    escaped = PASSWORD.replace(":", r"\:")
    file.write_text(f"127.0.0.1:{dead}:*:*:its own\n127.0.0.1:{server.port}:*:*:{escaped}\n")
    file.chmod(0o600)
    assert await let_in(Target(hosts(server, dead))) == ("rowhooks", OVER_TLS)


async def test_all_are_named_where_none_can_be_reached(server: Server) -> None:
    first, second = free_port(), free_port()
    dsn = server.over_tcp(host="127.0.0.1,127.0.0.1", port=f"{first},{second}", password=PASSWORD)
    await refused(Target(dsn), f"(?s){first}.*{second}")


async def test_where_none_takes_writes_nobody_is_let_in(server: Server, read_only: None) -> None:
    dsn = hosts(server, server.port, password=PASSWORD, target_session_attrs="read-write")
    await refused(Target(dsn), "(?s)read-write.*read-write|read-only")
    any_of_them = hosts(server, server.port, password=PASSWORD)
    assert await let_in(Target(any_of_them)) == ("rowhooks", OVER_TLS)


async def test_the_daemon_waits_for_one_that_takes_writes(
    server: Server, read_only: None, caplog: pytest.LogCaptureFixture
) -> None:
    dsn = hosts(server, server.port, password=PASSWORD, target_session_attrs="read-write")

    async def promote() -> None:
        await eventually(lambda: "attempt 2, next in" in caplog.text)
        await asyncio.to_thread(server.execute, "alter role rowhooks reset default_transaction_read_only")

    promotion = asyncio.create_task(promote())
    async with running_daemon(dsn) as daemon:
        assert daemon.ready.is_set()
    await promotion
    assert "read-write" in caplog.text


async def test_a_standby_is_preferred_and_not_demanded(server: Server) -> None:
    dsn = hosts(server, free_port(), password=PASSWORD, target_session_attrs="prefer-standby")
    assert await let_in(Target(dsn)) == ("rowhooks", OVER_TLS)
    await refused(Target(hosts(server, password=PASSWORD, target_session_attrs="standby")), "standby|recovery")


async def test_an_address_is_where_a_name_leads(server: Server, certificates: Path) -> None:
    given = {"password": PASSWORD, "hostaddr": "127.0.0.1"}
    assert await let_in(Target(server.over_tcp(host="db.invalid", **given))) == ("rowhooks", OVER_TLS)
    verified = server.over_tcp(sslmode="verify-full", sslrootcert=str(certificates / "root.crt"), **given)
    assert await let_in(Target(verified)) == ("rowhooks", OVER_TLS)
