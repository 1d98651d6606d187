"""All runs that match: counted, confirmed, run again or revoked once, with what was refused."""

from __future__ import annotations

import asyncio
import html
import re
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest
from starlette.applications import Starlette

from rowhooks.postgres.console import bulk
from rowhooks.web.acts import bulk as acts
from tests.support.configuring import text_in
from tests.support.console import Browser, logged_in, submitted
from tests.support.console_runs import HOSTILE, NOON, add_run, let_people_read
from tests.support.hooks import add_hook
from tests.support.results import Serial
from tests.support.rows import first_value
from tests.support.streams import listening
from tests.support.waiting import PATIENCE, eventually

Connection = psycopg.Connection[Any]
pytestmark = pytest.mark.usefixtures("quick_streams")


@pytest.fixture
def hook(db: Connection, device: str, console: Starlette) -> int:
    let_people_read(db)
    db.execute("insert into dcim.device values (1, 'sw1')")
    return add_hook(db, Serial, device, name="Serials")


def add_failed(db: Connection, hook: int, **columns: Any) -> int:
    """Put a failed run on record that can be run again."""
    change = first_value(db, "select min(id) from rowhooks.object_change")
    return add_run(
        db,
        hook,
        **{"status": "FAILURE", "hook_name": "Serials", "object_change_id": change, "created_at": NOON, **columns},
    )


def fields_of(text: str) -> dict[str, Any]:
    """Return the hidden fields of the form that asks for the act."""
    [form] = re.findall(r'<form method="post" action="/runs/\w+" class="stacked">(.*?)</form>', text, re.DOTALL)
    fields: dict[str, Any] = {}
    for name, text_ in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form):
        fields[name] = [*fields[name], html.unescape(text_)] if name in fields else [html.unescape(text_)]
    del fields["csrf_token"]
    return fields


async def confirm(browser: Browser, address: str) -> tuple[httpx.Response, dict[str, Any]]:
    """Open the page of an act, and confirm it."""
    answer = await browser.get(address)
    assert answer.status_code == 200, answer.text
    fields = fields_of(answer.text)
    return await browser.submit(answer.url.path, **fields), fields


async def outcome(browser: Browser, console: Starlette, answer: httpx.Response) -> str:
    """Wait for the end of an act; return what its page says then."""
    assert answer.status_code == 303, answer.text
    address = answer.headers["location"]
    async with listening(browser, console, f"{address}/events") as listener:
        assert await listener.ends() == "finished"
    return text_in((await browser.get(address)).text)


def repeated(db: Connection) -> list[int]:
    return [
        row[0]
        for row in db.execute("select original_id from rowhooks.job_result where original_id is not null order by id")
    ]


async def test_all_that_match_are_run_again_the_oldest_first(console: Starlette, db: Connection, hook: int) -> None:
    late, early = (add_failed(db, hook, created_at=NOON + timedelta(hours=hours)) for hours in (2, 1))
    add_failed(db, hook, hook_name="Other")
    add_failed(db, hook, status="SUCCESS")
    async with logged_in(console, "oscar") as browser:
        answer, fields = await confirm(browser, "/runs/retry?status=FAILURE&hook=Serials")
        assert fields["status"] == ["FAILURE"]
        said = await outcome(browser, console, answer)
    assert repeated(db) == [early, late]
    assert "2 of 2 runs" in said
    assert "It is done. Run again 2 Refused 0" in said


