"""The page of a run: how it stands, what it logged, what it wrote, and the acts on it."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from starlette.applications import Starlette

from rowhooks.postgres.console.run import SQL
from rowhooks.web.pages.run import LINES
from tests.support.configuring import text_in
from tests.support.console import logged_in, page_at
from tests.support.console_runs import HOSTILE, NOON, add_run, let_people_read
from tests.support.hooks import add_hook
from tests.support.results import LEASE, Serial, add_button, add_line
from tests.support.rows import first_value

Connection = psycopg.Connection[Any]
NOTHING = "\N{EN DASH}"


@pytest.fixture
def hook(db: Connection, device: str, console: Starlette) -> int:
    let_people_read(db)
    return add_hook(db, Serial, device, name="Serials")


async def page_of(console: Starlette, run: int, role: str = "alice", query: str = "") -> str:
    return await page_at(console, f"/runs/{run}{query}", role)


async def test_a_run_says_how_it_went_and_what_started_it(console: Starlette, db: Connection, hook: int) -> None:
    db.execute("insert into dcim.device values (1, 'sw1')")
    change = first_value(db, "select max(id) from rowhooks.object_change")
    run = add_run(
        db, hook, trigger="change", hook_name="Serials", action="create", object_repr="sw1", object_change_id=change,
        created_at=NOON, started_at=NOON + timedelta(milliseconds=40), finished_at=NOON + timedelta(seconds=2.54),
        user_name="grace",
        db_user="app", result=json.dumps({"serial": "SN1"}), attempt=2, retries=1,
    )  # fmt: skip
    said = text_in(await page_of(console, run))
    assert "Status SUCCESS Attempt 2, with 1 retry that its job asked for" in said
    assert "Started 2026-01-31 12:00:00 UTC , 40 ms later" in said
    assert "Finished 2026-01-31 12:00:02 UTC , after 2.5 s" in said
    assert "Hook Serials Job policies.Serial Row dcim.device sw1 Cause create, change" in said
    assert "Role app User grace as the application says" in said
    assert 'Result { "serial": "SN1" }' in said


async def test_a_press_shows_its_inputs_and_its_login(console: Starlette, db: Connection, hook: int) -> None:
    button = add_button(db, "dcim.device")
    run = add_run(
        db, None, trigger="press", job_button_id=button, button_name="Reboot", inputs='{"size": 3, "note": "by night"}',
        login="pool", db_user="grace", job_id=first_value(db, "select id from rowhooks.job where kind = 'button'"),
    )  # fmt: skip
    said = text_in(await page_of(console, run))
    assert "Button Reboot" in said
    assert "Cause a press" in said
    assert "Role grace Login pool" in said
    assert "Inputs note by night size 3" in said


async def test_sensitive_inputs_are_never_shown(console: Starlette, db: Connection, hook: int) -> None:
    button = add_button(db, "dcim.device")
    db.execute("update rowhooks.job set meta = '{\"has_sensitive_variables\": true}' where kind = 'button'")
    run = add_run(
        db, None, trigger="press", job_button_id=button, button_name="Reboot", inputs='{"pin": "4711"}',
        job_id=first_value(db, "select id from rowhooks.job where kind = 'button'"), status="STARTED",
    )  # fmt: skip
    said = text_in(await page_of(console, run, "ada"))
    assert "4711" not in said
    assert "Its inputs are not shown: the job has sensitive variables." in said


async def test_a_failure_shows_its_exception_and_its_traceback(console: Starlette, db: Connection, hook: int) -> None:
    run = add_run(
        db, hook, status="FAILURE", exception_type="ValueError", exception_message="too hot",
        traceback="Traceback (most recent call last):\n  File x\nValueError: too hot\n",
    )  # fmt: skip
    text = await page_of(console, run)
    assert "Exception ValueError : too hot" in text_in(text)
    assert "<pre>Traceback (most recent call last):\n  File x\nValueError: too hot" in text


@pytest.mark.parametrize(
    ("kind", "what_it_wrote"),
    [("rowhooks.domain.errors.JobFailed", "was committed"), ("KeyError", "before it failed was rolled back")],
)
async def test_a_failed_run_says_what_became_of_its_writes(
    console: Starlette, db: Connection, hook: int, kind: str, what_it_wrote: str
) -> None:
    run = add_run(db, hook, status="FAILURE", exception_type=kind, finished_at=NOON)
    said = text_in(await page_of(console, run))
    assert what_it_wrote in said
    assert said.count("was committed") + said.count("was rolled back") == 1


async def test_a_run_that_waits_for_a_daemon_says_so(console: Starlette, db: Connection, hook: int) -> None:
    waiting = add_run(db, hook, status="PENDING")
    ended = add_run(db, hook, status="SUCCESS", finished_at=NOON)
    assert "No daemon leads. The run begins when one does" in text_in(await page_of(console, waiting))
    assert "No daemon leads" not in text_in(await page_of(console, ended))


async def test_log_lines_have_level_grouping_and_object(console: Starlette, db: Connection, hook: int) -> None:
    run = add_run(db, hook)
    second = add_line(db, run, "then\nthat", "warning", "cabling", second=2)
    first = add_line(db, run, "this", "success", second=1)
    db.execute(
        "update rowhooks.job_log_entry set object_type = 'dcim.device', object_repr = 'sw1' where id = %s", (first,)
    )
    text = await page_of(console, run)
    assert [int(id_) for id_ in re.findall(r'id="line-(\d+)"', text)] == [first, second]
    assert "success dcim.device sw1 this" in text_in(text)
    assert "warning cabling then that" in text_in(text)
    assert '<a href="/tables/dcim.device">dcim.device</a>' in text
    assert "then\nthat" in text


async def test_a_long_log_is_paged(console: Starlette, db: Connection, hook: int) -> None:
    run = add_run(db, hook)
    db.execute(
        "insert into rowhooks.job_log_entry (job_result_id, time, level, message)"
        " select %s, %s::timestamptz + n / 2 * interval '1 s', 'info', 'line ' || n || '.'"
        " from generate_series(1, %s) as n",
        (run, NOON, 2 * LINES + 7),
    )
    said: list[str] = []
    async with logged_in(console, "alice") as browser:
        address: str | None = f"/runs/{run}"
        while address:
            answer = await browser.get(address)
            assert len(answer.content) <= 100_000
            said += re.findall(r"line \d+\.", answer.text)
            found = re.search(r'href="([^"]+)">Further lines', answer.text)
            address = html.unescape(found[1]) if found else None
    assert said == [f"line {n}." for n in range(1, 2 * LINES + 8)]


async def test_whatever_a_receiver_made_is_text(console: Starlette, db: Connection, hook: int) -> None:
    button = add_button(db, "dcim.device")
    run = add_run(
        db, None, trigger="press", status="FAILURE", job_button_id=button, button_name=HOSTILE, class_path=HOSTILE,
        object_repr=HOSTILE, user_name=HOSTILE, exception_type=HOSTILE, exception_message=HOSTILE, traceback=HOSTILE,
        result=json.dumps({HOSTILE: HOSTILE}), inputs=json.dumps({HOSTILE: HOSTILE}), action=HOSTILE, key=HOSTILE,
        job_id=first_value(db, "select id from rowhooks.job where kind = 'button'"),
        object_id=json.dumps({"id": HOSTILE}),
    )  # fmt: skip
    line = add_line(db, run, HOSTILE, grouping=HOSTILE)
    db.execute(
        "update rowhooks.job_log_entry set object_type = %s, object_repr = %s where id = %s", (HOSTILE, HOSTILE, line)
    )
    text = await page_of(console, run, "ada")
    assert text.count("&lt;script&gt;alert") >= 12
    assert "<script>alert" not in text
    assert "<img" not in text


async def test_a_page_of_the_largest_run_stays_small(console: Starlette, db: Connection, hook: int, dsn: str) -> None:
    button = add_button(db, "dcim.device")
    quotes = '"' * 60_000
    with db.transaction():
        db.execute("set local rowhooks.request_id = 'the-key'")
        db.execute(
            "insert into dcim.device select n, repeat('\"', 5000), repeat('\"', 5000) from generate_series(1, 30) as n"
        )
        run = add_run(
            db, None, trigger="press", status="FAILURE", job_button_id=button, button_name=quotes, class_path=quotes,
            object_repr=quotes[:200], user_name=quotes, exception_type=quotes, exception_message=quotes * 20,
            traceback=f"{quotes}\n" * 30, result=json.dumps([quotes] * 30), key="the-key",
            inputs=json.dumps({f"{n}{'&' * 500}": quotes[:500] for n in range(60)}),
            job_id=first_value(db, "select id from rowhooks.job where kind = 'button'"),
            started_at=NOON.replace(year=2030),
        )  # fmt: skip
    for n in range(300):
        add_line(db, run, quotes, "info", quotes[:500], second=n % 60)
    async with logged_in(console, "ada") as browser:
        answer = await browser.get(f"/runs/{run}")
    assert answer.status_code == 200
    assert len(answer.content) <= 100_000


async def test_what_its_transaction_wrote_is_shown_as_a_diff(console: Starlette, db: Connection, hook: int) -> None:
    button = add_button(db, "dcim.device")
    db.execute("insert into dcim.device values (1, 'sw1', 'old'), (2, 'sw2', 'old')")
    with db.transaction():
        db.execute("set local rowhooks.request_id = 'a-key'")
        db.execute("update dcim.device set serial = 'new' where id = 1")
        run = add_run(db, None, trigger="press", job_button_id=button, button_name="Reboot", key="a-key", **now(db))
    with db.transaction():
        # Somebody who knows the key does not become the run.
        db.execute("set local rowhooks.request_id = 'a-key'")
        db.execute("update dcim.device set serial = 'forged' where id = 2")
    said = text_in(await page_of(console, run))
    assert "update dcim.device sw1" in said
    assert "serial old new" in said
    assert "forged" not in said
    assert "Only what is written to tracked tables is recorded." in said


async def test_a_repeat_with_the_same_key_has_its_own_changes(console: Starlette, db: Connection, hook: int) -> None:
    button = add_button(db, "dcim.device")
    runs: list[int] = []
    for serial in ("first", "second"):
        with db.transaction():
            db.execute("set local rowhooks.request_id = 'a-key'")
            db.execute("insert into dcim.device values (%s, 'sw', %s)", (len(runs), serial))
            original = runs[0] if runs else None
            runs.append(
                add_run(db, None, trigger="press", job_button_id=button, key="a-key", original_id=original, **now(db))
            )
    first, second = [text_in(await page_of(console, run)) for run in runs]
    assert f"serial {NOTHING} first" in first
    assert "second" not in first.partition("What it wrote")[2]
    assert f"serial {NOTHING} second" in second


async def test_the_writes_of_a_hook_receiver_are_shown_where_they_are_recorded(
    console: Starlette, db: Connection, hook: int
) -> None:
    quiet = add_run(db, hook, key="b-key", **now(db))
    assert "because no table is tracked with --audit-receivers" in text_in(await page_of(console, quiet))
    db.execute("select rowhooks.track('dcim.device', audit_receivers => true)")
    with db.transaction():
        db.execute("set local rowhooks.receiver = 'c-key'")
        db.execute("insert into dcim.device values (7, 'sw7', 'by the hook')")
        run = add_run(db, hook, key="c-key", **now(db))
    said = text_in(await page_of(console, run))
    assert "by the hook" in said
    assert "What hook receivers write is recorded in these tables alone: dcim.device." in said


async def test_the_runs_of_a_batch_show_what_the_batch_wrote(console: Starlette, db: Connection, hook: int) -> None:
    db.execute("select rowhooks.track('dcim.device', audit_receivers => true)")
    with db.transaction():
        db.execute("set local rowhooks.receiver = 'first-key'")
        db.execute("insert into dcim.device values (7, 'sw7', 'by the batch')")
        add_run(db, hook, key="first-key", **now(db))
        other = add_run(db, hook, key="other-key", **now(db))
    said = text_in(await page_of(console, other))
    assert "by the batch" in said
    assert "This is what the whole batch has written." in said


def now(db: Connection) -> dict[str, Any]:
    """Return the columns of a run that has just begun and ended."""
    at = first_value(db, "select clock_timestamp()")
    return {"created_at": at, "started_at": at, "finished_at": at}


async def test_an_unknown_run_is_not_found(console: Starlette, hook: int) -> None:
    async with logged_in(console, "alice") as browser:
        for address in ("/runs/4711", f"/runs/{'9' * 40}", f"/runs/{'9' * 40}/events"):
            assert (await browser.get(address)).status_code == 404


async def test_a_run_for_a_row_that_a_person_may_not_read_is_not_found(
    console: Starlette, db: Connection, hook: int
) -> None:
    run = add_run(db, hook)
    db.execute("revoke select on dcim.device from alice")
    async with logged_in(console, "alice") as browser:
        for path in (f"/runs/{run}", f"/runs/{run}/events"):
            answer = await browser.get(path)
            assert str(run) not in answer.text.partition("<main")[2] or answer.status_code == 404, path


# Acts


@pytest.fixture
def failed(db: Connection, hook: int) -> int:
    """A failed run of a change that is in the log."""
    db.execute("insert into dcim.device values (1, 'sw1')")
    change = first_value(db, "select max(id) from rowhooks.object_change")
    return add_run(
        db, hook, trigger="change", status="FAILURE", hook_name="Serials", object_change_id=change, action="create",
        job_id=first_value(db, "select job_id from rowhooks.job_hook"),
    )  # fmt: skip


def form_of(text: str, label: str) -> tuple[str, dict[str, Any]]:
    """Return the address and the hidden fields of the form with an accessible name."""
    found = re.search(rf'<form method="post" action="([^"]+)"[^>]* aria-label="{label}">(.*?)</form>', text, re.DOTALL)
    assert found, f"there is no form {label}"
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', found[2]))
    return found[1], fields


async def test_an_operator_runs_a_run_again_once_however_often_the_form_is_sent(
    console: Starlette, db: Connection, failed: int
) -> None:
    async with logged_in(console, "oscar") as browser:
        address, fields = form_of((await browser.get(f"/runs/{failed}")).text, "Run again")
        answers = [await browser.submit(address, **fields) for _ in range(3)]
        again = await browser.get(answers[0].headers["location"])
    assert {answer.status_code for answer in answers} == {303}
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert db.execute("select status, original_id from rowhooks.job_result where id <> %s", (failed,)).fetchall() == [
        ("PENDING", failed)
    ]
    assert f"Repeats run {failed}" in text_in(again.text)
    assert "Other runs of the same" in again.text


async def test_a_run_that_was_repeated_and_failed_again_is_repeated_anew(
    console: Starlette, db: Connection, failed: int
) -> None:
    async with logged_in(console, "oscar") as browser:
        for count in (1, 2):
            address, fields = form_of((await browser.get(f"/runs/{failed}")).text, "Run again")
            await browser.submit(address, **fields)
            db.execute(
                "update rowhooks.job_result set status = 'FAILURE', exception_type = 'E', finished_at = now()"
                " where finished_at is null"
            )
            assert first_value(db, "select count(*) from rowhooks.job_result where original_id = %s", failed) == count


async def test_an_operator_revokes_a_run_that_waits(console: Starlette, db: Connection, hook: int) -> None:
    run = add_run(db, hook, status="PENDING")
    async with logged_in(console, "oscar") as browser:
        address, fields = form_of((await browser.get(f"/runs/{run}")).text, "Revoke")
        answer = await browser.submit(address, follow=True, **fields)
        assert "REVOKED" in answer.text
        again = await browser.submit(address, **fields)
    assert again.status_code == 409
    assert "cannot be revoked: it has finished with REVOKED" in again.text


async def test_a_refusal_says_why(console: Starlette, db: Connection, failed: int) -> None:
    db.execute("update rowhooks.job set enabled = false")
    async with logged_in(console, "oscar") as browser:
        await browser.get(f"/runs/{failed}")
        answer = await browser.submit(f"/runs/{failed}/retry", seen="0")
    assert answer.status_code == 409
    assert "cannot be run again: its job tests.support.results.Serial is disabled" in text_in(answer.text)


@pytest.mark.parametrize("role", ["alice", "mallory"])
async def test_others_see_no_form_and_are_refused_by_the_database(
    console: Starlette, db: Connection, failed: int, role: str
) -> None:
    waiting = add_run(db, db.execute("select id from rowhooks.job_hook").fetchall()[0][0], status="PENDING")
    async with logged_in(console, role) as browser:
        page = await browser.get(f"/runs/{failed}")
        assert "Run again" not in page.text
        await browser.get("/")
        for path in (f"/runs/{failed}/retry", f"/runs/{waiting}/revoke"):
            answer = await browser.submit(path, seen="0")
            assert answer.status_code in (403, 404), answer.text
    assert first_value(db, "select count(*) from rowhooks.job_result") == 2
    assert first_value(db, "select status from rowhooks.job_result where id = %s", waiting) == "PENDING"


def test_the_log_of_a_run_is_found_by_its_index(db: Connection, hook: int) -> None:
    db.execute(
        "insert into rowhooks.job_result (trigger, status, leader_epoch, job_hook_id, job_id, class_path, finished_at,"
        " tracked_table) select 'replay', 'SUCCESS', %s, %s, 1, 'x.Y', now(), 1 from generate_series(1, 20000)",
        (LEASE, hook),
    )
    db.execute(
        "insert into rowhooks.job_log_entry (job_result_id, time, level, message)"
        " select r.id, now(), 'info', 'x' from rowhooks.job_result as r"
    )
    db.execute("analyze rowhooks.job_result, rowhooks.job_log_entry")
    run = first_value(db, "select max(id) from rowhooks.job_result")
    questions = {
        "log_lines": (run, None, None, 10), "new_lines": (run, [], 10), "state": (run,), "history": (run, run, 10),
        "lines_up_to": (run, 7, 10), "repeats": (run,), "run": (run,),
        "written": ("700", "key", True, NOON, NOON, 10),
    }  # fmt: skip
    with db.transaction(), psycopg.RawCursor(db) as cursor:
        cursor.execute("set local role alice")
        for name, values in questions.items():
            plan = "\n".join(row[0] for row in cursor.execute(f"explain (analyze) {SQL[name]}", values).fetchall())
            assert max(int(rows) for rows in re.findall(r"actual time=\S+ rows=(\d+)", plan)) < 1000, (name, plan)
