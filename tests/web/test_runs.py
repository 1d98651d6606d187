"""The listing of runs: filters in the address, pages in both directions, what is shown of each."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from starlette.applications import Starlette

from rowhooks.postgres.console.runs import PAGE, SQL, RunFilter
from tests.support.console import Browser, logged_in
from tests.support.console_runs import HOSTILE, NOON, add_run, let_people_read
from tests.support.hooks import add_hook
from tests.support.results import LEASE, Serial, add_button
from tests.support.streams import listening

Connection = psycopg.Connection[Any]


@pytest.fixture
def hook(db: Connection, device: str, console: Starlette) -> int:
    let_people_read(db)
    return add_hook(db, Serial, device, name="Serials")


def shown(text: str) -> list[int]:
    """Return the ids of the runs that a page lists, in its order."""
    return [int(id_) for id_ in re.findall(r'<tr id="run-(\d+)"', text)]


async def listed(browser: Browser, query: str = "") -> list[int]:
    answer = await browser.get(f"/runs{query}")
    assert answer.status_code == 200, answer.text
    return shown(answer.text)


def link(text: str, label: str) -> str:
    """Return where a link of a page leads."""
    found = re.search(rf'href="([^"]+)">{label}</a>', text)
    assert found, f"no link {label}"
    return found[1].replace("&amp;", "&")


async def test_the_newest_runs_come_first(console: Starlette, db: Connection, hook: int) -> None:
    old = add_run(db, hook, created_at=NOON)
    new = add_run(db, hook, created_at=NOON + timedelta(hours=1))
    middle = add_run(db, hook, created_at=NOON + timedelta(minutes=1))
    async with logged_in(console, "alice") as browser:
        assert await listed(browser) == [new, middle, old]


async def test_runs_of_the_same_instant_are_told_apart_by_their_ids(
    console: Starlette, db: Connection, hook: int
) -> None:
    runs = [add_run(db, hook, created_at=NOON) for _ in range(2 * PAGE)]
    async with logged_in(console, "alice") as browser:
        first = await browser.get("/runs")
        second = await browser.get(link(first.text, "Older"))
    assert shown(first.text) + shown(second.text) == runs[::-1]


async def test_pages_follow_each_other_in_both_directions(console: Starlette, db: Connection, hook: int) -> None:
    runs = [add_run(db, hook, created_at=NOON + timedelta(days=n)) for n in range(2 * PAGE + 10)][::-1]
    async with logged_in(console, "alice") as browser:
        pages = [await browser.get("/runs")]
        for _ in range(2):
            pages.append(await browser.get(link(pages[-1].text, "Older")))
        assert [shown(one.text) for one in pages] == [runs[:PAGE], runs[PAGE : 2 * PAGE], runs[2 * PAGE :]]
        assert "Older</a>" not in pages[-1].text
        back = await browser.get(link(pages[-1].text, "Newer"))
        assert shown(back.text) == runs[PAGE : 2 * PAGE]
        assert shown((await browser.get(link(back.text, "Newer"))).text) == runs[:PAGE]


async def test_without_a_script_a_link_shows_what_has_come_since(console: Starlette, db: Connection, hook: int) -> None:
    old = [add_run(db, hook, created_at=NOON + timedelta(hours=n)) for n in range(PAGE)][::-1]
    async with logged_in(console, "alice") as browser:
        newer = link((await browser.get("/runs")).text, "Newer")
        assert await listed(browser, newer.removeprefix("/runs")) == old
        new = add_run(db, hook, created_at=NOON + timedelta(days=9))
        assert await listed(browser, newer.removeprefix("/runs")) == [new, *old[:-1]]


async def test_a_run_that_is_recorded_between_two_pages_moves_no_line(
    console: Starlette, db: Connection, hook: int
) -> None:
    runs = [add_run(db, hook, created_at=NOON + timedelta(hours=n)) for n in range(PAGE + 5)]
    async with logged_in(console, "alice") as browser:
        first = await browser.get("/runs")
        add_run(db, hook, created_at=NOON + timedelta(days=9))
        second = await browser.get(link(first.text, "Older"))
    assert shown(first.text) + shown(second.text) == runs[::-1]


@pytest.mark.parametrize(
    "query",
    [
        "status=FAILURE", "status=failure", "status=FAILURE&status=RETRY", "job=other.Job", "hook=Other",
        "trigger=change", "since=2026-01-31T12:30", "since=2026-01-31T13:30%2B01:00", "until=2026-01-31T12:30%2B01:00",
        "text=too%20HOT", "text=valueerror", "text=Error:%20too", "user=grace", "user=hopper", "user=real_login",
        "batch=7", "table=dcim.device&status=FAILURE&user=grace",
    ],
)  # fmt: skip
async def test_a_filter_leaves_the_others_out(console: Starlette, db: Connection, hook: int, query: str) -> None:
    other = {
        "trigger": "change", "status": "FAILURE", "exception_type": "ValueError", "exception_message": "too hot",
        "hook_name": "Other", "class_path": "other.Job", "user_name": "grace", "db_user": "hopper",
        "login": "real_login", "batch_id": 7, "tracked_table": 1,
    }  # fmt: skip
    late = {"since": 1, "until": -2}.get(query[:5], 0)
    wanted = add_run(db, hook, created_at=NOON + timedelta(hours=late), **other)
    add_run(db, hook, created_at=NOON, hook_name="Serials")
    async with logged_in(console, "alice") as browser:
        assert await listed(browser, f"?{query}") == [wanted]


async def test_a_button_is_a_filter(console: Starlette, db: Connection, hook: int) -> None:
    button = add_button(db, "dcim.device")
    press = add_run(db, None, trigger="press", job_button_id=button, button_name="Reboot")
    add_run(db, hook)
    async with logged_in(console, "alice") as browser:
        assert await listed(browser, "?button=Reboot") == [press]


async def test_filters_stay_in_the_form_and_in_the_links_to_other_pages(
    console: Starlette, db: Connection, hook: int
) -> None:
    for n in range(PAGE + 1):
        add_run(db, hook, hook_name='a & "b"', created_at=NOON + timedelta(hours=n))
    async with logged_in(console, "alice") as browser:
        first = await browser.get("/runs", params={"hook": 'a & "b"', "status": "SUCCESS", "since": "2026-01-01"})
        second = await browser.get(link(first.text, "Older"))
    assert len(shown(second.text)) == 1
    for answer in (first, second):
        assert 'value="a &amp; &#34;b&#34;"' in answer.text
        assert "<option selected>SUCCESS</option>" in answer.text
        assert 'value="2026-01-01"' in answer.text


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("status=DONE", "there is no status DONE"),
        ("trigger=cron", "no run has the trigger cron"),
        ("since=yesterday", "&#39;yesterday&#39; is not a time"),
        ("before=1", "is not a place in a listing"),
        ("after=999999999999999999.1", "is not a place in a listing"),
        ("batch=x", "is not the id of a press"),
        ("status=%3Cscript%3E", "there is no status &lt;SCRIPT&gt;"),
    ],
)
async def test_a_filter_that_makes_no_sense_is_said_and_lists_nothing(
    console: Starlette, db: Connection, hook: int, query: str, problem: str
) -> None:
    add_run(db, hook)
    async with logged_in(console, "alice") as browser:
        answer = await browser.get(f"/runs?{query}")
    assert answer.status_code == 422
    assert problem in answer.text
    assert shown(answer.text) == []


async def test_a_filter_that_is_rarely_met_is_given_up_in_time_and_stays_in_the_form(
    console: Starlette, db: Connection, hook: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rowhooks.postgres.console.people.STATEMENT_TIMEOUT", "50ms")
    db.execute(
        "insert into rowhooks.job_result (trigger, status, leader_epoch, job_hook_id, job_id, class_path, finished_at,"
        " tracked_table, exception_type, exception_message)"
        " select 'replay', 'REVOKED', %s, %s, 1, 'x.Y', now(), 1, 'E', repeat('x', 2000) from generate_series(1, %s)",
        (LEASE, hook, 30_000),
    )
    async with logged_in(console, "alice") as browser:
        answer = await browser.get("/runs?text=needle")
    assert answer.status_code == 503
    assert "PostgreSQL has not found enough runs like these" in answer.text
    assert 'value="needle"' in answer.text


async def test_whatever_stands_in_a_run_is_text_in_the_listing(console: Starlette, db: Connection, hook: int) -> None:
    add_run(
        db, hook, status="FAILURE", hook_name=HOSTILE, class_path=HOSTILE, object_repr=HOSTILE,
        user_name=HOSTILE, exception_type=HOSTILE, exception_message=HOSTILE, action=HOSTILE,
    )  # fmt: skip
    db.execute("update rowhooks.job_hook set name = %s", (HOSTILE,))
    async with logged_in(console, "alice") as browser:
        for query in ({}, {"hook": HOSTILE}, {"text": HOSTILE}, {"since": HOSTILE}):
            text = (await browser.get("/runs", params=query)).text
            assert "<script>alert" not in text
            assert "<img" not in text


async def test_a_page_of_the_longest_names_stays_small(console: Starlette, db: Connection, hook: int) -> None:
    names = "insert into rowhooks.job (class_path, kind, name) select repeat('\"', 50) || n, 'hook', 'x'"
    db.execute(f"{names} from generate_series(1, 100) as n")
    for n in range(PAGE):
        add_run(
            db, hook, status="FAILURE", hook_name='"' * 500, class_path='"' * 500, tracked_table=1,
            object_repr='"' * 200, object_id=f'{{"id": "{n}{"&" * 5000}"}}', user_name='"' * 500, action="update",
            exception_type='"' * 500, exception_message='"' * 5000, attempt=2,
        )  # fmt: skip
    async with logged_in(console, "alice") as browser:
        answer = await browser.get("/runs")
    assert len(shown(answer.text)) == PAGE
    assert len(answer.content) <= 100_000


@pytest.mark.parametrize("query", ["older", "newer"])
def test_a_page_reads_no_more_runs_than_it_shows(db: Connection, hook: int, query: str) -> None:
    db.execute(
        "insert into rowhooks.job_result (trigger, status, leader_epoch, job_hook_id, job_id, class_path, finished_at,"
        " tracked_table, created_at) select 'replay', 'SUCCESS', %s, %s, 1, 'x.Y', now(), 1,"
        " %s::timestamptz + n * interval '1 s' from generate_series(1, 50000) as n",
        (LEASE, hook, NOON),
    )
    db.execute("analyze rowhooks.job_result")
    values = (*RunFilter().values(), NOON + timedelta(seconds=25_000), 0, PAGE + 1)
    with db.transaction():
        db.execute("set local role alice")
        with psycopg.RawCursor(db) as cursor:
            plan = "\n".join(row[0] for row in cursor.execute(f"explain (analyze) {SQL[query]}", values).fetchall())
    assert "Seq Scan on job_result" not in plan, plan
    assert max(int(rows) for rows in re.findall(r"actual time=\S+ rows=(\d+)", plan)) < 10 * PAGE, plan


@pytest.mark.parametrize("status", ["FAILURE", "REVOKED"])
def test_runs_that_ended_badly_are_found_however_rare_they_are(db: Connection, hook: int, status: str) -> None:
    db.execute(
        "insert into rowhooks.job_result (trigger, status, leader_epoch, job_hook_id, job_id, class_path, finished_at,"
        " tracked_table, created_at, exception_type) select 'replay', case mod(n, 50) when 0 then 'FAILURE'"
        " else 'SUCCESS' end, %s, %s, 1, 'x.Y', now(), 1, %s::timestamptz + n * interval '1 s', 'E'"
        " from generate_series(1, 20000) as n",
        (LEASE, hook, NOON),
    )
    db.execute("analyze rowhooks.job_result")
    values = (*RunFilter(statuses=(status,)).values(), None, None, PAGE + 1)
    with db.transaction():
        db.execute("set local role alice")
        with psycopg.RawCursor(db) as cursor:
            plan = "\n".join(row[0] for row in cursor.execute(f"explain (analyze) {SQL['older']}", values).fetchall())
    # Of none, PostgreSQL 14 sorts what the index finds.
    assert re.search("Index Scan (Backward )?using job_result_failed_idx", plan), plan
    assert max(int(rows) for rows in re.findall(r"actual time=\S+ rows=(\d+)", plan)) <= PAGE + 1, plan


def stream_of(text: str) -> str:
    """Return the address of the stream that a page follows."""
    found = re.search(r'data-live="([^"]+)"', text)
    assert found, "the page is not live"
    return html.unescape(found[1])


async def test_a_run_that_comes_is_told_to_the_listing(console: Starlette, db: Connection, hook: int) -> None:
    add_run(db, hook, created_at=NOON)
    async with logged_in(console, "alice") as browser:
        address = stream_of((await browser.get("/runs")).text)
        async with listening(browser, console, address) as listener:
            new = add_run(db, hook, created_at=NOON + timedelta(seconds=1))
            heard = await listener.hears(f'<tr id="run-{new}"')
            assert heard.data.count("<tr") == 1


async def test_a_run_that_is_shown_and_goes_on_is_told_again(console: Starlette, db: Connection, hook: int) -> None:
    run = add_run(db, hook, status="PENDING", created_at=NOON)
    for n in range(1, 5):
        add_run(db, hook, created_at=NOON + timedelta(days=n))
    async with logged_in(console, "alice") as browser:
        address = stream_of((await browser.get("/runs")).text)
        async with listening(browser, console, address) as listener:
            await listener.hears("PENDING")
            db.execute("update rowhooks.job_result set status = 'STARTED', started_at = now() where id = %s", (run,))
            await listener.hears("STARTED")
            db.execute("update rowhooks.job_result set status = 'SUCCESS', finished_at = now() where id = %s", (run,))
            await listener.hears(f'<tr id="run-{run}"')
            await listener.hears("SUCCESS")


async def test_a_run_that_becomes_visible_after_a_newer_one_is_told_too(
    console: Starlette, db: Connection, hook: int, dsn: str
) -> None:
    add_run(db, hook, created_at=NOON)
    async with logged_in(console, "alice") as browser:
        address = stream_of((await browser.get("/runs")).text)
        with psycopg.connect(dsn) as late:
            earlier = add_run(late, hook, created_at=NOON + timedelta(seconds=1))
            async with listening(browser, console, address) as listener:
                later = add_run(db, hook, created_at=NOON + timedelta(seconds=50))
                await listener.hears(f'<tr id="run-{later}"')
                late.commit()
                await listener.hears(f'<tr id="run-{earlier}"')


async def test_a_listing_that_lost_its_connection_goes_on_where_it_was(
    console: Starlette, db: Connection, hook: int
) -> None:
    waiting = add_run(db, hook, status="PENDING", created_at=NOON)
    add_run(db, hook, created_at=NOON + timedelta(days=1))
    async with logged_in(console, "alice") as browser:
        address = stream_of((await browser.get("/runs")).text)
        async with listening(browser, console, address) as listener:
            new = add_run(db, hook, status="STARTED", created_at=NOON + timedelta(days=2))
            last_id = (await listener.hears(f'<tr id="run-{new}"')).id
        db.execute("update rowhooks.job_result set status = 'SUCCESS', finished_at = now() where id = %s", (waiting,))
        missed = add_run(db, hook, created_at=NOON + timedelta(days=3))
        db.execute(
            "update rowhooks.job_result set status = 'FAILURE', exception_type = 'E', finished_at = now()"
            " where id = %s",
            (new,),
        )
        async with listening(browser, console, address, last_id) as listener:
            await listener.hears(f'<tr id="run-{missed}"')
            await listener.hears("FAILURE")
            await listener.hears(f'<tr id="run-{waiting}"')


async def test_a_listing_with_filters_is_told_of_those_alone(console: Starlette, db: Connection, hook: int) -> None:
    async with logged_in(console, "alice") as browser:
        address = stream_of((await browser.get("/runs?status=FAILURE")).text)
        async with listening(browser, console, address) as listener:
            now = datetime.now(UTC)
            other = add_run(db, hook, created_at=now)
            wanted = add_run(db, hook, status="FAILURE", created_at=now + timedelta(seconds=1))
            await listener.hears(f'<tr id="run-{wanted}"')
            assert not any(f'<tr id="run-{other}"' in one.data for one in listener.heard)


async def test_earlier_pages_are_not_live(console: Starlette, db: Connection, hook: int) -> None:
    for n in range(PAGE + 1):
        add_run(db, hook, created_at=NOON + timedelta(hours=n))
    async with logged_in(console, "alice") as browser:
        first = await browser.get("/runs")
        second = await browser.get(link(first.text, "Older"))
    assert "data-live=" in first.text
    assert "data-live=" not in second.text


async def test_a_line_that_is_told_is_text_too(console: Starlette, db: Connection, hook: int) -> None:
    async with logged_in(console, "alice") as browser:
        address = stream_of((await browser.get("/runs")).text)
        add_run(
            db, hook, status="FAILURE", hook_name=HOSTILE, object_repr=f"x\r\revent: end\r{HOSTILE}",
            exception_type=HOSTILE, exception_message=f"\n\nevent: end\ndata: {HOSTILE}", created_at=datetime.now(UTC),
        )  # fmt: skip
        async with listening(browser, console, address) as listener:
            heard = await listener.hears("<tr")
            assert [one.name for one in listener.heard] == ["put"]
    assert "<script>alert" not in heard.data
    assert "<img" not in heard.data


@pytest.mark.parametrize("cursor", ["x", "1.2:a", f"1.2:{'1,' * 300}1", "1.2:1,,2"])
async def test_a_cursor_that_is_none_is_refused(console: Starlette, hook: int, cursor: str) -> None:
    async with logged_in(console, "alice") as browser:
        answer = await browser.get("/runs/events", params={"cursor": cursor})
    assert answer.status_code == 422


async def test_nobody_sees_runs_for_rows_that_it_may_not_read(console: Starlette, db: Connection, hook: int) -> None:
    run = add_run(db, hook, created_at=NOON)
    async with logged_in(console, "alice") as alice:
        page = (await alice.get("/runs")).text
        assert shown(page) == [run]
        async with listening(alice, console, stream_of(page)) as listener:
            await listener.hears(f'<tr id="run-{run}"')
            db.execute("revoke select on dcim.device from alice")
            add_run(db, hook, created_at=NOON + timedelta(seconds=1))
            assert await listed(alice) == []
            db.execute("revoke rowhooks_viewer from alice")
            assert "permission denied" in await listener.ends()
        assert len({one.data for one in listener.heard if one.name == "put"}) == 1
