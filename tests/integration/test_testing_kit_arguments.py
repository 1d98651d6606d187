"""The testing kit: users, hooks, buttons, and what is said of wrong arguments."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest
from psycopg import sql

from rowhooks import Hook, JobButtonReceiver, JobHookReceiver, ObjectChange, PermissionBackend
from rowhooks.domain.errors import (
    Conflict,
    ConnectionFailed,
    DatabaseError,
    NotFound,
    PermissionDenied,
    ReceiverError,
    RowhooksError,
    SettingsError,
    UsageError,
)
from rowhooks.testing import Rehearsal, press_button
from tests.support.rehearsing import SerialPolicy

Connection = psycopg.Connection[Any]


# Users.


class Asks(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        user = self.user
        return [user.username, user.has_perm("dcim.view_device"), user.has_perm("dcim.change_device"), user.groups]


def test_a_role_has_the_permissions_that_postgresql_knows(kit: Rehearsal) -> None:
    role = f"noc_{uuid.uuid4().hex[:8]}"
    for statement in (f"create role {role}", f"grant usage on schema dcim to {role}",
                      f"grant select on dcim.device to {role}"):  # fmt: skip
        kit.execute(statement)
    run = kit.run_hook(Asks, table="dcim.site", after={"id": 3, "name": "Basel"}, user=role)
    assert run.result == [role, True, False, []]


def test_a_user_has_the_permissions_that_are_given(kit: Rehearsal) -> None:
    run = kit.run_hook(
        Asks, table="dcim.site", after={"id": 3, "name": "x"}, user="alice", permissions={"dcim.change_device"}
    )
    assert run.result == ["alice", False, True, []]


def test_a_permission_backend_of_ones_own_may_answer(kit: Rehearsal) -> None:
    class Everybody(PermissionBackend):
        def has_perm(self, session: Any, username: str, permission: str, obj: Any = None) -> bool:
            return True

        def groups(self, session: Any, username: str) -> list[str]:
            return ["all"]

    run = kit.run_hook(Asks, table="dcim.site", after={"id": 3, "name": "x"}, user="bob", permissions=Everybody())
    assert run.result == ["bob", True, True, ["all"]]


# Hooks.


def test_a_change_that_does_not_start_the_hook_runs_nothing(kit: Rehearsal) -> None:
    hook = Hook("dcim.device", actions=["update"], columns=["serial"], conditions={"attr": "name", "value": "sw1"})
    device: dict[str, Any] = {"table": "dcim.device", "hook": hook}
    started = kit.run_hook(SerialPolicy, before={"id": 1}, after={"serial": "XX"}, **device)
    assert (started.matched, started.status) == (True, "SUCCESS")
    reasons = [
        kit.run_hook(SerialPolicy, before={"id": 1}, after={"site": None}, **device).why_not,
        kit.run_hook(SerialPolicy, before={"id": 1}, after={"serial": "YY", "name": "sw2"}, **device).why_not,
        kit.run_hook(SerialPolicy, after={"serial": "YY", "name": "sw1"}, **device).why_not,
        kit.run_hook(SerialPolicy, table="dcim.site", after={"id": 9, "name": "x"}, hook=hook).why_not,
    ]
    assert reasons[0] == "the update changes none of its columns (serial)"
    assert "sw2" in (reasons[1] or "")
    assert reasons[2] == "it does not start on create, only on update"
    assert reasons[3] == "dcim.site is not one of its tables"


def test_what_does_not_match_has_no_status_and_the_hooks_of_meta_can_be_tested(kit: Rehearsal) -> None:
    (hook,) = SerialPolicy.Meta.hooks
    run = kit.run_hook(SerialPolicy, table="dcim.device", before={"id": 1}, after={"name": "x"}, hook=hook)
    assert (run.matched, run.status, run.attempts, run.writes, run.result) == (False, None, (), (), None)


def test_an_update_that_changes_nothing_starts_nothing(kit: Rehearsal) -> None:
    run = kit.run_hook(SerialPolicy, table="dcim.device", before={"id": 1}, after={"serial": "SN-1"})
    assert (run.matched, run.why_not) == (False, "the update changes nothing")


# Buttons.


class Rename(JobButtonReceiver):
    def receive_job_button(self, obj: Any) -> Any:
        if not self.user.has_perm("dcim.change_device"):
            raise PermissionError(f"{self.user} may not change devices")
        obj.name = f"{obj.name}-{self.user}"
        obj.save()
        return obj.name


class AsyncRename(JobButtonReceiver):
    async def run(self, object_pk: Any, object_model_name: str) -> Any:
        return [object_pk, object_model_name]


def test_a_button_is_pressed_on_a_row_that_is_inserted(kit: Rehearsal) -> None:
    run = kit.press_button(
        Rename, table="dcim.device", row={"name": "sw9"}, user="noc", permissions={"dcim.change_device"}
    )
    assert (run.status, run.result) == ("SUCCESS", "sw9-noc")
    assert [write.differences["added"] for write in run.writes] == [{"name": "sw9-noc"}]


@pytest.mark.parametrize("row", [{"key": 1}, {"key": {"id": "1"}}, {"row": {"id": 1}}])
def test_a_button_is_pressed_on_a_row_that_is_there(kit: Rehearsal, row: dict[str, Any]) -> None:
    run = kit.press_button(Rename, table="dcim.device", user="noc", permissions=set(), **row)
    assert run.status == "FAILURE"
    assert isinstance(run.exception and run.exception.error, PermissionError)
    assert run.writes == ()


def test_an_async_button_receiver_gets_a_composite_key(own_dsn: str) -> None:
    run = press_button(AsyncRename, dsn=own_dsn, table="dcim.cable", row={"a": 1, "b": "x"})
    assert run.result == [{"a": 1, "b": "x"}, "dcim.cable"]


# Errors.


class NoMethod(JobHookReceiver):
    pass


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"table": "device"}, UsageError, r"table 'device' needs its schema .*public\.device"),
        ({"table": "dcim.devices"}, NotFound, r"there is no table dcim\.devices .*schema\.table"),
        ({"table": "dcim.note", "after": {}}, UsageError, r'dcim\.note has no primary key.*identity="full"'),
        ({"table": "pg_catalog.pg_class"}, UsageError, r"rowhooks cannot track pg_catalog\.pg_class"),
        ({"before": None, "after": None}, UsageError, "needs before= or after="),
        ({"after": {"nmae": "x"}}, UsageError, r"after: table dcim\.device has no column 'nmae' .*name, serial"),
        ({"before": {"id": 5, "nmae": "x"}}, UsageError, "before: .* has no column 'nmae'"),
        (
            {"table": "dcim.site", "before": {"id": 5}},
            UsageError,
            r"needs a value for column 'name' \(add it to before",
        ),
        ({"before": {"id": 1, "name": "x"}}, Conflict, "has such a row already: .*name nothing but its key"),
        ({"after": {"id": "x"}}, UsageError, r"after: dcim\.device: invalid input syntax for type integer"),
        ({"after": {"serial_length": 3}}, UsageError, "serial_length"),
        ({"after": {"site": 5}}, DatabaseError, "device_site_fkey"),
        ({"user": "no such role"}, NotFound, "no role 'no such role'.*permissions="),
        ({"user": "x", "permissions": "dcim.view_device"}, UsageError, "is not a set of permissions"),
        ({"attempts": 0}, UsageError, "attempts=0"),
        ({"watch": ["dcim.nothing"]}, NotFound, "dcim.nothing"),
    ],
)
def test_a_wrong_argument_is_named_and_the_test_may_go_on(
    kit: Rehearsal, arguments: dict[str, Any], error: type[RowhooksError], message: str
) -> None:
    given: dict[str, Any] = {"table": "dcim.device", "after": {"serial": "SN-5"}, **arguments}
    with pytest.raises(error, match=message):
        kit.run_hook(SerialPolicy, **given)
    assert kit.run_hook(SerialPolicy, table="dcim.device", after={"serial": "SN-6"}).status == "SUCCESS"


def test_a_class_that_is_no_receiver_of_the_kind_is_refused(kit: Rehearsal) -> None:
    row: dict[str, Any] = {"table": "dcim.device", "after": {}}
    with pytest.raises(ReceiverError, match=r"Rename is no JobHookReceiver \(use press_button\(\)\)"):
        kit.run_hook(Rename, **row)  # type: ignore[arg-type]
    with pytest.raises(ReceiverError, match=r"use run_hook\(\)"):
        kit.press_button(SerialPolicy, table="dcim.device", key=1)  # type: ignore[arg-type]
    with pytest.raises(ReceiverError, match="needs a receiver class"):
        kit.run_hook(SerialPolicy(), **row)  # type: ignore[arg-type]
    with pytest.raises(ReceiverError, match="does not define receive_job_hook"):
        kit.run_hook(NoMethod, **row)


def test_a_press_names_its_row(kit: Rehearsal) -> None:
    with pytest.raises(NotFound, match=r"dcim\.device has no row with the key 99"):
        kit.press_button(Rename, table="dcim.device", key=99)
    with pytest.raises(UsageError, match="row= or key="):
        kit.press_button(Rename, table="dcim.device")
    with pytest.raises(UsageError, match="a mapping of its columns a, b"):
        kit.press_button(Rename, table="dcim.cable", key=1)
    with pytest.raises(UsageError, match="its columns are a, b"):
        kit.press_button(Rename, table="dcim.cable", key={"a": 1})


def test_a_wrong_dsn_names_the_ways_out(own_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROWHOOKS_TEST_DSN", raising=False)
    with pytest.raises(SettingsError, match="ROWHOOKS_TEST_DSN"):
        Rehearsal()
    with pytest.raises(ConnectionFailed, match="--rowhooks-dsn"):
        Rehearsal(own_dsn + " dbname=no_such_database")


def test_a_role_that_may_not_make_triggers_is_told(own: Connection, own_dsn: str) -> None:
    role = f"reader_{uuid.uuid4().hex[:8]}"
    name = sql.Identifier(role)
    own.execute(sql.SQL("create role {} login").format(name))
    own.execute(sql.SQL("grant usage on schema dcim to {0}; ").format(name))
    own.execute(sql.SQL("grant select, insert on all tables in schema dcim to {}").format(name))
    try:
        with Rehearsal(f"{own_dsn} user={role}") as kit, pytest.raises(PermissionDenied, match="owner of the table"):
            kit.run_hook(SerialPolicy, table="dcim.device", after={"serial": "SN-5"})
    finally:
        own.execute(sql.SQL("drop owned by {0}; ").format(name))
        own.execute(sql.SQL("drop role {}").format(name))


def test_a_role_that_may_not_make_temporary_tables_is_told(own: Connection, own_dsn: str) -> None:
    role = f"reader_{uuid.uuid4().hex[:8]}"
    database = sql.Identifier(own.info.dbname)
    own.execute(sql.SQL("create role {} login").format(sql.Identifier(role)))
    own.execute(sql.SQL("revoke temporary on database {} from public").format(database))
    try:
        with pytest.raises(PermissionDenied, match=f"role {role} may not rehearse .*grant temporary on database"):
            Rehearsal(f"{own_dsn} user={role}")
    finally:
        own.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


def test_what_a_trigger_of_the_users_refuses_is_told_as_postgresql_says_it(kit: Rehearsal) -> None:
    kit.execute(
        "create function dcim.add_site() returns trigger language plpgsql as $$ begin"
        " insert into dcim.site (id) values (77); return new; end $$"
    )
    kit.execute("create trigger add_site before insert on dcim.device for each row execute function dcim.add_site()")
    with pytest.raises(DatabaseError, match='column "name" of relation "site"'):
        kit.run_hook(SerialPolicy, table="dcim.device", after={"serial": "SN-5"})


def test_a_table_that_somebody_writes_to_is_named(own: Connection, kit: Rehearsal) -> None:
    with own.transaction():
        own.execute("insert into dcim.note values ('open')")
        with pytest.raises(DatabaseError, match=r"the lock on dcim\.note .*database of their own"):
            kit.run_hook(SerialPolicy, table="dcim.device", after={"serial": "SN-5"})
        run = kit.run_hook(SerialPolicy, table="dcim.device", after={"serial": "SN-5"}, watch=[])
    assert run.status == "SUCCESS"
