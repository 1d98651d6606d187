"""rowhooks results show --as-test: a run becomes a test, which does what the run has done."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rowhooks.receivers.loading import load_receivers
from rowhooks.receivers.registry import take_registered
from rowhooks.testing import Rehearsal
from tests.support.cli import Rowhooks
from tests.support.daemons import running_daemon
from tests.support.hooks import add_button, add_hook
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]

RECEIVERS = """
from rowhooks import JobButtonReceiver, JobHookReceiver, register_jobs

SEEN = []


class SerialPolicy(JobHookReceiver):
    def receive_job_hook(self, change, action, changed_object):
        exact = [str(row and row.get("exact")) for row in (change.before, change.after)]
        rows = [row and {n: v for n, v in row.items() if n != "exact"} for row in (change.prechange, change.postchange)]
        seen = [action, change.user_name, change.request_id, *rows, exact]
        if action == "update" and getattr(changed_object, "name", None) == "bad":
            raise ValueError(f"{changed_object.name!r} is no name")
        SEEN.append(seen)
        return seen


class Retire(JobButtonReceiver):
    def receive_job_button(self, obj):
        if not self.user.has_perm("dcim.change_device"):
            raise PermissionError(f"{self.user} may not")
        SEEN.append([obj.name, str(self.user)])
        return SEEN[-1]


