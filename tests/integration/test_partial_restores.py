"""Dumps without schema rowhooks, or without its rows: how they are restored, and what is said where they were."""

from __future__ import annotations

import json
import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rowhooks.cli import call
from rowhooks.demo.embedded import find_binaries
from rowhooks.resources import data_directory
from tests.support.dumps import dump, restore
from tests.support.mends import run_as_printed

Connection = psycopg.Connection[Any]
Capsys = pytest.CaptureFixture[str]

NOT_INSTALLED = "rowhooks: rowhooks is not installed in this database\n  run: rowhooks init\n"
OURS = "select count(*) from pg_trigger where tgname ~ '^!rowhooks'"


@pytest.fixture
def elsewhere(db: Connection, dsn: str) -> Iterator[str]:
    """An empty database of the same cluster."""
    name = f"restored_{uuid.uuid4().hex[:12]}"
    db.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    yield make_conninfo(dsn, dbname=name)
    db.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def tables(db: Connection, device: str) -> None:
    """Rows in a tracked table, and a partitioned one that is tracked too, always."""
    db.execute("insert into dcim.device values (1, 'sw', null)")
    db.execute("create table dcim.site (a integer, b text) partition by list (a)")
    db.execute("create table dcim.site_rest partition of dcim.site default")
    db.execute("select rowhooks.track('dcim.site', identity => '{}', always => true)")


def complaint(capsys: Capsys, *command: str) -> str:
    """Return what a command that fails complains of."""
    assert call(list(command)) == 1
    return capsys.readouterr().err


def way_out(complaint: str) -> str:
    """Return the command in a complaint's hint, as it stands there."""
    found = re.search(r"(psql -c '[^\n]*?'(?:\"'\"[^\n]*?')*)(?:;|\)|$)", complaint.replace("\n", " "))
    assert found is not None, complaint
    return found[1]


def problems(dsn: str, capsys: Capsys) -> list[tuple[str, str]]:
    call(["doctor", "--json", "--dsn", dsn])
    found = json.loads(capsys.readouterr().out)
    return [(one["what"], one["way_out"]) for one in found if one["level"] == "problem"]


