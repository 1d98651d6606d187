"""receiver_dsn: receivers that run under a login of their own, which may do what a run needs and no more."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

import psycopg
import pytest
import sqlalchemy
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.domain.errors import LeadershipLost, LoginRefused, PermissionDenied, SettingsError
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.sessions.fences import Fence
from rowhooks.postgres.sessions.workspaces import Workspaces
from rowhooks.runtime.daemon import Daemon
from rowhooks.settings import load_settings
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.make import change, outcome, run
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]

LOGIN = "rowhooks_test_receiver"


class Stamps(JobHookReceiver):
    """Writes the row that was changed."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        changed_object.serial = self.session.scalar(sqlalchemy.text("select session_user::text"))
        changed_object.save()
        self.logger.info("stamped")


class StampsLater(JobHookReceiver):
    """The same in an asynchronous receiver."""

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        changed_object.serial = await self.session.scalar(sqlalchemy.text("select session_user::text"))
        await changed_object.save()


class StampsMany(JobHookReceiver):
    """The same for many changes at once, the first time in vain."""

    class Meta:
        batch_size = 10
        batch_wait = 0.05
        max_retries = 1
        autoretry_for = (LookupError,)
        retry_backoff = 0.01

    tried: ClassVar[list[int]] = []

    def receive_job_hooks(self, changes: list[ObjectChange]) -> None:
        self.session.execute(sqlalchemy.text("update dcim.device set serial = session_user"))
        self.tried.append(len(changes))
        if len(self.tried) == 1:
            raise LookupError("again")


class Intrudes(JobHookReceiver):
    """Does what a receiver's login is kept from."""

    statement: ClassVar[str] = ""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.session.execute(sqlalchemy.text(self.statement))


@pytest.fixture
def receiver_dsn(db: Connection, dsn: str, device: str) -> str:
    """The database for a login that has the receivers' role, which may write dcim.device."""
    if not db.execute("select 1 from pg_roles where rolname = %s", (LOGIN,)).fetchone():
        db.execute(sql.SQL("create role {} login in role rowhooks_receiver").format(sql.Identifier(LOGIN)))
    # What loads and saves rows is this login alone.
    db.execute("revoke all on dcim.device from rowhooks_daemon")
    db.execute("grant usage on schema dcim to rowhooks_receiver")
    db.execute("grant select, insert, update, delete on dcim.device to rowhooks_receiver")
    return make_conninfo(dsn, user=LOGIN)


def results(conn: Connection) -> list[Any]:
    return conn.execute("select status, exception_message from rowhooks.job_result order by id").fetchall()


@pytest.mark.parametrize("receiver", [Stamps, StampsLater])
async def test_a_receiver_writes_and_is_recorded_once_under_its_own_login(
    db: Connection, daemon_dsn: str, receiver_dsn: str, device: str, receiver: type
) -> None:
    add_hook(db, receiver, device)
    async with running_daemon(daemon_dsn, receiver, receiver_dsn=receiver_dsn):
        db.execute("insert into dcim.device values (1, 'sw', 'SN')")
        await settled(db)
        db.execute("update dcim.device set name = 'sw1'")
        await settled(db)
    # What it wrote started no hook.
    assert results(db) == [("SUCCESS", None), ("SUCCESS", None)]
    assert db.execute("select serial from dcim.device").fetchall() == [(LOGIN,)]
    logged = db.execute("select message from rowhooks.job_log_entry").fetchall()
    assert logged == ([("stamped",), ("stamped",)] if receiver is Stamps else [])


async def test_a_batch_that_is_tried_again_is_recorded_once_under_its_own_login(
    db: Connection, daemon_dsn: str, receiver_dsn: str, device: str
) -> None:
    add_hook(db, StampsMany, device)
    async with running_daemon(daemon_dsn, StampsMany, receiver_dsn=receiver_dsn):
        db.execute("insert into dcim.device select n, 'sw', 'SN' from generate_series(1, 5) as n")
        await settled(db)
    assert results(db) == [("SUCCESS", None)] * 5
    assert db.execute("select distinct serial from dcim.device").fetchall() == [(LOGIN,)]


