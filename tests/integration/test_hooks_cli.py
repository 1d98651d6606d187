"""rowhooks hooks and rowhooks jobs: columns, conditions, edits, and the question why a change starts nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rowhooks.domain.errors import NotFound
from rowhooks.postgres.administration.changes import count_changes, iterate_changes, load_change
from rowhooks.postgres.administration.hooks import load_hook
from tests.support.cli import Done, Rowhooks

Connection = psycopg.Connection[Any]
JOB = "policies.Serial"
A1 = '{"attr": "serial", "value": "A1"}'


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], dsn: str, db: Connection, empty_directory: Path) -> Rowhooks:
    db.execute(
        "insert into rowhooks.job (class_path, kind, name, description, hidden, meta, enabled) values"
        " (%s, 'hook', 'Serial', 'Keep serials tidy.', false, '{\"time_limit\": 5}', true),"
        " ('policies.Quiet', 'hook', 'Quiet', '', true, '{}', true),"
        " ('power.Reboot', 'button', 'Reboot', '', false, '{}', true)",
        (JOB,),
    )
    return Rowhooks(capsys, dsn)


def hook(run: Rowhooks, name: str = "Serials") -> Any:
    return next(row for row in run("hooks", "list", "--json").json if row["name"] == name)


def add(run: Rowhooks, *options: object, name: str = "Serials") -> Done:
    return run("hooks", "add", name, "--job", JOB, "--table", "dcim.device", "--on", "update", *options)


def changed(db: Connection, statement: str) -> int:
    """Change something and return the change's id."""
    db.execute(statement)
    row = db.execute("select max(id) from rowhooks.object_change").fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
def create(db: Connection, device: str) -> int:
    return changed(db, "insert into dcim.device values (1, 'sw1', 'A1')")


# Adding and listing


def test_a_hook_is_added_with_columns_and_conditions(run: Rowhooks, device: str) -> None:
    assert add(run, "--column", "serial", "--column", "name", "--conditions", A1).code == 0
    added = hook(run)
    assert (added["columns"], added["conditions"], added["declared"]) == (["serial", "name"], json.loads(A1), False)
    assert '{"attr": "serial", "value": "A1"}' in run("hooks", "list").out


def test_a_hook_ignores_columns_until_it_does_not(run: Rowhooks, db: Connection, device: str) -> None:
    assert add(run, "--ignore-column", "serial").code == 0
    assert hook(run)["ignored_columns"] == ["serial"]
    db.execute("insert into dcim.device values (1, 'sw1', 'A1')")
    touched = changed(db, "update dcim.device set serial = 'B2'")
    done = run("hooks", "test", "Serials", "--change", touched)
    assert (done.code, "nothing but columns that it ignores (serial)" in done.out) == (1, True)
    assert run("hooks", "edit", "Serials", "--ignore-column", "name").code == 0
    assert run("hooks", "test", "Serials", "--change", touched).code == 0
    assert run("hooks", "edit", "Serials", "--no-ignored-columns").code == 0
    assert hook(run)["ignored_columns"] == []
    stray = run("hooks", "edit", "Serials", "--ignore-column", "asset_tag")
    assert "there is no column asset_tag in dcim.device" in stray.err


def test_conditions_may_stand_in_a_file(run: Rowhooks, device: str) -> None:
    Path("conditions.json").write_text(A1)
    assert add(run, "--conditions", "@conditions.json").code == 0
    assert hook(run)["conditions"] == json.loads(A1)
    done = add(run, "--conditions", "@nowhere.json", name="Other")
    assert done.code == 2
    assert "--conditions: nowhere.json cannot be read" in done.err


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ("{", "conditions: not valid JSON: "),
        ('{"attr": "serial", "op": "is", "value": 1}', "conditions: unknown op 'is'; known: eq, gt, "),
        (
            '{"not": {"attr": "serial", "op": "regex", "value": "("}}',
            "conditions: not: '(' is not a regular expression: ",
        ),
    ],
)
def test_malformed_conditions_are_a_wrong_use_with_their_place(
    run: Rowhooks, device: str, conditions: str, message: str
) -> None:
    done = add(run, "--conditions", conditions)
    assert (done.code, done.out) == (2, "")
    assert f"rowhooks: {message}" in done.err
    assert run("hooks", "list", "--json").json == []


def test_a_conflict_and_a_stray_column_are_told_by_the_database(run: Rowhooks, device: str) -> None:
    add(run)
    conflict = add(run, name="Again")
    assert (conflict.code, conflict.out) == (1, "")
    assert f"A job hook already exists for update on dcim.device to job {JOB}\n" in conflict.err
    assert "It is hook Serials." in conflict.err
    stray = add(run, "--column", "asset_tag", name="Other")
    assert (stray.code, stray.out) == (1, "")
    assert "there is no column asset_tag in dcim.device\n" in stray.err


