"""The status page, doctor's page and the first page: what a person sees of how things are."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql
from starlette.applications import Starlette

from rowhooks.postgres.console import home
from rowhooks.postgres.console.status import read_status
from rowhooks.web.live import streams
from rowhooks.web.pages import status as pages
from rowhooks.web.showing.samples import Sample, Samples
from tests.support.configuring import EVIL, add_job, is_inert, text_in
from tests.support.console import PASSWORD, logged_in
from tests.support.hooks import add_hook
from tests.support.pressing import add_button
from tests.support.queries import queries
from tests.support.streams import Listener, listening

Connection = psycopg.Connection[Any]


class Policy:
    """A receiver's class."""


JOB = f"{Policy.__module__}.{Policy.__qualname__}"


@pytest.fixture
def hook(console: Starlette, db: Connection, device: str) -> int:
    db.execute("grant usage on schema dcim to alice; grant select on dcim.device to alice")
    return add_hook(db, Policy, "dcim.device")


def add_runs(db: Connection, hook: int, status: str, count: int, message: str = "", ago: str = "1 minute") -> None:
    db.execute(
        "insert into rowhooks.job_result (status, job_hook_id, hook_name, job_id, class_path, tracked_table,"
        " created_at, finished_at, exception_type, exception_message, retry_at)"
        " select %(status)s, h.id, h.name, h.job_id, %(job)s, t.id, now() - %(ago)s::interval,"
        " case when %(status)s in ('SUCCESS', 'FAILURE', 'REVOKED') then now() end,"
        " case %(status)s when 'FAILURE' then 'ValueError' end, %(message)s, now()"
        " from rowhooks.job_hook as h cross join rowhooks.tracked_table as t cross join generate_series(1, %(count)s)"
        " where h.id = %(hook)s",
        {"status": status, "hook": hook, "job": JOB, "count": count, "message": message, "ago": ago},
    )


async def seen(console: Starlette, path: str, role: str = "alice") -> str:
    async with logged_in(console, role) as browser:
        answer = await browser.get(path)
        assert answer.status_code == 200, text_in(answer.text)
        return answer.text


async def test_it_says_that_no_daemon_leads_and_how_to_start_one(console: Starlette) -> None:
    said = text_in(await seen(console, "/status"))
    assert "Leader none: no daemon leads. Start one: rowhooks run" in said
    assert "Standbys none" in said
    assert "Backlog none: every change has been dealt with" in said
    assert "Tracked 0 tables Enabled 0 jobs, 0 hooks, 0 buttons" in said


