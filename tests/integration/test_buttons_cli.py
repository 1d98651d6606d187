"""`rowhooks buttons` and `rowhooks press` on a real database."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.support.cli import Done, Rowhooks

Connection = psycopg.Connection[Any]
pytestmark = pytest.mark.usefixtures("empty_directory")


@pytest.fixture
def clerk(db: Connection) -> Iterator[str]:
    """A role without any right but to log in."""
    name = f"clerk_{uuid.uuid4().hex[:12]}"
    db.execute(sql.SQL("create role {} login").format(sql.Identifier(name)))
    yield name
    db.execute(sql.SQL("drop owned by {} cascade").format(sql.Identifier(name)))
    db.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


@pytest.fixture
def clerks(capsys: pytest.CaptureFixture[str], dsn: str, clerk: str) -> Rowhooks:
    return Rowhooks(capsys, make_conninfo(dsn, user=clerk))


@pytest.fixture
def job(db: Connection, device: str) -> str:
    """An enabled button receiver, a hook receiver beside it, and a device."""
    db.execute(
        "insert into rowhooks.job (class_path, kind, name, enabled)"
        " values ('jobs.Reboot', 'button', 'Reboot a device', true), ('jobs.Serial', 'hook', 'Serial', true)"
    )
    db.execute("insert into dcim.device values (42, '<core-1>', 'A1')")
    return "jobs.Reboot"


@pytest.fixture
def button(run: Rowhooks, job: str, device: str) -> str:
    """`Reboot` on dcim.device, for everybody."""
    done = run(
        "buttons",
        "add",
        "Reboot",
        "--job",
        job,
        "--table",
        device,
        "--text",
        "Reboot {{ obj.name }}",
        "--role",
        "public",
    )
    assert (done.code, done.err) == (0, "")
    return "Reboot"


@pytest.fixture
def reader(db: Connection, clerk: str) -> None:
    """Lets the clerk read the devices."""
    db.execute(f"grant usage on schema dcim to {clerk}; grant select on dcim.device to {clerk}")


def presses(db: Connection, columns: str = "id") -> list[Any]:
    found = db.execute(f"select {columns} from rowhooks.job_result order by id").fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


# Setting up


def test_a_button_is_added_with_nautobots_defaults(run: Rowhooks, button: str) -> None:
    (row,) = run("buttons", "list", "--json").json
    del row["id"]
    assert row == {
        "name": "Reboot", "job": "jobs.Reboot", "enabled": True, "job_enabled": True, "text": "Reboot {{ obj.name }}",
        "group_name": "", "weight": 100, "button_class": "default", "confirmation": True, "roles": ["public"],
        "queue": None, "tables": ["dcim.device"],
        "waits_for": [],
    }  # fmt: skip


def test_every_field_can_be_given(db: Connection, run: Rowhooks, job: str, device: str, clerk: str) -> None:
    db.execute("create table dcim.location (id integer primary key); select rowhooks.track('dcim.location')")
    done = run(
        "buttons", "add", "Off", "--job", "Reboot a device", "--table", device, "--table", "dcim.location",
        "--text", "Off", "--group", "Power", "--weight", 5, "--class", "danger", "--no-confirmation",
        "--role", clerk, "--role", "public", "--queue", "default", "--disabled",
    )  # fmt: skip
    assert (done.code, done.out, done.err) == (0, "Button Off added.\n", "")
    (row,) = run("buttons", "list", "--json").json
    del row["id"]
    assert row == {
        "name": "Off", "job": "jobs.Reboot", "enabled": False, "job_enabled": True, "text": "Off",
        "group_name": "Power", "weight": 5, "button_class": "danger", "confirmation": False, "roles": [clerk, "public"],
        "queue": "default", "tables": ["dcim.device", "dcim.location"],
        "waits_for": [],
    }  # fmt: skip


def test_a_button_that_nobody_may_press_is_pointed_out(run: Rowhooks, job: str, device: str) -> None:
    done = run("buttons", "add", "Off", "--job", job, "--table", device, "--text", "Off")
    assert done.code == 0
    assert "Only superusers and the daemon's role may press it" in done.err


def test_a_button_whose_job_is_disabled_is_pointed_out(db: Connection, run: Rowhooks, job: str, device: str) -> None:
    db.execute("update rowhooks.job set enabled = false")
    done = run("buttons", "add", "Off", "--job", job, "--table", device, "--text", "Off", "--role", "public")
    assert done.code == 0
    assert "rowhooks jobs enable jobs.Reboot" in done.err


def add(run: Rowhooks, **given: Any) -> Done:
    options = {"job": "jobs.Reboot", "table": "dcim.device", "text": "Off", "role": "public"} | given
    return run("buttons", "add", "Off", *(part for name, value in options.items() for part in (f"--{name}", value)))


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ({"job": "jobs.Nothing"}, 1, "there is no job jobs.Nothing"),
        ({"job": "jobs.Serial"}, 1, "button Off cannot start job jobs.Serial: it is a hook receiver"),
        ({"table": "dcim.nothing"}, 1, "there is no table dcim.nothing"),
        ({"table": "pg_class"}, 1, "is not tracked"),
        ({"role": "no_such_role"}, 1, "there is no role no_such_role"),
        ({"text": "{{ obj.name "}, 2, "the text is no Jinja2 template"),
        ({"text": "x" * 501}, 2, "the text has 501 characters"),
        ({"class": "pink"}, 2, "there is no button class pink"),
        ({"queue": "a b"}, 2, "queue 'a b' is no name of a queue\n  a name has 1 to 63 letters, digits, _, - and .\n"),
        ({"queue": ""}, 2, "queue '' is no name of a queue"),
        ({"weight": -1}, 2, "--weight"),
    ],
)
def test_what_makes_no_button_is_refused_and_leaves_nothing(
    run: Rowhooks, job: str, given: dict[str, Any], code: int, message: str
) -> None:
    done = add(run, **given)
    assert done.code == code
    assert message in done.err
    assert run("buttons", "list", "--json").json == []


def test_a_name_that_is_taken_is_refused(run: Rowhooks, button: str) -> None:
    add(run)
    done = add(run)
    assert done.code == 1
    assert "a button named Off exists already" in done.err


def test_an_edit_changes_what_is_given_and_leaves_the_rest(db: Connection, run: Rowhooks, button: str) -> None:
    db.execute("create table dcim.location (id integer primary key); select rowhooks.track('dcim.location')")
    (before,) = run("buttons", "list", "--json").json
    done = run("buttons", "edit", button, "--weight", 7, "--table", "dcim.location", "--no-confirmation", "--no-role")
    assert (done.code, done.out) == (0, "Button Reboot changed.\n")
    (after,) = run("buttons", "list", "--json").json
    assert after == before | {"weight": 7, "tables": ["dcim.location"], "confirmation": False, "roles": []}


def test_a_button_gets_a_queue_of_its_own_and_gives_it_up(run: Rowhooks, button: str) -> None:
    def queue() -> Any:
        return run("buttons", "list", "--json").json[0]["queue"]

    done = run("buttons", "edit", button, "--queue", "reports")
    assert done.code == 0
    assert "the daemon's setting queues does not name reports; here it is: default" in done.err
    assert queue() == "reports"
    assert run("buttons", "edit", button, "--weight", 7).err == ""
    assert queue() == "reports"
    assert run("buttons", "edit", button, "--no-queue").code == 0
    assert queue() is None


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--queue", "a", "--no-queue"], 2, "--queue and --no-queue exclude each other"),
        (["--queue", "a/b"], 2, "queue 'a/b' is no name of a queue"),
        (["--text", "{% if %}"], 2, "the text is no Jinja2 template"),
        (["--job", "jobs.Serial"], 1, "button Reboot cannot start job jobs.Serial"),
        (["--role", "public", "--no-role"], 2, "exclude each other"),
        (["--weight", "5", "--table", "dcim.nothing"], 1, "there is no table dcim.nothing"),
    ],
)
def test_an_edit_that_makes_no_sense_changes_nothing(
    run: Rowhooks, button: str, options: list[str], code: int, message: str
) -> None:
    before = run("buttons", "list", "--json").json
    done = run("buttons", "edit", button, *options)
    assert done.code == code
    assert message in done.err
    assert run("buttons", "list", "--json").json == before


@pytest.mark.parametrize("command", ["edit", "enable", "disable", "remove"])
def test_a_button_that_does_not_exist_is_named(run: Rowhooks, command: str) -> None:
    done = run("buttons", command, "Nothing")
    assert done.code == 1
    assert "there is no button Nothing" in done.err
    assert "rowhooks buttons list" in done.err


def test_a_button_is_disabled_enabled_and_removed(run: Rowhooks, button: str) -> None:
    assert run("buttons", "disable", button).out == "Button Reboot is disabled.\n"
    assert [row["enabled"] for row in run("buttons", "list", "--json").json] == [False]
    assert run("buttons", "enable", button).out == "Button Reboot is enabled.\n"
    assert [row["enabled"] for row in run("buttons", "list", "--json").json] == [True]
    assert run("buttons", "remove", button).out == "Button Reboot removed.\n"
    assert run("buttons", "list", "--json").json == []


def test_enabling_a_button_whose_job_is_disabled_is_refused_with_the_jobs_name(
    db: Connection, run: Rowhooks, button: str
) -> None:
    run("buttons", "disable", button)
    db.execute("update rowhooks.job set enabled = false")
    done = run("buttons", "enable", button)
    assert done.code == 1
    assert "button Reboot cannot be enabled: its job jobs.Reboot is disabled" in done.err
    assert "rowhooks jobs enable jobs.Reboot" in done.err


def test_the_daemons_login_sets_buttons_up(
    capsys: pytest.CaptureFixture[str], daemon_dsn: str, job: str, device: str
) -> None:
    daemons = Rowhooks(capsys, daemon_dsn)
    assert add(daemons).code == 0
    for command in (("edit", "Off", "--weight", 3), ("disable", "Off"), ("enable", "Off"), ("remove", "Off")):
        assert daemons("buttons", *command).code == 0


def test_an_ordinary_role_sets_no_button_up(clerks: Rowhooks, button: str) -> None:
    assert clerks("buttons", "list").code == 1
    assert clerks("buttons", "remove", button).code == 1


# What a page would show


def test_a_row_shows_its_buttons_in_order_and_why_one_cannot_be_pressed(
    db: Connection, run: Rowhooks, button: str, clerks: Rowhooks, clerk: str, reader: None
) -> None:
    given: dict[str, list[object]] = {
        "hidden": ["--text", "{% if obj.serial == 'B2' %}x{% endif %}"],
        "broken": ["--text", "{{ obj.nothing }}", "--group", "Power", "--weight", 1],
        "mine": ["--text", "{{ user }} {{ user.is_superuser }} {{ user.groups }}"
                 " {{ user.has_perm('dcim.view_device') }}", "--group", "Power"],
        "denied": ["--text", "{{ obj }}", "--group", "Audit"],
    }  # fmt: skip
    for name, options in given.items():
        roles = [] if name == "denied" else ["--role", "public"]
        assert run("buttons", "add", name, "--job", "jobs.Reboot", "--table", "dcim.device", *options, *roles).code == 0
    shown = clerks("buttons", "for", "dcim.device", 42, "--json").json
    assert [(row["group_name"], row["name"], row["label"], row["disabled"]) for row in shown] == [
        ("", "Reboot", "Reboot &lt;core-1&gt;", False),
        ("Audit", "denied", "&lt;core-1&gt;", True),
        ("Power", "broken", "broken", True),
        ("Power", "mine", f"{clerk} False [] True", False),
    ]
    assert [row["reason"] for row in shown][:2] == ["", "you may not press it"]
    assert "nothing" in shown[2]["reason"]


def test_a_table_of_the_buttons_is_printed(run: Rowhooks, button: str) -> None:
    done = run("buttons", "for", "dcim.device", "42")
    assert "Reboot &lt;core-1&gt;" in done.out
    done = run("buttons", "list")
    assert "jobs.Reboot" in done.out


def test_a_row_without_buttons_says_so(run: Rowhooks, job: str) -> None:
    done = run("buttons", "for", "dcim.device", "42")
    assert (done.code, done.out, done.err) == (0, "", "This row has no button.\n")


@pytest.mark.parametrize(
    ("table", "key", "code", "message"),
    [
        ("dcim.device", "43", 1, "there is no row 43 in dcim.device"),
        ("dcim.device", "x", 1, "invalid input syntax for type integer"),
        ("dcim.nothing", "42", 1, 'relation "dcim.nothing" does not exist'),
        ("dcim.pair", "42", 2, "42 is no key of dcim.pair"),
        ("dcim.pair", "{", 2, "{ is no JSON object"),
        ("dcim.keyless", "42", 1, "table dcim.keyless has no primary key"),
    ],
)
def test_a_row_that_cannot_be_found_is_named(
    db: Connection, run: Rowhooks, button: str, table: str, key: str, code: int, message: str
) -> None:
    db.execute(
        "create table dcim.pair (a integer, b integer, primary key (a, b)); create table dcim.keyless (id integer)"
    )
    done = run("buttons", "for", table, key)
    assert done.code == code
    assert message in done.err


def test_a_row_that_row_security_hides_has_no_buttons_to_show(
    db: Connection, button: str, clerks: Rowhooks, reader: None
) -> None:
    db.execute("alter table dcim.device enable row level security")
    done = clerks("buttons", "for", "dcim.device", "42")
    assert done.code == 1
    assert "there is no row 42 in dcim.device, or you may not see it" in done.err


def test_the_buttons_of_a_row_with_a_composite_key_are_shown(db: Connection, run: Rowhooks, button: str) -> None:
    db.execute('create table dcim."A:b" ("k:1" integer, k2 text, primary key ("k:1", k2))')
    db.execute("""insert into dcim."A:b" values (1, 'x')""")
    db.execute("""select rowhooks.track('dcim."A:b"')""")
    assert run("buttons", "edit", button, "--table", 'dcim."A:b"', "--text", "{{ obj }} {{ obj['k:1'] }}").code == 0
    (shown,) = run("buttons", "for", 'dcim."A:b"', '{"k:1": 1, "k2": "x"}', "--json").json
    assert shown["label"] == "1, x 1"


# Pressing


def test_an_ordinary_role_presses_and_is_told_the_run(
    db: Connection, button: str, clerks: Rowhooks, clerk: str, reader: None
) -> None:
    done = clerks("press", button, "dcim.device", "42")
    assert (done.code, done.err) == (0, "")
    assert presses(db, "id::text, status, db_user") == [(done.out.strip(), "PENDING", clerk)]


def test_a_press_is_told_as_json(db: Connection, run: Rowhooks, button: str) -> None:
    assert run("press", button, "dcim.device", "42", "--json").json == {"id": presses(db)[0]}


def test_a_composite_key_is_a_json_object(db: Connection, run: Rowhooks, button: str) -> None:
    db.execute("create table dcim.pair (a integer, b integer, primary key (a, b)); insert into dcim.pair values (1, 2)")
    db.execute("select rowhooks.track('dcim.pair')")
    run("buttons", "edit", button, "--table", "dcim.pair")
    assert run("press", button, "dcim.pair", '{"a": 1, "b": 2}').code == 0
    assert presses(db, "object_id") == [{"a": 1, "b": 2}]


def test_two_presses_with_one_key_are_one_press(db: Connection, run: Rowhooks, button: str) -> None:
    first = run("press", button, "dcim.device", "42", "--idempotency-key", "k")
    assert run("press", button, "dcim.device", "42", "--idempotency-key", "k") == first
    assert len(presses(db)) == 1


def test_a_role_without_rights_on_the_row_is_refused_by_the_database(
    db: Connection, button: str, clerks: Rowhooks, clerk: str
) -> None:
    db.execute(f"grant usage on schema dcim to {clerk}")
    done = clerks("press", button, "dcim.device", "42")
    assert (done.code, done.out) == (1, "")
    assert f"role {clerk} may not press a button on a row of dcim.device: it may not read that table" in done.err
    assert f"grant select on dcim.device to {clerk}" in done.err
    assert presses(db) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Nothing", "dcim.device", "42"], "there is no button Nothing"),
        (["Reboot", "dcim.device", "43"], 'there is no row {"id": "43"} in dcim.device'),
        (["Reboot", "dcim.device", "x"], "x is no key of dcim.device"),
        (["Reboot", "dcim.nothing", "42"], 'relation "dcim.nothing" does not exist'),
    ],
)
def test_a_refusal_of_the_database_exits_with_1_and_its_message(
    run: Rowhooks, button: str, arguments: list[str], message: str
) -> None:
    done = run("press", *arguments)
    assert (done.code, done.out) == (1, "")
    assert message in done.err


@pytest.mark.parametrize("command", [("press", "Reboot", "dcim.device", "42"), ("buttons", "for", "dcim.device", "42")])
def test_a_database_without_rowhooks_is_told(
    capsys: pytest.CaptureFixture[str], empty_dsn: str, clerk: str, command: tuple[str, ...]
) -> None:
    done = Rowhooks(capsys, make_conninfo(empty_dsn, user=clerk))(*command)
    assert done.code == 1
    assert "rowhooks is not installed in this database" in done.err
    assert "rowhooks init" in done.err


@pytest.mark.parametrize("command", [("press", "Reboot", "dcim.device", "42"), ("buttons", "for", "dcim.device", "42")])
def test_a_server_that_cannot_be_reached_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: tuple[str, ...]
) -> None:
    done = Rowhooks(capsys, f"host={tmp_path} dbname=inventory")(*command)
    assert done.code == 1
    assert f"cannot connect to inventory on {tmp_path}" in done.err
