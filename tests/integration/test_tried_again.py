"""Which errors of a run's statements pass by themselves: every class, raised by the server, and the usual ones met."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import psycopg
import pytest
from sqlalchemy import text

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.domain.sqlstates import CACHED_PLAN, TABLE
from rowhooks.pipeline.execution.runner import TRANSIENT_ATTEMPTS
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]


class Provokes(JobHookReceiver):
    """Does what the row names; where it is to pass by itself, in the first attempt alone."""

    things: ClassVar[dict[str, tuple[Callable[[Any], object], bool]]] = {}
    calls: ClassVar[Counter[str]] = Counter()

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        name = changed_object.name
        does, is_tried_again = self.things[name]
        self.calls[name] += 1
        if self.calls[name] == 1 or not is_tried_again:
            does(self.session)
        changed_object.serial = "written"
        changed_object.save()


def executes(*statements: str) -> Callable[[Any], object]:
    def work(session: Any) -> None:
        for statement in statements:
            session.execute(text(statement))

    return work


def raises(sqlstate: str) -> Callable[[Any], object]:
    return executes(f"do $$ begin raise exception using errcode = '{sqlstate}'; end $$")


def ends_in_a_trigger(session: Any) -> None:
    # save() comes next.
    session.execute(text("set local rowhooks_test.shutdown = 'on'"))


EVERY_CLASS = {
    f"raised {one.code}": (raises(one.code.ljust(5, "0")), one.run) for one in TABLE if one.code != CACHED_PLAN
}
MET = {
    "admin shutdown": (executes("select pg_terminate_backend(pg_backend_pid())"), True),
    "shutdown while saving": (ends_in_a_trigger, True),
    "lock not available": (executes("select from held for update nowait"), True),
    "lock timeout": (executes("set local lock_timeout = 1", "select from held for update"), True),
    "read only": (executes("set transaction read only", "update dcim.device set serial = 'x'"), True),
    "statement timeout": (executes("set local statement_timeout = 1", "select pg_sleep(60)"), False),
    "cancelled": (executes("select pg_cancel_backend(pg_backend_pid())", "select pg_sleep(60)"), False),
    "unique violation": (executes("insert into dcim.device values (1, 'again')"), False),
    "no such table": (executes("select from missing"), False),
    "division by zero": (executes("select 1 / 0"), False),
}


@pytest.mark.parametrize("things", [EVERY_CLASS, MET], ids=["every class", "met"])
async def test_what_passes_by_itself_is_tried_again_and_nothing_else(
    db: Connection, dsn: str, daemon_dsn: str, device: str, things: dict[str, tuple[Callable[[Any], object], bool]]
) -> None:
    Provokes.things, Provokes.calls = things, Counter()
    db.execute("create table held (id integer)")
    db.execute("insert into held values (1)")
    db.execute("grant select, update on held to rowhooks_daemon")
    db.execute(
        "create function shut_down() returns trigger language plpgsql security definer as $$ begin"
        " if current_setting('rowhooks_test.shutdown', true) = 'on' then"
        " perform pg_terminate_backend(pg_backend_pid()); end if; return new; end $$"
    )
    db.execute("create trigger shut_down before update on dcim.device for each row execute function shut_down()")
    add_hook(db, Provokes, device)
    with psycopg.connect(dsn) as holder:
        holder.execute("select from held for update")
        async with running_daemon(daemon_dsn, Provokes):
            for number, name in enumerate(things):
                db.execute("insert into dcim.device values (%s, %s)", (number, name))
            await settled(db)
    found = dict(db.execute("select object_repr, status from rowhooks.results").fetchall())
    assert found == {name: "SUCCESS" if again else "FAILURE" for name, (_, again) in things.items()}
    assert Provokes.calls == {name: 2 if again else 1 for name, (_, again) in things.items()}
    written = {name for (name,) in db.execute("select name from dcim.device where serial = 'written'").fetchall()}
    assert written == {name for name, (_, again) in things.items() if again}


class AlwaysDeadlocked(JobHookReceiver):
    calls: ClassVar[int] = 0

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        type(self).calls += 1
        await self.session.execute(text("do $$ begin raise exception using errcode = '40P01'; end $$"))


async def test_what_does_not_pass_after_all_is_a_failure(
    db: Connection, daemon_dsn: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rowhooks.pipeline.execution.runner.LONGEST_PAUSE", 0.01)
    AlwaysDeadlocked.calls = 0
    add_hook(db, AlwaysDeadlocked, device)
    async with running_daemon(daemon_dsn, AlwaysDeadlocked):
        db.execute("insert into dcim.device values (1, 'sw')")
        await settled(db)
    assert AlwaysDeadlocked.calls == TRANSIENT_ATTEMPTS
    assert db.execute("select status from rowhooks.results").fetchall() == [("FAILURE",)]


class Refreshes(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        changed_object.refresh_from_db()
        return self.session.execute(text("select serial from dcim.device where id = 1")).scalar_one()


class RefreshesAsynchronously(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        await changed_object.refresh_from_db()
        return (await self.session.execute(text("select serial from dcim.device where id = 1"))).scalar_one()


@pytest.mark.parametrize("receiver", [Refreshes, RefreshesAsynchronously])
async def test_a_table_that_is_altered_again_and_again_costs_no_run(
    db: Connection, daemon_dsn: str, device: str, receiver: type, caplog: pytest.LogCaptureFixture
) -> None:
    add_hook(db, receiver, device)
    async with running_daemon(daemon_dsn, receiver):
        for length in (40, 50, 60):
            # Prepared at the fifth use of each statement, on each connection.
            for number in range(6):
                db.execute(f"insert into dcim.device values ({10 * length + number}, 'sw', 'SN')")
                db.execute("insert into dcim.device values (1, 'sw', 'SN') on conflict do nothing")
                await settled(db)
            db.execute(f"alter table dcim.device alter serial type varchar({length})")
        db.execute("update dcim.device set name = 'new'")
        await settled(db)
    assert db.execute("select distinct status, exception_message from rowhooks.results").fetchall() == [
        ("SUCCESS", None)
    ]
    # It was met indeed.
    assert any(line.startswith("the run is retried") and "cached plan" in line for line in caplog.messages)


class Names(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        return changed_object.name


@pytest.mark.parametrize(
    ("times", "code", "expected"),
    [
        (1, "40P01", ("SUCCESS", None)),
        (1, "57014", ("SUCCESS", None)),
        (1000, "40P01", ("FAILURE", "loading rows of public.note: the server said it")),
        (1, "22000", ("FAILURE", 'loading row {"id": 1} of public.note: the server said it')),
    ],
)
async def test_rows_whose_loading_meets_what_passes_by_itself_are_loaded_again(
    db: Connection, daemon_dsn: str, device: str, times: int, code: str, expected: tuple[str, str | None]
) -> None:
    db.execute("create table note (id integer primary key, name text)")
    db.execute("create sequence looks")
    db.execute(
        "create function may_see() returns boolean language plpgsql security definer as $$ begin"
        f" if nextval('public.looks') <= {times} then raise exception 'the server said it' using errcode = '{code}';"
        " end if; return true; end $$"
    )
    db.execute("alter table note enable row level security")
    db.execute("create policy flaky on note using (may_see())")
    db.execute("select rowhooks.track('note')")
    db.execute("grant select on note to rowhooks_daemon")
    add_hook(db, Names, "note")
    add_hook(db, Names, device, name="another table")
    async with running_daemon(daemon_dsn, Names, row_security=True) as daemon:
        db.execute("insert into note values (1, 'tea')")
        db.execute("insert into dcim.device values (1, 'sw')")
        await settled(db)
        assert daemon.ready.is_set()
    found = db.execute(
        "select status, split_part(exception_message, chr(10), 1) from rowhooks.results where hook_name = 'Names'"
    ).fetchall()
    assert found == [expected]
    assert db.execute("select status from rowhooks.results where hook_name = 'another table'").fetchall() == [
        ("SUCCESS",)
    ]
