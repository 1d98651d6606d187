"""Each way to connect, by both drivers, and by the daemon with its own login only."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rowhooks.cli import call
from rowhooks.domain.errors import ConnectionFailed, SettingsError
from rowhooks.postgres.administration.doctor import examine
from rowhooks.postgres.administration.status import status
from rowhooks.postgres.connections.connect import connected
from rowhooks.postgres.connections.target import Target
from tests.support.daemons import running_daemon
from tests.support.drivers import IN_THE_CLEAR, OVER_TLS, Witness, let_in, refused
from tests.support.hooks import add_hook
from tests.support.server import PASSWORD, Server, with_tls
from tests.support.waiting import eventually


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


async def test_a_services_password_goes_before_the_one_beside_the_dsn(server: Server, nowhere: Path) -> None:
    service = f"[inventory]\nhost=localhost\nport={server.port}\nuser=rowhooks\ndbname=app\n"
    file = nowhere / ".pg_service.conf"
    file.write_text(f"{service}password={PASSWORD}\n")
    assert await let_in(Target("service=inventory", password="another")) == ("rowhooks", OVER_TLS)
    file.write_text(service)
    assert await let_in(Target("service=inventory", password=PASSWORD)) == ("rowhooks", OVER_TLS)


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


async def test_the_operating_systems_authorities(
    server: Server, certificates: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where OpenSSL is told to find them, for both drivers.
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "root.crt"))
    monkeypatch.setenv("PGSSLROOTCERT", "system")
    assert await let_in(Target(server.over_tcp(password=PASSWORD))) == ("rowhooks", OVER_TLS)
    await refused(Target(server.over_tcp(host="127.0.0.1", password=PASSWORD)), "127.0.0.1")
    _put_client_certificate(certificates, nowhere)
    assert await let_in(Target(server.over_tcp("certified"))) == ("certified", OVER_TLS)
    with pytest.raises(SettingsError, match='weak sslmode "require"'):
        Target(server.over_tcp(sslmode="require"))


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
    _put_client_certificate(certificates, nowhere)
    assert await let_in(Target(server.over_tcp("certified", sslmode="require"))) == ("certified", OVER_TLS)


def _put_client_certificate(certificates: Path, home: Path) -> None:
    for name in ("crt", "key"):
        target = home / ".postgresql" / f"postgresql.{name}"
        target.write_bytes((certificates / f"client.{name}").read_bytes())
        target.chmod(0o600)


async def test_a_missing_clients_certificate(server: Server, certificates: Path) -> None:
    await refused(Target(server.over_tcp("certified", sslmode="require")), "certificate")
    dsn = server.over_tcp("certified", sslcert=certificates / "gone.crt", sslkey=certificates / "client.key")
    with pytest.raises(SettingsError, match=r"a certificate cannot be read \(.*gone.crt"):
        Target(dsn)


async def test_a_certificate_that_is_away_for_a_moment_ends_no_daemon(
    server: Server, certificates: Path, tmp_path: Path
) -> None:
    root = tmp_path / "renewed.crt"
    root.symlink_to(certificates / "root.crt")
    target = Target(server.over_tcp(sslmode="verify-full", sslrootcert=root, password=PASSWORD))
    root.unlink()
    await refused(target, "No such file|does not exist")
    root.symlink_to(certificates / "root.crt")
    assert await let_in(target) == ("rowhooks", OVER_TLS)


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
    socket = f"host={server.directory} port={server.port} dbname=app"
    assert await let_in(Target(f"{socket} user=rowhooks")) == ("rowhooks", IN_THE_CLEAR)
    await refused(Target(f"{socket} user=plain"), "[Pp]eer authentication failed")
    # There is no TLS on a socket, and nothing to verify.
    assert await let_in(Target(f"{socket} user=rowhooks sslmode=verify-full")) == ("rowhooks", IN_THE_CLEAR)


@pytest.mark.parametrize("host", ["directory", "localhost"])
async def test_a_sockets_line_in_the_password_file(server: Server, nowhere: Path, host: str) -> None:
    # libpq calls its own default directory `localhost`, and no other.
    file = nowhere / ".pgpass"
    escaped = PASSWORD.replace(":", "\\:")
    file.write_text(f"{server.directory if host == 'directory' else host}:*:*:*:{escaped}\n")
    file.chmod(0o600)
    target = Target(f"host={server.directory} port={server.port} dbname=app user=by_password")
    if host == "directory":
        assert await let_in(target) == ("by_password", IN_THE_CLEAR)
    else:
        await refused(target, "password")


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


def said_of_workers(dsn: str) -> tuple[Any, list[str]]:
    """Return what status and doctor say of workers."""
    with psycopg.connect(dsn) as conn:
        return status(conn)["workers"], [one.what for one in examine(conn) if "worker" in one.what]


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
                # From here on what is committed is on the standby too.
                primary.execute("alter system set synchronous_standby_names = '*'")
                primary.execute("select pg_reload_conf()")
                await eventually(lambda: primary.execute("select sync_state from pg_stat_replication") == [("sync",)])
                # A standby has no unlogged tables.
                asked = "select rowhooks.numbers_of_dispatch() ->> 'workers'"
                assert [one.execute(asked, "app") for one in (primary, standby)] == [[("[]",)], [(None,)]]
                assert await asyncio.to_thread(said_of_workers, standby.admin("app")) == (None, [])
                await asyncio.to_thread(primary.execute, "insert into thing select generate_series(51, 1050)", "app")
                # A standby does not know the locks of its primary.
                asked = "select rowhooks.numbers_of_status(9) ->> 'is_led'"
                assert [one.execute(asked, "app") for one in (primary, standby)] == [[("true",)], [(None,)]]
                # In the middle of the work.
                await eventually(lambda: primary.execute("select count(*) > 60 from seen", "app") == [(True,)])
                await asyncio.to_thread(primary.stop_hard)
                assert standby.execute("select count(*) < 1050 from seen", "app") == [(True,)]
                await eventually(lambda: not daemon.ready.is_set())
                standby.run("pg_ctl", "promote", "-w", "-s", "-D", str(standby.data))
                await eventually(daemon.ready.is_set, 60)
                await asyncio.to_thread(standby.execute, "insert into thing select generate_series(1051, 1100)", "app")
                await eventually(
                    lambda: standby.execute("select count(distinct change_id) from seen", "app") == [(1100,)]
                )
            assert standby.execute("select count(*) from seen", "app") == [(1100,)]
            assert standby.execute("select status, count(*) from rowhooks.job_result group by 1", "app") == [
                ("SUCCESS", 1100)
            ]
        finally:
            standby.stop()