async def test_a_receiver_of_a_former_leader_is_fenced_off_under_its_own_login(
    db: Connection, daemon_dsn: str, receiver_dsn: str, device: str
) -> None:
    target = Target(receiver_dsn)
    former = Workspaces(target, lambda _: Fence(uuid.UUID(int=7)), threads=1, async_connections=1)
    cause = run(cause=change(table_id=1))
    workspace = former.open(cause, "", asynchronous=False)
    workspace.session.execute(sqlalchemy.text("insert into dcim.device values (1, 'sw', 'SN')"))
    # STARTED is fenced by itself; a result needs the lease that is in force.
    with pytest.raises(LeadershipLost):
        workspace.commit(outcome(cause, "STARTED"))
    await former.close()
    assert results(db) == []
    assert db.execute("select from dcim.device").fetchall() == []


@pytest.mark.parametrize(
    "statement",
    [
        "update rowhooks.feed set after_id = 0",
        "update rowhooks.feed set leader_epoch = null",
        "select snapshot from rowhooks.feed",
        "update rowhooks.job set enabled = true",
        "delete from rowhooks.job_hook",
        "update rowhooks.job_hook set enabled = false",
        "update rowhooks.job_button set roles = '{public}'",
        "select from rowhooks.object_change",
        "select postchange from rowhooks.changes",
        "select result from rowhooks.job_result",
        "select traceback from rowhooks.results",
        "select message from rowhooks.job_log_entry",
        "update rowhooks.job_result set object_id = null",
        "delete from rowhooks.job_result",
        "insert into rowhooks.object_change (action, tracked_table) values ('create', 1)",
        "select rowhooks.prune_changes(now(), 1, 1, false)",
        "select rowhooks.extend_object_change()",
        "select rowhooks.untrack('dcim.device')",
        "select rowhooks.retry(1)",
        # A press in somebody else's name, a run that nobody requested, another's result.
        "insert into rowhooks.job_result (trigger, status, job_button_id, job_id, class_path, db_user)"
        " values ('press', 'PENDING', 1, 1, 'a.B', 'postgres')",
        "insert into rowhooks.job_result (status, job_hook_id, job_id, class_path) values ('PENDING', 1, 1, 'a.B')",
        "insert into rowhooks.job_result (trigger, status, job_hook_id, job_id, class_path, leader_epoch)"
        " select 'replay', 'PENDING', 1, 1, 'a.B', f.leader_epoch from rowhooks.feed as f",
        "update rowhooks.job_result set status = 'PENDING', finished_at = null where class_path = 'ended.Run'",
    ],
)
async def test_the_receivers_login_touches_nothing_of_rowhooks_that_a_run_does_not_need(
    db: Connection, daemon_dsn: str, receiver_dsn: str, device: str, statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Intrudes, "statement", statement)
    add_hook(db, Intrudes, device)
    ended = "insert into rowhooks.job_result (status, job_hook_id, job_id, class_path, finished_at)"
    db.execute(f"{ended} values ('SUCCESS', 1, 1, 'ended.Run', now())")
    async with running_daemon(daemon_dsn, Intrudes, receiver_dsn=receiver_dsn):
        db.execute("insert into dcim.device values (1, 'sw', 'SN')")
        await settled(db)
    _, (status, message) = results(db)
    assert status == "FAILURE"
    assert any(said in message for said in ("permission denied", "and nothing else", "may not run anything again"))


RECORDED = (
    "insert into rowhooks.job_result (id, object_change_id, job_hook_id, job_id, class_path, status, leader_epoch,"
    " finished_at, exception_type) values"
)


