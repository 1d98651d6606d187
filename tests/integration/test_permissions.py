"""PostgresPermissions: real roles, real privileges, asked on the daemon's own login."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from rowhooks.domain.errors import ReceiverError
from rowhooks.domain.row_types import RowType, describe_rows
from rowhooks.postgres.connections.engines import async_engine, sync_engine
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.sessions.permissions import PostgresPermissions
from rowhooks.receivers.user import User
from tests.support.daemons import DAEMON_LOGIN

Connection = psycopg.Connection[Any]
MakeRole = Callable[..., str]

ACTIONS = {"view": "select", "add": "insert", "change": "update", "delete": "delete"}

permissions = PostgresPermissions()


def run(db: Connection, statement: str, *names: str) -> None:
    """Run a statement with names put into its {}."""
    db.execute(sql.SQL(statement).format(*(sql.Identifier(*name.split(".", 1)) for name in names)))


@pytest.fixture
def make_role(db: Connection) -> Iterator[MakeRole]:
    """Make roles that are gone after the test: roles belong to the cluster, not to the test's database."""
    made: list[str] = []

    def make(name: str = "role", attributes: str = "") -> str:
        unique = f"{name}_{uuid.uuid4().hex[:12]}"
        db.execute(sql.SQL("create role {} {}").format(sql.Identifier(unique), sql.SQL(attributes)))
        made.append(unique)
        return unique

    yield make
    remaining = [name for name in made if db.execute("select 1 from pg_roles where rolname = %s", (name,)).fetchone()]
    for name in remaining:
        run(db, "drop owned by {} cascade", name)
    for name in remaining:
        run(db, "drop role {}", name)


@pytest.fixture
def alice(make_role: MakeRole) -> str:
    return make_role("alice")


@pytest.fixture
def session(daemon_dsn: str) -> Iterator[Session]:
    """A session of the daemon's login, in one transaction, as a receiver's is."""
    engine = sync_engine(Target(daemon_dsn), 1)
    with Session(engine) as opened:
        yield opened
    engine.dispose()


@pytest.fixture
def may(session: Session) -> Callable[..., set[str]]:
    """Return what a role may do with a table."""

    def ask(role: str, table: str = "dcim.device", obj: Any = None) -> set[str]:
        schema, _, name = table.partition(".")
        return {action for action in ACTIONS if permissions.has_perm(session, role, f"{schema}.{action}_{name}", obj)}

    return ask


May = Callable[..., set[str]]


@pytest.fixture
def devices(db: Connection, device: str, alice: str) -> str:
    """dcim.device, whose schema alice may use."""
    run(db, "grant usage on schema dcim to {}", alice)
    return device


# Whose run it is


def resolve(session: Session, *pairs: tuple[str | None, str]) -> list[str]:
    return permissions.resolve(session, pairs)


def test_without_a_claim_the_user_is_the_login(session: Session, alice: str) -> None:
    assert resolve(session, (None, alice), ("", alice)) == [alice, alice]


def test_a_claim_holds_where_the_login_is_a_member_of_that_role(
    session: Session, db: Connection, alice: str, make_role: MakeRole
) -> None:
    app = make_role("app")
    assert resolve(session, (alice, app)) == [app]
    run(db, "grant {} to {}", alice, app)
    assert resolve(session, (alice, app)) == [alice]
    assert resolve(session, (app, alice)) == [alice]


def test_a_claim_holds_for_a_member_by_way_of_another_role_and_without_inheritance(
    session: Session, db: Connection, alice: str, make_role: MakeRole
) -> None:
    app, people = make_role("app", "noinherit"), make_role("people", "noinherit")
    run(db, "grant {} to {}", alice, people)
    run(db, "grant {} to {}", people, app)
    assert resolve(session, (alice, app)) == [alice]


def test_anybody_may_claim_to_be_themselves(session: Session, alice: str) -> None:
    assert resolve(session, (alice, alice)) == [alice]


def test_a_claim_to_be_a_superuser_does_not_make_one(session: Session, db: Connection, alice: str) -> None:
    assert resolve(session, (db.info.user, alice)) == [alice]


