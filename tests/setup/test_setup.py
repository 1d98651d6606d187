"""From an administrator's DSN to a daemon that has its own login only; and what it says where that is refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from rowhooks.cli import call
from tests.support.daemons import running_daemon
from tests.support.drivers import Witness
from tests.support.hooks import add_hook
from tests.support.server import PASSWORD, Server
from tests.support.waiting import PATIENCE, eventually


@pytest.fixture
def shop(server: Server) -> Iterator[str]:
    """A database without rowhooks, and an administrator `boss` who may only come over TLS with a password."""
    server.execute(f"create role boss superuser login password '{PASSWORD}'")
    server.execute("create database shop owner boss")
    yield "shop"
    server.execute("drop database shop with (force)")
    server.execute("drop role boss")


async def test_init_as_an_administrator_and_then_the_daemons_login_only(
    server: Server, shop: str, certificates: Path, nowhere: Path
) -> None:
    common = f"host=localhost\nport={server.port}\ndbname={shop}\nsslmode=verify-full\n"
    services = f"[administrator]\nuser=boss\n{common}[daemon]\nuser=rowhooks\n{common}"
    (nowhere / ".pg_service.conf").write_text(services)
    (nowhere / ".postgresql" / "root.crt").symlink_to(certificates / "root.crt")
    passwords = nowhere / ".pgpass"
    escaped = PASSWORD.replace(":", r"\:")
    passwords.write_text(f"localhost:*:{shop}:boss:{escaped}\nlocalhost:*:{shop}:rowhooks:{escaped}\n")
    passwords.chmod(0o600)
    with psycopg.connect(server.admin(shop)) as db:
        db.execute("create table thing (id integer primary key); create table seen (change_id bigint)")
    for command in (["init"], ["track", "thing"]):
        assert call([*command, "--dsn", "service=administrator"]) == 0
    with psycopg.connect(server.admin(shop), autocommit=True) as db:
        db.execute("grant select on thing to rowhooks_daemon; grant insert on seen to rowhooks_daemon")
        add_hook(db, Witness, "thing")
        async with running_daemon("service=daemon", Witness):
            db.execute("insert into thing values (1)")
            await eventually(lambda: db.execute("select count(*) from seen").fetchone() == (1,))
            logins = db.execute(
                "select distinct usename::text, ssl from pg_stat_activity join pg_stat_ssl using (pid)"
                " where application_name like 'rowhooks%'"
            ).fetchall()
        assert logins == [("rowhooks", True)]


def run(dsn: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a daemon that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "rowhooks", "run", "--allow-none"],
        env={**os.environ, **variables, "ROWHOOKS_DSN": dsn, "ROWHOOKS_LOG_FORMAT": "text"},
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip


@pytest.mark.parametrize("given_by", ["dsn", "PGPASSWORD", "ROWHOOKS_PASSWORD"])
def test_a_daemon_with_a_wrong_password_ends_at_once_and_does_not_repeat_it(server: Server, given_by: str) -> None:
    wrong = "s0mething else"
    done = run(server.over_tcp(password=wrong)) if given_by == "dsn" else run(server.over_tcp(), **{given_by: wrong})
    assert done.returncode == 1, done.stderr
    assert 'password authentication failed for user "rowhooks"' in done.stderr
    assert wrong not in done.stderr


@pytest.mark.parametrize("command", [["init"], ["status"], ["doctor"]])
def test_a_command_with_a_wrong_password_fails_and_does_not_repeat_it(
    server: Server, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert call([*command, "--dsn", server.over_tcp(password="s0mething else")]) == 1
    said = capsys.readouterr()
    assert "password authentication failed" in said.out + said.err
    assert "s0mething" not in said.out + said.err


async def test_a_daemon_that_was_let_in_once_waits_to_be_let_in_again(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(server.admin("app"), autocommit=True) as db:
        async with running_daemon(server.over_tcp(password=PASSWORD)) as daemon:
            db.execute("alter role rowhooks password 'another'")
            try:
                db.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'rowhooks%'"
                )
                await eventually(lambda: "password authentication failed" in caplog.text)
            finally:
                db.execute(f"alter role rowhooks password '{PASSWORD}'")
            await eventually(daemon.ready.is_set)


async def test_a_daemon_waits_for_files_that_are_away_for_a_moment(
    server: Server, certificates: Path, nowhere: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root, services = nowhere / "root.crt", nowhere / ".pg_service.conf"
    described = (
        f"[inventory]\nhost=localhost\nport={server.port}\nuser=rowhooks\ndbname=app\npassword={PASSWORD}\n"
        f"sslmode=verify-full\nsslrootcert={root}\n"
    )

    def put_in_place() -> None:
        root.write_bytes((certificates / "root.crt").read_bytes())
        services.write_text(described)

    put_in_place()
    with psycopg.connect(server.admin("app"), autocommit=True) as db:
        async with running_daemon("service=inventory") as daemon:
            for file, said in ((root, "root certificate|No such file"), (services, 'service "inventory" not found')):
                file.unlink()
                caplog.clear()
                db.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'rowhooks%'"
                )
                await eventually(lambda said=said: re.search(f"({said}).*next in", caplog.text))
                put_in_place()
                await eventually(daemon.ready.is_set)


def test_a_service_that_does_not_exist_is_said(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Not passed over: the daemon would go to another database.
    monkeypatch.setenv("PGSERVICE", "inventroy")
    assert call(["status"]) == 2
    assert 'definition of service "inventroy" not found' in capsys.readouterr().err
    done = run("service=inventroy", PGSERVICE="")
    assert done.returncode == 2, done.stderr
    assert 'definition of service "inventroy" not found' in done.stderr
