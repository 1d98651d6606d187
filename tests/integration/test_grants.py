"""Missing privileges: a run says which, doctor names them, and the GRANT that it prints mends them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import psycopg
import pytest
import sqlalchemy
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.postgres.administration.doctor import Finding, examine
from tests.support.daemons import DAEMON_LOGIN, running_daemon
from tests.support.hooks import add_hook
from tests.support.mends import run_as_printed
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]


class Loads(JobHookReceiver):
    """Remembers the rows."""

    seen: ClassVar[list[Any]] = []

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.seen.append(changed_object.id)


class Executes(JobHookReceiver):
    """Executes a statement."""

    statement: ClassVar[str] = ""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.session.execute(sqlalchemy.text(self.statement))


class ExecutesLater(JobHookReceiver):
    """The same in an asynchronous receiver."""

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        await self.session.execute(sqlalchemy.text(Executes.statement))


class Saves(JobHookReceiver):
    """Saves the row."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        changed_object.serial = "SN"
        changed_object.save()


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    Loads.seen.clear()


def grants(db: Connection) -> list[Finding]:
    """Return what doctor says of privileges."""
    # What has failed is said of the job too, until it was run again.
    found = [one for one in examine(db) if not one.what.startswith("job ")]
    return [one for one in found if " may not " in one.what or " lacks " in one.what]


def last(db: Connection) -> tuple[str, str]:
    """Return how the last run has ended: its status, and the first line of its exception."""
    row = db.execute("select status, exception_message from rowhooks.job_result order by id desc limit 1").fetchone()
    assert row is not None
    return row[0], (row[1] or "").splitlines()[0] if row[1] else ""


@pytest.fixture
def bare(db: Connection, device: str) -> str:
    """`dcim.device`, on which the daemon's login has no right at all."""
    db.execute("revoke all on dcim.device from rowhooks_daemon")
    db.execute("revoke all on schema dcim from rowhooks_daemon")
    return device


def inherits(db: Connection, role: str) -> None:
    """Leave the daemon's login as it is: a member of the daemon's role that inherits its rights."""


def inherits_nothing(db: Connection, role: str) -> None:
    """Keep the daemon's login from inheriting what the daemon's role has, as far as users' tables go."""
    db.execute(sql.SQL("create role {} nologin").format(sql.Identifier(role)))
    db.execute(sql.SQL("grant usage on schema dcim to {}").format(sql.Identifier(role)))
    db.execute(sql.SQL("grant all on dcim.device to {}").format(sql.Identifier(role)))
    db.execute(sql.SQL("grant {} to {}").format(sql.Identifier(role), sql.Identifier(DAEMON_LOGIN)))
    if db.info.server_version >= 160000:
        db.execute(
            sql.SQL("grant {} to {} with inherit false").format(sql.Identifier(role), sql.Identifier(DAEMON_LOGIN))
        )


async def test_a_table_that_the_login_may_not_read_is_named_by_run_and_doctor_until_their_grants_are_given(
    db: Connection, dsn: str, daemon_dsn: str, bare: str
) -> None:
    add_hook(db, Loads, bare)
    db.execute("insert into dcim.device values (1, 'sw')")
    # Nobody has led yet: what is said holds for every login of the role.
    assert [(one.level, one.what.split(" may")[0]) for one in grants(db)] == [
        ("problem", "no login of role rowhooks_daemon")
    ] * 2
    async with running_daemon(daemon_dsn, Loads):
        await settled(db)
        status, message = last(db)
        assert status == "FAILURE"
        assert message == (
            f"rows of dcim.device are not loaded: login {DAEMON_LOGIN} lacks USAGE on schema dcim"
            " (its owner runs: psql -c 'grant USAGE on schema dcim to rowhooks_daemon')"
        )
        use, read = grants(db)
        with psycopg.connect(daemon_dsn) as own:
            assert grants(own) == [use, read]
        assert (use.level, use.what, use.way_out) == (
            "problem",
            f"login {DAEMON_LOGIN} may not use schema dcim: rows of dcim.device are not loaded",
            "psql -c 'grant usage on schema dcim to rowhooks_daemon'",
        )
        assert (read.level, read.what, read.way_out) == (
            "problem",
            f"login {DAEMON_LOGIN} may not read dcim.device: no row is loaded",
            "psql -c 'grant select on dcim.device to rowhooks_daemon'",
        )
        run_as_printed(use.way_out, dsn)
        assert grants(db) == [read]
        db.execute("insert into dcim.device values (2, 'sw')")
        await settled(db)
        assert last(db)[1] == (
            f"rows of dcim.device are not loaded: login {DAEMON_LOGIN} lacks SELECT on table dcim.device"
            " (its owner runs: psql -c 'grant SELECT on dcim.device to rowhooks_daemon')"
        )
        run_as_printed(read.way_out, dsn)
        assert grants(db) == []
        db.execute("insert into dcim.device values (3, 'sw')")
        await settled(db)
    assert Loads.seen == [3]


