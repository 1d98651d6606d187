"""rowhooks console: how it starts, what it refuses to start with, how it stops."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from starlette.applications import Starlette

from rowhooks.cli import call
from tests.support.console import PASSWORD
from tests.support.console_process import ConsoleProcess
from tests.support.manager import Manager
from tests.support.server import free_port, make_certificates
from tests.support.waiting import PATIENCE, wait

Connection = psycopg.Connection[Any]
FREE = ("--listen", "127.0.0.1:0")


@pytest.fixture
def plain_dsn(dsn: str) -> str:
    """The DSN of the database, without a login."""
    conninfo = psycopg.conninfo.conninfo_to_dict(dsn)
    return make_conninfo("", **{name: value for name, value in conninfo.items() if name in ("host", "port", "dbname")})


def test_it_answers_until_sigterm(console: Starlette, plain_dsn: str, tmp_path: Path) -> None:
    manager = Manager(tmp_path / "notify")
    settings = {
        "ROWHOOKS_CONSOLE_ALLOW_PASSWORDLESS": "true",
        "NOTIFY_SOCKET": manager.address,
        "WATCHDOG_USEC": "300000",
    }
    with ConsoleProcess(tmp_path, "--dsn", plain_dsn, *FREE, **settings) as process:
        address = process.address()
        wait(lambda: {"READY": "1", "STATUS": f"answers on {address}"} in manager.listen())
        wait(lambda: {"WATCHDOG": "1"} in manager.listen())
        with httpx.Client(base_url=address, headers={"origin": address}) as browser:
            answer = browser.post("/login", data={"role": "alice", "password": PASSWORD})
            assert answer.status_code == 303
            cookie = {"cookie": answer.headers["set-cookie"].partition(";")[0]}
            page = browser.get("/runs", headers=cookie).text
            live = page.partition('data-live="')[2].partition('"')[0].replace("&amp;", "&")
            with browser.stream("GET", live, headers=cookie) as stream:
                assert stream.status_code == 200
                process.child.send_signal(signal.SIGTERM)
                assert "the console stops" in stream.read().decode()
        assert process.ends() == 0
        assert any(one.get("STOPPING") == "1" for one in manager.listen())
        said = process.said()
    assert "alice logged in from 127.0.0.1" in said
    assert said.splitlines()[-1].endswith("INFO    stopped")
    assert "uvicorn" not in said
    assert "Traceback" not in said
    manager.socket.close()


def test_a_socket_is_for_its_owner_and_group_and_the_log_is_like_the_daemons(
    console: Starlette, plain_dsn: str, tmp_path: Path
) -> None:
    path = tmp_path / "console.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    with ConsoleProcess(tmp_path, "--dsn", plain_dsn, "--listen", f"unix:{path}", "--log-format", "json") as process:
        wait(lambda: "answers on" in process.said())
        assert f"answers on unix:{path}" in process.said()
        assert path.stat().st_mode & 0o777 == 0o660
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost") as browser:
            assert browser.get("/login").status_code == 200
        process.child.send_signal(signal.SIGINT)
        assert process.ends() == 0
        lines = [json.loads(line) for line in process.said().splitlines()]
    assert {"time", "level", "logger", "message"} <= lines[0].keys()
    assert not path.exists()


def test_it_speaks_tls_with_its_certificate(
    console: Starlette,
    plain_dsn: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_certificates(tmp_path)
    settings = {"ROWHOOKS_CONSOLE_TLS_CERTIFICATE": "server.crt", "ROWHOOKS_CONSOLE_TLS_KEY": "server.key"}
    with ConsoleProcess(tmp_path, "--dsn", plain_dsn, *FREE, **settings) as process:
        port = process.address().rpartition(":")[2]
        context = ssl.create_default_context(cafile=str(tmp_path / "root.crt"))
        with httpx.Client(verify=context) as browser:
            assert browser.get(f"https://localhost:{port}/login").status_code == 200
    monkeypatch.setenv("ROWHOOKS_CONSOLE_TLS_CERTIFICATE", str(tmp_path / "server.crt"))
    monkeypatch.setenv("ROWHOOKS_CONSOLE_TLS_KEY", str(tmp_path / "client.key"))
    assert call(["console", "--dsn", plain_dsn, *FREE]) == 2
    assert "certificate or key cannot be used" in capsys.readouterr().err


def test_an_address_that_is_taken_is_named(plain_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert call(["console", "--dsn", plain_dsn, "--listen", address]) == 2
    assert f"cannot listen on {address}: Address already in use" in capsys.readouterr().err


def test_a_wrong_setting_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "rowhooks.toml"
    file.write_text("[console]\nlistn = 1\n")
    assert call(["console", "--config", str(file)]) == 2
    assert "listn: unknown setting (see: rowhooks console --help" in capsys.readouterr().err.replace("\n  ", " (")


def test_its_own_login_is_checked_when_it_starts(dsn: str, db: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["console", "--dsn", dsn, *FREE]) == 1
    assert "the console's own login postgres is a superuser" in capsys.readouterr().err
    db.execute("create role front login noinherit in role rowhooks_console")
    db.execute("update rowhooks.alembic_version set version_num = 'later'")
    assert call(["console", "--dsn", make_conninfo(dsn, user="front"), *FREE]) == 1
    assert "is newer than this rowhooks" in capsys.readouterr().err
    assert call(["console", "--dsn", make_conninfo(dsn, user="nobody_of_this_name"), *FREE]) == 1
    assert "nobody_of_this_name" in capsys.readouterr().err


def test_it_waits_for_a_server_that_is_away_and_says_so(console: Starlette, tmp_path: Path) -> None:
    dsn = f"host={tmp_path} dbname=app user=front"
    with ConsoleProcess(tmp_path, "--dsn", dsn, *FREE) as process:
        address = process.address()
        assert "PostgreSQL cannot be reached yet" in process.said()
        answer = httpx.post(f"{address}/login", data={"role": "a", "password": "b"}, headers={"origin": address})
        assert answer.status_code == 503


@pytest.mark.parametrize("missing", ["starlette", "python_multipart"])
def test_without_the_extra_it_says_what_to_install(missing: str) -> None:
    program = f"import sys; sys.modules['{missing}'] = None; from rowhooks.cli import call; sys.exit(call(['console']))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 2
    assert "pip install 'rowhooks[console]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_extra_oidc_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "rowhooks.toml").write_text(
        '[console]\nlogin = ["oidc"]\noidc_issuer = "https://x.example"\noidc_client_id = "x"\n'
    )
    program = "import sys; sys.modules['authlib'] = None; from rowhooks.cli import call; sys.exit(call(['console']))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 2
    assert "pip install 'rowhooks[oidc]'" in done.stderr
