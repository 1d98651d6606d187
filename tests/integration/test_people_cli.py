"""Viewers, operators and admins at the command line: none of them needs the daemon's role."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.support.cli import Rowhooks
from tests.support.hooks import add_button, add_hook
from tests.support.results import Serial, add_line, add_result

Connection = psycopg.Connection[Any]
As = Callable[[str], Rowhooks]
JOB = f"{Serial.__module__}.Serial"


class Reboot:
    """Stands for a button receiver."""


@pytest.fixture
def names() -> dict[str, str]:
    return {level: f"{level}_{uuid.uuid4().hex[:8]}" for level in ("viewer", "operator", "admin")}


@pytest.fixture
def as_(
    db: Connection, dsn: str, device: str, names: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> Iterator[As]:
    """Run commands as a viewer, an operator or an admin, each of whom may read dcim.device."""
    for level, name in names.items():
        db.execute(
            sql.SQL("create role {0} login in role {1}; grant usage on schema dcim to {0}").format(
                sql.Identifier(name), sql.Identifier(f"rowhooks_{level}")
            )
        )
        db.execute(sql.SQL("grant select on dcim.device to {}").format(sql.Identifier(name)))
    yield lambda level: Rowhooks(capsys, make_conninfo(dsn, user=names[level]))
    for name in names.values():
        db.execute(sql.SQL("drop owned by {0}; drop role {0}").format(sql.Identifier(name)))


@pytest.fixture
def failed(db: Connection, device: str) -> int:
    """A run of hook Serials for device 1 that has failed; and a table with a change that nobody of them may read."""
    hook_id = add_hook(db, Serial, device, "create", name="Serials")
    add_button(db, Reboot, device, name="Reboot")
    db.execute("insert into dcim.device values (1, 'sw1', 'SN1'), (2, 'sw2', 'SN2')")
    db.execute("create table dcim.secret (id integer primary key)")
    db.execute("select rowhooks.track('dcim.secret')")
    db.execute("insert into dcim.secret values (7)")
    hidden = add_result(db, hook_id, status="FAILURE", object_change_id=3, tracked_table=2, object_id='{"id": 7}')
    add_line(db, hidden, "hush")
    run = add_result(
        db, hook_id, status="FAILURE", object_change_id=1, tracked_table=1, object_id='{"id": 1}', hook_name="Serials",
        exception_message="no such device",
    )  # fmt: skip
    add_line(db, run, "it was there a moment ago")
    return run


def test_a_viewer_sees_changes_and_runs_of_the_rows_that_it_may_read(as_: As, failed: int) -> None:
    viewer = as_("viewer")
    assert [row["object_type"] for row in viewer("changes", "list", "--json").json] == ["dcim.device"] * 2
    assert viewer("changes", "list", "--table", "dcim.secret", "--json").json == []
    assert [row["id"] for row in viewer("results", "list", "--json").json] == [failed]
    shown = viewer("results", "show", failed, "--json").json
    assert [line["message"] for line in shown["log"]] == ["it was there a moment ago"]
    assert "it was there a moment ago" in viewer("results", "show", failed).out
    assert viewer("changes", "show", 1, "--json").json["postchange"]["serial"] == "SN1"
    for what, id_ in (("changes", 3), ("results", failed - 1)):
        done = viewer(what, "show", id_)
        assert (done.code, done.err.splitlines()[0]) == (1, f"rowhooks: there is no {what[:-1]} {id_}")


def test_a_viewer_sees_what_is_configured(as_: As, failed: int) -> None:
    viewer = as_("viewer")
    assert [row["name"] for row in viewer("hooks", "list", "--json").json] == ["Serials"]
    assert [row["name"] for row in viewer("buttons", "list", "--json").json] == ["Reboot"]
    assert {row["class_path"] for row in viewer("jobs", "list", "--json").json} == {JOB, f"{__name__}.Reboot"}
    assert viewer("jobs", "show", JOB, "--json").json["hooks"] == ["Serials"]


def test_a_viewer_is_told_which_role_is_missing(as_: As, failed: int, names: dict[str, str]) -> None:
    viewer = as_("viewer")
    for arguments in (
        ("results", "retry", failed), ("jobs", "disable", JOB), ("hooks", "disable", "Serials"),
        ("buttons", "disable", "Reboot"), ("replay", "--hook", "Serials", "--since", "1d", "--yes"),
    ):  # fmt: skip
        done = viewer(*arguments)
        assert done.code == 1, arguments
        assert f"grant rowhooks_operator to {names['viewer']}" in done.err, arguments
    done = viewer("hooks", "remove", "Serials")
    assert f"grant rowhooks_admin to {names['viewer']}" in done.err


def test_an_operator_retries_revokes_and_replays(db: Connection, as_: As, failed: int) -> None:
    operator = as_("operator")
    done = operator("replay", "--hook", "Serials", "--since", "2d", "--dry-run", "--json")
    assert done.json["runs"] == 2
    done = operator("replay", "--hook", "Serials", "--since", "2d", "--yes", "--json")
    assert done.json == {"hook": "Serials", "runs": 2}
    assert operator("results", "retry", failed).code == 0
    (waiting,) = operator("results", "list", "--status", "PENDING", "--limit", "1", "--json").json
    assert operator("results", "revoke", waiting["id"]).code == 0
    assert operator("results", "retry", failed - 1).code == 1
    states = db.execute("select status, count(*) from rowhooks.job_result group by 1 order by 1").fetchall()
    assert states == [("FAILURE", 2), ("PENDING", 2), ("REVOKED", 1)]


def test_an_operator_replays_no_table_that_it_may_not_read_whole(
    db: Connection, as_: As, failed: int, names: dict[str, str]
) -> None:
    operator = sql.Identifier(names["operator"])
    db.execute(
        sql.SQL("revoke select on dcim.device from {0}; grant select (id) on dcim.device to {0}").format(operator)
    )
    done = as_("operator")("replay", "--hook", "Serials", "--since", "2d", "--yes")
    assert done.code == 1
    assert "may not read table dcim.device" in done.err
    assert f"grant select on dcim.device to {names['operator']}" in done.err


def test_an_operator_enables_and_disables(db: Connection, as_: As, failed: int) -> None:
    operator = as_("operator")
    for command in ("disable", "enable"):
        assert operator("jobs", command, JOB).out == f"Job {JOB} is {command}d.\n"
        assert operator("hooks", command, "Serials").out == f"Hook Serials is {command}d.\n"
        assert operator("buttons", command, "Reboot").out == f"Button Reboot is {command}d.\n"
    assert operator("hooks", "edit", "Serials", "--on", "delete").code == 1
    assert db.execute("select count(*) from rowhooks.audit").fetchone() == (6,)


def test_an_admin_changes_hooks_and_buttons(db: Connection, as_: As, failed: int, names: dict[str, str]) -> None:
    admin = as_("admin")
    for arguments in (
        ("hooks", "add", "More", "--job", JOB, "--table", "dcim.device", "--on", "delete"),
        ("hooks", "edit", "More", "--on", "update", "--column", "serial", "--rename", "Less"),
        ("hooks", "edit", "Less", "--no-conditions"),
        ("hooks", "remove", "Less"),
        ("buttons", "add", "Again", "--job", "Reboot", "--table", "dcim.device", "--text", "Again"),
        ("buttons", "edit", "Again", "--text", "Once more", "--weight", "7"),
        ("buttons", "remove", "Again"),
    ):
        done = admin(*arguments)
        assert done.code == 0, (arguments, done.err)
    rows = admin("audit", "--limit", "3", "--json").json
    assert [(row["actor"], row["act"], row["object"], row["arguments"]) for row in rows] == [
        (names["admin"], "drop_job_button", "Again", None),
        (names["admin"], "alter_job_button", "Again", {"text": "Once more", "weight": 7}),
        (names["admin"], "create_job_button", "Again", rows[2]["arguments"]),
    ]
    assert rows[2]["arguments"]["tables"] == ["dcim.device"]
    found = admin(
        "audit", "--act", "drop_job_hook", "--object", "Less", "--actor", names["admin"], "--since", "1h", "--json"
    )
    assert len(found.json) == 1
    assert admin("audit", "--actor", "somebody", "--json").json == []


def test_the_audit_is_for_admins(as_: As, failed: int) -> None:
    assert as_("operator")("audit").code == 1


def test_a_viewer_follows_what_it_may_see_each_change_once_when_it_is_committed(
    dsn: str, db: Connection, as_: As, failed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(dsn) as early, psycopg.connect(dsn) as late:
        early.execute("insert into dcim.device values (10, 'open before', 'a')")

        def while_one_is_open() -> None:
            late.execute("insert into dcim.device values (11, 'lower id', 'b')")
            db.execute("insert into dcim.device values (12, 'higher id', 'c')")
            db.execute("insert into dcim.secret values (8)")

        def then_they_commit() -> None:
            late.commit()
            early.commit()

        def at_last() -> None:
            db.execute("update dcim.device set serial = 'd' where id = 12")

        steps: Iterator[Callable[[], object]] = iter([while_one_is_open, then_they_commit, at_last, lambda: None])

        def between_looks(_: float) -> None:
            if (step := next(steps, None)) is None:
                raise KeyboardInterrupt
            step()

        monkeypatch.setattr("rowhooks.postgres.administration.visible_following.sleep", between_looks)
        done = as_("viewer")("changes", "follow", "--json")
    told = [json.loads(line) for line in done.out.splitlines()]
    assert [(one["action"], one["object_id"]["id"], one["postchange"]["serial"]) for one in told] == [
        ("create", 12, "c"), ("create", 10, "a"), ("create", 11, "b"), ("update", 12, "d"),
    ]  # fmt: skip


def test_a_token_is_printed_once_listed_and_revoked(
    db: Connection, as_: As, failed: int, names: dict[str, str]
) -> None:
    viewer, admin = as_("viewer"), as_("admin")
    done = viewer("tokens", "create", "CI", "--scope", "read", "--scope", "press", "--expires", "30d")
    token = done.out.strip()
    assert token.startswith("rwh_")
    assert "It is shown once" in done.err
    [(kept,)] = db.execute("select hash = sha256(%s::bytea) from rowhooks.token", (token.encode(),)).fetchall()
    assert kept
    assert token not in json.dumps(db.execute("select to_jsonb(a.*) from rowhooks.audit as a").fetchall())
    (listed,) = admin("tokens", "list", "--json").json
    assert (listed["name"], listed["role"], listed["scopes"]) == ("CI", names["viewer"], ["press", "read"])
    assert as_("operator")("tokens", "list", "--json").json == []
    assert as_("operator")("tokens", "revoke", listed["id"]).code == 1
    assert viewer("tokens", "revoke", listed["id"]).out == f"Token {listed['id']} (CI) is revoked.\n"
    assert viewer("tokens", "list", "--json").json == []
    assert len(viewer("tokens", "list", "--all", "--json").json) == 1


@pytest.mark.parametrize(("arguments", "message"), [
    (("CI", "--scope", "everything"), "there is no scope everything"),
    (("CI", "--scope", "read", "--expires", "2y"), "2y"),
    (("CI", "--scope", "read", "--expires", "400d"), "a token expires within 366 days"),
    (("CI", "--scope", "read", "--role", "postgres"), "may not create tokens for role postgres"),
])  # fmt: skip
def test_what_no_token_may_be_is_refused(as_: As, failed: int, arguments: tuple[str, ...], message: str) -> None:
    done = as_("viewer")("tokens", "create", *arguments)
    assert done.code in (1, 2)
    assert message in done.err


def test_a_viewer_sees_the_state_in_numbers(as_: As, failed: int, db: Connection) -> None:
    viewer = as_("viewer")
    mine, whole = viewer("status", "--json").json, Rowhooks(viewer._capsys, db.info.dsn)("status", "--json").json
    assert mine.keys() == whole.keys()
    differing = {"lock_held_by", "unreadable_changes", "last_1000_runs", "lag_seconds"}
    assert {key: mine[key] for key in mine.keys() - differing} == {key: whole[key] for key in mine.keys() - differing}
    assert (mine["last_1000_runs"], mine["unreadable_changes"]) == ({"FAILURE": 1}, None)
    assert "not shown to this role" in viewer("status").out


def test_everybody_reads_the_standbys_in_one_order(as_: As, failed: int, db: Connection) -> None:
    names = ("rowhooks standby b", "rowhooks standby a")
    opened = [psycopg.connect(db.info.dsn, application_name=name) for name in names]
    try:
        found = [
            run("status", "--json").json["standbys"]
            for run in (as_("viewer"), Rowhooks(as_("viewer")._capsys, db.info.dsn))
        ]
        assert found == [["a", "b"]] * 2
    finally:
        for one in opened:
            one.close()


def test_doctor_says_to_a_viewer_what_it_could_not_look_at(as_: As, failed: int) -> None:
    done = as_("viewer")("doctor")
    assert "not looked at: your models: the daemon's role looks at them" in done.out
    assert "Nothing is wrong." not in done.out
    found = as_("viewer")("doctor", "--json")
    assert {"unseen"} <= {one["level"] for one in json.loads(found.out)}