def test_a_button_receiver_is_no_hooks_job(run: Rowhooks, device: str) -> None:
    done = run("hooks", "add", "Reboots", "--job", "Reboot", "--table", device, "--on", "update")
    assert done.code == 1
    assert "job hook Reboots cannot start job power.Reboot: it is a button receiver\n" in done.err


# Editing


def test_a_hook_is_edited_in_what_is_given_and_nothing_else(run: Rowhooks, db: Connection, device: str) -> None:
    db.execute("create table dcim.rack (id integer primary key)")
    db.execute("select rowhooks.track('dcim.rack')")
    add(run, "--column", "serial", "--conditions", A1)
    before = hook(run)
    assert run("hooks", "edit", "Serials", "--on", "create,delete", "--no-columns") == (
        0,
        "Hook Serials changed.\n",
        "",
    )
    assert hook(run) == {**before, "actions": ["create", "delete"], "columns": []}
    assert run("hooks", "edit", "Serials", "--no-conditions", "--table", "dcim.rack", "--job", "Quiet").code == 0
    assert hook(run) == {
        **before, "actions": ["create", "delete"], "columns": [], "conditions": None, "tables": ["dcim.rack"],
        "job": "policies.Quiet",
    }  # fmt: skip
    new = '{"attr": "id", "op": "gt", "value": 1}'
    done = run("hooks", "edit", "Serials", "--rename", "Racks", "--conditions", new, "--column", "id")
    assert done == (0, "Hook Racks changed.\n", "")
    assert (hook(run, "Racks")["conditions"], hook(run, "Racks")["columns"]) == (json.loads(new), ["id"])


def test_a_hook_gets_a_queue_of_its_own_and_gives_it_up(
    run: Rowhooks, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = add(run, "--queue", "reports")
    assert (done.code, hook(run)["queue"]) == (0, "reports")
    assert "Its runs wait while the daemon's setting queues does not name reports; here it is: default" in done.err
    monkeypatch.setenv("ROWHOOKS_QUEUES", "default,reports,slow")
    assert run("hooks", "edit", "Serials", "--queue", "slow") == (0, "Hook Serials changed.\n", "")
    assert run("hooks", "edit", "Serials", "--on", "delete").code == 0
    assert hook(run)["queue"] == "slow"
    assert "slow" in run("hooks", "list", "--columns", "name,queue").out
    assert run("hooks", "edit", "Serials", "--no-queue") == (0, "Hook Serials changed.\n", "")
    assert hook(run)["queue"] is None
    refused = add(run, "--queue", "", name="Other")
    assert (refused.code, "queue '' is no name of a queue" in refused.err) == (2, True)


def test_the_queue_of_a_job_is_listed_and_shown(run: Rowhooks, db: Connection) -> None:
    db.execute('update rowhooks.job set meta = \'{"queue": "reports"}\' where class_path = %s', (JOB,))
    listed = {row["class_path"]: row["queue"] for row in run("jobs", "list", "--json").json}
    assert (listed[JOB], listed["power.Reboot"]) == ("reports", None)
    assert "reports" in run("jobs", "list", "--columns", "class_path,queue").out
    assert "reports" in run("jobs", "show", JOB).out


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ((), 2, "nothing to change"),
        (("--column", "serial", "--no-columns"), 2, "--column and --no-columns exclude each other"),
        (("--ignore-column", "serial", "--no-ignored-columns"), 2, "--ignore-column and --no-ignored-columns exclude"),
        (("--queue", "a", "--no-queue"), 2, "--queue and --no-queue exclude each other"),
        (
            ("--queue", "a b"),
            2,
            "queue 'a b' is no name of a queue\n  a name has 1 to 63 letters, digits, _, - and .\n",
        ),
        (("--conditions", A1, "--no-conditions"), 2, "--conditions and --no-conditions exclude each other"),
        (("--on", ","), 2, "You must select at least one type: create, update, and/or delete."),
        (("--on", "truncate"), 2, "--on does not know truncate"),
        (("--rename", "Other"), 1, "a hook named Other exists already"),
        (("--table", "dcim.nowhere"), 1, "there is no table dcim.nowhere"),
        (("--no-conditions",), 1, "A job hook already exists for update on dcim.device to job policies.Serial"),
    ],
)
def test_an_edit_that_cannot_be_changes_nothing(
    run: Rowhooks, device: str, options: tuple[str, ...], code: int, message: str
) -> None:
    add(run, "--conditions", A1)
    add(run, name="Other")
    before = run("hooks", "list", "--json").json
    done = run("hooks", "edit", "Serials", *options)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert run("hooks", "list", "--json").json == before


