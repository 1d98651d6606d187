"""What these tests share: commands, a rehearsal on a database of the user's, tables that refer to each other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rowhooks.testing import Rehearsal
from tests.support.cli import Rowhooks
from tests.support.rehearsing import SCHEMA
from tests.support.relating import SCHEMA as NETWORK


@pytest.fixture
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no settings of the developer's own."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("ROWHOOKS_")]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], dsn: str, empty_directory: Path) -> Rowhooks:
    """Run commands on the test's database in an empty directory."""
    return Rowhooks(capsys, dsn)


@pytest.fixture
def own_dsn(empty_dsn: str) -> str:
    """A database of the user's, in which rowhooks is not installed."""
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        conn.execute(SCHEMA)
    return empty_dsn


@pytest.fixture
def own(own_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(own_dsn, autocommit=True) as conn:
        yield conn


@pytest.fixture
def kit(own_dsn: str) -> Iterator[Rehearsal]:
    with Rehearsal(own_dsn) as rehearsal:
        yield rehearsal


@pytest.fixture(params=["event trigger", "no event trigger"])
def noticed_by(request: pytest.FixtureRequest, db: psycopg.Connection[Any]) -> str:
    """What follows the DDL: the event triggers, or the daemon alone."""
    if request.param == "no event trigger":
        db.execute("alter event trigger rowhooks_after_ddl disable")
        db.execute("alter event trigger rowhooks_after_drop disable")
    return str(request.param)


@pytest.fixture
def net(db: psycopg.Connection[Any]) -> str:
    """Tables that refer to each other; net.device is tracked."""
    db.execute(NETWORK)
    db.execute("grant usage on schema net to rowhooks_daemon")
    db.execute("grant select, insert, update, delete on all tables in schema net to rowhooks_daemon")
    db.execute("select rowhooks.track('net.device')")
    return "net.device"
