"""A server with TLS and logins, and a home with nothing in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowhooks.cli import call
from tests.support.server import PASSWORD, Server, make_certificates, with_tls


@pytest.fixture(scope="package")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    make_certificates(directory)
    return directory


@pytest.fixture(scope="package")
def server(certificates: Path) -> Iterator[Server]:
    """A server with a database `app`, rowhooks in it, and logins."""
    binaries = with_tls()
    if binaries is None:
        pytest.skip("there is no PostgreSQL that was built with OpenSSL")
    with Server(binaries, certificates) as made:
        made.execute("create database app")
        assert call(["init", "--dsn", made.admin("app")]) == 0
        for login in ("rowhooks", "certified", "plain", "by_password"):
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
