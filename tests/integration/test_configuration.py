"""What the code says of jobs and hooks, brought into the database by the daemon's login."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import psycopg
import pytest

from rowhooks import Hook
from rowhooks.domain.job import JobEntry
from rowhooks.postgres.administration.jobs import move_job
from rowhooks.postgres.configuration_source import PostgresConfiguration
from rowhooks.postgres.connections.connect import connect
from rowhooks.postgres.connections.target import Target

Connection = psycopg.Connection[Any]
SERIAL = JobEntry("policies.Serial", "hook", "Serial policy", "Policies", "Keep serials tidy.", meta={"ordered": True})
NAMES = JobEntry("policies.Names", "hook", "Names")
REBOOT = JobEntry("buttons.power.Reboot", "button", "Reboot", hidden=True)


@pytest.fixture
async def configuration(daemon_dsn: str) -> AsyncIterator[PostgresConfiguration]:
    connection: asyncpg.Connection[Any] = await connect(Target(daemon_dsn))
    yield PostgresConfiguration(connection)
    await connection.close()


def add(db: Connection, name: str, table: str = "dcim.device", job: str = "policies.Serial", **given: Any) -> None:
    """Make a hook by hand."""
    with db.transaction():
        db.execute(
            "insert into rowhooks.job_hook (name, job_id, type_update, columns, conditions)"
            " select %s, j.id, true, %s, %s from rowhooks.job as j where j.class_path = %s",
            (name, given.get("columns", []), given.get("conditions"), job),
        )
        db.execute(
            "insert into rowhooks.job_hook_table (job_hook_id, tracked_table_id)"
            " select h.id, t.id from rowhooks.job_hook as h cross join rowhooks.tracked_table as t"
            " where h.name = %s and t.relation = %s::regclass",
            (name, table),
        )


def add_button(db: Connection, name: str) -> None:
    db.execute(
        "insert into rowhooks.job_button (name, job_id, text)"
        " select %s, j.id, 'Reboot' from rowhooks.job as j where j.kind = 'button'",
        (name,),
    )


def jobs(db: Connection, columns: str = "installed") -> dict[str, Any]:
    rows = db.execute(f"select class_path, {columns} from rowhooks.job").fetchall()
    return {path: values[0] if len(values) == 1 else tuple(values) for path, *values in rows}


def enabled(db: Connection) -> dict[str, bool]:
    return dict(
        db.execute(
            "select h.name, h.enabled from rowhooks.job_hook as h union all"
            " select b.name, b.enabled from rowhooks.job_button as b"
        ).fetchall()
    )


def version(db: Connection) -> int:
    row = db.execute("select version from rowhooks.configuration").fetchone()
    assert row is not None
    return int(row[0])


def hooks(db: Connection) -> dict[str, tuple[Any, ...]]:
    """Return each hook's declared, enabled, actions, columns, conditions and tables."""
    rows = db.execute(
        """
        select
          h.name, h.declared, h.enabled, concat_ws(' ',
            case when h.type_create then 'create' end, case when h.type_update then 'update' end,
            case when h.type_delete then 'delete' end
          ), h.columns, h.conditions,
          array(
            select t.table_name::text from rowhooks.job_hook_table as x
            join rowhooks.tracked_table as t on t.id = x.tracked_table_id where x.job_hook_id = h.id order by 1
          )
        from rowhooks.job_hook as h
        """
    ).fetchall()
    return {name: tuple(values) for name, *values in rows}


# Jobs


async def test_jobs_are_made_known_disabled(db: Connection, configuration: PostgresConfiguration) -> None:
    assert await configuration.sync_jobs([SERIAL, REBOOT]) == []
    assert jobs(db, "kind, name, grouping, description, hidden, meta") == {
        "policies.Serial": ("hook", "Serial policy", "Policies", "Keep serials tidy.", False, {"ordered": True}),
        "buttons.power.Reboot": ("button", "Reboot", "", "", True, {}),
    }
    assert jobs(db, "enabled, installed") == {"policies.Serial": (False, True), "buttons.power.Reboot": (False, True)}