def test_a_hook_needs_the_grants_of_a_table_that_was_tracked_anew_too(db: Connection, bare: str) -> None:
    add_hook(db, Loads, bare)
    db.execute("select rowhooks.untrack('dcim.device')")
    db.execute("select rowhooks.track('dcim.device')")
    assert [one.level for one in grants(db)] == ["problem"] * 2


async def test_a_column_that_the_login_may_not_read_is_named(
    db: Connection, dsn: str, daemon_dsn: str, bare: str
) -> None:
    db.execute('alter table dcim.device add column "Odd, one" text')
    db.execute("grant usage on schema dcim to rowhooks_daemon")
    db.execute("grant select (id, name) on dcim.device to rowhooks_daemon")
    add_hook(db, Loads, bare)
    async with running_daemon(daemon_dsn, Loads):
        db.execute("insert into dcim.device values (1, 'sw')")
        await settled(db)
        assert last(db)[1] == (
            f'rows of dcim.device are not loaded: login {DAEMON_LOGIN} lacks SELECT (serial, "Odd, one") on table'
            ' dcim.device (its owner runs: psql -c \'grant SELECT (serial, "Odd, one") on dcim.device to'
            " rowhooks_daemon')"
        )
        (found,) = grants(db)
        assert found.what == f'login {DAEMON_LOGIN} may not read serial, "Odd, one" of dcim.device: no row is loaded'
        run_as_printed(found.way_out, dsn)
        assert grants(db) == []
        db.execute("insert into dcim.device values (2, 'sw')")
        await settled(db)
    assert Loads.seen == [2]


async def test_many_tables_are_one_finding_and_one_grant(db: Connection, dsn: str, daemon_dsn: str, bare: str) -> None:
    db.execute("grant usage on schema dcim to rowhooks_daemon")
    for n in range(12):
        db.execute(f'create table dcim."T {n:02}" (id integer primary key)')
        db.execute(f"""select rowhooks.track('dcim."T {n:02}"')""")
    async with running_daemon(daemon_dsn, Loads):
        pass
    # Nothing is to be loaded from any: nothing fails.
    (found,) = grants(db)
    assert found.level == "note"
    assert found.what == (
        f'login {DAEMON_LOGIN} may not read dcim."T 00", dcim."T 01", dcim."T 02", dcim."T 03", dcim."T 04",'
        " and 8 more: no row is loaded"
    )
    run_as_printed(found.way_out, dsn)
    assert grants(db) == []


@pytest.mark.parametrize("arrange", [inherits, inherits_nothing])
async def test_what_a_login_has_through_a_role_counts_as_far_as_it_inherits_it(
    db: Connection, dsn: str, daemon_dsn: str, bare: str, arrange: Callable[[Connection, str], None]
) -> None:
    arrange(db, "rowhooks_test_readers")
    if arrange is inherits:
        db.execute("create role rowhooks_test_readers nologin; grant usage on schema dcim to rowhooks_test_readers")
        db.execute("grant all on dcim.device to rowhooks_test_readers")
        db.execute(f"grant rowhooks_test_readers to {DAEMON_LOGIN}")
    async with running_daemon(daemon_dsn, Loads):
        pass
    does_not_inherit = arrange is inherits_nothing and db.info.server_version >= 160000
    assert len(grants(db)) == (2 if does_not_inherit else 0)


