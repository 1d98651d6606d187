"""Hooks and buttons whose tables and columns are renamed, dropped, swapped and tracked again; and the mends of that.

Each with the event triggers and without, as in an installation without a superuser.
"""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from rowhooks import Hook, JobButtonReceiver, JobHookReceiver
from rowhooks.cli import call
from rowhooks.runtime import configuration
from tests.support.daemons import running_daemon
from tests.support.hooks import add_button, add_hook
from tests.support.mends import run_in_a_shell
from tests.support.waiting import eventually, settled

Connection = psycopg.Connection[Any]


class Sync(JobHookReceiver):
    def receive_job_hook(self, change: Any, action: str, changed_object: Any) -> Any:
        return [change.changed_object_type, None if changed_object is None else changed_object.id]


class Pair(JobHookReceiver):
    def receive_job_hook(self, change: Any, action: str, changed_object: Any) -> Any:
        return None if changed_object is None else changed_object.note


class Declared(JobHookReceiver):
    class Meta:
        hooks = (Hook("dcim.device", actions=["update"], columns=["serial"], name="declared"),)

    def receive_job_hook(self, change: Any, action: str, changed_object: Any) -> Any:
        return [change.changed_object_type, None if changed_object is None else changed_object.id]


class Press(JobButtonReceiver):
    def receive_job_button(self, obj: Any) -> Any:
        return obj.id


def problems(dsn: str, capsys: pytest.CaptureFixture[str], level: str = "problem") -> list[tuple[str, str]]:
    capsys.readouterr()
    call(["doctor", "--dsn", dsn, "--json"])
    found = json.loads(capsys.readouterr().out)
    return [(one["what"], one["way_out"]) for one in found if one["level"] == level]


async def after(db: Connection, statement: str) -> list[Any]:
    """Run a statement, and return what the runs that it started have returned."""
    row = db.execute("select coalesce(max(id), 0) from rowhooks.job_result").fetchone()
    assert row is not None
    db.execute(statement.encode())
    await settled(db)
    found = db.execute("select status, result, traceback from rowhooks.job_result where id > %s order by id", row)
    runs = found.fetchall()
    assert all(status == "SUCCESS" for status, _, _ in runs), runs
    return [result for _, result, _ in runs]


async def mended(dsn: str, daemon_dsn: str, db: Connection, command: str, statement: str) -> list[Any]:
    """Run a mend as printed, then a daemon, and return what a change starts."""
    run_in_a_shell(command, dsn)
    async with running_daemon(daemon_dsn, Sync):
        return await after(db, statement)