async def test_what_a_class_says_of_itself_is_kept_up_to_date(
    db: Connection, configuration: PostgresConfiguration
) -> None:
    await configuration.sync_jobs([SERIAL, NAMES])
    db.execute("update rowhooks.job set enabled = true")
    changed = JobEntry("policies.Serial", "hook", "New name", "Other", "Else.", hidden=True, meta={"ordered": False})
    await configuration.sync_jobs([changed, NAMES])
    assert jobs(db, "name, grouping, description, hidden, meta, enabled") == {
        "policies.Serial": ("New name", "Other", "Else.", True, {"ordered": False}, True),
        "policies.Names": ("Names", "", "", False, {}, True),
    }


async def test_where_nothing_differs_the_configuration_stays_as_it_is(
    db: Connection, device: str, configuration: PostgresConfiguration
) -> None:
    declared = [
        ("policies.Serial", Hook("dcim.device", columns=["serial", "name"], conditions={"attr": "id", "value": 1}))
    ]
    await configuration.sync_jobs([SERIAL, REBOOT])
    await configuration.sync_hooks(declared)
    before = version(db)
    await configuration.sync_jobs([SERIAL, REBOOT])
    assert await configuration.sync_hooks(declared) == []
    assert version(db) == before


async def test_when_a_job_is_missing_its_hooks_and_buttons_stay_as_they_are(
    db: Connection, device: str, configuration: PostgresConfiguration
) -> None:
    await configuration.sync_jobs([SERIAL, NAMES, REBOOT])
    add(db, "Serials")
    add(db, "Names", job="policies.Names")
    add_button(db, "Reboot it")
    everything = {"Serials": True, "Names": True, "Reboot it": True}
    for jobs_found in ([NAMES], []):
        assert await configuration.sync_jobs(jobs_found) == []
        assert jobs(db) == {
            "policies.Serial": False, "policies.Names": NAMES in jobs_found, "buttons.power.Reboot": False,
        }  # fmt: skip
        assert enabled(db) == everything

    await configuration.sync_jobs([SERIAL, NAMES, REBOOT])
    assert jobs(db) == {"policies.Serial": True, "policies.Names": True, "buttons.power.Reboot": True}
    assert enabled(db) == everything


async def test_hooks_of_a_class_that_has_become_a_button_receiver_wait_until_a_person_lets_them_go(
    db: Connection, device: str, configuration: PostgresConfiguration
) -> None:
    await configuration.sync_jobs([SERIAL])
    add(db, "Serials")
    button = JobEntry("policies.Serial", "button", "Serial")
    assert await configuration.sync_jobs([button]) == [
        "policies.Serial is a button receiver now, and hooks of it wait for a hook receiver; give the class another"
        " name, or let them go: rowhooks jobs remove policies.Serial"
    ]
    assert jobs(db, "kind, installed") == {"policies.Serial": ("hook", False)}
    assert enabled(db) == {"Serials": True}
    db.execute("delete from rowhooks.job_hook")
    assert await configuration.sync_jobs([button]) == []
    assert jobs(db, "kind, installed") == {"policies.Serial": ("button", True)}


# Reading


async def test_columns_conditions_and_buttons_are_read(
    db: Connection, device: str, configuration: PostgresConfiguration
) -> None:
    await configuration.sync_jobs([SERIAL, REBOOT])
    add(db, "Serials", columns=["serial"], conditions='{"attr": "id", "value": 1}')
    add(db, "Everything")
    add_button(db, "Reboot it")
    loaded = await configuration.load()
    everything, serials = sorted(loaded.hooks, key=lambda hook: hook.name)
    assert (serials.columns, serials.conditions_json) == (frozenset({"serial"}), '{"attr": "id", "value": 1}')
    assert (everything.columns, everything.conditions_json) == (frozenset(), None)
    assert [(button.name, button.job.class_path) for button in loaded.buttons] == [
        ("Reboot it", "buttons.power.Reboot")
    ]


# Declared hooks


@pytest.fixture
async def installed(db: Connection, device: str, configuration: PostgresConfiguration) -> None:
    await configuration.sync_jobs([SERIAL, NAMES])


