"""rowhooks new receiver: what it writes is checked by ruff and mypy, tested by pytest, and registered by a daemon."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import rowhooks
from rowhooks import cli
from rowhooks.receivers.loading import load_receivers
from tests.support.cli import Rowhooks
from tests.support.daemons import running_daemon
from tests.support.imports import imports_undone
from tests.support.quickstart import TABLES

Connection = psycopg.Connection[Any]
REPOSITORY = Path(__file__).parents[2]
ODD = Path(__file__).with_name("odd_tables.sql")
NAMES = {
    "Device": "dcim.device", "Nothing": "dcim.nothing", "Day": "dcim.day", "Keywords": '"Odd ""one"""."class"',
    "Cyrillic": '"Odd ""one"""."тест: стол"', "Kinds": '"Odd ""one""".kinds', "OnlyKey": '"Odd ""one"""."only key"',
    "Loops": '"Odd ""one"""."2 loops"', "Parted": '"Odd ""one"""."part.ed"',
}  # fmt: skip
BUTTONS = {"PressDevice": "dcim.device", "PressKinds": '"Odd ""one""".kinds', "PressStrict": '"Odd ""one""".strict'}


@pytest.fixture(autouse=True)
def clean_imports(tmp_path: Path) -> Iterator[None]:
    with imports_undone(tmp_path):
        yield


@pytest.fixture
def tables(db: Connection) -> Connection:
    db.execute(TABLES)
    db.execute(ODD.read_bytes())
    return db


@pytest.fixture
def written(run: Rowhooks, tables: Connection, tmp_path: Path) -> Path:
    """A directory with a receiver, and its test, for each table."""
    for options, named in (((), NAMES), (("--button",), BUTTONS)):
        for name, table in named.items():
            done = run("new", "receiver", name, "--table", table, *options)
            assert (done.code, done.err) == (0, ""), name
            assert "ROW" not in done.out, done.out
    return tmp_path


def python_files(directory: Path) -> list[Path]:
    return list(directory.glob("*.py"))


def checked(directory: Path, *arguments: str, **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=directory, env={**os.environ, **environment}, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


async def test_what_is_written_is_clean_tested_and_registered(
    written: Path, dsn: str, daemon_dsn: str, db: Connection
) -> None:
    files = sorted(str(file) for file in python_files(written))
    assert len(files) == 2 * (len(NAMES) + len(BUTTONS))
    checked(written, "ruff", "check", "--isolated", *files)
    for length in ("88", "120"):
        checked(written, "ruff", "format", "--isolated", "--check", "--line-length", length, *files)
    # With the settings, and so the cache, of `make check`.
    source = str(Path(rowhooks.__file__).parents[1])
    checked(REPOSITORY, "mypy", *files, MYPYPATH=os.pathsep.join([str(written), source]))
    checked(written, "pytest", "-q", "-p", "no:cacheprovider", "--rowhooks-dsn", dsn, *files)
    classes, problems = load_receivers([file for file in files if not Path(file).name.startswith("test_")], written)
    assert problems == []
    async with running_daemon(daemon_dsn, *classes):
        found = db.execute("select class_path, kind, installed from rowhooks.job order by 1").fetchall()
    assert {(path.rpartition(".")[2], kind, installed) for path, kind, installed in found} == {
        *((name, "hook", True) for name in NAMES), *((name, "button", True) for name in BUTTONS),
    }  # fmt: skip


def test_a_row_that_postgresql_refuses_is_replaced_by_one_that_is_there(
    run: Rowhooks, tables: Connection, tmp_path: Path, dsn: str
) -> None:
    done = run("new", "receiver", "Strict", "--table", '"Odd ""one""".strict')
    assert (done.code, "ROW" in done.out) == (0, False)
    source = (tmp_path / "test_strict.py").read_text()
    assert "a text of somebody" not in source
    assert "[key] = rowhooks.execute(" in source


def test_where_there_is_none_the_author_is_told(run: Rowhooks, tables: Connection, tmp_path: Path) -> None:
    done = run("new", "receiver", "Stricter", "--table", '"Odd ""one""".stricter')
    assert done.code == 0
    assert 'PostgreSQL did not take ROW: new row for relation "stricter" violates check constraint' in done.out
    assert "Complete ROW" in (tmp_path / "test_stricter.py").read_text()


def test_who_may_not_try_the_test_is_told(run: Rowhooks, tables: Connection, daemon_dsn: str, tmp_path: Path) -> None:
    tables.execute("grant usage on schema dcim to rowhooks_daemon")
    done = run("new", "receiver", "Untried", "--table", "dcim.location", dsn=daemon_dsn)
    assert done.code == 0
    assert "This was not tried: " in done.out
    assert "Run it as the owner of the table." in (tmp_path / "test_untried.py").read_text()


def test_a_table_that_is_locked_is_not_tried(run: Rowhooks, tables: Connection, dsn: str) -> None:
    with psycopg.connect(dsn) as other:
        other.execute("lock table dcim.location in row exclusive mode")
        done = run("new", "receiver", "Locked", "--table", "dcim.location")
    assert done.code == 0
    assert "This was not tried: the lock on dcim.location was not available" in done.out
    assert "ROW" not in done.out


def test_it_leaves_nothing_in_the_database(run: Rowhooks, tables: Connection) -> None:
    assert run("new", "receiver", "Device", "--table", "dcim.device").code == 0
    assert tables.execute("select count(*) from dcim.device").fetchone() == (0,)
    assert tables.execute("select count(*) from dcim.location").fetchone() == (1,)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("2nd", "cannot be the name of a class"),
        ("serial-policy", "cannot be the name of a class"),
        ("class", "is a keyword of Python"),
        ("None", "is a keyword of Python"),
        ("_Hidden", "begins with _"),
        ("Json", "json is the name of another module"),
        ("Rowhooks", "rowhooks is the name of another module"),
    ],
)
def test_a_name_that_python_does_not_take_is_refused(
    run: Rowhooks, tables: Connection, tmp_path: Path, name: str, said: str
) -> None:
    done = run("new", "receiver", name, "--table", "dcim.device")
    assert done.code in (1, 2)
    assert said in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["device.py", "test_device.py"])