register_jobs(SerialPolicy, Retire)
"""
MODULE = "as_test_receivers"
SCHEMA = r"""
create schema dcim;
create type dcim.mood as enum ('happy', 'sad');
create type dcim.pair as (a integer, b text);
create table dcim.region (id integer primary key, parent integer references dcim.region, name text not null);
create table dcim.site (
  id integer primary key, code text not null unique, region integer not null references dcim.region,
  api_token text not null
);
create table dcim.device (
  id bigint generated always as identity primary key, name text not null, site text references dcim.site (code),
  price numeric, exact numeric(30, 10), ratio float8, flag boolean, made timestamptz, day date, pause interval,
  key uuid, raw bytea, document jsonb, plain json, numbers numeric[], grid integer[], span tstzrange, address inet,
  mood dcim.mood, pair dcim.pair, bits bit(4), label char(5), password_hash text, "Odd ""name" text,
  doubled text generated always as (name || name) stored
);
create table dcim.reading (place text, value integer);
insert into dcim.region values (1, null, 'Europe'), (2, 1, 'Switzerland');
insert into dcim.site values (7, 'ZRH', 2, 'token-of-ours');
"""
ODD = 'it\'s "quoted" \\ back\nslash \t\x07 \u00e4\u20ac\U0001f600 {x} %s'


@pytest.fixture
def classes(tmp_path: Path) -> dict[str, Any]:
    """The receivers, in a module that a test can import from its directory."""
    (tmp_path / f"{MODULE}.py").write_text(RECEIVERS)
    sys.modules.pop(MODULE, None)
    take_registered()
    found, problems = load_receivers([f"{MODULE}.py"], tmp_path)
    assert problems == []
    return {cls.__name__: cls for cls in found}


@pytest.fixture
def inventory(db: Connection) -> Connection:
    db.execute(SCHEMA)
    db.execute("select rowhooks.track('dcim.device'), rowhooks.track('dcim.reading', identity => '{}')")
    db.execute(
        "grant usage on schema dcim to rowhooks_daemon; grant select on all tables in schema dcim to rowhooks_daemon"
    )
    db.execute(
        """
        insert into dcim.device values (
          default, 'sw1', 'ZRH', 1.50, 12345678901234567890.0123456789, 'NaN', true, '2026-01-02 03:04:05.678+00',
          'infinity', '1 day 2 h', '6f3a1e9c-0f2b-4c7e-9a51-3d1b2c4d5e6f', '\\x00ff',
          '{"a": [1, 2.5, 123456789012345678901234567890, null, {"b": "x"}]}', '{"z": 1}', '{1.10,NULL}',
          '{{1,2},{3,4}}', '[2026-01-01 00:00:00+00,)', '10.0.0.1/24', 'sad', '(1,"x y")', '1010', 'ab',
          'a secret', %s
        )
        """,
        (ODD,),
    )
    return db


async def perform(db: Connection, daemon_dsn: str, cls: Any, *statements: str) -> None:
    async with running_daemon(daemon_dsn, cls):
        for statement in statements:
            db.execute(statement)
        await settled(db)


def last_run(db: Connection) -> int:
    row = db.execute("select r.id from rowhooks.results as r order by r.created_at desc, r.id desc limit 1").fetchone()
    assert row is not None
    return int(row[0])


def run_test(own_dsn: str, source: str) -> Any:
    """Run a test as pytest does; return what its receiver has seen."""
    names: dict[str, Any] = {}
    exec(compile(source, "test_run.py", "exec"), names)
    (test,) = (value for name, value in names.items() if name.startswith("test_"))
    with Rehearsal(own_dsn) as kit:
        test(kit)
    return sys.modules[MODULE].SEEN[-1]


def run_file(directory: Path, own_dsn: str, source: str) -> subprocess.CompletedProcess[str]:
    """Write a test into a file beside the receivers, and run it with pytest."""
    (directory / "test_run.py").write_text(source)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", directory,
         directory / "test_run.py", "--rowhooks-dsn", own_dsn],
        capture_output=True, text=True, check=False, cwd=directory,
    )  # fmt: skip


@pytest.fixture
def fresh(empty_dsn: str) -> str:
    """A database for tests: it has the tables and not one row, and knows nothing of rowhooks."""
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        conn.execute(SCHEMA[: SCHEMA.index("insert into")])
    return empty_dsn


async def test_an_update_with_values_of_every_type_becomes_a_test_that_shows_the_same_change(
    inventory: Connection, daemon_dsn: str, run: Rowhooks, classes: dict[str, Any], tmp_path: Path, fresh: str
) -> None:
    add_hook(inventory, classes["SerialPolicy"], "dcim.device")
    await perform(
        inventory, daemon_dsn, classes["SerialPolicy"],
        "begin; select set_config('rowhooks.user', 'alice', true), set_config('rowhooks.request_id', 'r-17', true);"
        " update dcim.device set name = 'core1', exact = 2, document = '[1.0]', password_hash = 'another'; commit",
    )  # fmt: skip
    (seen,) = inventory.execute("select r.result from rowhooks.results as r").fetchone() or ([],)
    done = run("results", "show", last_run(inventory), "--as-test")
    assert (done.code, done.err) == (0, "")
    # Whoever reads it sees where it comes from, and no secret.
    ast.parse(done.out)
    assert "look through\nthem before you commit" in done.out
    for secret in ("a secret", "another", "token-of-ours"):
        assert secret not in done.out
    assert "The value of password_hash is redacted." in done.out
    assert max(map(len, done.out.splitlines())) < 200
    shown = run_test(fresh, done.out)
    for row, password in zip(seen[3:5], ("redacted", "redacted too"), strict=True):
        row["password_hash"] = password
    assert shown == seen
    # Also where the rows are there already, with other values.
    with psycopg.connect(fresh, autocommit=True) as conn:
        conn.execute("insert into dcim.region values (2, null, 'other'), (1, 2, 'other')")
        conn.execute("insert into dcim.device (name) values ('other')")
    assert run_test(fresh, done.out) == seen
    # As a person would who has written it into a file beside the receivers.
    tested = run_file(tmp_path, fresh, done.out)
    assert tested.returncode == 0, tested.stdout


async def test_a_failure_becomes_a_test_that_fails_until_it_is_mended(
    inventory: Connection,
    daemon_dsn: str,
    run: Rowhooks,
    classes: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    fresh: str,
) -> None:
    add_hook(inventory, classes["SerialPolicy"], "dcim.device")
    await perform(inventory, daemon_dsn, classes["SerialPolicy"], "update dcim.device set name = 'bad'")
    done = run("results", "show", last_run(inventory), "--as-test")
    assert "    # It ended as FAILURE: ValueError: 'bad' is no name\n" in done.out
    with pytest.raises(AssertionError):
        run_test(fresh, done.out)
    monkeypatch.setattr(classes["SerialPolicy"], "receive_job_hook", lambda *_, **__: None)
    sys.modules[MODULE].SEEN.append("mended")
    assert run_test(fresh, done.out) == "mended"


async def test_creates_deletes_and_tables_without_a_key_become_tests(
    inventory: Connection, daemon_dsn: str, run: Rowhooks, classes: dict[str, Any], tmp_path: Path, fresh: str
) -> None:
    cls = classes["SerialPolicy"]
    add_hook(inventory, cls, "dcim.device")
    add_hook(inventory, cls, "dcim.reading", name="readings")
    await perform(
        inventory, daemon_dsn, cls,
        "insert into dcim.device (name, site) values ('sw2', 'ZRH')", "delete from dcim.device",
        "insert into dcim.reading values ('roof', 1)", "update dcim.reading set value = 2",
    )  # fmt: skip
    runs = inventory.execute("select r.id, r.action, r.object_type, r.result from rowhooks.results as r").fetchall()
    assert len(runs) == 5
    for id_, action, table, seen in runs:
        shown = run_test(fresh, run("results", "show", id_, "--as-test").out)
        for row in seen[3:5]:
            if row and row.get("password_hash"):
                row["password_hash"] = "redacted"
        assert shown == seen, (action, table)


async def test_a_press_becomes_a_test_with_the_row_as_it_is_and_what_the_presser_may_do(
    inventory: Connection, daemon_dsn: str, run: Rowhooks, classes: dict[str, Any], tmp_path: Path, fresh: str
) -> None:
    add_button(inventory, classes["Retire"], "dcim.device", name="Retire")
    await perform(inventory, daemon_dsn, classes["Retire"], "select rowhooks.press('Retire', 'dcim.device', '1')")
    done = run("results", "show", last_run(inventory), "--as-test")
    assert "The row is as it is now, not as it was when the button was pressed." in done.out
    assert 'permissions={"dcim.add_device", "dcim.add_region", "dcim.add_site", "dcim.change_device"' in done.out
    assert run_test(fresh, done.out) == ["sw1", inventory.info.user]
    inventory.execute(
        'update rowhooks.job_result set inputs = \'{"apiKey": "s3cret", "racks": [{"size": 3, "password": "x7"}]}\''
    )
    done = run("results", "show", last_run(inventory), "--as-test")
    assert 'inputs={"racks": [{"size": 3, "password": "redacted"}], "apiKey": "redacted"},' in done.out
    assert "The input apiKey is redacted." in done.out
    inventory.execute("delete from dcim.device")
    gone = run("results", "show", last_run(inventory), "--as-test")
    assert gone.code == 1
    assert 'the row on which the button was pressed, {"id": 1} of dcim.device, no longer exists' in gone.err


async def test_what_cannot_become_a_test_is_refused_with_the_reason(
    inventory: Connection, daemon_dsn: str, run: Rowhooks, classes: dict[str, Any]
) -> None:
    cls = classes["SerialPolicy"]
    add_hook(inventory, cls, "dcim.device")
    await perform(inventory, daemon_dsn, cls, "update dcim.device set name = 'core1'")
    id_ = last_run(inventory)
    missing = run("results", "show", 4711, "--as-test")
    assert (missing.code, "there is no result 4711" in missing.err) == (1, True)
    both = run("results", "show", id_, "--as-test", "--json")
    assert (both.code, "--as-test excludes --json" in both.err) == (2, True)
    inventory.execute("update rowhooks.job set meta = meta || '{\"has_sensitive_variables\": true}'")
    sensitive = run("results", "show", id_, "--as-test")
    assert (sensitive.code, "has Meta.has_sensitive_variables" in sensitive.err) == (1, True)
    inventory.execute("update rowhooks.job set meta = meta - 'has_sensitive_variables'")
    inventory.execute("update rowhooks.job_result set class_path = 'tests.f.<locals>.Policy'")
    local = run("results", "show", id_, "--as-test")
    assert (local.code, "cannot be imported by its name" in local.err) == (1, True)
    inventory.execute("delete from rowhooks.object_change")
    pruned = run("results", "show", id_, "--as-test")
    assert (pruned.code, "is no longer in the log" in pruned.err) == (1, True)