async def test_the_page_says_how_many_and_shows_some(
    console: Starlette, db: Connection, hook: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = [add_failed(db, hook, created_at=NOON + timedelta(hours=n)) for n in range(bulk.SAMPLE + 3)]
    add_failed(db, hook, status="SUCCESS")
    add_failed(db, hook, status="PENDING")
    db.execute("select rowhooks.retry(%s)", (failed[0],))
    async with logged_in(console, "oscar") as browser:
        answer = await browser.get("/runs/retry?hook=Serials")
    said = text_in(answer.text)
    assert "hook Serials" in said
    assert f"FAILURE {len(failed) - 1}" in said
    assert "SUCCESS 1" in said
    assert "1 of them had succeeded." in said
    assert "2 that match have not finished" in said
    assert "1 that match were run again since, and is left out" in said
    assert f"Run {len(failed)} runs again" in said
    assert answer.text.count('<tr id="run-') == bulk.SAMPLE


async def test_more_than_the_bound_are_done_in_parts(
    console: Starlette, db: Connection, hook: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "MOST", 3)
    monkeypatch.setattr("rowhooks.web.pages.bulk.MOST", 3)
    monkeypatch.setattr(acts, "AT_ONCE", 2)
    runs = [add_failed(db, hook, created_at=NOON + timedelta(hours=n)) for n in range(5)]
    async with logged_in(console, "oscar") as browser:
        answer = await browser.get("/runs/retry?status=FAILURE")
        assert "More than 3 runs match. These are the newest 3 of them" in text_in(answer.text)
        answer, _ = await confirm(browser, "/runs/retry?status=FAILURE")
        await outcome(browser, console, answer)
    assert repeated(db) == runs[2:]


async def test_a_form_that_is_sent_twice_asks_once_also_at_the_same_time(
    console: Starlette, db: Connection, hook: int
) -> None:
    run = add_failed(db, hook)
    async with logged_in(console, "oscar") as browser:
        fields = fields_of((await browser.get("/runs/retry?status=FAILURE")).text)
        answers = await asyncio.gather(*(browser.submit("/runs/retry", **fields) for _ in range(3)))
        await outcome(browser, console, answers[0])
        answers.append(await browser.submit("/runs/retry", **fields))
        # The console has been restarted: it knows nothing of the act.
        console.state.console.bulk_acts._acts.clear()
        again = await browser.submit("/runs/retry", **fields)
    assert {answer.headers["location"] for answer in answers} == {answers[0].headers["location"]}
    assert repeated(db) == [run]
    assert again.status_code == 409
    assert "no run matches any more" in again.text


async def test_a_form_that_is_sent_again_while_it_is_being_read_leads_to_the_act_that_is_done_meanwhile(
    console: Starlette, db: Connection, hook: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = add_failed(db, hook)
    came, done = threading.Event(), threading.Event()

    def late(*asked: Any, **options: Any) -> Any:
        if not came.is_set():
            came.set()
            assert done.wait(PATIENCE)
        return bulk.choose(*asked, **options)

    async with logged_in(console, "oscar") as browser:
        fields = fields_of((await browser.get("/runs/retry?status=FAILURE")).text)
        monkeypatch.setattr("rowhooks.web.pages.bulk.choose", late)
        first = asyncio.create_task(browser.submit("/runs/retry", **fields))
        await eventually(came.is_set)
        second = await browser.submit("/runs/retry", **fields)
        await outcome(browser, console, second)
        done.set()
        assert (await first).headers["location"] == second.headers["location"]
    assert repeated(db) == [run]


async def test_what_comes_after_the_question_is_not_part_of_the_answer(
    console: Starlette, db: Connection, hook: int
) -> None:
    run = add_failed(db, hook)
    async with logged_in(console, "oscar") as browser:
        fields = fields_of((await browser.get("/runs/retry?status=FAILURE")).text)
        add_failed(db, hook, created_at=NOON + timedelta(hours=1))
        await outcome(browser, console, await browser.submit("/runs/retry", **fields))
    assert repeated(db) == [run]


async def test_those_that_cannot_be_run_again_are_counted_with_the_reason(
    console: Starlette, db: Connection, hook: int
) -> None:
    fine = add_failed(db, hook)
    for n in range(3):
        add_failed(db, hook, object_change_id=1000 + n)
    add_failed(db, 99, hook_name=HOSTILE)
    async with logged_in(console, "oscar") as browser:
        answer, _ = await confirm(browser, "/runs/retry?status=FAILURE")
        said = await outcome(browser, console, answer)
        page = await browser.get(answer.headers["location"])
    assert repeated(db) == [fine]
    assert "Run again 1 Refused 4" in said
    assert "run cannot be run again: its change is no longer in the log 3" in said
    assert "its hook <script>alert(1)</script>" in said
    assert "<script>alert" not in page.text


async def test_unfinished_runs_are_revoked(console: Starlette, db: Connection, hook: int) -> None:
    waiting = [add_run(db, hook, status=status) for status in ("PENDING", "STARTED", "RETRY")]
    done = add_run(db, hook)
    async with logged_in(console, "oscar") as browser:
        said = text_in((await browser.get("/runs/revoke")).text)
        assert "All runs, whatever they are: there is no filter." in said
        assert "1 that match have finished" in said
        answer, _ = await confirm(browser, "/runs/revoke")
        assert "Revoked 3" in await outcome(browser, console, answer)
    states = dict(db.execute("select id, status from rowhooks.job_result").fetchall())
    assert {states[run] for run in waiting} == {"REVOKED"}
    assert states[done] == "SUCCESS"


async def test_the_database_refuses_whoever_is_no_operator(console: Starlette, db: Connection, hook: int) -> None:
    add_failed(db, hook)
    async with logged_in(console, "oscar") as oscar:
        fields = fields_of((await oscar.get("/runs/retry?status=FAILURE")).text)
    async with logged_in(console, "alice") as browser:
        text = (await browser.get("/runs/retry?status=FAILURE")).text
        assert 'name="act"' not in text
        assert "Operators may do this." in text
        answer = await browser.submit("/runs/retry", **fields)
        said = await outcome(browser, console, answer)
    assert "It was interrupted" in said
    assert repeated(db) == []


async def test_nobody_sees_the_act_of_another_role(console: Starlette, db: Connection, hook: int) -> None:
    add_failed(db, hook)
    async with logged_in(console, "oscar") as browser:
        answer, _ = await confirm(browser, "/runs/retry?status=FAILURE")
        await outcome(browser, console, answer)
    async with logged_in(console, "ada") as browser:
        for path in (answer.headers["location"], f"{answer.headers['location']}/events"):
            assert (await browser.get(path)).status_code == 404


async def test_an_act_ends_with_its_session_and_goes_on_later(
    console: Starlette, db: Connection, hook: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [add_failed(db, hook, created_at=NOON + timedelta(hours=n)) for n in range(3)]
    begun: list[int] = []
    released = threading.Event()

    def held(conn: Connection, act: str, ids: Sequence[int]) -> list[tuple[int, str]]:
        begun.extend(ids)
        if len(begun) == 2:
            assert released.wait(PATIENCE)
        return bulk.do_some(conn, act, ids)

    monkeypatch.setattr(acts, "AT_ONCE", 1)
    monkeypatch.setattr(acts, "do_some", held)
    async with logged_in(console, "oscar") as browser:
        _, fields = await confirm(browser, "/runs/retry?status=FAILURE")
        await eventually(lambda: len(begun) == 2)
    released.set()
    await asyncio.gather(*console.state.console.bulk_acts._tasks)
    act = console.state.console.bulk_acts.find(fields["act"][0], "oscar")
    assert (act.state, act.done) == ("interrupted", 2)
    assert repeated(db) == runs[:2]
    async with logged_in(console, "oscar") as browser:
        answer, _ = await confirm(browser, "/runs/retry?status=FAILURE")
        assert "1 of 1 run" in await outcome(browser, console, answer)
    assert repeated(db) == runs


async def test_a_second_act_of_the_same_role_waits_for_the_first(
    console: Starlette, db: Connection, hook: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_failed(db, hook)
    never = asyncio.Event()
    begun = console.state.console.bulk_acts
    monkeypatch.setattr(acts, "_go_on", lambda *_: never.wait())
    async with logged_in(console, "oscar") as browser:
        await confirm(browser, "/runs/retry?status=FAILURE")
        answer, _ = await confirm(browser, "/runs/retry?status=FAILURE")
        never.set()
        await asyncio.gather(*begun._tasks)
    assert answer.status_code == 409
    assert "another act of yours on many runs goes on" in answer.text


@pytest.mark.parametrize("fields", [{}, {"act": "x", "newest": "1.1"}, {"act": "a" * 32, "newest": "never"}])
async def test_a_form_that_no_page_made_is_refused(
    console: Starlette, db: Connection, hook: int, fields: dict[str, str]
) -> None:
    add_failed(db, hook)
    answer = await submitted(console, "oscar", "/runs/retry", **dict[str, Any](fields))
    assert answer.status_code == 422
    assert repeated(db) == []


async def test_the_listing_leads_there_with_its_filters(console: Starlette, db: Connection, hook: int) -> None:
    add_failed(db, hook)
    async with logged_in(console, "oscar") as browser:
        text = html.unescape((await browser.get("/runs?hook=Serials")).text)
        assert 'href="/runs/retry?status=FAILURE&hook=Serials"' in text
        assert 'href="/runs/revoke?hook=Serials"' in text
    async with logged_in(console, "alice") as browser:
        assert "/runs/retry" not in (await browser.get("/runs?hook=Serials")).text