def test_a_hook_declared_in_code_is_changed_there_but_may_be_switched_off(
    run: Rowhooks, db: Connection, device: str
) -> None:
    add(run)
    db.execute("update rowhooks.job_hook set declared = true")
    for command in (("edit", "Serials", "--on", "create"), ("remove", "Serials")):
        done = run("hooks", *command)
        assert (done.code, done.out) == (1, "")
        assert "hook Serials is declared in the code of policies.Serial\n" in done.err
        assert "change it there" in done.err
    assert run("hooks", "disable", "Serials").code == 0
    assert run("hooks", "enable", "Serials").code == 0
    assert hook(run)["declared"] is True


# Would a past change match?


def test_a_change_that_matches(run: Rowhooks, db: Connection, create: int) -> None:
    add(run, "--column", "serial", "--conditions", '{"attr": "old.serial", "value": "A1"}')
    update = changed(db, "update dcim.device set serial = 'B2'")
    done = run("hooks", "test", "Serials", "--change", update)
    assert done == (0, f"Hook Serials starts on change {update} (update of dcim.device sw1).\n", "")
    done = run("hooks", "test", "Serials", "--change", update, "--json")
    assert done.code == 0
    assert done.json == {
        "hook": "Serials", "job": JOB, "change": update, "starts": True, "reasons": [], "undecided": None,
        "waits": False,
    }  # fmt: skip


def test_everything_that_stands_in_the_way_is_said(run: Rowhooks, db: Connection, create: int) -> None:
    db.execute("create table dcim.rack (id integer primary key)")
    db.execute("select rowhooks.track('dcim.rack')")
    run("hooks", "add", "Racks", "--job", JOB, "--table", "dcim.rack", "--on", "delete", "--disabled")
    run("jobs", "disable", JOB)
    done = run("hooks", "test", "Racks", "--change", create, "--json")
    assert (done.code, done.err) == (1, "")
    answer = json.loads(done.out)
    assert answer["starts"] is False
    assert answer["reasons"] == [
        "the hook is disabled",
        "dcim.device is not one of its tables",
        "it does not start on create, only on delete",
    ]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("update rowhooks.job set enabled = false", "its job policies.Serial is disabled"),
        ("update rowhooks.job_hook set enabled = false", "the hook is disabled"),
        ("update rowhooks.job_hook set columns = '{name}'", "the update changes none of its columns (name)"),
        (
            'update rowhooks.job_hook set conditions = \'{"and": [{"attr": "serial", "value": "A1"}]}\'',
            'conditions: and[0]: serial eq "A1" does not hold (it is "B2")',
        ),
        (
            "update rowhooks.job_hook set on_undecided = 'skip',"
            ' conditions = \'{"attr": "serial", "op": "gt", "value": 1}\'',
            "the conditions could not be decided: serial gt: a string and a number cannot be put in order;"
            " the hook skips it, because on_undecided = skip",
        ),
        (
            'update rowhooks.job_hook set conditions = \'{"attr": "serial", "op": "regex", "value": "("}\'',
            "conditions: '(' is not a regular expression: missing ) at position 1",
        ),
    ],
)
def test_the_reason_why_a_change_does_not_match(
    run: Rowhooks, db: Connection, create: int, spoil: str, reason: str
) -> None:
    add(run)
    update = changed(db, "update dcim.device set serial = 'B2'")
    db.execute(spoil)
    done = run("hooks", "test", "Serials", "--change", update)
    assert (done.code, done.err) == (1, "")
    assert done.out == f"Hook Serials does not start on change {update} (update of dcim.device sw1):\n  {reason}\n"


def test_what_a_hook_of_a_missing_job_would_start_is_said_to_wait(run: Rowhooks, db: Connection, create: int) -> None:
    add(run)
    update = changed(db, "update dcim.device set serial = 'B2'")
    db.execute("update rowhooks.job set installed = false")
    done = run("hooks", "test", "Serials", "--change", update)
    assert (done.code, done.out) == (
        0,
        f"Hook Serials starts on change {update} (update of dcim.device sw1).\n"
        "  the run waits: the leader does not have job policies.Serial\n",
    )


def test_a_change_from_before_the_hook_was_enabled_does_not_match(run: Rowhooks, db: Connection, create: int) -> None:
    update = changed(db, "update dcim.device set serial = 'B2'")
    add(run)
    done = run("hooks", "test", "Serials", "--change", update, "--json")
    assert (done.code, done.err) == (1, "")
    assert json.loads(done.out)["reasons"] == ["the change is from before the hook or its job was enabled"]