@pytest.mark.parametrize("remade", [False, True])
async def test_a_table_that_is_tracked_again_has_its_hooks_and_buttons_back_at_once(
    dsn: str, db: Connection, daemon_dsn: str, device: str, noticed_by: str, remade: bool,
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    add_hook(db, Sync, device, "create", name="sync")
    add_button(db, Press, device, name="press", roles=["public"])
    caplog.set_level("INFO")
    async with running_daemon(daemon_dsn, Sync, Press, Declared):
        db.execute("update rowhooks.job set enabled = true")
        assert await after(db, "insert into dcim.device values (1, 'a', 'x')") == [["dcim.device", 1]]
        if remade:
            db.execute("drop table dcim.device")
            db.execute("create table dcim.device (id integer primary key, name text, serial text)")
            db.execute("grant select, update on dcim.device to rowhooks_daemon")
            state = "was dropped and made anew"
        else:
            db.execute("select rowhooks.untrack('dcim.device')")
            state = "is no longer tracked"
        what = [(f"{owner} waits for dcim.device, which {state}", "rowhooks track dcim.device")
                for owner in ("hook declared", "hook sync", "button press")]  # fmt: skip
        assert problems(dsn, capsys) == what
        assert call(["hooks", "list", "--json", "--dsn", dsn]) == 0
        assert [hook["waits_for"] for hook in json.loads(capsys.readouterr().out)] == [["dcim.device"]] * 2
        run_in_a_shell("rowhooks track dcim.device", dsn)
        assert problems(dsn, capsys) == []
        started = await after(db, "insert into dcim.device values (2, 'b', 'y')")
        assert started == [["dcim.device", 2]]
        assert "hook sync is on dcim.device again, which was tracked anew" in caplog.text
        assert await after(db, "update dcim.device set serial = 'z' where id = 2") == [["dcim.device", 2]]
        assert await after(db, "select rowhooks.press('press', 'dcim.device', '2'::text)") == [2]


async def test_what_the_log_holds_of_a_table_from_before_it_was_tracked_again_still_starts_its_hooks(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Sync, device, "create", name="sync")
    db.execute("insert into dcim.device values (1, 'a', 'x')")
    for _ in range(2):
        db.execute("select rowhooks.untrack('dcim.device')")
        db.execute("select rowhooks.track('dcim.device')")
        db.execute("insert into dcim.device select max(id) + 1, 'b', 'y' from dcim.device")
    async with running_daemon(daemon_dsn, Sync):
        await settled(db)
    found = db.execute("select status, result from rowhooks.job_result order by object_change_id").fetchall()
    assert found == [("SUCCESS", ["dcim.device", number]) for number in (1, 2, 3)]


async def test_a_table_that_was_tracked_again_and_renamed_keeps_its_hooks(
    dsn: str, db: Connection, daemon_dsn: str, device: str, noticed_by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    add_hook(db, Sync, device, "create", name="sync")
    db.execute("drop table dcim.device")
    db.execute("create table dcim.device (id integer primary key)")
    db.execute("grant select on dcim.device to rowhooks_daemon")
    db.execute("select rowhooks.track('dcim.device')")
    db.execute("alter table dcim.device rename to machine")
    db.execute("select rowhooks.refresh_tables()")
    assert problems(dsn, capsys) == []
    async with running_daemon(daemon_dsn, Sync):
        assert await after(db, "insert into dcim.machine values (1)") == [["dcim.machine", 1]]


@pytest.mark.parametrize("follows", ["columns", "conditions", "old row"])
async def test_what_a_hook_asks_for_follows_columns_that_are_renamed(
    db: Connection, daemon_dsn: str, device: str, noticed_by: str, follows: str
) -> None:
    add_hook(db, Sync, device, "update", name="sync")
    if follows == "columns":
        db.execute("update rowhooks.job_hook set columns = '{serial}'")
    else:
        attr = "serial" if follows == "conditions" else "old.serial"
        value = "B" if follows == "conditions" else "A"
        db.execute(
            "update rowhooks.job_hook set conditions = %s, on_undecided = 'skip'",
            (Jsonb({"and": [{"attr": attr, "value": value}]}),),
        )
    db.execute("insert into dcim.device values (1, 'a', 'A')")
    # Recorded under the old name, and read when the column has the new one.
    db.execute("update dcim.device set serial = 'B'")
    db.execute("alter table dcim.device rename column serial to serial_no")
    db.execute("update dcim.device set name = 'c', serial_no = 'A'")
    async with running_daemon(daemon_dsn, Sync):
        started = 2 if follows == "columns" else 1
        await settled(db)
        assert db.execute("select count(*) from rowhooks.job_result").fetchone() == (started,)
        assert await after(db, "update dcim.device set name = 'd'") == (
            [["dcim.device", 1]] if follows == "old row" else []
        )
        assert await after(db, "update dcim.device set serial_no = 'B'") == [["dcim.device", 1]]
        # While it runs, and a stranger gets the former name.
        db.execute("alter table dcim.device rename column serial_no to number")
        db.execute("alter table dcim.device add column serial text")
        assert await after(db, "update dcim.device set serial = 'B', name = 'e'") == (
            [] if follows != "conditions" else [["dcim.device", 1]]
        )
        await after(db, "update dcim.device set number = 'A'")
        assert await after(db, "update dcim.device set number = 'B'") == [["dcim.device", 1]]


def test_an_edit_writes_the_present_names_of_columns(
    dsn: str, db: Connection, device: str, noticed_by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    add_hook(db, Sync, device, "update", name="sync")
    db.execute(
        "update rowhooks.job_hook set columns = '{serial,name}', conditions ="
        """ '{"or": [{"attr": "old.serial", "value": 1.50}, {"not": {"attr": "name", "value": "x"}}]}'"""
    )
    db.execute("alter table dcim.device rename column serial to serial_no")
    assert problems(dsn, capsys) == [] or noticed_by != "event trigger"
    assert call(["hooks", "edit", "sync", "--on", "update,create", "--dsn", dsn]) == 0
    assert db.execute("select columns, conditions::text from rowhooks.job_hook").fetchone() == (
        ["serial_no", "name"],
        '{"or": [{"attr": "old.serial_no", "value": 1.50}, {"not": {"attr": "name", "value": "x"}}]}',
    )


async def test_a_dropped_column_is_named_once_and_the_printed_command_starts_the_hook_again(
    dsn: str, db: Connection, daemon_dsn: str, device: str, noticed_by: str,
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(configuration, "BINDINGS_INTERVAL", 0.2)
    add_hook(db, Sync, device, "update", name="sync")
    db.execute(
        "update rowhooks.job_hook set columns = '{serial}', on_undecided = 'skip', conditions ="
        """ '{"and": [{"attr": "serial", "value": "B"}, {"attr": "name", "value": "it''s"}]}'"""
    )
    db.execute("insert into dcim.device values (1, 'a', 'A')")
    async with running_daemon(daemon_dsn, Sync):
        db.execute("alter table dcim.device drop column serial")
        await eventually(lambda: "hook sync asks for column serial" in caplog.text)
        db.execute("alter table dcim.device add column other text")
        await settled(db)
    ((what, way_out),) = [one for one in problems(dsn, capsys) if one[0].startswith("hook")]
    assert what == "hook sync asks for column serial, which dcim.device has no more"
    assert caplog.text.count(f"{what} ({way_out})") == 1
    command = way_out.removeprefix("without them: ").removesuffix("; or: rowhooks hooks disable sync")
    started = await mended(dsn, daemon_dsn, db, command, "update dcim.device set name = 'it''s'")
    assert started == [["dcim.device", 1]]
    assert not [what for what, _ in problems(dsn, capsys) if what.startswith("hook")]


SWAP = (
    "create table dcim.device_new (like dcim.device including all)",
    "alter table dcim.device rename to device_old",
    "alter table dcim.device_new rename to device",
    "grant select on dcim.device to rowhooks_daemon",
)


async def test_a_table_that_was_swapped_by_rename_is_named_and_the_printed_command_moves_the_hook(
    dsn: str, db: Connection, daemon_dsn: str, device: str, noticed_by: str,
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(configuration, "BINDINGS_INTERVAL", 0.2)
    db.execute("create table dcim.rack (id integer primary key)")
    db.execute("select rowhooks.track('dcim.rack')")
    db.execute("grant select on dcim.rack to rowhooks_daemon")
    assert call(["track", "dcim.device", "--audit-receivers", "--exclude", "serial", "--dsn", dsn]) == 0
    add_hook(db, Sync, device, "create", name="-sync")
    assert call(["hooks", "edit", "--add-table", "dcim.rack", "--dsn", dsn, "--", "-sync"]) == 0
    async with running_daemon(daemon_dsn, Sync):
        for statement in SWAP:
            db.execute(statement)
        await eventually(lambda: "hook -sync is on dcim.device_old" in caplog.text)
    db.execute("select rowhooks.refresh_tables()")
    ((what, way_out),) = problems(dsn, capsys)
    assert what == "hook -sync is on dcim.device_old, and dcim.device, as that was called before, is another table now"
    move, stay = way_out.split("; or, where it is to stay where it is: ")
    assert move == (
        "rowhooks track dcim.device --audit-receivers --exclude serial"
        " && rowhooks hooks edit --add-table dcim.device --remove-table dcim.device_old -- -sync"
    )
    started = await mended(
        dsn, daemon_dsn, db, move, "insert into dcim.device values (7, 'a'); insert into dcim.rack values (8)"
    )
    assert sorted(started) == [["dcim.device", 7], ["dcim.rack", 8]]
    assert problems(dsn, capsys) == []
    assert stay == "rowhooks hooks edit --add-table dcim.device_old -- -sync"


async def test_a_hook_stays_on_a_table_that_was_renamed_where_the_printed_command_says_so(
    dsn: str, db: Connection, daemon_dsn: str, device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    add_hook(db, Sync, device, "create", name="sync")
    for statement in SWAP:
        db.execute(statement)
    ((_, way_out),) = problems(dsn, capsys)
    stay = way_out.split("; or, where it is to stay where it is: ")[1]
    assert await mended(dsn, daemon_dsn, db, stay, "insert into dcim.device_old values (7, 'a')") == [
        ["dcim.device_old", 7]
    ]
    assert problems(dsn, capsys) == []


@pytest.mark.parametrize("is_tracked", [False, True])
async def test_a_table_that_became_a_partition_is_named_and_the_printed_command_moves_the_hook_to_its_root(
    dsn: str, db: Connection, daemon_dsn: str, device: str, noticed_by: str, is_tracked: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    add_hook(db, Sync, device, "create", name="sync")
    db.execute("create table dcim.part (like dcim.device including all) partition by range (id)")
    db.execute("create table dcim.part_2 partition of dcim.part for values from (100) to (200)")
    db.execute("grant select on dcim.part to rowhooks_daemon")
    if is_tracked:
        db.execute("select rowhooks.track('dcim.part')")
    db.execute("alter table dcim.part attach partition dcim.device for values from (0) to (100)")
    # Where the event trigger has made it a partition of the tracked table, the hook waits; else it is on it still.
    found = dict(problems(dsn, capsys))
    ((what, way_out),) = [one for one in found.items() if "hook sync" in one[0]]
    assert "partition of dcim.part now" in what
    run_in_a_shell(way_out, dsn)
    started = await mended(
        dsn, daemon_dsn, db, "true", "insert into dcim.part select n, 'a' from unnest(array[7, 107]) as n"
    )
    assert sorted(started) == [["dcim.part", 7], ["dcim.part", 107]]
    assert problems(dsn, capsys) == []


async def test_a_partition_of_a_new_table_of_its_former_name_has_a_mend_that_works_beside_a_daemon(
    dsn: str, db: Connection, daemon_dsn: str, device: str, noticed_by: str, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    add_hook(db, Sync, device, "create", name="sync")
    async with running_daemon(daemon_dsn, Sync):
        db.execute("alter table dcim.device rename to device_1")
        db.execute("create table dcim.device (like dcim.device_1 including all) partition by range (id)")
        db.execute("grant select on dcim.device to rowhooks_daemon")
        db.execute("alter table dcim.device attach partition dcim.device_1 for values from (0) to (100)")
        ((_, way_out),) = [one for one in problems(dsn, capsys) if one[0].startswith("hook sync")]
        assert way_out == "rowhooks track dcim.device && rowhooks untrack dcim.device_1"
        track, _, untrack = way_out.partition(" && ")
        run_in_a_shell(track, dsn)
        await settled(db)
        run_in_a_shell(untrack, dsn)
        assert await after(db, "insert into dcim.device values (7, 'a')") == [["dcim.device", 7]]
    assert problems(dsn, capsys) == []


def test_the_printed_commands_track_with_what_a_table_was_tracked_with(
    dsn: str, db: Connection, device: str, noticed_by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = "exclude => '{serial}', ignore => '{touched}', audit_receivers => true, always => true"
    printed = "--audit-receivers --always --exclude serial --ignore-columns touched"
    db.execute("alter table dcim.device add touched timestamptz")
    db.execute(f"select rowhooks.track('dcim.device', {options})".encode())
    add_hook(db, Sync, device, "create", name="sync")
    db.execute("alter table dcim.device rename to device_old")
    db.execute("create table dcim.device (like dcim.device_old including all)")
    swapped = next(way_out for what, way_out in problems(dsn, capsys) if "is another table now" in what)
    assert swapped.startswith(f"rowhooks track dcim.device {printed} && ")
    db.execute("create table dcim.heir () inherits (dcim.device_old)")
    inherits = next(way_out for what, way_out in problems(dsn, capsys) if "inherits from" in what)
    assert inherits.endswith(f"or without a key: rowhooks track dcim.heir --identity full {printed}")
    db.execute("drop table dcim.heir")
    db.execute("alter table dcim.device_old drop constraint device_pkey")
    keyless = next(way_out for what, way_out in problems(dsn, capsys) if "has lost its primary key" in what)
    assert "rowhooks track dcim.device_old --identity full --audit-receivers --always; or" in keyless
    assert keyless.endswith(", and: rowhooks track dcim.device_old --audit-receivers --always")
    db.execute("create table dcim.event (id int primary key, serial text, touched text) partition by range (id)")
    db.execute("create table dcim.event_1 partition of dcim.event for values from (0) to (10)")
    db.execute(f"select rowhooks.track('dcim.event', {options})".encode())
    db.execute("alter table dcim.event detach partition dcim.event_1")
    ((_, detached),) = [one for one in problems(dsn, capsys, "note") if "detached" in one[0]]
    assert detached == (
        f"rowhooks track dcim.event_1 {printed};"
        " or, where that is meant: rowhooks track dcim.event --audit-receivers --always"
    )
    run_in_a_shell(detached.split(";")[0], dsn)
    listed = db.execute(
        "select audit_receivers, always, excluded_columns::text[], ignored_columns::text[]"
        " from rowhooks.tracked_table where relation = 'dcim.event_1'::regclass"
    )
    assert listed.fetchone() == (True, True, ["serial"], ["touched"])


async def test_a_hook_that_waits_for_a_column_that_does_not_count_is_named(
    dsn: str, db: Connection, daemon_dsn: str, device: str, noticed_by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    add_hook(db, Sync, device, "update", name="sync")
    with db.transaction():
        db.execute("update rowhooks.job_hook set columns = '{name,serial}'")
    db.execute("insert into dcim.device values (1, 'a', 'x')")
    # It was made anew as a table of another name, which the hook does not mean.
    db.execute("create table dcim.other (like dcim.device including all)")
    db.execute("grant select on dcim.other to rowhooks_daemon")
    db.execute("select rowhooks.track('dcim.other', ignore => '{serial}')")
    db.execute("drop table dcim.device")
    db.execute("alter table dcim.other rename to device")
    db.execute("select rowhooks.refresh_tables()")
    ((what, way_out),) = problems(dsn, capsys)
    assert what == "hook sync asks for column serial, an update of nothing but which is not recorded of dcim.device"
    assert way_out.startswith("without them: rowhooks hooks edit --column name sync")
    db.execute("insert into dcim.device values (1, 'a', 'x')")
    started = await mended(
        dsn, daemon_dsn, db, way_out.partition(": ")[2].partition(";")[0], "update dcim.device set name = 'b'"
    )
    assert started == [["dcim.device", 1]]
    assert problems(dsn, capsys) == []


async def test_a_partition_that_is_detached_is_a_note_until_it_is_tracked(
    dsn: str, db: Connection, daemon_dsn: str, noticed_by: str, caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(configuration, "BINDINGS_INTERVAL", 0.2)
    db.execute("create table public.event (id integer primary key) partition by range (id)")
    db.execute("create table public.event_1 partition of public.event for values from (0) to (10)")
    db.execute("select rowhooks.track('public.event')")
    async with running_daemon(daemon_dsn, Sync):
        # Made later than the table was tracked.
        db.execute("create table public.event_2 partition of public.event for values from (10) to (20)")
        known = "select cardinality(partitions) from rowhooks.tracked_table"
        await eventually(lambda: db.execute(known).fetchone() == (2,))
        db.execute("alter table public.event detach partition public.event_2")
        await eventually(lambda: "public.event_2 was detached" in caplog.text)
    found = [one for one in problems(dsn, capsys, "note") if "detached" in one[0]]
    ((what, way_out),) = found
    assert what == "public.event_2 was detached from tracked table public.event: its changes are not recorded any more"
    track, _, settle = way_out.partition("; or, where that is meant: ")
    for command in (settle, track):
        run_in_a_shell(command, dsn)
        assert not [one for one in problems(dsn, capsys, "note") if "detached" in one[0]]
    db.execute("insert into public.event_2 values (11)")
    assert db.execute("select object_id from rowhooks.object_change").fetchall() == [({"id": 11},)]


async def test_a_key_of_several_columns_that_were_renamed_finds_its_row(
    db: Connection, daemon_dsn: str, device: str, noticed_by: str
) -> None:
    db.execute("create table dcim.pair (a integer, b integer, c integer, note text, primary key (a, b, c))")
    db.execute("grant select on dcim.pair to rowhooks_daemon")
    db.execute("select rowhooks.track('dcim.pair')")
    add_hook(db, Pair, "dcim.pair", "create", name="pair")
    db.execute("insert into dcim.pair values (1, 2, 3, 'it'), (2, 1, 3, 'other')")
    # One after the other, and the third gets a name that the first had.
    for former, present in (("a", "x"), ("b", "y"), ("x", "z"), ("c", "a")):
        db.execute(f"alter table dcim.pair rename column {former} to {present}")
        if noticed_by == "no event trigger":
            db.execute("select rowhooks.refresh_tables()")
    async with running_daemon(daemon_dsn, Pair):
        await settled(db)
    found = db.execute("select status, result, exception_message from rowhooks.job_result order by object_change_id")
    assert [row[:2] for row in found.fetchall()] == [("SUCCESS", "it"), ("SUCCESS", "other")]


async def test_a_row_whose_table_has_another_key_now_is_a_failure_that_says_so(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Sync, device, "create", name="sync")
    db.execute("insert into dcim.device values (1, 'a', '7'), (7, 'b', '1')")
    db.execute("alter table dcim.device drop constraint device_pkey, add primary key (serial)")
    async with running_daemon(daemon_dsn, Sync):
        await settled(db)
    found = db.execute("select distinct status, exception_message from rowhooks.job_result").fetchall()
    ((status, message),) = found
    assert status == "FAILURE"
    assert "its key is (serial) now" in message


def test_the_representing_column_follows_its_rename(db: Connection, device: str, noticed_by: str) -> None:
    db.execute("alter table dcim.device rename column name to called")
    db.execute("alter table dcim.device add column title text")
    db.execute("select rowhooks.refresh_tables()")
    assert db.execute("select repr_column::text from rowhooks.tracked_table").fetchone() == ("called",)
    db.execute("insert into dcim.device values (1, 'sw1')")
    assert db.execute("select object_repr from rowhooks.object_change").fetchone() == ("sw1",)


def test_a_buttons_text_follows_columns_and_names_one_that_is_gone(
    dsn: str, db: Connection, device: str, noticed_by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    add_button(db, Press, device, name="press", roles=["public"])
    db.execute("update rowhooks.job_button set text = 'Reboot {{ obj.name }} {{ obj[''serial''] }}'")
    db.execute("insert into dcim.device values (1, 'sw1', 'A')")
    db.execute("alter table dcim.device rename column name to called")
    db.execute("alter table dcim.device add column name text default 'stranger'")
    capsys.readouterr()
    assert call(["buttons", "for", "dcim.device", "1", "--dsn", dsn, "--json"]) == 0
    assert "Reboot sw1 A" in capsys.readouterr().out
    db.execute("alter table dcim.device drop column serial")
    found = [one for one in problems(dsn, capsys) if "button" in one[0]]
    assert found == [(
        "button press asks for column serial, which dcim.device has no more",
        "give it another text: rowhooks buttons edit --text press press; or: rowhooks buttons disable press",
    )]  # fmt: skip
    run_in_a_shell(found[0][1].removeprefix("give it another text: ").split("; or: ")[0], dsn)
    assert not [one for one in problems(dsn, capsys) if "button" in one[0]]
    assert call(["buttons", "for", "dcim.device", "1", "--dsn", dsn, "--json"]) == 0
    assert '"disabled": false' in capsys.readouterr().out


async def test_a_declared_hook_follows_a_rename_and_says_at_each_start_what_to_change(
    dsn: str, db: Connection, daemon_dsn: str, device: str, noticed_by: str,
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = f"{Declared.__module__}.Declared"
    column = (
        f"hook declared asks for column serial of dcim.machine, which is called serial_no now (call it serial_no in"
        f" Hook(...) of class Meta of {path}, and restart the daemon)"
    )
    table = (
        f"hook declared is on dcim.machine, which its declaration calls dcim.device (name dcim.machine in Hook(...) of"
        f" class Meta of {path}, and restart the daemon)"
    )
    async with running_daemon(daemon_dsn, Declared):
        db.execute("update rowhooks.job set enabled = true")
        db.execute("insert into dcim.device values (1, 'a', 'A')")
        assert await after(db, "update dcim.device set serial = 'B'") == [["dcim.device", 1]]
        db.execute("alter table dcim.device rename column serial to serial_no")
        db.execute("alter table dcim.device rename to machine")
        assert await after(db, "update dcim.machine set serial_no = 'C'") == [["dcim.machine", 1]]
        await eventually(lambda: column in caplog.text and table in caplog.text)
    caplog.clear()
    async with running_daemon(daemon_dsn, Declared):
        assert await after(db, "update dcim.machine set serial_no = 'D'") == [["dcim.machine", 1]]
        assert await after(db, "update dcim.machine set name = 'd'") == []
    assert caplog.text.count(column) == caplog.text.count(table) == 1
    assert problems(dsn, capsys) == []
    assert {what for what, _ in problems(dsn, capsys, "note")} >= {column.split(" (")[0], table.split(" (")[0]}


async def test_a_declared_hook_on_a_swapped_or_dropped_table_has_a_mend_that_it_takes(
    dsn: str, db: Connection, daemon_dsn: str, device: str, noticed_by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_daemon(daemon_dsn, Declared):
        db.execute("update rowhooks.job set enabled = true")
        for statement in SWAP:
            db.execute(statement)
        db.execute("insert into dcim.device values (7, 'a', 'A')")
        db.execute("select rowhooks.refresh_tables()")
        ((_, way_out),) = problems(dsn, capsys)
        assert way_out == "rowhooks track dcim.device"
        run_in_a_shell(way_out, dsn)
        assert await after(db, "update dcim.device set serial = 'B'") == [["dcim.device", 7]]
        assert problems(dsn, capsys) == []
        db.execute("drop table dcim.device")
        if noticed_by == "no event trigger":
            db.execute("select rowhooks.refresh_tables()")
        ((what, way_out),) = problems(dsn, capsys)
        assert what == "hook declared waits for dcim.device, which was dropped"
        run_in_a_shell(way_out.split("; or: ")[1], dsn)
        assert problems(dsn, capsys) == []


async def test_a_declared_hook_on_a_table_that_was_never_tracked_is_named_and_tracking_starts_it(
    dsn: str, db: Connection, daemon_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("create schema dcim")
    async with running_daemon(daemon_dsn, Declared):
        ((what, _),) = [one for one in problems(dsn, capsys) if "waits" in one[0]]
        assert what == "hook declared waits for dcim.device, which does not exist"
        db.execute("create table dcim.device (id integer primary key, serial text)")
        db.execute("insert into dcim.device values (1, 'A')")
        db.execute("grant usage on schema dcim to rowhooks_daemon")
        db.execute("grant select on dcim.device to rowhooks_daemon")
        ((what, way_out),) = [one for one in problems(dsn, capsys) if "waits" in one[0]]
        assert what == "hook declared waits for dcim.device, which is not tracked"
        db.execute("update rowhooks.job set enabled = true")
        run_in_a_shell(way_out, dsn)
        await eventually(lambda: db.execute("select from rowhooks.job_hook_table").fetchone() is not None)
        assert await after(db, "update dcim.device set serial = 'B'") == [["dcim.device", 1]]
        assert problems(dsn, capsys) == []


def test_a_dropped_table_is_taken_from_a_hook_that_has_others(
    dsn: str, db: Connection, device: str, noticed_by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    add_hook(db, Sync, device, "create", name="sync")
    for table in ("rack", "site"):
        db.execute(f"create table dcim.{table} (id integer primary key)")
        db.execute("select rowhooks.track(%s::regclass)", (f"dcim.{table}",))
        db.execute(f"grant select on dcim.{table} to rowhooks_daemon")
    assert call(["hooks", "edit", "sync", "--add-table", "dcim.rack", "--add-table", "dcim.site", "--dsn", dsn]) == 0
    db.execute("drop table dcim.rack")
    db.execute("select rowhooks.refresh_tables()")
    ((what, way_out),) = problems(dsn, capsys)
    assert (what, way_out) == (
        "hook sync waits for dcim.rack, which was dropped",
        "rowhooks hooks edit --remove-table dcim.rack sync",
    )
    run_in_a_shell(way_out, dsn)
    assert problems(dsn, capsys) == []
    assert call(["hooks", "list", "--json", "--dsn", dsn]) == 0
    assert json.loads(capsys.readouterr().out)[0]["tables"] == ["dcim.device", "dcim.site"]


def test_tables_are_added_to_and_taken_from_hooks_and_buttons(
    dsn: str, db: Connection, device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("create table dcim.rack (id integer primary key)")
    db.execute("select rowhooks.track('dcim.rack')")
    add_hook(db, Sync, device, "create", name="it")
    add_button(db, Press, device, name="it")
    for kind in ("hooks", "buttons"):
        edit = [kind, "edit", "it", "--dsn", dsn]
        assert call([*edit, "--add-table", "dcim.rack"]) == 0
        assert call([*edit, "--add-table", "dcim.rack", "--remove-table", "dcim.device"]) == 0
        capsys.readouterr()
        assert call([kind, "list", "--json", "--dsn", dsn]) == 0
        assert json.loads(capsys.readouterr().out)[0]["tables"] == ["dcim.rack"]
        assert call([*edit, "--remove-table", "dcim.device"]) == 1
        assert "is not on table dcim.device" in capsys.readouterr().err
        assert call([*edit, "--table", "dcim.device", "--add-table", "dcim.rack"]) == 2