def test_a_dump_without_our_schema_is_restored_in_the_documented_way(
    db: Connection, dsn: str, tables: None, elsewhere: str, tmp_path: Path, capsys: Capsys
) -> None:
    with pytest.raises(AssertionError, match='schema "rowhooks" does not exist'):
        restore(dump(dsn, "--exclude-schema=rowhooks"), elsewhere)
    with psycopg.connect(elsewhere, autocommit=True) as copy:
        copy.execute("drop schema dcim cascade")
    page = (data_directory("sql").parent / "docs" / "tracking.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"```text\n(pg_dump .*?)```", page, re.DOTALL)
    app, copied = (str(conninfo_to_dict(one)["dbname"]) for one in (dsn, elsewhere))
    words = re.sub(r"\bcopy\b", copied, re.sub(r"\bapp\b(?!\.)", app, recipe))
    if is_older := db.info.server_version < 170000:
        # The programs are newer than the server, and say something that it does not know.
        words = words.replace(f"--exit-on-error -L app.list -d {copied}", "-L app.list -f app.sql")
    info = db.info
    subprocess.run(
        ["sh", "-ec", words],
        cwd=tmp_path, check=True,
        env={
            **os.environ, "PATH": os.pathsep.join([str(find_binaries()), os.environ["PATH"]]), "PGHOST": info.host,
            "PGPORT": str(info.port), "PGUSER": info.user, "PGPASSWORD": info.password or "",
        },
    )  # fmt: skip
    if is_older:
        restore((tmp_path / "app.sql").read_text().replace("SET transaction_timeout = 0;\n", ""), elsewhere)
    with psycopg.connect(elsewhere, autocommit=True) as copy:
        assert copy.execute("select * from dcim.device").fetchall() == [(1, "sw", None)]
        assert copy.execute(OURS).fetchone() == (0,)
        assert copy.execute("select count(*) from pg_event_trigger").fetchone() == (0,)
        assert call(["init", "--dsn", elsewhere]) == 0
        assert call(["track", "dcim.*", "dcim.site", "--identity", "full", "--dsn", elsewhere]) == 0
        copy.execute("insert into dcim.device values (2, 'sw', null)")
        assert copy.execute("select count(*) from rowhooks.object_change").fetchone() == (1,)
    capsys.readouterr()
    assert [what for what, _ in problems(elsewhere, capsys)] == []


@pytest.mark.parametrize("login", ["administrator", "daemon"])
@pytest.mark.parametrize("command", [["doctor"], ["init"], ["status"], ["uninstall", "--yes"]])
def test_a_schema_without_its_rows_is_named_by_every_command_and_goes_as_printed(
    db: Connection, dsn: str, daemon_dsn: str, tables: None, elsewhere: str, capsys: Capsys, login: str,
    command: list[str],
) -> None:  # fmt: skip
    restore(dump(dsn, "--schema-only"), elsewhere)
    user = conninfo_to_dict(dsn if login == "administrator" else daemon_dsn)["user"]
    said = complaint(capsys, *command, "--dsn", make_conninfo(elsewhere, user=user))
    assert "schema rowhooks stands in this database without its rows" in said
    assert "its triggers are on dcim.device, dcim.site" in said
    if login == "administrator" and command == ["doctor"]:
        run_as_printed(way_out(said), elsewhere)
        assert complaint(capsys, *command, "--dsn", elsewhere) == NOT_INSTALLED
        with psycopg.connect(elsewhere) as copy:
            assert copy.execute(OURS).fetchone() == (0,)
        assert call(["init", "--dsn", elsewhere]) == 0
        assert call(["track", "dcim.device", "--dsn", elsewhere]) == 0


def test_triggers_without_a_schema_are_named_and_dropped_as_printed(
    db: Connection, dsn: str, tables: None, elsewhere: str, capsys: Capsys
) -> None:
    # What somebody does who wants to get rid of it.
    db.execute("alter schema rowhooks rename to former")
    said = complaint(capsys, "doctor", "--dsn", dsn)
    assert "there is no schema rowhooks, and its triggers are on dcim.device, dcim.site, which record nothing" in said
    run_as_printed(way_out(said), dsn)
    assert db.execute(OURS).fetchone() == (0,)
    assert complaint(capsys, "doctor", "--dsn", dsn) == NOT_INSTALLED


def test_triggers_of_another_installation_are_named_and_dropped_as_printed(
    dsn: str, tables: None, elsewhere: str, capsys: Capsys
) -> None:
    with psycopg.connect(elsewhere, autocommit=True) as copy:
        assert call(["init", "--dsn", elsewhere]) == 0
        for name in ("one", "two"):
            copy.execute(f"create table public.{name} (id integer primary key)")
            assert call(["track", name, "--dsn", elsewhere]) == 0
        copy.execute("alter event trigger rowhooks_after_ddl disable")
        # The functions that its triggers name are there, and are those of other tables.
        script = dump(dsn, "--schema=dcim")
        assert script.count("CREATE TRIGGER") == 6
        restore(script, elsewhere)
        copy.execute("insert into dcim.device values (2, 'sw', null)")
        assert copy.execute("select count(*) from rowhooks.object_change").fetchone() == (0,)
        capsys.readouterr()
        found = problems(elsewhere, capsys)
        assert [what.split(" carries")[0] for what, _ in found] == ["dcim.device", "dcim.site"]
        for _, printed in found:
            run_as_printed(printed.split("; then")[0], elsewhere)
        assert problems(elsewhere, capsys) == []
        assert copy.execute(OURS).fetchone() == (6,)
        assert call(["track", "dcim.device", "--dsn", elsewhere]) == 0
        copy.execute("insert into dcim.device values (3, 'sw', null)")
        assert copy.execute("select count(*) from rowhooks.object_change").fetchone() == (1,)