def test_no_file_is_overwritten(run: Rowhooks, tables: Connection, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("# mine")
    done = run("new", "receiver", "Device", "--table", "dcim.device")
    assert done.code == 1
    assert f"{name}: there already; nothing was written" in done.err
    assert [file.read_text() for file in tmp_path.iterdir()] == ["# mine"]


def test_without_a_database_the_columns_are_left_to_the_author(
    empty_directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE"):
        monkeypatch.delenv(name, raising=False)
    assert rowhooks_cli("new", "receiver", "Device", "--table", "dcim.device") == 0
    assert "No database was named" in capsys.readouterr().out
    assert "complete ROW" in (empty_directory / "test_device.py").read_text()
    assert rowhooks_cli("new", "receiver", "Other", "--table", "device") == 2
    assert "needs schema and table" in capsys.readouterr().err


def rowhooks_cli(*arguments: str) -> int:
    return cli.call(list(arguments))


def test_in_a_package_it_is_named_as_python_imports_it(
    run: Rowhooks, tables: Connection, tmp_path: Path, dsn: str
) -> None:
    package = tmp_path / "acme" / "receivers"
    package.mkdir(parents=True)
    for directory in (package, package.parent):
        (directory / "__init__.py").touch()
    done = run("new", "receiver", "Device", "--table", "dcim.device", "--into", package)
    assert done.code == 0
    assert "'acme.receivers.device'" in done.out
    assert "from acme.receivers.device import Device" in (package / "test_device.py").read_text()
    checked(tmp_path, "pytest", "-q", "-p", "no:cacheprovider", "--rowhooks-dsn", dsn, "acme")


def test_a_missing_table_is_named_with_one_like_it(run: Rowhooks, tables: Connection) -> None:
    done = run("new", "receiver", "Device", "--table", "dcim.devic")
    assert (done.code, "did you mean dcim.device" in done.err) == (1, True)
    done = run("new", "receiver", "Device", "--table", "dcim.device", dsn=make_conninfo(run.dsn, dbname="no_such"))
    assert done.code == 1
