"""The command line on a real database: what each command does, prints and exits with."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

import rowhooks
from rowhooks import JobHookReceiver, cli
from rowhooks.postgres.administration import revisions
from rowhooks.postgres.administration.revisions import head_revision
from tests.support.cli import Rowhooks
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import eventually, settled

Connection = psycopg.Connection[Any]
pytestmark = pytest.mark.usefixtures("empty_directory")
SECRET = "hunter2"


@pytest.fixture
def run_empty(capsys: pytest.CaptureFixture[str], empty_dsn: str) -> Rowhooks:
    return Rowhooks(capsys, empty_dsn)


@pytest.fixture
def daemons(capsys: pytest.CaptureFixture[str], daemon_dsn: str) -> Rowhooks:
    return Rowhooks(capsys, daemon_dsn)


def add_job(db: Connection, class_path: str, *, name: str = "", enabled: bool = False, installed: bool = True) -> None:
    db.execute(
        "insert into rowhooks.job (class_path, kind, name, enabled, installed) values (%s, 'hook', %s, %s, %s)",
        (class_path, name or class_path.rpartition(".")[2], enabled, installed),
    )


@pytest.fixture
def job(db: Connection) -> str:
    add_job(db, "policies.Serial", name="Serial policy")
    return "policies.Serial"


@pytest.fixture
def hook(run: Rowhooks, job: str, device: str) -> str:
    """A hook on dcim.device whose job is enabled."""
    run("jobs", "enable", job)
    assert run("hooks", "add", "Serials", "--job", job, "--table", device, "--on", "create,update").code == 0
    return "Serials"


# Schema


def test_init_installs_and_says_what_comes_next(run_empty: Rowhooks) -> None:
    done = run_empty("init")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"Schema rowhooks installed (revision {head_revision()}).\n")
    assert "rowhooks track" in done.out
    assert run_empty("tables", "--json").json == []


def test_init_is_repeatable(run: Rowhooks) -> None:
    done = run("init")
    assert (done.code, done.out) == (0, f"Schema rowhooks is up to date (revision {head_revision()}).\n")


def test_init_leaves_a_schema_of_that_name_alone(run_empty: Rowhooks) -> None:
    with psycopg.connect(run_empty.dsn, autocommit=True) as conn:
        conn.execute("create schema rowhooks")
    done = run_empty("init")
    assert done.code == 1
    assert "a schema rowhooks exists already that rowhooks did not make" in done.err
    assert "alter schema rowhooks rename to" in done.err


def test_upgrade_says_the_revision(run: Rowhooks) -> None:
    done = run("upgrade")
    assert (done.code, done.out) == (0, f"Schema rowhooks is at revision {head_revision()}.\n")


def test_upgrade_of_nothing_points_to_init(run_empty: Rowhooks) -> None:
    done = run_empty("upgrade")
    assert done.code == 1
    assert "rowhooks is not installed in this database" in done.err
    assert "run: rowhooks init" in done.err


def test_uninstall_removes_everything_and_no_row(run_empty: Rowhooks) -> None:
    run_empty("init")
    with psycopg.connect(run_empty.dsn, autocommit=True) as conn:
        conn.execute("create table thing (id integer primary key)")
        run_empty("track", "public.thing")
        conn.execute("insert into thing values (1)")
        done = run_empty("uninstall", "--yes")
        assert done.code == 0
        assert done.out.startswith("rowhooks is removed.\n")
        assert conn.execute("select to_regnamespace('rowhooks')").fetchone() == (None,)
        assert conn.execute("select count(*) from pg_trigger where tgname like '%rowhooks%'").fetchone() == (0,)
        assert conn.execute("select id from thing").fetchall() == [(1,)]
        conn.execute("insert into thing values (2)")
    assert run_empty("uninstall", "--yes").code == 1


def test_uninstall_asks_first_and_takes_no_for_an_answer(run: Rowhooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: PTH123, SIM115
    done = run("uninstall")
    assert done.code == 1
    assert "Remove rowhooks, its history and its results from " in done.out + done.err
    assert run("tables", "--json").json == []
    sys.stdin.close()


COMMANDS = [
    ("tables",), ("status",), ("track", "public.thing"), ("untrack", "public.thing"), ("jobs", "list"),
    ("jobs", "enable", "x"), ("hooks", "list"), ("hooks", "enable", "x"), ("changes", "list"), ("changes", "show", 1),
    ("results", "list"), ("results", "show", 1),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(map(str, command[:2])))
def test_without_the_schema_every_command_points_to_init(run_empty: Rowhooks, command: tuple[object, ...]) -> None:
    done = run_empty(*command)
    assert (done.code, done.out) == (1, "")
    assert "rowhooks is not installed in this database\n" in done.err
    assert "run: rowhooks init" in done.err


@pytest.mark.parametrize(
    "command", [("status",), ("changes", "follow"), ("init",), ("upgrade",), ("run", "--allow-none")]
)
def test_a_newer_schema_is_left_alone(run: Rowhooks, db: Connection, command: tuple[str, ...]) -> None:
    db.execute("update rowhooks.alembic_version set version_num = '9999'")
    done = run(*command)
    assert done.code == 1
    assert f"the schema (revision 9999) is newer than this rowhooks ({head_revision()})" in done.err
    assert "install the rowhooks release that upgraded it" in done.err


@pytest.mark.parametrize("command", [("status",), ("track", "public.thing")])
def test_an_older_schema_points_to_upgrade(
    run: Rowhooks, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    # There is one revision so far: the code is made newer, not the schema older.
    current = head_revision()
    monkeypatch.setattr(revisions, "head_revision", lambda: "9999")
    done = run(*command)
    assert done.code == 1
    assert f"the schema (revision {current}) is older than this rowhooks (9999)" in done.err
    assert "run: rowhooks upgrade" in done.err


# Tables


@pytest.fixture
def thing(db: Connection) -> str:
    db.execute("create table thing (id integer primary key, name text)")
    return "public.thing"


def names(run: Rowhooks) -> list[str]:
    return [row["name"] for row in run("tables", "--json").json]


def test_track_and_untrack_a_table(run: Rowhooks, thing: str) -> None:
    assert run("track", thing) == (0, "Tracking public.thing.\n", "")
    assert run("track", thing) == (0, "Tracking public.thing.\n", "")
    (row,) = run("tables", "--json").json
    assert (row["name"], row["key_columns"], row["audit_receivers"]) == ("public.thing", ["id"], False)
    assert row["tracked_at"]
    assert run("untrack", thing) == (0, "No longer tracking public.thing.\n", "")
    assert run("untrack", thing) == (0, "Was not tracking public.thing.\n", "")
    assert names(run) == []


def test_tables_are_listed_for_people(run: Rowhooks, device: str) -> None:
    done = run("tables")
    assert (done.code, done.err) == (0, "")
    assert done.out.split()[:8] == ["name", "identity", "key", "columns", "excluded", "columns", "ignored", "columns"]
    assert device in done.out


def test_without_tables_the_listing_says_what_to_do(run: Rowhooks) -> None:
    assert run("tables") == (0, "", "No table is tracked. Track one: rowhooks track schema.table\n")


def test_a_table_in_the_search_path_needs_no_schema(run: Rowhooks, thing: str) -> None:
    assert run("track", "thing").out == f"Tracking {thing}.\n"


def test_audit_receivers_is_kept(run: Rowhooks, thing: str) -> None:
    run("track", thing, "--audit-receivers")
    assert run("tables", "--json").json[0]["audit_receivers"] is True


def test_a_name_with_capitals_is_quoted_as_in_sql(run: Rowhooks, db: Connection) -> None:
    db.execute('create schema "Odd"; create table "Odd"."My table" (id integer primary key)')
    done = run("track", "Odd.My table")
    assert done.code == 1
    assert "quote capitals: 'public.\"Device\"'" in done.err
    assert run("track", '"Odd"."My table"') == (0, 'Tracking "Odd"."My table".\n', "")
    assert names(run) == ["Odd.My table"]
    assert run("untrack", '"Odd"."My table"').code == 0


def test_a_glob_tracks_what_matches_and_goes_on_past_what_cannot_be_tracked(run: Rowhooks, db: Connection) -> None:
    db.execute("create schema net")
    db.execute("create table net.a (id integer primary key)")
    db.execute("create table net.keyless (id integer)")
    db.execute("create table net.z (id integer primary key)")
    db.execute("create view net.v as select 1 as id")
    db.execute("create table public.other (id integer primary key)")
    done = run("track", "net.*")
    assert done.code == 1
    assert done.out == "Tracking net.a.\nTracking net.z.\n"
    assert "rowhooks cannot track net.keyless: it has no primary key" in done.err
    assert "alter table net.keyless add primary key" in done.err
    assert names(run) == ["net.a", "net.z"]
    assert run("untrack", "net.[az]").code == 0
    assert names(run) == []


def test_a_glob_leaves_rowhooks_own_tables_alone(run: Rowhooks, thing: str) -> None:
    assert run("track", "*").out == f"Tracking {thing}.\n"


def test_a_view_is_refused_with_the_way_out(run: Rowhooks, db: Connection) -> None:
    db.execute("create view v as select 1 as id")
    done = run("track", "v")
    assert (done.code, done.out) == (1, "")
    assert "v: it is a view" in done.err
    assert "Track the tables that the view reads." in done.err


@pytest.mark.parametrize("command", ["track", "untrack"])
def test_a_table_that_does_not_exist_is_named_and_nothing_is_done(run: Rowhooks, thing: str, command: str) -> None:
    done = run(command, thing, "public.nowhere")
    assert (done.code, done.out) == (1, "")
    assert "there is no table public.nowhere" in done.err
    assert names(run) == []
    done = run(command, "nowhere.*")
    assert done.code == 1
    assert "no table matches 'nowhere.*'" in done.err


@pytest.mark.parametrize("name", ["a.b.c.d", 'un"balanced', ""])
def test_what_is_no_name_at_all_is_an_error_and_no_crash(run: Rowhooks, name: str) -> None:
    done = run("track", name)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("rowhooks: ")


# Status


def test_status_counts(run: Rowhooks, db: Connection, device: str) -> None:
    add_job(db, "policies.Serial", enabled=True)
    run("hooks", "add", "Serials", "--job", "policies.Serial", "--table", device, "--on", "update")
    db.execute("insert into dcim.device values (1, 'sw1', 'SN1'), (2, 'sw2', 'SN2')")
    found = run("status", "--json").json
    assert found["schema_revision"] == head_revision()
    assert (found["running"], found["leader"]) == (False, None)
    assert (found["tables"], found["enabled_jobs"], found["enabled_hooks"]) == (1, 1, 1)
    assert (found["backlog"], found["unfinished_runs"], found["last_1000_runs"]) == (2, 0, {})
    assert found["lag_seconds"] >= 0
    done = run("status")
    assert done.code == 0
    assert "none: no daemon runs (start one: rowhooks run)" in done.out
    assert "2 changes" in done.out


class Noting(JobHookReceiver):
    def receive_job_hook(self, change: Any, action: str, changed_object: Any) -> Any:
        self.logger.success("%s was seen", changed_object, extra={"object": changed_object, "grouping": "seen"})
        if action == "update":
            raise ValueError("this [bold]serial[/bold] is no good")
        return {"seen": action}


async def test_status_changes_and_results_of_a_daemon_that_runs(
    run: Rowhooks, db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Noting, device)
    async with running_daemon(daemon_dsn, Noting):
        with db.transaction():
            db.execute("select set_config('rowhooks.user', 'somebody', true)")
            db.execute("insert into dcim.device values (1, 'sw1', 'SN1')")
        db.execute("update dcim.device set serial = 'SN2'")
        await settled(db)
        found = run("status", "--json").json
        assert found["running"] is True
        assert found["leader"].endswith(f":{os.getpid()}")
        assert (found["backlog"], found["lag_seconds"], found["unfinished_runs"]) == (0, None, 0)
        assert found["last_1000_runs"] == {"SUCCESS": 1, "FAILURE": 1}
        assert found["leader"] in run("status").out

    update, create = run("changes", "list", "--json").json
    assert (create["action"], create["object_type"], create["object_id"]) == ("create", device, {"id": 1})
    assert (create["object_repr"], create["user_name"]) == ("sw1", "somebody")
    assert (update["action"], update["user_name"], update["db_user"]) == ("update", None, db.info.user)

    shown = run("changes", "show", update["id"], "--json").json
    assert (shown["prechange"]["serial"], shown["postchange"]["serial"]) == ("SN1", "SN2")
    assert [(one["status"], one["hook_name"]) for one in shown["runs"]] == [("FAILURE", "Noting")]
    text = run("changes", "show", update["id"]).out
    assert '- serial: "SN1"' in text
    assert '+ serial: "SN2"' in text
    assert "name:" not in text
    assert f"run {shown['runs'][0]['id']} FAILURE Noting" in text

    failure, success = run("results", "list", "--json").json
    assert (success["status"], success["action"], success["user_name"]) == ("SUCCESS", "create", "somebody")
    assert (failure["status"], failure["exception_type"]) == ("FAILURE", "ValueError")
    assert failure["object_change_id"] == update["id"]

    shown = run("results", "show", success["id"], "--json").json
    assert (shown["result"], shown["attempt"]) == ({"seen": "create"}, 1)
    (line,) = shown["log"]
    assert (line["level"], line["message"], line["grouping"]) == ("success", "sw1 was seen", "seen")
    assert (line["object_type"], line["object_repr"]) == (device, "sw1")
    text = run("results", "show", failure["id"]).out
    assert "sw1 was seen" in text
    # A receiver's words are never read as markup.
    assert "ValueError: this [bold]serial[/bold] is no good" in text


# Jobs


def test_jobs_are_listed_enabled_and_disabled(run: Rowhooks, job: str) -> None:
    (row,) = run("jobs", "list", "--json").json
    assert (row["class_path"], row["name"], row["enabled"], row["installed"], row["hooks"]) == (
        job, "Serial policy", False, True, 0,
    )  # fmt: skip
    assert run("jobs", "enable", job) == (0, f"Job {job} is enabled.\n", "")
    assert run("jobs", "list", "--json").json[0]["enabled"] is True
    assert run("jobs", "disable", job) == (0, f"Job {job} is disabled.\n", "")
    assert run("jobs", "list", "--json").json[0]["enabled"] is False
    assert job in run("jobs", "list").out


@pytest.mark.parametrize("name", ["policies.Serial", "Serial", "Serial policy"])
def test_a_job_goes_by_its_class_path_its_class_and_its_name(run: Rowhooks, job: str, name: str) -> None:
    assert run("jobs", "enable", name) == (0, f"Job {job} is enabled.\n", "")


def test_without_jobs_the_listing_says_what_to_do(run: Rowhooks) -> None:
    done = run("jobs", "list")
    assert (done.code, done.out) == (0, "")
    assert "rowhooks run" in done.err


@pytest.mark.parametrize("command", ["enable", "disable"])
@pytest.mark.parametrize("name", ["policies.Other", "erial", "policies", "%", ""])
def test_an_unknown_job_is_named(run: Rowhooks, job: str, command: str, name: str) -> None:
    done = run("jobs", command, name)
    assert (done.code, done.out) == (1, "")
    assert f"there is no job {name}\n" in done.err
    assert "rowhooks jobs list" in done.err


def test_an_ambiguous_job_name_is_refused_with_the_full_ones(run: Rowhooks, db: Connection, job: str) -> None:
    add_job(db, "other.Serial")
    done = run("jobs", "enable", "Serial")
    assert (done.code, done.out) == (1, "")
    assert "job Serial could be any of: " in done.err
    assert "policies.Serial" in done.err
    assert "other.Serial" in done.err
    assert "give the full name" in done.err
    assert [row["enabled"] for row in run("jobs", "list", "--json").json] == [False, False]


def test_an_underscore_in_a_jobs_name_is_no_wildcard(run: Rowhooks, db: Connection) -> None:
    add_job(db, "policies.a_b")
    add_job(db, "policies.axb")
    assert run("jobs", "enable", "a_b").out == "Job policies.a_b is enabled.\n"


def test_a_job_that_is_not_installed_cannot_be_enabled(run: Rowhooks, db: Connection) -> None:
    add_job(db, "policies.Gone", installed=False)
    done = run("jobs", "enable", "Gone")
    assert done.code == 1
    assert "job policies.Gone is not installed" in done.err
    assert "add its module to rowhooks.toml" in done.err
    assert run("jobs", "disable", "Gone").code == 0


# Hooks


def test_a_hook_is_added_disabled_enabled_and_removed(run: Rowhooks, hook: str, device: str) -> None:
    (row,) = run("hooks", "list", "--json").json
    assert (row["name"], row["job"], row["enabled"], row["job_enabled"]) == (hook, "policies.Serial", True, True)
    assert (row["actions"], row["tables"]) == (["create", "update"], [device])
    assert run("hooks", "disable", hook) == (0, "Hook Serials is disabled.\n", "")
    assert run("hooks", "list", "--json").json[0]["enabled"] is False
    assert run("hooks", "enable", hook) == (0, "Hook Serials is enabled.\n", "")
    assert run("hooks", "list", "--json").json[0]["enabled"] is True
    assert "create, update" in run("hooks", "list").out
    assert run("hooks", "remove", hook) == (0, "Hook Serials removed.\n", "")
    assert run("hooks", "list", "--json").json == []


def test_a_hook_may_have_several_tables_and_begin_disabled(run: Rowhooks, job: str, device: str, thing: str) -> None:
    run("track", thing)
    run("jobs", "enable", job)
    added = run(
        "hooks", "add", "Both", "--job", "Serial", "--table", device, "--table", "thing", "--on", "delete", "--disabled"
    )
    assert added == (0, "Hook Both added.\n", "")
    (row,) = run("hooks", "list", "--json").json
    assert (row["enabled"], row["tables"], row["actions"]) == (False, [device, thing], ["delete"])


def test_a_hook_of_a_disabled_job_is_added_with_a_word_about_it(run: Rowhooks, job: str, device: str) -> None:
    done = run("hooks", "add", "Serials", "--job", job, "--table", device, "--on", "update")
    assert (done.code, done.out) == (0, "Hook Serials added.\n")
    assert f"rowhooks jobs enable {job}" in done.err
    run("hooks", "disable", "Serials")
    done = run("hooks", "enable", "Serials")
    assert done.code == 1
    assert f"hook Serials cannot be enabled: its job {job} is disabled\n" in done.err
    assert f"Run: rowhooks jobs enable {job}" in done.err


def test_without_hooks_the_listing_says_what_to_do(run: Rowhooks) -> None:
    done = run("hooks", "list")
    assert (done.code, done.out) == (0, "")
    assert "rowhooks hooks add" in done.err


@pytest.mark.parametrize("command", ["enable", "disable", "remove"])
def test_an_unknown_hook_is_named(run: Rowhooks, hook: str, command: str) -> None:
    done = run("hooks", command, "Serial")
    assert (done.code, done.out) == (1, "")
    assert "there is no hook Serial\n" in done.err
    assert "see: rowhooks hooks list" in done.err


def test_a_hook_cannot_be_added_twice(run: Rowhooks, hook: str, device: str) -> None:
    done = run("hooks", "add", hook, "--job", "Serial", "--table", device, "--on", "delete")
    assert done.code == 1
    assert "a hook named Serials exists already" in done.err
    assert "rowhooks hooks edit Serials" in done.err


@pytest.mark.parametrize(
    ("job_name", "table", "message"),
    [
        ("Nobody", "dcim.device", "there is no job Nobody"),
        ("Serial", "dcim.nowhere", "there is no table dcim.nowhere"),
        ("Serial", "public.thing", "table public.thing is not tracked"),
    ],
)
@pytest.mark.usefixtures("job", "device", "thing")
def test_a_hook_that_cannot_be_is_refused_whole(run: Rowhooks, job_name: str, table: str, message: str) -> None:
    done = run("hooks", "add", "New", "--job", job_name, "--table", table, "--on", "update")
    assert (done.code, done.out) == (1, "")
    assert f"{message}\n" in done.err
    assert run("hooks", "list", "--json").json == []


@pytest.mark.usefixtures("job", "thing")
def test_a_hook_on_an_untracked_table_points_to_track(run: Rowhooks) -> None:
    done = run("hooks", "add", "New", "--job", "Serial", "--table", "thing", "--on", "update")
    assert "run: rowhooks track public.thing" in done.err


@pytest.mark.parametrize("actions", ["", ",", " "])
@pytest.mark.usefixtures("job")
def test_a_hook_without_an_action_is_a_usage_error(run: Rowhooks, device: str, actions: str) -> None:
    done = run("hooks", "add", "New", "--job", "Serial", "--table", device, "--on", actions)
    assert (done.code, done.out) == (2, "")
    assert "You must select at least one type: create, update, and/or delete." in done.err


@pytest.mark.usefixtures("job")
def test_an_unknown_action_is_a_usage_error_that_names_it(run: Rowhooks, device: str) -> None:
    done = run("hooks", "add", "New", "--job", "Serial", "--table", device, "--on", "update,truncate")
    assert (done.code, done.out) == (2, "")
    assert "--on does not know truncate" in done.err
    assert "choose from: create, update, delete" in done.err


# Changes and results


def test_changes_are_filtered_and_limited(run: Rowhooks, db: Connection, device: str, thing: str) -> None:
    run("track", thing)
    db.execute("insert into dcim.device select n, 'sw' || n from generate_series(1, 3) as n")
    db.execute("insert into thing values (1, '[red]x[/red]')")
    db.execute("delete from dcim.device where id = 3")
    assert [row["action"] for row in run("changes", "list", "--json").json] == ["delete", *["create"] * 4]
    assert len(run("changes", "list", "--json", "--limit", 2).json) == 2
    assert [row["object_id"] for row in run("changes", "list", "--json", "--table", thing).json] == [{"id": 1}]
    assert [row["object_id"] for row in run("changes", "list", "--json", "--action", "delete").json] == [{"id": 3}]
    nowhere = run("changes", "list", "--json", "--table", "x' or true --")
    assert (nowhere.code, nowhere.out) == (1, "")
    assert "no table x' or true -- is or was tracked" in nowhere.err
    assert [row["id"] for row in run("changes", "list", "--json", "--before", 3).json] == [2, 1]
    assert len(run("changes", "list", "--json", "--since", "1h").json) == 5
    db.execute("update rowhooks.object_change set time = time - interval '2 h' where id <= 2")
    assert [row["id"] for row in run("changes", "list", "--json", "--since", "1h").json] == [5, 4, 3]
    page = run("changes", "list", "--limit", 2, "--columns", "id, action")
    assert [line.split() for line in page.out.splitlines()[2:]] == [["5", "delete"], ["4", "create"]]
    assert page.err == "There may be more: --before 4, or a larger --limit\n"
    assert run("changes", "list", "--action", "creat").code == 2
    done = run("changes", "list", "--table", thing)
    assert done.code == 0
    assert "[red]x[/red]" in done.out


def test_without_changes_the_listing_says_where_to_look(run: Rowhooks) -> None:
    assert run("changes", "list") == (0, "", "No change is recorded. See which tables are tracked: rowhooks tables\n")
    assert run("changes", "list", "--json").json == []


def test_results_are_filtered(run: Rowhooks, db: Connection) -> None:
    add_job(db, "policies.Serial")
    db.execute(
        "insert into rowhooks.job_result"
        " (job_id, class_path, job_hook_id, hook_name, status, finished_at, exception_type)"
        " select j.id, j.class_path, n, 'hook ' || n, case n when 1 then 'FAILURE' else 'SUCCESS' end, now(),"
        " 'ValueError'"
        " from rowhooks.job as j cross join generate_series(1, 3) as n order by n"
    )
    assert [row["hook_name"] for row in run("results", "list", "--json").json] == ["hook 3", "hook 2", "hook 1"]
    assert [row["hook_name"] for row in run("results", "list", "--json", "--status", "failure").json] == ["hook 1"]
    assert [row["hook_name"] for row in run("results", "list", "--json", "--hook", "hook 2").json] == ["hook 2"]
    assert run("results", "list", "--table", "dcim.device").code == 1
    assert len(run("results", "list", "--json", "--job", "Serial").json) == 3
    pages: list[str] = []
    before: tuple[object, ...] = ()
    while rows := run("results", "list", "--json", "--limit", 1, *before).json:
        pages += [row["hook_name"] for row in rows]
        before = ("--before", rows[-1]["id"])
    assert pages == ["hook 3", "hook 2", "hook 1"]
    assert run("results", "list", "--before", 99).code == 1
    db.execute("update rowhooks.job_result set exception_message = E'it failed\nDETAIL: with much more' where id = 1")
    listed = run("results", "list", "--status", "FAILURE")
    assert "it failed" in listed.out
    assert "with much more" not in listed.out
    assert "with much more" in run("results", "show", 1).out
    assert len(run("results", "list", "--json", "--limit", 1).json) == 1
    assert "hook 3" in run("results", "list").out


def test_without_results_the_listing_says_where_to_look(run: Rowhooks) -> None:
    assert run("results", "list") == (0, "", "No result is recorded. See: rowhooks status\n")


@pytest.mark.parametrize("what", ["change", "result"])
def test_what_is_not_on_record_is_named(run: Rowhooks, what: str) -> None:
    for options in ([], ["--json"]):
        done = run(f"{what}s", "show", 4711, *options)
        assert (done.code, done.out) == (1, "")
        assert f"there is no {what} 4711\n" in done.err
        assert f"see: rowhooks {what}s list" in done.err


@contextlib.contextmanager
def following(dsn: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "rowhooks", "changes", "follow", "--dsn", dsn, *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            process.kill()


def listens(db: Connection) -> Callable[[], bool]:
    def condition() -> bool:
        # Its reader looks once it listens; both are the last statements of one session.
        return (
            db.execute(
                "select 1 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
                " and application_name like 'rowhooks%' and state = 'idle'"
                " and query like '%%batch as materialized%%'"
            ).fetchone()
            is not None
        )

    return condition


@pytest.mark.parametrize("as_json", [True, False])
async def test_follow_prints_what_is_committed_until_ctrl_c(
    db: Connection, daemon_dsn: str, device: str, *, as_json: bool
) -> None:
    db.execute("insert into dcim.device values (1, 'earlier', 'SN1')")
    with following(daemon_dsn, *(["--json"] if as_json else [])) as process:
        await eventually(lambda: process.poll() is not None or listens(db)())
        with db.transaction(force_rollback=True):
            db.execute("insert into dcim.device values (2, 'rolled back', 'SN2')")
        db.execute("insert into dcim.device values (3, 'sw3', 'SN3')")
        assert process.stdout is not None
        line = process.stdout.readline()
        if as_json:
            found = json.loads(line)
            assert (found["action"], found["object_type"], found["object_repr"]) == ("create", device, "sw3")
            assert found["postchange"] == {"id": 3, "name": "sw3", "serial": "SN3"}
        else:
            assert f"create {device} sw3 by " in line
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert process.returncode in {0, 130}
        assert "Traceback" not in err


# Who may do what


@pytest.mark.usefixtures("hook")
def test_the_daemons_login_may_list_and_enable(daemons: Rowhooks, device: str) -> None:
    for listing in (("tables",), ("jobs", "list"), ("hooks", "list"), ("changes", "list"), ("results", "list")):
        assert isinstance(daemons(*listing, "--json").json, list)
    assert daemons("status", "--json").json["tables"] == 1
    for what, name in (("jobs", "Serial"), ("hooks", "Serials")):
        assert daemons(what, "disable", name).code == 0
        assert daemons(what, "enable", name).code == 0
    assert daemons("hooks", "remove", "Serials").code == 0
    assert daemons("hooks", "add", "Its own", "--job", "Serial", "--table", device, "--on", "update").code == 0


@pytest.mark.parametrize("command", [("track", "public.thing"), ("untrack", "dcim.device"), ("init",), ("upgrade",)])
@pytest.mark.usefixtures("thing", "device")
def test_the_daemons_login_may_not_change_tables_or_the_schema(
    daemons: Rowhooks, run: Rowhooks, command: tuple[str, ...]
) -> None:
    done = daemons(*command)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("rowhooks: ")
    assert "permission denied" in done.err or "may not" in done.err or "must be owner" in done.err
    # The way out.
    assert len(done.err.splitlines()) == 2
    assert names(run) == ["dcim.device"]


def test_the_daemons_login_may_not_uninstall(daemons: Rowhooks, run: Rowhooks) -> None:
    done = daemons("uninstall", "--yes")
    assert (done.code, done.out) == (1, "")
    assert names(run) == []


def test_a_stranger_is_told_which_role_is_missing(run: Rowhooks, db: Connection) -> None:
    db.execute("create role rowhooks_test_stranger login")
    try:
        done = run("tables", dsn=make_conninfo(run.dsn, user="rowhooks_test_stranger"))
        assert (done.code, done.out) == (1, "")
        assert "role rowhooks_test_stranger may not use schema rowhooks" in done.err
        assert "grant rowhooks_daemon to" in done.err
    finally:
        db.execute(sql.SQL("drop role rowhooks_test_stranger"))


# Settings and connections


def test_a_dsn_that_cannot_be_read_is_a_usage_error_without_its_password(run: Rowhooks) -> None:
    done = run("tables", dsn=f"postgresql://app:{SECRET}@[db/inventory")
    assert (done.code, done.out) == (2, "")
    assert "the DSN cannot be read" in done.err
    assert "postgresql://user@host:5432/database" in done.err
    assert SECRET not in done.err


@pytest.mark.parametrize("command", [("tables",), ("init",), ("changes", "follow")])
def test_a_server_that_cannot_be_reached_is_named_without_the_password(
    run: Rowhooks, tmp_path: Path, command: tuple[str, ...]
) -> None:
    done = run(*command, dsn=f"host={tmp_path} user=app password={SECRET} dbname=inventory")
    assert (done.code, done.out) == (1, "")
    assert f"cannot connect to inventory on {tmp_path}" in done.err
    assert "check --dsn, ROWHOOKS_DSN or dsn in rowhooks.toml" in done.err
    assert SECRET not in done.err


def test_a_database_that_does_not_exist_is_named(run: Rowhooks) -> None:
    done = run("tables", dsn=make_conninfo(run.dsn, dbname="no_such_database", password=SECRET))
    assert done.code == 1
    assert 'database "no_such_database" does not exist' in done.err
    assert SECRET not in done.err


def test_a_malformed_settings_file_is_a_usage_error(run: Rowhooks, empty_directory: Path) -> None:
    (empty_directory / "rowhooks.toml").write_text(f'dsn = "{SECRET}\n')
    done = run("tables")
    assert (done.code, done.out) == (2, "")
    assert "rowhooks.toml is not valid TOML: " in done.err
    assert "line 1" in done.err
    assert SECRET not in done.err


def test_an_unknown_setting_is_a_usage_error(run: Rowhooks, empty_directory: Path) -> None:
    (empty_directory / "rowhooks.toml").write_text("taks = 3\n")
    done = run("tables")
    assert done.code == 2
    assert "rowhooks.toml: taks: unknown setting" in done.err


def test_a_settings_file_that_does_not_exist_is_a_usage_error(run: Rowhooks) -> None:
    done = run("tables", "--config", "nowhere.toml")
    assert done.code == 2
    assert "nowhere.toml does not exist" in done.err


def test_the_database_is_found_in_the_environment_and_in_the_file(
    dsn: str, empty_directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (empty_directory / "rowhooks.toml").write_text(f"dsn = {json.dumps(dsn)}\n")
    assert cli.call(["tables", "--json"]) == 0
    monkeypatch.setenv("ROWHOOKS_DSN", make_conninfo(dsn, dbname="no_such_database"))
    assert cli.call(["tables", "--json"]) == 1
    assert cli.call(["tables", "--json", "--dsn", dsn]) == 0
    assert capsys.readouterr().out == "[]\n[]\n"


# The command line itself


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"], ["track"], ["tables", "--no-such-option"], ["changes", "show", "one"], ["jobs", "enable"],
        ["changes", "list", "--limit", "0"], ["hooks", "add", "New", "--job", "x"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_wrong_command_line_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.call(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Usage: rowhooks" in printed.err


@pytest.mark.parametrize("arguments", [["--help"], ["hooks", "--help"], ["hooks", "add", "--help"], ["run", "--help"]])
def test_help_exits_with_0(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.call(arguments) == 0
    assert "Usage: rowhooks" in capsys.readouterr().out


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.call(["--version"]) == 0
    assert capsys.readouterr().out == f"rowhooks {rowhooks.__version__}\n"


def test_run_names_receivers_that_nothing_registers(run_empty: Rowhooks, empty_directory: Path) -> None:
    (empty_directory / "forgetful.py").write_text(
        "from rowhooks import JobButtonReceiver, register_jobs\n"
        "class Kept(JobButtonReceiver):\n    def receive_job_button(self, obj): ...\n"
        "class Forgotten(JobButtonReceiver):\n    def receive_job_button(self, obj): ...\n"
        "class Helper: ...\n"
        "register_jobs(Kept, Helper)\n"
    )
    done = run_empty("run", "--receivers", "forgetful.py", "--log-format", "text")
    assert done.code == 1
    assert "register_jobs leaves forgetful.Helper out" in done.err
    assert "forgetful.Forgotten is a receiver class that is not registered" in done.err
    assert "forgetful.Kept is a receiver" not in done.err