def test_what_a_hook_receiver_wrote_does_not_match(run: Rowhooks, db: Connection, create: int) -> None:
    add(run)
    update = changed(db, "update dcim.device set serial = 'B2'")
    db.execute("update rowhooks.object_change set receiver = '7' where id = %s", (update,))
    done = run("hooks", "test", "Serials", "--change", update, "--json")
    assert (done.code, json.loads(done.out)["reasons"], done.err) == (
        1,
        ["hook receiver 7 wrote it, which starts no hook"],
        "",
    )


def test_a_truncate_matches_nothing(run: Rowhooks, db: Connection, create: int) -> None:
    add(run)
    truncate = changed(db, "truncate dcim.device")
    done = run("hooks", "test", "Serials", "--change", truncate)
    assert done.code == 1
    assert "it does not start on truncate, only on update" in done.out


def test_an_unknown_change_or_hook_is_named(run: Rowhooks, create: int) -> None:
    add(run)
    assert "there is no change 999\n" in run("hooks", "test", "Serials", "--change", 999).err
    assert "there is no hook Nobody\n" in run("hooks", "test", "Nobody", "--change", create).err


# Jobs


def test_hidden_jobs_are_left_out_unless_all_are_asked_for(run: Rowhooks) -> None:
    listed = {row["class_path"]: row["kind"] for row in run("jobs", "list", "--json").json}
    assert listed == {JOB: "hook", "power.Reboot": "button"}
    assert len(run("jobs", "list", "--all", "--json").json) == 3
    assert "button" in run("jobs", "list").out


def test_a_job_is_shown_with_its_meta_and_what_starts_it(run: Rowhooks, device: str) -> None:
    add(run)
    shown = run("jobs", "show", "Serial", "--json").json
    assert (shown["meta"], shown["hooks"], shown["buttons"]) == ({"time_limit": 5}, ["Serials"], [])
    assert "time_limit=5" in run("jobs", "show", "Serial").out


# What replays read


def test_changes_are_read_as_receivers_get_them(db: Connection, create: int) -> None:
    change, receiver = load_change(db, create)
    assert receiver is None
    assert (change.id, change.action, change.changed_object_type) == (create, "create", "dcim.device")
    assert (change.changed_object_id, change.prechange, change.db_user) == ({"id": 1}, None, db.info.user)
    assert change.postchange == {"id": 1, "name": "sw1", "serial": "A1"}


def test_a_table_goes_by_its_present_name_and_a_dropped_one_by_its_last(db: Connection, create: int) -> None:
    db.execute("alter table dcim.device rename to box")
    assert load_change(db, create)[0].changed_object_type == "dcim.box"
    db.execute("drop table dcim.box")
    assert load_change(db, create)[0].changed_object_type == "dcim.box"


def test_a_span_of_changes_is_read_in_order_without_truncates_and_receivers_own(
    dsn: str, db: Connection, create: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rowhooks.postgres.administration.changes.BATCH", 2)
    ids = [create, *(changed(db, f"update dcim.device set serial = '{number}'") for number in range(5))]
    changed(db, "truncate dcim.device")
    db.execute("update rowhooks.object_change set receiver = '7' where id = %s", (ids[2],))
    wanted = [id_ for id_ in ids if id_ != ids[2]]
    with psycopg.connect(dsn) as conn:
        assert [change.id for change in iterate_changes(conn)] == wanted
        assert count_changes(conn) == len(wanted)
        table, third = load_change(conn, create)[0].table_id, load_change(conn, ids[3])[0].time
        for span, expected in (
            ({"since": third}, wanted[2:]),
            ({"until": third}, wanted[:2]),
            ({"since": third, "until": third + timedelta(microseconds=1)}, [ids[3]]),
            ({"tables": [table]}, wanted),
            ({"tables": [table + 1]}, []),
            ({"tables": []}, []),
        ):
            assert [change.id for change in iterate_changes(conn, **span)] == expected
            assert count_changes(conn, **span) == len(expected)


def test_a_hook_is_read_as_the_daemon_matches_it(run: Rowhooks, dsn: str, device: str) -> None:
    add(run, "--column", "serial", "--conditions", A1)
    with psycopg.connect(dsn) as conn:
        conn.execute("set local search_path = dcim")
        found = load_hook(conn, "Serials")
        assert (found.columns, found.conditions_json) == (frozenset({"serial"}), A1)
        assert (found.job.class_path, found.actions, found.enabled) == (JOB, frozenset({"update"}), True)
        assert conn.execute("show search_path").fetchone() == ("dcim",)
        with pytest.raises(NotFound, match="there is no hook Nobody"):
            load_hook(conn, "Nobody")