def test_a_superuser_may_claim_any_role_that_exists(session: Session, db: Connection, alice: str) -> None:
    assert resolve(session, (alice, db.info.user)) == [alice]


def test_a_claim_that_is_no_role_is_not_believed_whoever_makes_it(session: Session, db: Connection, alice: str) -> None:
    logins = [alice, db.info.user, DAEMON_LOGIN]
    for claim in ["nobody's role", "public", "", " ", "{a,b}", "'; drop", "é" * 100, f"{alice} "]:
        assert resolve(session, *((claim, login) for login in logins)) == logins


def test_a_name_longer_than_postgres_keeps_is_not_cut_and_found(session: Session, db: Connection) -> None:
    role = f"long_{uuid.uuid4().hex}".ljust(63, "x")
    run(db, "create role {}", role)
    try:
        assert resolve(session, (role, db.info.user)) == [role]
        assert resolve(session, (role + "y", db.info.user)) == [db.info.user]
        assert permissions.is_superuser(session, role + "y") is False
    finally:
        run(db, "drop role {}", role)


def test_the_daemons_own_login_is_believed_for_it_writes_for_those_who_pressed(session: Session, alice: str) -> None:
    assert resolve(session, (alice, DAEMON_LOGIN), (alice, "rowhooks_daemon")) == [alice, alice]


def test_a_login_that_is_gone_claims_nothing(session: Session, alice: str) -> None:
    assert resolve(session, (alice, "gone"), (None, "gone")) == ["gone", "gone"]


def test_odd_names_are_resolved_as_they_stand(session: Session, db: Connection, make_role: MakeRole) -> None:
    odd = make_role('Zoë "the" O\'Hara, {DBA} \\ NULL')
    assert resolve(session, (odd, db.info.user), (None, odd), ("NULL", odd)) == [odd, odd, odd]


def test_many_are_resolved_in_order_by_one_query(session: Session, alice: str) -> None:
    statements: list[str] = []
    event.listen(session.connection(), "before_cursor_execute", lambda *args: statements.append(args[2]))
    pairs = [(None if number % 3 else alice, f"login {number}") for number in range(1000)]
    assert resolve(session, *pairs) == [login for _, login in pairs]
    assert len(statements) == 1


def test_nothing_is_asked_for_nobody() -> None:
    assert permissions.resolve(None, []) == []  # type: ignore[arg-type]


# What they may do


@pytest.mark.parametrize("action", ACTIONS)
def test_each_permission_is_one_privilege(db: Connection, devices: str, alice: str, may: May, action: str) -> None:
    assert may(alice) == set()
    run(db, f"grant {ACTIONS[action]} on dcim.device to {{}}", alice)
    assert may(alice) == {action}


def test_a_privilege_that_is_taken_back_is_gone_at_once(db: Connection, devices: str, alice: str, may: May) -> None:
    run(db, "grant select, update on dcim.device to {}", alice)
    assert may(alice) == {"view", "change"}
    run(db, "revoke update on dcim.device from {}", alice)
    assert may(alice) == {"view"}


def test_a_privilege_without_the_schema_is_none(db: Connection, device: str, alice: str, may: May) -> None:
    run(db, "grant all on dcim.device to {}", alice)
    assert may(alice) == set()
    run(db, "grant usage on schema dcim to {}", alice)
    assert may(alice) == set(ACTIONS)


def test_what_public_may_everybody_may(db: Connection, devices: str, alice: str, may: May) -> None:
    run(db, "grant select on dcim.device to public")
    assert may(alice) == {"view"}


def test_a_role_inherits_what_its_groups_may(
    db: Connection, device: str, alice: str, make_role: MakeRole, may: May
) -> None:
    staff, network = make_role("staff"), make_role("network")
    run(db, "grant usage on schema dcim to {}", staff)
    run(db, "grant update on dcim.device to {}", network)
    run(db, "grant {} to {}", network, staff)
    assert may(alice) == set()
    run(db, "grant {} to {}", staff, alice)
    assert may(alice) == {"change"}


