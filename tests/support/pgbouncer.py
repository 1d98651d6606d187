"""PgBouncer, the real one, in front of the tests' server."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rowhooks.demo.embedded import UNPRIVILEGED_USER
from tests.support.waiting import wait

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextlib.contextmanager
def pgbouncer(dsn: str, pool_mode: str = "transaction", **settings: object) -> Iterator[str]:
    """Run PgBouncer; yield the DSN that goes through it.

    Args:
        dsn: the server, by trust authentication.
        pool_mode: `transaction`, `session` or `statement`.
        settings: more settings, as in pgbouncer.ini.
    """
    assert PROGRAM is not None
    given = conninfo_to_dict(dsn)
    with tempfile.TemporaryDirectory(prefix="rowhooks-pgbouncer-", dir="/tmp") as name, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        directory = Path(name)
        lines = {
            "listen_addr": "127.0.0.1", "listen_port": port, "unix_socket_dir": "", "auth_type": "trust",
            "auth_file": directory / "users", "logfile": directory / "log", "pool_mode": pool_mode, **settings,
        }  # fmt: skip
        (directory / "users").write_text(f'"{given["user"]}" ""\n"postgres" ""\n')
        (directory / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={given['host']} port={given['port']}\n[pgbouncer]\n"
            + "".join(f"{key} = {value}\n" for key, value in lines.items())
        )
        # It refuses to run as root.
        user = UNPRIVILEGED_USER if os.geteuid() == 0 else None
        if user:
            for path in (directory, *directory.iterdir()):
                os.chown(path, pwd.getpwnam(user).pw_uid, -1)
        with (directory / "output").open("w") as output:
            process = subprocess.Popen(
                [PROGRAM, str(directory / "pgbouncer.ini")], user=user, stdout=output, stderr=output
            )
        through = make_conninfo("", host="127.0.0.1", port=port, user=given["user"], dbname=given["dbname"])
        try:
            wait(lambda: process.poll() is not None or _answers(through))
            assert process.poll() is None, (directory / "output").read_text()
            yield through
        finally:
            process.terminate()
            process.wait()


def _answers(dsn: str) -> bool:
    try:
        psycopg.connect(dsn).close()
    except psycopg.OperationalError:
        return False
    return True