async def test_a_login_that_does_not_inherit_the_daemons_role_gets_the_grant_itself(
    db: Connection, dsn: str, device: str
) -> None:
    db.execute('create role "Odd login" login noinherit in role rowhooks_daemon')
    db.execute('grant usage on schema rowhooks to "Odd login"')
    db.execute("update rowhooks.feed set rows_login = 'Odd login'")
    use, read = grants(db)
    assert use.way_out == "psql -c 'grant usage on schema dcim to \"Odd login\"'"
    for found in (use, read):
        run_as_printed(found.way_out, dsn)
    assert grants(db) == []


async def test_it_is_the_receivers_own_login_whose_grants_count_where_there_is_one(
    db: Connection, dsn: str, daemon_dsn: str, device: str
) -> None:
    db.execute("create role rowhooks_test_receiver login in role rowhooks_receiver")
    add_hook(db, Loads, device)
    async with running_daemon(daemon_dsn, Loads, receiver_dsn=make_conninfo(dsn, user="rowhooks_test_receiver")):
        use, read = grants(db)
        assert use.what.startswith("login rowhooks_test_receiver may not use schema dcim")
        assert use.way_out.endswith("to rowhooks_test_receiver'")
        db.execute("insert into dcim.device values (1, 'sw')")
        await settled(db)
        assert "login rowhooks_test_receiver lacks USAGE on schema dcim" in last(db)[1]
        for found in (use, read):
            run_as_printed(found.way_out, dsn)
        db.execute("insert into dcim.device values (2, 'sw')")
        await settled(db)
    assert Loads.seen == [2]
    assert grants(db) == []


WRITES = """
create schema audit;
create table audit.entry (id serial primary key, message text);
create table audit.plain (id integer, message text, "Note" text);
create table public.entry (id integer);
create function audit.note() returns void language sql as 'select';
revoke execute on function audit.note() from public;
grant usage on schema audit to rowhooks_daemon;
"""


@pytest.mark.parametrize("receiver", [Executes, ExecutesLater])
@pytest.mark.parametrize(("prepare", "statement", "lacks", "is_mended_at_once"), [
    ("", "insert into audit.entry (message) values ('x')", "INSERT on table audit.entry", False),
    (
        "grant insert on audit.entry to rowhooks_daemon", "insert into audit.entry (message) values ('x')",
        "USAGE on sequence audit.entry_id_seq", True,
    ),
    ("revoke usage on schema audit from rowhooks_daemon", "delete from audit.plain", "USAGE on schema audit", False),
    ("", "update audit.plain set message = 'x' where id = 1", "SELECT, UPDATE on table audit.plain", True),
    ("", "delete from audit.plain", "DELETE on table audit.plain", True),
    ("", "truncate audit.plain", "TRUNCATE on table audit.plain", True),
    ("", "select audit.note()", "EXECUTE on function audit.note()", True),
    (
        "grant select on audit.plain to rowhooks_daemon; grant update (message) on audit.plain to rowhooks_daemon",
        """update audit.plain set "Note" = 'x'""", 'UPDATE ("Note") on table audit.plain', True,
    ),
    (
        f"alter role {DAEMON_LOGIN} set search_path = audit",
        "insert into entry (message) values ('x')", "INSERT on table audit.entry", False,
    ),
])  # fmt: skip
async def test_a_write_that_was_refused_names_what_is_missing_and_doctor_does_until_it_is_given(
    db: Connection, dsn: str, daemon_dsn: str, device: str, monkeypatch: pytest.MonkeyPatch, receiver: type,
    prepare: str, statement: str, lacks: str, is_mended_at_once: bool,
) -> None:  # fmt: skip
    db.execute(WRITES)
    db.execute(prepare.encode() or b"select")
    monkeypatch.setattr(Executes, "statement", statement)
    add_hook(db, receiver, device)
    async with running_daemon(daemon_dsn, receiver):
        try:
            db.execute("insert into dcim.device values (1, 'sw')")
            await settled(db)
        finally:
            db.execute(f"alter role {DAEMON_LOGIN} reset all")
        status, message = last(db)
        assert status == "FAILURE"
        assert message.startswith("(psycopg.errors.InsufficientPrivilege) ")
        assert f": login {DAEMON_LOGIN} lacks {lacks} (its owner runs: psql -c 'grant " in message
        (found,) = grants(db)
        assert found.level == "problem"
        assert found.what == f"login {DAEMON_LOGIN} lacks {lacks}, for which runs of the last hour have failed: 1"
        run_as_printed(found.way_out, dsn)
        assert grants(db) == []
        if is_mended_at_once:
            db.execute("insert into dcim.device values (2, 'sw')")
            await settled(db)
            assert last(db) == ("SUCCESS", "")