def serial(*given: Hook) -> list[tuple[str, Hook]]:
    return [("policies.Serial", hook) for hook in given]


async def test_hooks_declared_in_code_become_rows_marked_as_such(
    db: Connection, installed: None, configuration: PostgresConfiguration
) -> None:
    declared = serial(
        Hook("dcim.device", actions=["update"], columns=["serial"]),
        Hook(
            "dcim.device",
            actions=["create", "delete"],
            conditions={"attr": "id", "value": 1},
            name="Ones",
            enabled=False,
        ),
        Hook("dcim.device", actions=["delete"]),
    )
    assert await configuration.sync_hooks(declared) == []
    assert hooks(db) == {
        "Serial: dcim.device": (True, True, "update", ["serial"], None, ["device"]),
        "Ones": (True, False, "create delete", [], {"attr": "id", "value": 1}, ["device"]),
        "Serial: dcim.device (2)": (True, True, "delete", [], None, ["device"]),
    }


async def test_a_declared_hook_follows_the_code_in_everything_but_whether_it_is_enabled(
    db: Connection, installed: None, configuration: PostgresConfiguration
) -> None:
    db.execute("create table dcim.rack (id integer primary key)")
    db.execute("select rowhooks.track('dcim.rack')")
    await configuration.sync_hooks(serial(Hook("dcim.device", name="One", columns=["serial"])))
    db.execute("update rowhooks.job_hook set enabled = false")
    changed = Hook("dcim.rack", actions=["update"], conditions={"attr": "id", "value": 1}, name="One")
    assert await configuration.sync_hooks(serial(changed)) == []
    assert hooks(db) == {"One": (True, False, "update", [], {"attr": "id", "value": 1}, ["rack"])}


async def test_a_declared_hook_that_is_no_longer_in_the_code_is_removed_and_no_other(
    db: Connection, installed: None, configuration: PostgresConfiguration
) -> None:
    names = ("policies.Names", Hook("dcim.device", name="Names"))
    await configuration.sync_hooks([*serial(Hook("dcim.device", name="Serials")), names])
    add(db, "By hand", columns=["name"])
    await configuration.sync_hooks([names])
    assert sorted(hooks(db)) == ["By hand", "Names"]
    # Its job is not installed now: nobody knows what its code says.
    await configuration.sync_jobs([SERIAL])
    await configuration.sync_hooks([])
    assert sorted(hooks(db)) == ["By hand", "Names"]


async def test_a_name_that_is_taken_is_left_alone(
    db: Connection, installed: None, configuration: PostgresConfiguration
) -> None:
    add(db, "Serials", columns=["serial"])
    problems = await configuration.sync_hooks(
        [
            *serial(Hook("dcim.device", name="Serials"), Hook("dcim.device", name="Mine")),
            ("policies.Names", Hook("dcim.device", name="Mine")),
        ]
    )
    assert problems == [
        "hook Serials: declared by policies.Serial, but a hook of that name exists already, made by somebody, by hand; "
        "give it a name of its own: Hook(..., name=...)",
        "hook Mine: declared more than once; give each a name of its own: Hook(..., name=...)",
    ]
    assert hooks(db)["Serials"] == (False, True, "update", ["serial"], None, ["device"])


async def test_the_hooks_of_a_class_that_seems_to_have_moved_to_another_module_wait_for_a_person_to_say_so(
    db: Connection, installed: None, configuration: PostgresConfiguration
) -> None:
    await configuration.sync_hooks(serial(Hook("dcim.device")))
    await configuration.sync_jobs([JobEntry("rules.Serial", "hook", "Serial")])
    declared = [("rules.Serial", Hook("dcim.device"))]
    assert await configuration.sync_hooks(declared) == [
        "hook Serial: dcim.device: declared by rules.Serial, but it is policies.Serial's, which this daemon does not"
        " have and for which the hook waits; if the class has moved, run: rowhooks jobs move policies.Serial"
        " rules.Serial"
    ]
    whose = (
        "select h.name, h.enabled, j.class_path from rowhooks.job_hook as h join rowhooks.job as j on j.id = h.job_id"
    )
    assert db.execute(whose).fetchall() == [("Serial: dcim.device", True, "policies.Serial")]
    with db.transaction():
        move_job(db, "policies.Serial", "rules.Serial")
    assert await configuration.sync_hooks(declared) == []
    assert db.execute(whose).fetchall() == [("Serial: dcim.device", True, "rules.Serial")]


