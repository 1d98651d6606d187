"""Servers as people run them: with TLS, SCRAM, peer authentication, standbys."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rowhooks.demo.embedded import EmbeddedPostgres, find_binaries
from tests.all_postgres import KEPT

PASSWORD = "c0rrect h0rse: b@ttery/staple"
HBA = """
local all postgres trust
local replication postgres trust
local all by_password scram-sha-256
local all all peer map=people
hostssl all certified 127.0.0.1/32 cert
hostssl all all 127.0.0.1/32 scram-sha-256
hostnossl all plain 127.0.0.1/32 scram-sha-256
"""


def candidates() -> Iterator[Path]:
    """Return the directories of PostgreSQL's programs that there are, the machine's own first."""
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    yield from sorted(KEPT.glob("*/package/native/bin"), reverse=True)
    yield find_binaries()


def with_tls() -> Path | None:
    """Return the programs of a PostgreSQL that was built with OpenSSL."""
    for binaries in candidates():
        if (binaries / "initdb").exists() and b"SSL_CTX_new" in (binaries / "postgres").read_bytes():
            return binaries
    return None


def free_port() -> int:
    """Return a port of localhost that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class Server(EmbeddedPostgres):
    """A server with TLS that asks for passwords, certificates or the operating system's user.

    Args:
        binaries: a PostgreSQL with TLS.
        certificates: server.crt and server.key, and root.crt, which client certificates are checked against.
    """

    def __init__(self, binaries: Path, certificates: Path) -> None:
        self.port = free_port()
        self.certificates = certificates
        settings = {
            "listen_addresses": "'127.0.0.1'",
            "port": str(self.port),
            "password_encryption": "'scram-sha-256'",
            "wal_level": "replica",
        }
        super().__init__(settings=settings, binaries=binaries)

    def _readable_binaries(self) -> Path:
        if self.binaries.is_relative_to("/usr"):
            return self.binaries
        return super()._readable_binaries()

    def start(self) -> None:
        """Start it; a new one with its certificates and pg_hba.conf."""
        is_new = not (self.data / "PG_VERSION").exists()
        super().start()
        if is_new:
            for name in ("server.crt", "server.key", "root.crt"):
                self._copy(name)
            with (self.data / "postgresql.conf").open("a") as conf:
                conf.write("ssl = on\nssl_ca_file = 'root.crt'\n")
            (self.data / "pg_hba.conf").write_text(HBA)
            (self.data / "pg_ident.conf").write_text(f"people {getpass.getuser()} rowhooks\n")
            self.run("pg_ctl", "reload", "-s", "-D", str(self.data))

    @classmethod
    def standby_of(cls, primary: Server) -> Server:
        """Return a streaming standby, started."""
        standby = cls(primary.binaries, primary.certificates)
        owner = primary.directory.stat()
        os.chown(standby.directory, owner.st_uid, owner.st_gid)
        standby.run(
            "pg_basebackup", "-d", primary.admin().replace(" dbname=postgres", ""), "-D", str(standby.data), "-R", "-X",
            "stream", "-c", "fast",
        )  # fmt: skip
        with (standby.data / "postgresql.conf").open("a") as conf:
            conf.write(f"port = {standby.port}\nunix_socket_directories = '{standby.directory}'\n")
        standby.start()
        return standby

    def stop_hard(self) -> None:
        """End it as a crash would."""
        self.run("pg_ctl", "stop", "-w", "-s", "-m", "immediate", "-D", str(self.data))

    def _copy(self, name: str) -> None:
        target = self.data / name
        shutil.copyfile(self.certificates / name, target)
        target.chmod(0o600)
        owner = self.data.stat()
        shutil.chown(target, owner.st_uid, owner.st_gid)

    def admin(self, database: str = "postgres") -> str:
        """Return the DSN of its administrator, by the socket."""
        return f"host={self.directory} port={self.port} user=postgres dbname={database}"

    def over_tcp(self, user: str = "rowhooks", **more: Any) -> str:
        """Return a DSN without a password, to localhost."""
        given = {"host": "localhost", "port": self.port, "user": user, "dbname": "app", **more}
        return " ".join(f"{name}='{value}'" for name, value in given.items())

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run SQL as its administrator."""
        with psycopg.connect(self.admin(database), autocommit=True) as conn:
            cursor = conn.execute(statement)
            return cursor.fetchall() if cursor.description else []


def make_certificates(directory: Path) -> None:
    """Make an authority, a server's certificate for `localhost`, a client's for `certified`, and another authority."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make certificates with")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    for authority in ("root", "other"):
        openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN=authority {authority}",
            "-keyout", f"{authority}.key", "-out", f"{authority}.crt",
        )  # fmt: skip
    for name, subject in (("server", "localhost"), ("client", "certified")):
        openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={subject}", "-keyout", f"{name}.key",
            "-addext", f"subjectAltName=DNS:{subject}", "-out", f"{name}.csr",
        )  # fmt: skip
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "root.crt", "-CAkey", "root.key", "-CAcreateserial",
            "-days", "2", "-copy_extensions", "copy", "-out", f"{name}.crt",
        )  # fmt: skip
        (directory / f"{name}.key").chmod(0o600)