def test_a_role_that_does_not_inherit_may_not_what_its_groups_may(
    db: Connection, device: str, make_role: MakeRole, may: May
) -> None:
    staff, bob = make_role("staff"), make_role("bob", "noinherit")
    run(db, "grant usage on schema dcim to {}", staff)
    run(db, "grant select on dcim.device to {}", staff)
    run(db, "grant {} to {}", staff, bob)
    assert may(staff) == {"view"}
    assert may(bob) == set()


def test_a_superuser_may_everything(db: Connection, device: str, make_role: MakeRole, may: May) -> None:
    assert may(make_role("root", "superuser")) == set(ACTIONS)


def test_the_owner_may_everything_that_was_not_revoked(db: Connection, devices: str, alice: str, may: May) -> None:
    run(db, "alter table dcim.device owner to {}", alice)
    run(db, "revoke delete on dcim.device from {}", alice)
    assert may(alice) == {"view", "add", "change"}


def test_privileges_on_some_columns_are_none_on_the_table(db: Connection, devices: str, alice: str, may: May) -> None:
    run(db, "grant select (name), insert (name), update (name) on dcim.device to {}", alice)
    assert may(alice) == set()


def test_a_role_that_does_not_exist_may_nothing(db: Connection, device: str, may: May) -> None:
    run(db, "grant usage on schema dcim to public")
    run(db, "grant all on dcim.device to public")
    assert [may(role) for role in ("nobody", "", "public", "0", "10", "'", "a" * 100)] == [set()] * 7


@pytest.mark.parametrize(
    "table",
    ["dcim.nothing", "nothing.device", "DCIM.device", "dcim.Device", "dcim. device", 'dcim."device"', "dcim.\0"],
)
def test_for_a_table_that_does_not_exist_nobody_has_a_permission(
    db: Connection, device: str, may: May, table: str
) -> None:
    assert may(db.info.user, table) == set()


def test_an_index_or_a_sequence_is_no_table(db: Connection, device: str, may: May) -> None:
    run(db, "create sequence dcim.number")
    assert may(db.info.user, "dcim.device_pkey") == may(db.info.user, "dcim.number") == set()


def test_views_and_partitioned_tables_have_permissions(db: Connection, devices: str, alice: str, may: May) -> None:
    run(db, "create view dcim.names as select name from dcim.device")
    run(db, "create table dcim.log (id integer) partition by range (id)")
    run(db, "grant select on dcim.names, dcim.log to {}", alice)
    assert may(alice, "dcim.names") == may(alice, "dcim.log") == {"view"}


@pytest.mark.parametrize(
    ("schema", "table"),
    [
        ("dcim", "rack_unit"),
        ("dcim", "_"),
        ("dcim", "a.b"),
        ("dcim", ".view_x"),
        ("Ünï code", 'my "Table"'),
        ("it's", "100%_{x}\\ :name"),
        ("da-ta", "t" * 63),
        ("view_x", "add_y"),
    ],
)
def test_names_are_taken_as_postgres_stores_them(db: Connection, alice: str, may: May, schema: str, table: str) -> None:
    names = {"schema": sql.Identifier(schema), "table": sql.Identifier(schema, table), "role": sql.Identifier(alice)}
    for statement in (
        "create schema {schema}", "create table {table} (id integer)",
        "grant usage on schema {schema} to {role}", "grant select, delete on {table} to {role}",
    ):  # fmt: skip
        db.execute(sql.SQL(statement).format(**names))
    assert may(alice, f"{schema}.{table}") == {"view", "delete"}


def test_a_table_name_longer_than_postgres_keeps_is_not_cut_and_found(db: Connection, alice: str, may: May) -> None:
    run(db, "create table public.{} (id integer)", "t" * 63)
    assert may(db.info.user, "public." + "t" * 63) == set(ACTIONS)
    assert may(db.info.user, "public." + "t" * 64) == set()