@pytest.mark.parametrize(
    "statement",
    [
        f"{RECORDED} (1001, 1, 1, 1, 'a.B', 'PENDING', gen_random_uuid(), null, null)",
        f"{RECORDED} (1001, 1, 1, 1, 'a.B', 'STARTED', gen_random_uuid(), null, null)",
        f"{RECORDED} (1001, 99, 1, 1, 'a.B', 'SUCCESS', gen_random_uuid(), now(), null)",
        f"{RECORDED} (1001, 99, 1, 1, 'a.B', 'SUCCESS', null, now(), null)",
        f"{RECORDED} (1001, 1, 1, 1, 'a.B', 'PENDING', (select f.leader_epoch from rowhooks.feed as f), null, null)",
        f"{RECORDED} (1001, 1, 1, 1, 'a.B', 'REVOKED', (select f.leader_epoch from rowhooks.feed as f), now(), null)",
        "update rowhooks.job_result set status = 'SUCCESS', finished_at = now() where id = 11",
        "update rowhooks.job_result set status = 'SUCCESS', finished_at = now() where id = 12",
        "update rowhooks.job_result set status = 'PENDING' where id = 13",
    ],
)
def test_the_receivers_login_leaves_no_run_to_leaders_to_come_and_ends_no_other_leaders(
    db: Connection, receiver_dsn: str, statement: str
) -> None:
    db.execute("update rowhooks.feed set leader_epoch = gen_random_uuid()")
    db.execute(
        "insert into rowhooks.job_result (id, status, job_hook_id, job_id, class_path, leader_epoch)"
        " values (11, 'STARTED', 1, 1, 'another.Leaders', gen_random_uuid()), (12, 'PENDING', 1, 1, 'asked.For', null),"
        " (13, 'STARTED', 1, 1, 'present.Leaders', (select f.leader_epoch from rowhooks.feed as f))"
    )
    with (
        psycopg.connect(receiver_dsn) as login,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="of the present leader, and nothing else"),
    ):
        login.execute(statement)


def test_it_records_what_came_of_a_run_of_the_present_leader(db: Connection, receiver_dsn: str) -> None:
    db.execute("update rowhooks.feed set leader_epoch = gen_random_uuid()")
    with psycopg.connect(receiver_dsn) as login:
        login.execute(
            f"{RECORDED} (1, 1, 1, 1, 'a.B', 'STARTED', (select f.leader_epoch from rowhooks.feed as f), null, null)"
        )
        login.execute("update rowhooks.job_result set status = 'SUCCESS', finished_at = now() where id = 1")
    assert results(db) == [("SUCCESS", None)]


async def test_a_result_of_a_former_leader_is_none_under_its_own_login(
    db: Connection, receiver_dsn: str, device: str
) -> None:
    db.execute("update rowhooks.feed set leader_epoch = gen_random_uuid()")
    former = Workspaces(Target(receiver_dsn), lambda _: Fence(uuid.UUID(int=7)), threads=1, async_connections=1)
    cause = run(cause=change(table_id=1))
    plain: Any = former.open(cause, "", asynchronous=False)
    later: Any = former.open(cause, "", asynchronous=True)
    insert = sqlalchemy.text("insert into dcim.device values (1, 'sw', 'SN')")
    plain.session.execute(insert)
    with pytest.raises(LeadershipLost):
        plain.commit(outcome(cause))
    await later.session.execute(insert)
    with pytest.raises(LeadershipLost):
        await later.commit(outcome(cause))
    await former.close()
    assert results(db) == []
    assert db.execute("select from dcim.device").fetchall() == []


async def test_a_login_without_the_receivers_role_is_refused_at_the_start(
    db: Connection, daemon_dsn: str, receiver_dsn: str
) -> None:
    db.execute("revoke rowhooks_receiver from rowhooks_test_receiver")
    try:
        with pytest.raises(PermissionDenied) as refused:
            await Daemon(load_settings(dsn=daemon_dsn, receiver_dsn=receiver_dsn), []).run()
    finally:
        db.execute("grant rowhooks_receiver to rowhooks_test_receiver")
    assert str(refused.value) == (
        f"receiver_dsn: login {LOGIN} has not the receivers' role rowhooks_receiver"
        f' (let an administrator run: grant rowhooks_receiver to "{LOGIN}")'
    )


async def test_a_receivers_login_that_is_not_let_in_is_said_at_the_start(daemon_dsn: str, receiver_dsn: str) -> None:
    nobody = make_conninfo(receiver_dsn, user="rowhooks_nobody")
    with pytest.raises(LoginRefused, match=r"receiver_dsn: cannot connect to .* \(see that the login exists"):
        await Daemon(load_settings(dsn=daemon_dsn, receiver_dsn=nobody), []).run()


async def test_a_receiver_dsn_of_another_database_is_refused(daemon_dsn: str, receiver_dsn: str) -> None:
    elsewhere = make_conninfo(receiver_dsn, dbname="postgres")
    with pytest.raises(SettingsError, match=r"receiver_dsn leads to postgres .* not the database of dsn"):
        await Daemon(load_settings(dsn=daemon_dsn, receiver_dsn=elsewhere), []).run()