async def test_a_table_that_is_not_tracked_is_left_out_and_named_until_it_is(
    db: Connection, installed: None, configuration: PostgresConfiguration
) -> None:
    db.execute('create table dcim."Rack" (id integer primary key)')
    declared = serial(Hook("dcim.device", "dcim.Rack", "dcim.nowhere", name="One"))
    assert await configuration.sync_hooks(declared) == [
        "hook One: table dcim.Rack is not tracked; run: rowhooks track 'dcim.\"Rack\"'",
        "hook One: table dcim.nowhere does not exist",
    ]
    assert hooks(db)["One"][-1] == ["device"]
    db.execute("select rowhooks.track('dcim.\"Rack\"')")
    assert await configuration.sync_hooks(declared) == ["hook One: table dcim.nowhere does not exist"]
    assert hooks(db)["One"][-1] == ["Rack", "device"]


async def test_a_table_that_was_untracked_and_tracked_again_is_found(
    db: Connection, installed: None, configuration: PostgresConfiguration
) -> None:
    declared = serial(Hook("dcim.device", name="One", columns=["serial"]))
    await configuration.sync_hooks(declared)
    db.execute("select rowhooks.untrack('dcim.device')")
    # It waits for the table, as doctor and the log say, and is not declared anew.
    assert await configuration.sync_hooks(declared) == []
    db.execute("select rowhooks.track('dcim.device')")
    assert await configuration.sync_hooks(declared) == []
    loaded = await configuration.load()
    assert [hook.tables for hook in loaded.hooks] == [frozenset(loaded.tables)]


async def test_what_the_database_refuses_costs_that_hook_alone(
    db: Connection, installed: None, configuration: PostgresConfiguration
) -> None:
    add(db, "By hand")
    declared = serial(
        Hook("dcim.device", name="Conflict"),
        Hook("dcim.device", name="Column", columns=["asset_tag"]),
        Hook("dcim.device", name="Nul", conditions={"attr": "name", "value": "\0"}),
        Hook("dcim.device", name="Fine", actions=["delete"]),
    )
    conflict, column, nul = await configuration.sync_hooks(declared)
    assert conflict == (
        "hook Conflict: A job hook already exists for update on dcim.device to job policies.Serial"
        " (It is hook By hand. Give one of them other columns or conditions.)"
    )
    assert column.startswith("hook Column: job hook Column: there is no column asset_tag in dcim.device")
    assert nul.startswith("hook Nul: ")
    assert sorted(hooks(db)) == ["By hand", "Fine"]
    before = version(db)
    await configuration.sync_hooks(declared)
    assert version(db) == before


async def test_of_a_key_it_is_known_which_columns_write_one_value_in_several_ways(
    db: Connection, configuration: PostgresConfiguration
) -> None:
    db.execute('create collation public.loose from "C"')
    db.execute("create domain public.amount as numeric")
    types = {
        "integer": None, "text": None, "numeric(9, 2)": None, "numeric": "number", "public.amount": "number",
        "numeric[]": "number", "char(3)": "text", "text collate public.loose": "text", "interval": "any",
    }  # fmt: skip
    for number, type_ in enumerate(types):
        db.execute(f"create table public.t{number} (id {type_}, part integer, primary key (id, part))")
        db.execute(f"select rowhooks.track('public.t{number}')")
    # Not every server has a provider of such collations.
    db.execute("set allow_system_table_mods = on")
    db.execute("update pg_collation set collisdeterministic = false where collname = 'loose'")
    tables = {table.name: table.loose_key for table in (await configuration.load()).tables.values()}
    assert tables == {
        f"public.t{number}": {} if how is None else {"id": how} for number, how in enumerate(types.values())
    }
