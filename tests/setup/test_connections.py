"""Each way to connect, by both drivers, and by the daemon with its own login only."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.cli import call
from rowhooks.domain.errors import ConnectionFailed, SettingsError
from rowhooks.postgres.connect import Target, async_engine, connected, connection, sync_engine
from tests.conftest import add_hook, eventually, running_daemon
from tests.setup.server import PASSWORD, Server, make_certificates, with_tls

WHO = "select current_user::text, coalesce((select s.ssl from pg_stat_ssl as s where s.pid = pg_backend_pid()), false)"
OVER_TLS, IN_THE_CLEAR = True, False


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    make_certificates(directory)
    return directory


@pytest.fixture(scope="module")
def server(certificates: Path) -> Iterator[Server]:
    """A server with a database `app`, rowhooks in it, and logins."""
    binaries = with_tls()
    if binaries is None:
        pytest.skip("there is no PostgreSQL that was built with OpenSSL")
    with Server(binaries, certificates) as made:
        made.execute("create database app")
        assert call(["init", "--dsn", made.admin("app")]) == 0
        for login in ("rowhooks", "certified", "plain"):
            made.execute(f"create role {login} login password '{PASSWORD}' in role rowhooks_daemon")
        made.execute("create table thing (id integer primary key)", "app")
        made.execute("grant select on thing to rowhooks_daemon", "app")
        made.execute("select rowhooks.track('thing')", "app")
        yield made


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without anything in it, and an environment without libpq's variables."""
    for name in list(os.environ):
        if name.startswith(("PG", "ROWHOOKS_")):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    (home / ".postgresql").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    return home


async def let_in(target: Target) -> tuple[str, bool]:
    """Connect in each of our ways; return who one is then, and whether it is over TLS: the same for all."""
    found = set()
    with connection(target) as conn:
        found.add(conn.execute(WHO).fetchone())
    async with connected(target) as opened:
        found.add(tuple(await opened.fetchrow(WHO)))
    engine = sync_engine(target, 1)
    with engine.connect() as one:
        found.add(tuple(one.execute(sqlalchemy.text(WHO)).one()))
    engine.dispose()
    other = async_engine(target, 1)
    async with other.connect() as two:
        found.add(tuple((await two.execute(sqlalchemy.text(WHO))).one()))
    await other.dispose()
    ((user, is_encrypted),) = found
    return user, is_encrypted


async def refused(target: Target, why: str) -> None:
    """See that neither driver is let in, and that the message does not have the password."""
    with pytest.raises(ConnectionFailed, match=why) as by_psycopg, connection(target):
        pass
    with pytest.raises(ConnectionFailed, match=why) as by_asyncpg:
        async with connected(target):
            pass
    for error in (by_psycopg, by_asyncpg):
        assert PASSWORD not in str(error.value)


async def test_scram(server: Server) -> None:
    assert await let_in(Target(server.over_tcp(password=PASSWORD))) == ("rowhooks", OVER_TLS)
    assert await let_in(Target(server.over_tcp("plain", password=PASSWORD, sslmode="disable"))) == (
        "plain", IN_THE_CLEAR,
    )  # fmt: skip


