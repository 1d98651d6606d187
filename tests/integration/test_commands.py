"""The commands that rowhooks tells people to paste: through a shell, each name reaches the program as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from rowhooks.cli import call
from tests.support.mends import commands_in, run_in_a_shell

Connection = psycopg.Connection[Any]

TABLES = (
    "x; rm -rf ~",
    "it's",
    'a "quoted" name',
    "$(touch pasted)",
    "`touch pasted`",
    "new\nline",
    "\\",
    "-x",
    "!!",
    "\x1b[2J\u202e",
)
HOOKS = ("it's", "--all", "$(touch pasted) `touch pasted`; touch pasted", "two\nlines\n", "\x1b]0;title\x07")


@pytest.fixture
def shell(tmp_path: Path, dsn: str) -> Any:
    """Paste a text into a shell; return the commands that it has run, each with its arguments."""

    def paste(text: str) -> list[list[str]]:
        commands = commands_in(text, tmp_path)
        assert not (tmp_path / "pasted").exists()
        return commands

    return paste


def ways_out(dsn: str, capsys: pytest.CaptureFixture[str], code: int = 1) -> list[str]:
    capsys.readouterr()
    assert call(["doctor", "--dsn", dsn]) == code
    return [line.removeprefix("  ") for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]


@pytest.mark.parametrize("table", TABLES)
def test_the_command_that_mends_a_table_of_any_name_mends_it(
    dsn: str, db: Connection, capsys: pytest.CaptureFixture[str], shell: Any, table: str
) -> None:
    name = sql.Identifier("public", table)
    db.execute(sql.SQL("create table {} (id integer primary key)").format(name))
    db.execute(sql.SQL("grant select on {} to rowhooks_daemon").format(name))
    quoted = name.as_string(db)
    db.execute("select rowhooks.track(%s::regclass)", (quoted,))
    db.execute(sql.SQL('alter table {} disable trigger "!rowhooks_row_1"').format(name))
    (way_out,) = ways_out(dsn, capsys)
    assert way_out.isprintable()
    ((*_, argument),) = shell(way_out)
    assert db.execute("select to_regclass(%s) = %s::regclass", (argument, quoted)).fetchone() == (True,)
    run_in_a_shell(way_out, dsn)
    capsys.readouterr()
    assert call(["doctor", "--dsn", dsn]) == 0


@pytest.mark.parametrize("table", TABLES)
def test_the_grant_that_a_table_of_any_name_lacks_is_one_argument_of_psql(
    dsn: str, db: Connection, capsys: pytest.CaptureFixture[str], shell: Any, table: str
) -> None:
    quoted = sql.Identifier("public", table).as_string(db)
    db.execute(f"create table {quoted} (id integer primary key)".encode())
    db.execute("select rowhooks.track(%s::regclass)", (quoted,))
    (way_out,) = ways_out(dsn, capsys, code=0)
    assert way_out.isprintable()
    ((program, option, statement),) = shell(way_out)
    assert (program, option) == ("psql", "-c")
    db.execute(statement.encode())
    assert ways_out(dsn, capsys, code=0) == []


@pytest.mark.parametrize("table", TABLES)
def test_sql_that_mends_a_table_of_any_name_is_one_argument_of_psql(
    dsn: str, db: Connection, capsys: pytest.CaptureFixture[str], shell: Any, table: str
) -> None:
    name = sql.Identifier("public", table)
    db.execute(sql.SQL("create table {} (id integer constraint it primary key)").format(name))
    db.execute(sql.SQL("grant select on {} to rowhooks_daemon").format(name))
    db.execute("select rowhooks.track(%s::regclass)", (name.as_string(db),))
    db.execute(sql.SQL("alter table {} drop constraint it").format(name))
    (way_out,) = ways_out(dsn, capsys)
    without_key, _, with_key = way_out.removeprefix("let it be so: ").partition(
        "; or give the table a primary key again, and: "
    )
    ((*track, option, identity),) = shell(without_key)
    assert track[:2] == ["rowhooks", "track"]
    assert (option, identity) == ("--identity", "full")
    assert shell(with_key) == [track]
    run_in_a_shell(without_key, dsn)
    capsys.readouterr()
    assert call(["doctor", "--dsn", dsn]) == 0


def test_the_command_that_mends_a_table_tells_its_rows_apart_by_the_same_columns(
    dsn: str, db: Connection, capsys: pytest.CaptureFixture[str], shell: Any
) -> None:
    columns = ["full", "a,b", 'c"d', " e", "$(f)"]
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    db.execute(
        sql.SQL(
            "create table public.loose ({0} text not null, {1} text not null, {2} text not null,"
            " {3} text not null, {4} text not null, unique ({5}))"
        ).format(*map(sql.Identifier, columns), names)
    )
    db.execute("grant select on public.loose to rowhooks_daemon")
    db.execute("select rowhooks.track('public.loose', identity => %s)", (columns,))
    db.execute('alter table public.loose disable trigger "!rowhooks_row_1"')
    (way_out,) = ways_out(dsn, capsys)
    assert len(shell(way_out)) == 1
    run_in_a_shell(way_out, dsn)
    assert db.execute("select key_columns from rowhooks.tracked_table").fetchone() == (columns,)
    assert call(["doctor", "--dsn", dsn]) == 0


@pytest.mark.parametrize("hook", HOOKS)
def test_the_command_that_mends_a_hook_of_any_name_mends_it(
    dsn: str, db: Connection, device: str, capsys: pytest.CaptureFixture[str], shell: Any, hook: str
) -> None:
    db.execute("insert into rowhooks.job (class_path, kind, name, enabled) values ('jobs.It', 'hook', 'It', true)")
    db.execute(
        "with h as (insert into rowhooks.job_hook (name, job_id, type_update) select %s, id, true from rowhooks.job"
        " returning id) insert into rowhooks.job_hook_table (job_hook_id, tracked_table_id) select id, 1 from h",
        (hook,),
    )
    db.execute("insert into rowhooks.job_hook_missed select id, 5, now(), now() from rowhooks.job_hook")
    capsys.readouterr()
    assert call(["doctor", "--dsn", dsn, "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    ((*_, argument),) = shell(found["way_out"])
    assert argument == f"--hook={hook}"
    run_in_a_shell(found["way_out"], dsn)
    assert db.execute("select from rowhooks.job_hook_missed").fetchone() is None