async def test_a_save_that_was_refused_names_what_is_missing(
    db: Connection, dsn: str, daemon_dsn: str, device: str
) -> None:
    db.execute("revoke update on dcim.device from rowhooks_daemon")
    add_hook(db, Saves, device, "create")
    async with running_daemon(daemon_dsn, Saves):
        db.execute("insert into dcim.device values (1, 'sw')")
        await settled(db)
        assert f"login {DAEMON_LOGIN} lacks UPDATE on table dcim.device" in last(db)[1]
        (found,) = grants(db)
        run_as_printed(found.way_out, dsn)
        db.execute("insert into dcim.device values (2, 'sw')")
        await settled(db)
    assert db.execute("select serial from dcim.device where id = 2").fetchone() == ("SN",)


async def test_a_write_that_a_policy_refuses_names_table_and_policy(
    db: Connection, daemon_dsn: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.execute("create table note (id integer); grant select, insert on note to rowhooks_daemon")
    db.execute("alter table note enable row level security; create policy odd on note using (id % 2 = 1)")
    monkeypatch.setattr(Executes, "statement", "insert into note values (2)")
    add_hook(db, Executes, device)
    async with running_daemon(daemon_dsn, Executes):
        db.execute("insert into dcim.device values (1, 'sw')")
        await settled(db)
    assert f"row security of public.note binds {DAEMON_LOGIN} (policies: odd)" in last(db)[1]


async def test_what_a_receiver_says_of_its_own_is_no_refusal_that_doctor_believes(
    db: Connection, daemon_dsn: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lie = f"x: login {DAEMON_LOGIN} lacks UPDATE on table rowhooks.feed (its owner runs: psql -c "
    monkeypatch.setattr(Executes, "statement", "select " + sql.Literal(lie).as_string() + "::integer")
    add_hook(db, Executes, device)
    async with running_daemon(daemon_dsn, Executes):
        db.execute("insert into dcim.device values (1, 'sw')")
        await settled(db)
    assert last(db)[0] == "FAILURE"
    assert grants(db) == []


async def test_tables_whose_policies_bind_the_login_are_named_and_what_is_printed_mends_it(
    db: Connection, dsn: str, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Loads, device)
    db.execute("alter table dcim.device enable row level security; create policy mine on dcim.device using (true)")
    async with running_daemon(daemon_dsn, Loads):
        pass
    (found,) = [one for one in examine(db) if "row security" in one.what]
    assert (found.level, found.what) == (
        "problem",
        f"row security binds login {DAEMON_LOGIN}, no row is loaded: dcim.device (policies: mine)",
    )
    try:
        run_as_printed(found.way_out, dsn)
        assert [one for one in examine(db) if "row security" in one.what] == []
    finally:
        db.execute(f"alter role {DAEMON_LOGIN} nobypassrls")
    # Who lets the policies decide knows of them.
    async with running_daemon(daemon_dsn, Loads, row_security=True):
        pass
    ((level, what),) = [(one.level, one.what) for one in examine(db) if "row security" in one.what]
    assert (level, what) == (
        "note",
        f"row security binds login {DAEMON_LOGIN}, what they hide is not found: dcim.device (policies: mine)",
    )