async def test_a_wrong_password(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    await refused(Target(server.over_tcp(password="s0mething else")), "password authentication failed")
    assert call(["status", "--dsn", server.over_tcp(password="s0mething else")]) == 1
    said = capsys.readouterr().err
    assert "password authentication failed" in said
    assert "s0mething" not in said


async def test_a_password_beside_the_dsn(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "of somebody else")
    assert await let_in(Target(server.over_tcp(), password=PASSWORD)) == ("rowhooks", OVER_TLS)


async def test_a_server_that_demands_tls(server: Server) -> None:
    await refused(Target(server.over_tcp(sslmode="disable", password=PASSWORD)), "no pg_hba.conf entry")


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
async def test_a_server_that_is_who_it_says_it_is(server: Server, certificates: Path, mode: str) -> None:
    dsn = server.over_tcp(sslmode=mode, sslrootcert=certificates / "root.crt", password=PASSWORD)
    assert await let_in(Target(dsn)) == ("rowhooks", OVER_TLS)


async def test_the_wrong_name_counts_for_verify_full_only(server: Server, certificates: Path) -> None:
    given: dict[str, Any] = {"host": "127.0.0.1", "sslrootcert": certificates / "root.crt", "password": PASSWORD}
    assert (await let_in(Target(server.over_tcp(sslmode="verify-ca", **given))))[1] is OVER_TLS
    await refused(Target(server.over_tcp(sslmode="verify-full", **given)), "127.0.0.1")


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_the_wrong_authority(server: Server, certificates: Path, mode: str) -> None:
    # With a root certificate `require` is like `verify-ca`, as libpq has it.
    dsn = server.over_tcp(sslmode=mode, sslrootcert=certificates / "other.crt", password=PASSWORD)
    await refused(Target(dsn), "certificate verify failed")


async def test_the_operating_systems_authorities_do_not_know_it(server: Server) -> None:
    dsn = server.over_tcp(sslmode="verify-full", sslrootcert="system", password=PASSWORD)
    with pytest.raises(ConnectionFailed, match="certificate verify failed"):
        async with connected(Target(dsn)):
            pass


async def test_a_root_certificate_in_its_usual_place(server: Server, certificates: Path, nowhere: Path) -> None:
    (nowhere / ".postgresql" / "root.crt").symlink_to(certificates / "root.crt")
    dsn = server.over_tcp(sslmode="verify-full", password=PASSWORD)
    assert await let_in(Target(dsn)) == ("rowhooks", OVER_TLS)


async def test_verification_without_a_root_certificate(server: Server) -> None:
    await refused(Target(server.over_tcp(sslmode="verify-full", password=PASSWORD)), "root certificate file")


async def test_a_root_certificate_in_the_environment(
    server: Server, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGSSLROOTCERT", str(certificates / "other.crt"))
    await refused(Target(server.over_tcp(password=PASSWORD)), "certificate verify failed")
    monkeypatch.setenv("PGSSLROOTCERT", str(certificates / "root.crt"))
    assert await let_in(Target(server.over_tcp(password=PASSWORD))) == ("rowhooks", OVER_TLS)


@pytest.mark.parametrize("mode", ["prefer", "require", "verify-full"])
async def test_a_clients_certificate(server: Server, certificates: Path, mode: str) -> None:
    given: dict[str, Any] = {"sslcert": certificates / "client.crt", "sslkey": certificates / "client.key"}
    dsn = server.over_tcp("certified", sslmode=mode, sslrootcert=certificates / "root.crt", **given)
    assert await let_in(Target(dsn)) == ("certified", OVER_TLS)


async def test_a_clients_certificate_in_its_usual_place(server: Server, certificates: Path, nowhere: Path) -> None:
    for name in ("crt", "key"):
        target = nowhere / ".postgresql" / f"postgresql.{name}"
        target.write_bytes((certificates / f"client.{name}").read_bytes())
        target.chmod(0o600)
    assert await let_in(Target(server.over_tcp("certified", sslmode="require"))) == ("certified", OVER_TLS)


async def test_a_missing_clients_certificate(server: Server, certificates: Path) -> None:
    await refused(Target(server.over_tcp("certified", sslmode="require")), "certificate")
    dsn = server.over_tcp("certified", sslcert=certificates / "gone.crt", sslkey=certificates / "client.key")
    with pytest.raises(SettingsError, match=r"a certificate cannot be read \(.*gone.crt"):
        Target(dsn).asyncpg_arguments()


@pytest.mark.parametrize("named_by", ["dsn", "PGSERVICE"])
@pytest.mark.parametrize("where", ["PGSERVICEFILE", ".pg_service.conf"])
async def test_a_service_file(
    server: Server, certificates: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch, named_by: str, where: str
) -> None:
    file = nowhere / where
    file.write_text(
        f"[inventory]\nhost=localhost\nport={server.port}\nuser=rowhooks\ndbname=app\npassword={PASSWORD}\n"
        f"sslmode=verify-full\nsslrootcert={certificates / 'root.crt'}\n"
    )
    if where == "PGSERVICEFILE":
        monkeypatch.setenv("PGSERVICEFILE", str(file))
    if named_by == "PGSERVICE":
        monkeypatch.setenv("PGSERVICE", "inventory")
    assert await let_in(Target("service=inventory" if named_by == "dsn" else "")) == ("rowhooks", OVER_TLS)
    # What it says of TLS holds for both drivers.
    file.write_text(file.read_text().replace("root.crt", "other.crt"))
    await refused(Target("service=inventory" if named_by == "dsn" else ""), "certificate verify failed")


@pytest.mark.parametrize("where", ["passfile", "PGPASSFILE", ".pgpass"])
async def test_a_password_file(server: Server, nowhere: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    file = nowhere / where
    escaped = PASSWORD.replace(":", "\\:")
    file.write_text(f"localhost:1:*:*:wrong\nlocalhost:{server.port}:app:rowhooks:{escaped}\n")
    file.chmod(0o600)
    if where == "PGPASSFILE":
        monkeypatch.setenv("PGPASSFILE", str(file))
    more = {"passfile": str(file)} if where == "passfile" else {}
    assert await let_in(Target(server.over_tcp(**more))) == ("rowhooks", OVER_TLS)


async def test_peer_authentication_over_the_socket(server: Server) -> None:
    directory = f"host={server.directory} port={server.port} dbname=app"
    assert await let_in(Target(f"{directory} user=rowhooks")) == ("rowhooks", IN_THE_CLEAR)
    await refused(Target(f"{directory} user=plain"), "[Pp]eer authentication failed")


async def test_a_host_that_says_nothing_does_not_keep_the_next_one_from_being_asked(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = f"{silent.getsockname()[1]},{server.port}"
        more = {"target_session_attrs": "read-write", "connect_timeout": 2, "password": PASSWORD}
        dsn = server.over_tcp(host="127.0.0.1,localhost", port=port, **more)
        assert await let_in(Target(dsn)) == ("rowhooks", OVER_TLS)


async def test_a_certificate_that_is_being_renewed_is_waited_for(
    server: Server, certificates: Path, tmp_path: Path
) -> None:
    dsn = server.over_tcp(sslmode="verify-full", sslrootcert=tmp_path / "ca.crt", password=PASSWORD)
    with pytest.raises(SettingsError, match=r"a certificate cannot be read \(.*ca.crt"):
        Target(dsn).asyncpg_arguments()
    with pytest.raises(ConnectionFailed, match=r"a certificate cannot be read \(.*ca.crt"):
        async with connected(Target(dsn)):
            pass
    (tmp_path / "ca.crt").symlink_to(certificates / "root.crt")
    assert await let_in(Target(dsn)) == ("rowhooks", OVER_TLS)


class Witness(JobHookReceiver):
    """Writes each change into a table."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.session.execute(sqlalchemy.text("insert into seen values (:id)"), {"id": change.id})


async def test_the_daemon_works_with_its_own_login_only(server: Server, certificates: Path) -> None:
    server.execute("create table if not exists seen (change_id bigint)", "app")
    server.execute("grant insert on seen to rowhooks_daemon", "app")
    with psycopg.connect(server.admin("app"), autocommit=True) as db:
        add_hook(db, Witness, "thing")
        dsn = server.over_tcp(sslmode="verify-full", sslrootcert=certificates / "root.crt")
        async with running_daemon(dsn, Witness, password=PASSWORD):
            db.execute("insert into thing values (1)")
            await eventually(lambda: db.execute("select count(*) from seen").fetchone() == (1,))
            logins = db.execute(
                "select usename::text, ssl, count(*) > 3 from pg_stat_activity join pg_stat_ssl using (pid)"
                " where application_name like 'rowhooks%' group by 1, 2"
            ).fetchall()
        assert logins == [("rowhooks", True, True)]


async def test_a_fail_over_of_the_server_loses_nothing(certificates: Path) -> None:
    binaries = with_tls()
    if binaries is None:
        pytest.skip("there is no PostgreSQL that was built with OpenSSL")
    with Server(binaries, certificates) as primary:
        primary.execute("create database app")
        assert call(["init", "--dsn", primary.admin("app")]) == 0
        primary.execute(f"create role rowhooks login password '{PASSWORD}' in role rowhooks_daemon")
        primary.execute("create table thing (id integer primary key); create table seen (change_id bigint)", "app")
        primary.execute("grant select on thing to rowhooks; grant insert, select on seen to rowhooks", "app")
        primary.execute("select rowhooks.track('thing')", "app")
        with psycopg.connect(primary.admin("app"), autocommit=True) as db:
            add_hook(db, Witness, "thing")
        standby = Server.standby_of(primary)
        try:
            # The first that is asked cannot be written to, the second is dead.
            dead = Server(binaries, certificates)
            dead.directory.rmdir()
            hosts = {"host": "localhost,localhost,localhost", "port": f"{standby.port},{dead.port},{primary.port}"}
            dsn = primary.over_tcp(**hosts, target_session_attrs="read-write", password=PASSWORD)
            async with running_daemon(dsn, Witness) as daemon:
                primary.execute("insert into thing select generate_series(1, 50)", "app")
                await eventually(lambda: primary.execute("select count(*) from seen", "app") == [(50,)])
                primary.execute("insert into thing select generate_series(51, 100)", "app")
                await eventually(
                    lambda: (
                        primary.execute("select replay_lsn = pg_current_wal_lsn() from pg_stat_replication")
                        == [(True,)]
                    )
                )
                primary.stop_hard()
                await eventually(lambda: not daemon.ready.is_set())
                standby.run("pg_ctl", "promote", "-w", "-s", "-D", str(standby.data))
                await eventually(daemon.ready.is_set, 60)
                await asyncio.to_thread(standby.execute, "insert into thing select generate_series(101, 150)", "app")
                await eventually(
                    lambda: standby.execute("select count(distinct change_id) from seen", "app") == [(150,)]
                )
            assert standby.execute("select count(*) from seen", "app") == [(150,)]
            assert standby.execute("select status, count(*) from rowhooks.job_result group by 1", "app") == [
                ("SUCCESS", 150)
            ]
        finally:
            standby.stop()