@pytest.mark.parametrize(
    "permission",
    [
        "", "dcim", "dcim.", "dcim.device", "dcim.view", "dcim.view_", ".view_device", "view_device",
        "dcim.reboot_device", "dcim.VIEW_device", "dcim.viewdevice", "dcim.device.view_x", " .x",
        None, 7, ["dcim.view_device"],
    ],
)  # fmt: skip
def test_a_malformed_permission_is_an_error_that_shows_the_form(session: Session, permission: Any) -> None:
    with pytest.raises(ReceiverError) as refused:
        permissions.has_perm(session, "alice", permission)
    assert refused.value.message == f"{permission!r} is not a permission"
    assert "schema.view_table" in str(refused.value.hint)
    assert "'dcim.view_device'" in str(refused.value.hint)


def test_a_hostile_search_path_changes_no_answer(
    db: Connection, device: str, session: Session, alice: str, make_role: MakeRole, may: May
) -> None:
    run(db, "create schema hostile")
    for name in ("has_table_privilege", "has_schema_privilege", "pg_has_role"):
        run(db, f"create function hostile.{name}(oid, oid, text) returns boolean language sql as 'select true'")
    for left, right in [("name", "text"), ("oid", "oid")]:
        run(db, f"create function hostile.same({left}, {right}) returns boolean language sql as 'select true'")
        run(db, f"create operator hostile.= (leftarg = {left}, rightarg = {right}, function = hostile.same)")
    for view in ("pg_roles", "pg_class", "pg_namespace", "pg_auth_members"):
        run(db, f"create view hostile.{view} as select * from pg_catalog.{view}")
    run(db, "create domain hostile.text as pg_catalog.int4")
    run(db, "grant usage on schema hostile to public")
    session.execute(text("set local search_path = hostile, pg_catalog"))
    assert may(alice) == set()
    assert resolve(session, (make_role("app"), alice)) == [alice]
    assert permissions.is_superuser(session, alice) is False
    assert permissions.groups(session, alice) == []


def test_a_strangers_rights_do_not_matter_to_what_is_asked(
    db: Connection, devices: str, alice: str, session: Session, may: May
) -> None:
    run(db, "grant select on dcim.device to {}", alice)
    run(db, "revoke all on schema dcim from rowhooks_daemon")
    run(db, "revoke all on dcim.device from rowhooks_daemon")
    assert may(alice) == {"view"}


# One row


def row_of(table: str) -> Any:
    cls = type("Row", (SimpleNamespace,), {})
    describe_rows(RowType(cls, table))
    return cls()


DEVICE = row_of("dcim.device")


def test_without_row_security_the_tables_privilege_is_the_answer_for_each_row(
    db: Connection, devices: str, alice: str, may: May
) -> None:
    run(db, "grant select on dcim.device to {}", alice)
    assert may(alice, obj=DEVICE) == {"view"}


@pytest.fixture
def row_security(db: Connection, devices: str, alice: str) -> None:
    run(db, "grant select on dcim.device to {}", alice)
    run(db, "alter table dcim.device enable row level security")


@pytest.mark.usefixtures("row_security")
def test_where_row_security_decides_a_question_about_one_row_is_refused(session: Session, alice: str, may: May) -> None:
    with pytest.raises(ReceiverError) as refused:
        permissions.has_perm(session, alice, "dcim.view_device", DEVICE)
    assert f"row security of dcim.device decides what {alice} may do" in refused.value.message
    assert "leave the object out" in str(refused.value.hint)
    assert may(alice) == {"view"}


@pytest.mark.usefixtures("row_security")
def test_what_the_table_denies_no_row_grants(session: Session, alice: str) -> None:
    assert permissions.has_perm(session, alice, "dcim.delete_device", DEVICE) is False


@pytest.mark.usefixtures("row_security")
def test_row_security_does_not_bind_superusers_and_those_who_bypass_it(
    db: Connection, make_role: MakeRole, may: May
) -> None:
    auditor = make_role("auditor", "bypassrls")
    run(db, "grant usage on schema dcim to {}", auditor)
    run(db, "grant select on dcim.device to {}", auditor)
    run(db, "alter table dcim.device force row level security")
    assert may(auditor, obj=DEVICE) == {"view"}
    assert may(make_role("root", "superuser"), obj=DEVICE) == set(ACTIONS)