async def test_a_standby_server_does_not_say_that_no_daemon_leads(
    console: Starlette, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not know: the leader's lock is the primary's. tests/setup/test_connections.py has a real one."""
    db.execute("update rowhooks.feed set leader = 'machine:1'")

    def on_a_standby(conn: Connection) -> Any:
        found = read_status(conn)
        return {**found, "numbers": {**found["numbers"], "is_led": None}}

    monkeypatch.setattr(pages, "read_status", on_a_standby)
    said = text_in(await seen(console, "/status"))
    assert "Leader not known: this is a standby server; the last was machine:1" in said
    assert "no daemon leads" not in said


async def test_leader_and_standbys_are_named(console: Starlette, db: Connection, dsn: str, daemon_dsn: str) -> None:
    db.execute("update rowhooks.feed set leader = 'machine:1', leader_since = '2026-01-02 03:04+00'")
    with (
        psycopg.connect(daemon_dsn, autocommit=True) as leading,
        psycopg.connect(daemon_dsn, autocommit=True) as standing_by,
    ):
        key = db.execute("select leader_key from rowhooks.feed").fetchone()
        leading.execute("select pg_advisory_lock(%s)", key)
        for conn, name in ((leading, "machine:1"), (standing_by, "machine:2")):
            conn.execute(
                "insert into rowhooks.daemon (backend_pid, name, receivers) values (%s, %s, '{a.B,a.C}')",
                (conn.info.backend_pid, name),
            )
        said = text_in(await seen(console, "/status"))
    gone = text_in(await seen(console, "/status"))
    assert "Leader machine:1 since 2026-01-02 03:04:00 UTC" in said
    assert "Standbys machine:2 (2 receivers)" in said
    assert "Leader none: no daemon leads; the last was machine:1." in gone
    assert "Standbys none" in gone


async def test_workers_are_named_with_what_they_have_in_hand(console: Starlette, db: Connection) -> None:
    assert "Workers" not in text_in(await seen(console, "/status"))
    db.execute(
        "insert into rowhooks.worker (id, name, queues, threads, tasks, receivers, code_version, clock_offset,"
        " is_stopping, seen_at)"
        " select gen_random_uuid(), w.name, '{default,<b>}', 10, 100, '{a.B}', '1', '0', w.name = 'm:1', w.seen"
        " from (values ('m:1', now()), ('m:2', now() - interval '1 hour')) as w (name, seen)"
    )
    db.execute(
        "insert into rowhooks.dispatch (id, leader_epoch, queue, priority, receivers, asynchronous, runs, worker)"
        " select gen_random_uuid(), gen_random_uuid(), 'default', 0, '{a.B}', false, '[[{}], [{}, {}]]', g.worker"
        " from (select id from rowhooks.worker where name = 'm:1' union all select null) as g (worker)"
    )
    said = text_in(await seen(console, "/status"))
    assert "Workers m:1 (default, <b>; 3 runs in hand; stopping), " in said
    assert " m:2 (default, <b>; 0 runs in hand; not heard of)" in said
    assert "Handed to workers default: 2 groups, 1 not taken yet" in said


async def test_a_lock_that_a_stranger_holds_makes_no_leader(console: Starlette, db: Connection, dsn: str) -> None:
    key = db.execute("select leader_key from rowhooks.feed").fetchone()
    db.execute("create role stranger login")
    with psycopg.connect(dsn, user="stranger", autocommit=True) as conn:
        conn.execute("select pg_advisory_lock(%s)", key)
        said = text_in(await seen(console, "/status"))
    assert "Leader none: no daemon leads" in said


async def test_what_waits_is_said_with_the_oldest(console: Starlette, db: Connection, hook: int) -> None:
    db.execute("insert into dcim.device values (1, 'a', null), (2, 'b', null)")
    db.execute("update rowhooks.object_change set time = now() - interval '2 hours' where id = 1")
    add_runs(db, hook, "PENDING", 3)
    add_runs(db, hook, "STARTED", 1)
    said = text_in(await seen(console, "/status"))
    assert re.search(r"Backlog 2 changes not dealt with, the oldest for 2 h", said)
    assert "Requested 3 runs by hand, not yet taken up by a leader" in said
    assert f"{JOB} PENDING 3" in said
    assert f"{JOB} STARTED 1" in said


async def test_failures_stand_by_job_with_their_commonest_error(console: Starlette, db: Connection, hook: int) -> None:
    add_runs(db, hook, "FAILURE", 1, "rare")
    add_runs(db, hook, "FAILURE", 3, "no such serial")
    add_runs(db, hook, "FAILURE", 9, "long ago", ago="2 days")
    page = await seen(console, "/status")
    assert f"{JOB} 4 ValueError: no such serial (3 of 4; 2 different errors)" in text_in(page)
    assert "long ago" not in page


async def test_errors_of_rows_that_a_person_may_not_see_are_not_shown(
    console: Starlette, db: Connection, hook: int
) -> None:
    add_runs(db, hook, "FAILURE", 3, "the secret of a row")
    db.execute("revoke select on dcim.device from alice")
    for path in ("/", "/status"):
        page = await seen(console, path)
        assert "the secret of a row" not in page
        assert "ValueError" not in page


@pytest.mark.parametrize(("span", "labels"), [("hour", "minute"), ("day", "quarter of an hour"), ("year", "minute")])
async def test_runs_and_changes_over_time_are_a_chart_and_a_table(
    console: Starlette, db: Connection, hook: int, span: str, labels: str
) -> None:
    add_runs(db, hook, "SUCCESS", 5)
    add_runs(db, hook, "FAILURE", 2, ago="20 minutes")
    db.execute("insert into dcim.device values (1, 'a', null)")
    page = await seen(console, f"/status?span={span}")
    assert f'<title id="runs-title">Runs by the {labels} in which they came</title>' in page
    assert '<rect class="of-success"' in page
    assert '<rect class="of-failure"' in page
    assert '<rect class="of-change"' in page
    assert 'role="img" aria-labelledby="runs-title runs-description"' in page
    table = text_in(page[page.index("Runs by the") :])
    assert re.search(r"\d\d:\d\d (5 0 0 0|5 2 0 0)", table)
    assert "style=" not in page


async def test_what_waited_is_drawn_of_the_samples_that_the_console_has_taken(
    console: Starlette, db: Connection, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first page, to which a log-in leads, takes samples too.
    monkeypatch.setattr("rowhooks.web.showing.samples.APART", timedelta())
    db.execute("insert into dcim.device values (1, 'a', null)")
    first = await seen(console, "/status")
    second = await seen(console, "/status")
    counts = [re.search(r"keeps it for a day: (\d+) since", text_in(page)) for page in (first, second)]
    assert [int(found[1]) for found in counts if found] == [2, 4]
    assert '<polyline class="of-change"' in second
    assert "changes not dealt with: at most 1, at last 1" in text_in(second)


async def test_the_page_is_told_the_parts_that_have_become_others_and_no_others(
    console: Starlette, db: Connection, hook: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "FASTEST", 0.01)
    monkeypatch.setattr(pages, "PACE", 0.01)
    async with logged_in(console, "alice") as browser:
        page = (await browser.get("/status")).text
        assert 'data-live="/status/events?span=hour"' in page
        async with listening(browser, console, "/status/events?span=hour") as listener:
            await listener.hears("There is none among 0 runs.")
            assert all(f'<div id="{part}">' in page for part in told(listener))
            assert sorted(told(listener)) == sorted(f"status-{name}" for name in PARTS)
            add_runs(db, hook, "FAILURE", 2, "no such serial")
            await listener.hears("no such serial")
            # The samples are those of the console, not of the database.
            assert (
                {"status-failures", "status-activity"} <= set(told(listener)[5:]) <= {*map("status-{}".format, PARTS)}
            )
            assert "status-waiting" not in told(listener)[5:]
            db.execute("revoke rowhooks_viewer from alice")
            await listener.hears("permission denied", "end")


PARTS = ("facts", "waiting", "failures", "activity", "samples")


def told(listener: Listener) -> list[str]:
    return [found for one in listener.heard for found in re.findall(r'<div id="(status-\w+)">', one.data)]


def test_a_console_keeps_a_day_of_samples_and_none_that_are_too_near_to_each_other() -> None:
    samples = Samples()
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    for seconds in (0, 1, 10, 15, 20, 86_400, 86_405, 86_410):
        samples.add(Sample(begun + timedelta(seconds=seconds), seconds, 0.0, 0))
    assert [one.backlog for one in samples] == [10, 20, 86_400, 86_410]


async def test_who_does_not_look_on_is_refused_and_to_doctor_almost_everything_is_unseen(console: Starlette) -> None:
    async with logged_in(console, "mallory") as browser:
        answer = await browser.get("/status")
    assert answer.status_code == 403
    assert "the status are for members of rowhooks_viewer" in answer.text
    said = text_in(await seen(console, "/status/doctor", "mallory"))
    assert "Nothing is wrong in what your role may look at." in said
    assert "triggers on tracked tables permission denied" in said


async def test_doctor_names_what_is_wrong_with_the_command_that_mends_it(
    console: Starlette, db: Connection, hook: int
) -> None:
    db.execute("update rowhooks.job set enabled = false")
    page = await seen(console, "/status/doctor")
    assert f"problem hook Policy starts nothing: its job {JOB} is disabled" in text_in(page)
    assert f"rowhooks jobs enable {JOB}" in text_in(page)


async def test_doctor_names_what_a_viewer_may_not_look_at(console: Starlette, db: Connection) -> None:
    said = text_in(await seen(console, "/status/doctor"))
    assert "Nothing is wrong in what your role may look at. What it may not look at is named below." in said
    assert "runs of a former leader permission denied for table job_result" in said
    assert "long transactions the sessions of other roles are seen by members of pg_read_all_stats" in said
    assert re.search(r"Looked at: (\d+) of (\d+) things", said)


async def test_doctor_asks_four_queries_at_most_with_everything_to_look_at(
    console: Starlette, db: Connection, hook: int
) -> None:
    db.execute(sql.SQL("create role eve login password {}").format(PASSWORD))
    db.execute("grant rowhooks_daemon, rowhooks_viewer, pg_read_all_stats to eve")
    db.execute("update rowhooks.feed set rows_login = 'eve'")
    lacks = "login eve lacks TRUNCATE on table dcim.device"
    add_runs(db, hook, "FAILURE", 1, f"(psycopg.errors.InsufficientPrivilege) x: {lacks} (its owner runs: psql -c ")
    db.execute("update rowhooks.job_result set exception_type = 'sqlalchemy.exc.ProgrammingError'")
    async with logged_in(console, "eve") as browser:
        with queries() as executed:
            answer = await browser.get("/status/doctor")
    assert f"{lacks}, for which runs of the last hour have failed: 1" in text_in(answer.text)
    assert len(executed) == 4


async def test_doctor_leaves_nothing_out_for_who_may_look_at_everything(
    console: Starlette, db: Connection, dsn: str
) -> None:
    db.execute(sql.SQL("create role eve login password {}").format(PASSWORD))
    db.execute("grant rowhooks_daemon, rowhooks_viewer, pg_read_all_stats to eve")
    said = text_in(await seen(console, "/status/doctor", "eve"))
    assert "Not looked at" not in said
    assert re.search(r"Looked at: (\d+) of \1 things", said)


async def test_the_first_page_says_what_matters_at_a_glance(console: Starlette, db: Connection, hook: int) -> None:
    add_button(db, "dcim.device", roles="{oscar}")
    add_runs(db, hook, "FAILURE", 2, "no such serial")
    add_runs(db, hook, "PENDING", 3)
    said = text_in(await seen(console, "/"))
    assert "Leader none: no daemon leads" in said
    assert "Runs that have not ended 3" in said
    assert f"Failures of the last day 2 ; most of job {JOB}" in said
    assert "dcim.device : 1 button, of which you may press 0" in said
    assert "ValueError: no such serial" in said


async def test_who_does_not_look_on_sees_its_tables_and_nothing_else(
    console: Starlette, db: Connection, hook: int
) -> None:
    db.execute("grant usage on schema dcim to mallory; grant select on dcim.device to mallory")
    add_button(db, "dcim.device")
    add_runs(db, hook, "FAILURE", 2, "no such serial")
    said = text_in(await seen(console, "/", "mallory"))
    assert "dcim.device : 1 button" in said
    assert "Leader" not in said
    assert "ValueError" not in said
    assert "Latest runs" not in said


async def test_a_question_that_takes_too_long_costs_its_own_answer_alone(
    console: Starlette, db: Connection, hook: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_slow(conn: Connection) -> Any:
        conn.execute("set local statement_timeout = '10ms'")
        return conn.execute("select pg_sleep(1)")

    monkeypatch.setattr(home, "read_failures", too_slow)
    add_runs(db, hook, "SUCCESS", 1)
    said = text_in(await seen(console, "/"))
    assert "The failures are not known:" in said
    assert "Leader none" in said
    assert "SUCCESS hook Policy" in said


async def test_errors_and_names_are_inert(console: Starlette, db: Connection, hook: int) -> None:
    add_job(db, f"a.{EVIL}")
    db.execute("update rowhooks.feed set leader = %s", (EVIL,))
    db.execute("update rowhooks.job set class_path = %s where class_path = %s", (f"b.{EVIL}", JOB))
    add_runs(db, hook, "FAILURE", 2, EVIL)
    add_runs(db, hook, "PENDING", 2)
    db.execute("update rowhooks.job_result set class_path = %s, exception_type = left(%s, 90)", (EVIL, EVIL))
    db.execute("update rowhooks.job set enabled = false, installed = false")
    pages = [await seen(console, path) for path in ("/", "/status", "/status/doctor")]
    assert EVIL in text_in(pages[1])
    assert all(is_inert(page) for page in pages)
