"""rowhooks plan, apply and export: a file of what there is to be."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.cli import Rowhooks

Connection = psycopg.Connection[Any]

PLAN = """
tables:
  dcim.device: {exclude: [pin], ignore_columns: [seen]}
  dcim.site:
future:
  'dcim.x*': {always: true}
jobs:
  policies.Serial: {enabled: true}
  Reboot: {enabled: true}
hooks:
  Serials:
    job: policies.Serial
    tables: [dcim.device]
    actions: [create, update]
    columns: [serial]
    conditions: {attr: serial, op: gt, value: 1.10}
buttons:
  Reboot: {job: policies.Reboot, tables: [dcim.device], text: 'Reboot {{ obj }}', roles: [public]}
"""


@pytest.fixture(autouse=True)
def inventory(db: Connection) -> None:
    db.execute(
        """
        create schema dcim;
        create table dcim.device (id integer primary key, serial text, pin text, seen text);
        create table dcim.site (id integer primary key, name text);
        create table dcim.rack (id integer primary key, height integer);
        insert into rowhooks.job (class_path, kind, name) values
          ('policies.Serial', 'hook', 'Serial'), ('policies.Other', 'hook', 'Other'),
          ('policies.Reboot', 'button', 'Reboot');
        """
    )


@pytest.fixture
def rowhooks(capsys: pytest.CaptureFixture[str], dsn: str) -> Rowhooks:
    return Rowhooks(capsys, dsn)


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def written(text: str) -> Path:
        (tmp_path / "plan.yaml").write_text(text, encoding="utf-8")
        return tmp_path / "plan.yaml"

    return written


@pytest.fixture
def file(write: Any) -> Path:
    return Path(write(PLAN))


def state(db: Connection) -> list[Any]:
    """Return what is tracked and configured, as far as these tests change it."""
    return db.execute(
        """
        select 'table', t.relation::text, t.excluded_columns::text from rowhooks.tracked_table as t
        where t.untracked_at is null
        union all select 'rule', pattern, always::text from rowhooks.tracking_rule
        union all select 'job', class_path, enabled::text from rowhooks.job where enabled
        union all select 'hook', name, concat(columns, enabled) from rowhooks.job_hook
        union all select 'button', name, text from rowhooks.job_button
        order by 1, 2
        """
    ).fetchall()


def test_a_plan_shows_what_differs_and_changes_nothing(rowhooks: Rowhooks, file: Path, db: Connection) -> None:
    done = rowhooks("plan", file)
    assert (done.code, done.err) == (0, "")
    assert "+ table dcim.device (exclude: pin; ignore_columns: seen)" in done.out
    assert "~ job policies.Serial (enabled: false -> true)" in done.out
    assert "+ hook Serials (job: policies.Serial; tables: dcim.device; actions: create, update;" in done.out
    assert "5 to add, 2 to change, 0 to remove." in done.out
    assert rowhooks("plan", file, "--exit-code").code == 1
    assert state(db) == []


def test_what_is_applied_agrees_and_is_applied_once(rowhooks: Rowhooks, file: Path, db: Connection) -> None:
    assert rowhooks("apply", file).code == 0
    there = state(db)
    assert [row[:2] for row in there] == [
        ("button", "Reboot"), ("hook", "Serials"), ("job", "policies.Reboot"), ("job", "policies.Serial"),
        ("rule", "dcim.x*"), ("table", "dcim.device"), ("table", "dcim.site"),
    ]  # fmt: skip
    again = rowhooks("apply", file)
    assert (again.code, again.out) == (0, f"The database agrees with {file}.\n")
    assert rowhooks("plan", file, "--exit-code").code == 0
    assert rowhooks("plan", file, "--json").json == {"differences": [], "notes": []}
    assert state(db) == there


def test_a_change_keeps_the_hook_and_what_the_operator_has_decided(
    rowhooks: Rowhooks, file: Path, write: Any, db: Connection
) -> None:
    rowhooks("apply", file)
    db.execute("update rowhooks.job_hook set enabled = false")
    [its_id] = db.execute("select id from rowhooks.job_hook").fetchall()
    changed = PLAN.replace("columns: [serial]", "columns: [pin]").replace("exclude: [pin], ", "")
    found = rowhooks("plan", write(changed), "--json").json["differences"]
    assert {one["name"]: one["fields"] for one in found} == {
        "Serials": {"columns": [["serial"], ["pin"]]}, "dcim.device": {"exclude": [["pin"], []]},
    }  # fmt: skip
    assert rowhooks("apply", write(changed)).code == 0
    assert db.execute("select id, columns, enabled from rowhooks.job_hook").fetchone() == (*its_id, ["pin"], False)
    # And back: the column may be kept out again as soon as no hook asks for it.
    assert rowhooks("apply", write(PLAN)).code == 0
    assert db.execute("select columns from rowhooks.job_hook").fetchone() == (["serial"],)


def test_all_is_applied_or_nothing(rowhooks: Rowhooks, write: Any, db: Connection) -> None:
    wrong = PLAN.replace("columns: [serial]", "columns: [nowhere]")
    done = rowhooks("apply", write(wrong))
    assert (done.code, done.out) == (1, "")
    assert "job hook Serials: there is no column nowhere in dcim.device" in done.err
    assert state(db) == []


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (("  columns:", "  colums:"), 2, "plan.yaml:15: hooks.Serials.colums: unknown key"),
        (("create, update", "create, updat"), 2, "plan.yaml:14: hooks.Serials.actions.1: input should be"),
        (("dcim.site:", "dcim.device:"), 2, "plan.yaml:4: dcim.device stands here twice"),
        (("dcim.site:", "DCIM.Device:"), 2, "table dcim.device stands in the plan twice: as dcim.device and as DCIM"),
        (("dcim.site:", "dcim.nowhere:"), 1, "there is no table dcim.nowhere"),
        (("job: policies.Serial", "job: policies.New"), 1, "there is no job policies.New"),
        (("Reboot: {enabled: true}", "policies.New: {enabled: true}"), 1, "there is no job policies.New"),
        (
            ("tables: [dcim.device]\n", "tables: [dcim.rack]\n"),
            1,
            "Serials is on table dcim.rack, which is not",
        ),
        (("actions: [create, update]", "actions: []"), 2, "hook Serials: it needs actions"),
        (("op: gt", "op: ne"), 2, "unknown op 'ne'"),
        (("{{ obj }}", "{{ obj"), 2, "the text is no Jinja2 template"),
        (("roles: [public]", "roles: [nobody_]"), 1, "there is no role nobody_"),
        (("job: policies.Reboot", "job: policies.Other"), 1, "button Reboot cannot start job policies.Other"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_changed(
    rowhooks: Rowhooks, write: Any, db: Connection, change: tuple[str, str], code: int, message: str
) -> None:
    done = rowhooks("apply", write(PLAN.replace(*change, 1)))
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert state(db) == []


def test_a_missing_job_is_not_enabled(rowhooks: Rowhooks, file: Path, db: Connection) -> None:
    db.execute("update rowhooks.job set installed = false")
    done = rowhooks("plan", file)
    assert done.code == 1
    assert "job policies.Reboot cannot be enabled: it is not installed" in done.err


def test_what_the_file_does_not_name_goes_only_on_request(
    rowhooks: Rowhooks, file: Path, write: Any, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    rowhooks("apply", file)
    there = state(db)
    small = write("tables: {dcim.site: }\nhooks: {}\njobs: {}\n")
    assert rowhooks("apply", small).out == f"The database agrees with {small}.\n"
    assert state(db) == there
    planned = rowhooks("plan", small, "--prune").out
    assert "- table dcim.device\n" in planned
    assert "- hook Serials\n" in planned
    assert "~ job policies.Serial (enabled: true -> false)" in planned
    assert "button" not in planned  # the file has no such section
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert rowhooks("apply", small, "--prune").code == 1
    assert state(db) == there
    assert rowhooks("apply", small, "--prune", "--yes").code == 0
    assert [row[:2] for row in state(db)] == [("button", "Reboot"), ("rule", "dcim.x*"), ("table", "dcim.site")]


def test_a_hook_declared_in_code_is_shown_as_such_and_left_alone(
    rowhooks: Rowhooks, file: Path, write: Any, db: Connection
) -> None:
    db.execute("select rowhooks.track('dcim.device')")
    db.execute(
        "with hook as (insert into rowhooks.job_hook (name, job_id, type_update, declared) select 'Serials', id, true,"
        " true from rowhooks.job where name = 'Serial' returning id) insert into rowhooks.job_hook_table"
        " (job_hook_id, tracked_table_id) select h.id, t.id from hook as h cross join rowhooks.tracked_table as t"
    )
    done = rowhooks("apply", file, "--prune", "--yes")
    assert done.code == 0
    assert "hook Serials is declared in the code of policies.Serial, which says something else" in done.err
    assert "hook Serials" not in done.out
    assert db.execute("select columns, type_create from rowhooks.job_hook").fetchone() == ([], False)
    off = write("hooks: {Serials: {enabled: false}}")
    assert "~ hook Serials (enabled: true -> false)" in rowhooks("apply", off).out
    assert rowhooks("apply", off, "--prune", "--yes").code == 0
    assert db.execute("select enabled from rowhooks.job_hook").fetchall() == [(False,)]
    assert "  Serials:\n    enabled: false\n" in rowhooks("export").out


def test_what_is_exported_agrees_with_the_database(rowhooks: Rowhooks, file: Path, write: Any, db: Connection) -> None:
    rowhooks("apply", file)
    db.execute('create table dcim."Odd: name" (a integer, b integer, "on" text, unique (a, b))')
    db.execute("""select rowhooks.track('dcim."Odd: name"', identity => '{}', exclude => array['on'])""")
    db.execute("update rowhooks.job_hook set name = '12:30', enabled = false")
    exported = rowhooks("export").out
    assert "1.10" in exported
    copy = write(exported)
    done = rowhooks("plan", copy, "--prune", "--exit-code")
    assert (done.code, done.out) == (0, f"The database agrees with {copy}.\n")
    there = state(db)
    assert (
        rowhooks("apply", write("tables: {}\nfuture: {}\nhooks: {}\nbuttons: {}\njobs: {}"), "--prune", "--yes").code
        == 0
    )
    assert state(db) == []
    assert rowhooks("apply", write(exported)).code == 0
    assert state(db) == there


def test_without_pyyaml_the_message_says_what_to_install(
    rowhooks: Rowhooks, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "rowhooks.cli.plan_file", raising=False)
    monkeypatch.delattr("rowhooks.cli.plan_file", raising=False)
    monkeypatch.setitem(sys.modules, "yaml", None)
    done = rowhooks("plan", file)
    assert done.code == 2
    assert "pip install 'rowhooks[plan]'" in done.err