@pytest.mark.usefixtures("row_security")
def test_row_security_binds_the_owner_only_where_it_is_forced(
    db: Connection, session: Session, alice: str, may: May
) -> None:
    run(db, "alter table dcim.device owner to {}", alice)
    assert may(alice, obj=DEVICE) == set(ACTIONS)
    run(db, "alter table dcim.device force row level security")
    with pytest.raises(ReceiverError, match="row security"):
        permissions.has_perm(session, alice, "dcim.view_device", DEVICE)


def test_a_row_of_another_table_is_refused(session: Session, alice: str) -> None:
    with pytest.raises(ReceiverError, match=r"'dcim\.view_device' was asked for a row of dcim\.site"):
        permissions.has_perm(session, alice, "dcim.view_device", row_of("dcim.site"))


def test_a_row_of_somebodys_own_model_is_taken_for_the_tables(
    db: Connection, devices: str, alice: str, may: May
) -> None:
    run(db, "grant select on dcim.device to {}", alice)
    assert may(alice, obj=object()) == {"view"}


# Who they are


def test_a_superuser_is_one_by_attribute_and_not_by_membership(
    db: Connection, session: Session, alice: str, make_role: MakeRole
) -> None:
    root = make_role("root", "superuser")
    run(db, "grant {} to {}", root, alice)
    assert permissions.is_superuser(session, root) is True
    assert permissions.is_superuser(session, alice) is False
    assert permissions.is_superuser(session, "nobody") is False


def test_groups_are_all_roles_held_directly_or_not_sorted_and_without_oneself(
    db: Connection, session: Session, alice: str, make_role: MakeRole
) -> None:
    top, middle, side = make_role("top"), make_role("middle", "noinherit"), make_role("Side")
    for group, member in [(top, middle), (middle, alice), (side, alice), (top, alice)]:
        run(db, "grant {} to {}", group, member)
    assert permissions.groups(session, alice) == [side, middle, top]
    assert permissions.groups(session, middle) == [top]
    assert permissions.groups(session, top) == []
    assert permissions.groups(session, "nobody") == []


def test_a_superusers_groups_are_those_it_was_given(
    db: Connection, session: Session, alice: str, make_role: MakeRole
) -> None:
    root = make_role("root", "superuser")
    assert permissions.groups(session, root) == []
    run(db, "grant {} to {}", alice, root)
    assert permissions.groups(session, root) == [alice]


# As receivers ask it


def test_a_plain_receivers_user_is_answered_by_postgres(
    db: Connection, devices: str, session: Session, alice: str
) -> None:
    run(db, "grant select on dcim.device to {}", alice)
    user = User(alice, permissions, lambda work: work(session), asynchronous=False)
    assert user.has_perm("dcim.view_device") is True
    assert user.has_perms(["dcim.view_device", "dcim.add_device"]) is False
    assert (user.is_superuser, user.groups) == (False, [])


async def test_an_async_receivers_user_is_answered_by_postgres(
    db: Connection, devices: str, daemon_dsn: str, alice: str
) -> None:
    run(db, "grant select on dcim.device to {}", alice)
    engine = async_engine(Target(daemon_dsn), 1)
    async with AsyncSession(engine) as opened:
        user = User(alice, permissions, opened.run_sync, asynchronous=True)
        assert await user.has_perm("dcim.view_device") is True
        assert await user.has_perms(["dcim.view_device", "dcim.add_device"]) is False
        assert (await user.is_superuser, await user.groups) == (False, [])
        with pytest.raises(TypeError, match=r"await self\.user\.has_perm"):
            assert not user.has_perm("dcim.add_device")
    await engine.dispose()


def test_an_answer_holds_for_the_run_also_where_a_privilege_changes_meanwhile(
    db: Connection, devices: str, session: Session, alice: str
) -> None:
    user = User(alice, permissions, lambda work: work(session), asynchronous=False)
    assert user.has_perm("dcim.view_device") is False
    run(db, "grant select on dcim.device to {}", alice)
    assert user.has_perm("dcim.view_device") is False
