"""A run that goes on is told to its page: its state, its lines, its end; and nothing is lost with a connection."""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from starlette.applications import Starlette

from rowhooks.web.live import runs as run_watch
from tests.support.console import Browser, logged_in
from tests.support.console_runs import HOSTILE, add_run, let_people_read
from tests.support.hooks import add_hook
from tests.support.results import Serial, add_line
from tests.support.streams import Listener, listening

Connection = psycopg.Connection[Any]
pytestmark = pytest.mark.usefixtures("quick_streams")


@pytest.fixture
def run(db: Connection, device: str, console: Starlette) -> int:
    """A run that goes on."""
    let_people_read(db)
    hook = add_hook(db, Serial, device, name="Serials")
    return add_run(db, hook, status="STARTED")


def finish(db: Connection, run: int, status: str = "SUCCESS") -> None:
    db.execute(
        "update rowhooks.job_result set status = %s, finished_at = now(), exception_type = 'E' where id = %s",
        (status, run),
    )


async def stream_of(browser: Browser, run: int) -> str | None:
    """Return the address of the stream that the page of a run follows."""
    answer = await browser.get(f"/runs/{run}")
    found = re.search(r'data-live="([^"]+)"', answer.text)
    return html.unescape(found[1]) if found else None


@contextlib.asynccontextmanager
async def followed(browser: Browser, console: Starlette, run: int) -> AsyncIterator[Listener]:
    """Yield a listener to the stream of a run that goes on."""
    address = await stream_of(browser, run)
    assert address is not None
    async with listening(browser, console, address) as listener:
        yield listener


def lines(listener: Listener) -> list[int]:
    """Return the ids of the lines that were told, in their order."""
    return [int(id_) for one in listener.heard for id_ in re.findall(r'<tr id="line-(\d+)"', one.data)]


async def test_lines_and_states_are_told_until_the_run_has_ended(console: Starlette, db: Connection, run: int) -> None:
    add_line(db, run, "before")
    async with logged_in(console, "alice") as browser:
        async with followed(browser, console, run) as listener:
            await listener.hears("STARTED")
            first = add_line(db, run, "first", second=1)
            await listener.hears("first")
            second = add_line(db, run, "second", second=2)
            finish(db, run)
            assert await listener.ends() == "finished"
        assert await stream_of(browser, run) is None
    assert lines(listener) == [first, second]
    assert "SUCCESS" in [one for one in listener.heard if one.name == "put" and "run-state" in one.data][-1].data


async def test_lines_of_the_end_are_all_told_however_many_they_are(
    console: Starlette, db: Connection, run: int
) -> None:
    async with logged_in(console, "alice") as browser, followed(browser, console, run) as listener:
        await listener.hears("STARTED")
        with db.transaction():
            told = [add_line(db, run, f"line {n}", second=n // 60) for n in range(run_watch.LINES_AT_ONCE + 30)]
            finish(db, run, "FAILURE")
        assert await listener.ends() == "finished"
    assert lines(listener) == told


async def test_a_line_that_becomes_visible_late_is_told_in_the_stream_and_after_a_lost_connection(
    console: Starlette, db: Connection, run: int, dsn: str
) -> None:
    async with logged_in(console, "alice") as browser:
        address = await stream_of(browser, run)
        assert address is not None
        with psycopg.connect(dsn) as one, psycopg.connect(dsn) as other:
            late = add_line(one, run, "late")
            later = add_line(other, run, "later")
            async with listening(browser, console, address) as listener:
                seen = add_line(db, run, "seen", second=1)
                await listener.hears("seen")
                one.commit()
                last_id = (await listener.hears("late")).id
                assert lines(listener) == [seen, late]
            other.commit()
            async with listening(browser, console, address, last_id) as listener:
                await listener.hears("later")
                # What the page cannot be sure to have comes again: it knows lines by their ids.
                assert set(lines(listener)) == {seen, late, later}
                last_id = listener.heard[-1].id
    async with logged_in(console, "alice") as browser, listening(browser, console, address, last_id) as listener:
        await listener.hears("STARTED")
        new = add_line(db, run, "new")
        await listener.hears("new")
        assert lines(listener) == [new]


async def test_a_page_that_was_told_enough_says_where_the_rest_is(
    console: Starlette, db: Connection, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_watch, "MOST_LINES", 5)
    async with logged_in(console, "alice") as browser, followed(browser, console, run) as listener:
        told = [add_line(db, run, f"line {n}", second=n) for n in range(5)]
        await listener.hears('id="log-full"')
        add_line(db, run, "too many", second=9)
        finish(db, run)
        assert await listener.ends() == "finished"
    assert lines(listener) == told


async def test_a_page_that_does_not_show_the_end_of_the_log_is_told_the_state_alone(
    console: Starlette, db: Connection, run: int
) -> None:
    for n in range(3):
        add_line(db, run, "x" * 100_000, second=n)
    db.execute(
        "insert into rowhooks.job_log_entry (job_result_id, time, level, message)"
        " select %s, now(), 'info', 'more' from generate_series(1, 300)",
        (run,),
    )
    async with logged_in(console, "alice") as browser, followed(browser, console, run) as listener:
        await listener.hears("STARTED")
        add_line(db, run, "unseen")
        finish(db, run)
        assert await listener.ends() == "finished"
    assert lines(listener) == []


async def test_a_line_that_is_told_is_text(console: Starlette, db: Connection, run: int) -> None:
    async with logged_in(console, "alice") as browser, followed(browser, console, run) as listener:
        line = add_line(db, run, f"x\r\revent: end\rdata: {HOSTILE}\n\nevent: end\ndata: x", grouping=HOSTILE)
        heard = await listener.hears(f'<tr id="line-{line}"')
    assert {one.name for one in listener.heard} == {"put"}
    assert "<script>alert" not in heard.data
    assert "<img" not in heard.data


async def test_whoever_may_not_see_the_row_any_more_is_told_nothing_more(
    console: Starlette, db: Connection, run: int
) -> None:
    async with logged_in(console, "alice") as browser, followed(browser, console, run) as listener:
        await listener.hears("STARTED")
        with db.transaction():
            db.execute("revoke select on dcim.device from alice")
            add_line(db, run, "secret")
        assert "you may not see its row" in await listener.ends()
    assert "secret" not in str(listener.heard)


@pytest.mark.parametrize("cursor", ["x", "1", "-1.2", "1.9999999", "1.2.3"])
async def test_a_cursor_that_is_none_is_refused(console: Starlette, run: int, cursor: str) -> None:
    async with logged_in(console, "alice") as browser:
        answer = await browser.get(f"/runs/{run}/events", params={"cursor": cursor})
    assert answer.status_code == 422


async def test_two_people_follow_a_run_each_as_itself(console: Starlette, db: Connection, run: int) -> None:
    async with (
        logged_in(console, "alice") as alice,
        logged_in(console, "oscar") as oscar,
        listening(alice, console, f"/runs/{run}/events") as hers,
        listening(oscar, console, f"/runs/{run}/events") as his,
    ):
        await hers.hears("STARTED")
        await his.hears("STARTED")
        db.execute("revoke select on dcim.device from alice")
        assert "you may not see its row" in await hers.ends()
        add_line(db, run, "hello")
        await his.hears("hello")
