"""Replays in the console: a dry run, the start in parts, and what becomes of the runs."""

from __future__ import annotations

import asyncio
import html
import re
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest
from starlette.applications import Starlette

from rowhooks.domain.errors import UsageError
from rowhooks.postgres.administration.hooks import add_hook
from rowhooks.postgres.console import replay as console_replay
from rowhooks.postgres.console.replay import Place, Wanted
from rowhooks.web.acts.replays import Progress, Sample
from tests.support.configuring import EVIL, add_job, is_inert, text_in
from tests.support.console import logged_in

Connection = psycopg.Connection[Any]
JOB = "policies.Serials"
DRY_RUN = "/replay?hook=serials&since=1h"


@pytest.fixture
def history(console: Starlette, db: Connection, device: str) -> None:
    """Ten devices that were created, and four updates of serials; a hook on updates of serials."""
    db.execute("grant usage on schema dcim to alice, oscar, ada; grant select on dcim.device to alice, oscar, ada")
    add_job(db, JOB)
    db.execute("insert into dcim.device select g.n, 'device ' || g.n, null from generate_series(1, 10) as g (n)")
    db.execute("update dcim.device set serial = 'S' || id where id <= 4")
    add_hook(db, "serials", job=JOB, tables=["dcim.device"], actions=["update"], columns=["serial"])


def hidden(page: str) -> dict[str, Any]:
    """Return the hidden fields of a page's form of a replay."""
    form = re.search(r"<form[^>]*(?:replay/start|replay/look)[^>]*>(.*?)</form>", page, re.DOTALL)
    assert form, text_in(page)
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form[1])
    return {name: html.unescape(value) for name, value in found if name != "csrf_token"}


def runs(db: Connection) -> list[tuple[Any, ...]]:
    return db.execute(
        "select r.status, r.object_id ->> 'id' from rowhooks.job_result as r where r.trigger = 'replay' order by r.id"
    ).fetchall()


async def test_the_form_offers_the_hooks_and_those_of_a_job(console: Starlette, db: Connection, history: None) -> None:
    add_job(db, "policies.Other")
    add_hook(db, "another", job="policies.Other", tables=["dcim.device"], actions=["create"])
    async with logged_in(console, "oscar") as browser:
        every = (await browser.get("/replay")).text
        some = (await browser.get("/replay?job=policies.Other")).text
    assert "serials (policies.Serials)" in text_in(every)
    assert "serials (policies.Serials)" not in text_in(some)
    assert '<option value="another" selected>' in some


async def test_a_dry_run_counts_what_matches_and_requests_nothing(
    console: Starlette, db: Connection, history: None
) -> None:
    async with logged_in(console, "oscar") as browser:
        answer = await browser.get(DRY_RUN)
    said = text_in(answer.text)
    assert "4 of 14 changes match. Nothing was requested." in said
    assert "100%" in said
    assert "device 1" in said
    assert "Run hook serials for 4 changes?" in said
    assert "rowhooks replay --since" in said
    assert runs(db) == []


async def test_only_changes_of_the_time_span_and_the_table_count(
    console: Starlette, db: Connection, history: None
) -> None:
    db.execute("create table dcim.rack (id integer primary key, serial text)")
    db.execute("grant select on dcim.rack to oscar")
    db.execute("select rowhooks.track('dcim.rack')")
    db.execute("insert into dcim.rack values (1, null)")
    db.execute("update dcim.rack set serial = 'R1'")
    add_hook(db, "both", job=JOB, tables=["dcim.device", "dcim.rack"], actions=["update"])
    async with logged_in(console, "oscar") as browser:
        both = text_in((await browser.get("/replay?hook=both&since=1h")).text)
        one = text_in((await browser.get("/replay?hook=both&since=1h&table=dcim.rack")).text)
        none = text_in((await browser.get("/replay?hook=both&since=2h&until=1h")).text)
        other = await browser.get("/replay?hook=serials&since=2h&table=dcim.rack")
    assert "5 of 16 changes match." in both
    assert "1 of 2 changes match." in one
    assert "0 of 0 changes match." in none
    assert other.status_code == 422
    assert "hook serials is not on table dcim.rack" in text_in(other.text)


async def test_a_dry_run_goes_on_where_the_last_part_ended(
    console: Starlette, db: Connection, history: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_replay, "PART", 5)
    async with logged_in(console, "oscar") as browser:
        answer = await browser.get(DRY_RUN)
        assert "0 of 5 changes match so far." in text_in(answer.text)
        seen = []
        while "Look at more" in answer.text:
            answer = await browser.submit("/replay/look", **hidden(answer.text))
            seen.append(re.search(r"(\d+) of (\d+) changes match", text_in(answer.text)))
    assert [found.groups() for found in seen if found] == [("0", "10"), ("4", "14")]
    assert runs(db) == []


async def test_a_part_that_takes_too_long_is_made_smaller(
    console: Starlette, history: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with logged_in(console, "oscar") as browser:
        fields = hidden((await browser.get(DRY_RUN)).text)
        # The time of the first statement of a part is over.
        slow = "select pg_sleep(0.2) from (select set_config('statement_timeout', '50ms', true)) as s"
        monkeypatch.setattr(console_replay, "load_hook", lambda conn, _: conn.execute(slow) and conn.execute(slow))
        answer = await browser.submit("/replay/look", **fields | {"after": "0", "window": "500000"})
        assert hidden(answer.text)["window"] == "50000"
        assert hidden(answer.text)["after"] == "0"
        last = await browser.submit("/replay/look", **fields | {"after": "0", "window": "500"})
    assert "cannot be read in the time that a page has" in text_in(last.text)


async def test_the_runs_are_requested_in_the_order_of_the_changes_and_their_states_are_shown(
    console: Starlette, db: Connection, history: None
) -> None:
    async with logged_in(console, "oscar") as browser:
        fields = hidden((await browser.get(DRY_RUN)).text)
        answer = await browser.submit("/replay/start", follow=True, **fields)
        assert "4 runs were requested." in text_in(answer.text)
        assert "PENDING 4 4 have not ended." in text_in(answer.text)
        assert runs(db) == [("PENDING", str(n)) for n in (1, 2, 3, 4)]
        db.execute(
            "update rowhooks.job_result set status = 'SUCCESS', finished_at = now() where object_id = '{\"id\": 1}'"
        )
        db.execute(
            "update rowhooks.job_result set status = 'FAILURE', exception_type = 'E', finished_at = now()"
            " where status = 'PENDING'"
        )
        later = await browser.get(str(answer.url))
    assert "FAILURE 3 SUCCESS 1 All of them have ended." in text_in(later.text)


async def test_a_replay_that_is_sent_twice_or_reloaded_requests_its_runs_once(
    console: Starlette, db: Connection, history: None
) -> None:
    async with logged_in(console, "oscar") as browser:
        fields = hidden((await browser.get(DRY_RUN)).text)
        await asyncio.gather(*(browser.submit("/replay/start", **fields) for _ in range(3)))
        again = await browser.submit("/replay/start", follow=True, **fields)
    assert len(runs(db)) == 4
    assert "0 runs were requested." in text_in(again.text)
    assert "For 4 changes a run had been requested already, so that none was requested again." in text_in(again.text)


async def test_another_dry_run_begins_another_replay(console: Starlette, db: Connection, history: None) -> None:
    async with logged_in(console, "oscar") as browser:
        for _ in range(2):
            await browser.submit("/replay/start", **hidden((await browser.get(DRY_RUN)).text))
    assert len(runs(db)) == 8


async def test_a_long_replay_goes_on_part_by_part_and_none_is_requested_twice(
    console: Starlette, db: Connection, history: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with logged_in(console, "oscar") as browser:
        fields = hidden((await browser.get(DRY_RUN)).text)
        monkeypatch.setattr(console_replay, "PART", 6)
        first = await browser.submit("/replay/start", **fields)
        assert "0 runs requested so far. The rest has not been requested yet." in text_in(first.text)
        second = await browser.submit("/replay/start", **hidden(first.text))
        assert "2 runs requested so far." in text_in(second.text)
        await browser.submit("/replay/start", **hidden(first.text))
        assert len(runs(db)) == 2
        last = await browser.submit("/replay/start", follow=True, **hidden(second.text))
    assert "4 runs were requested." in text_in(last.text)
    assert len(runs(db)) == 4


async def test_a_hook_that_was_changed_since_the_dry_run_is_not_replayed(
    console: Starlette, db: Connection, history: None
) -> None:
    async with logged_in(console, "oscar") as browser:
        fields = hidden((await browser.get(DRY_RUN)).text)
        db.execute("update rowhooks.job_hook set columns = '{name}'")
        answer = await browser.submit("/replay/start", **fields)
    assert answer.status_code == 409
    assert "hook serials was changed meanwhile" in text_in(answer.text)
    assert runs(db) == []


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("update rowhooks.job set enabled = false", "its job policies.Serials is disabled"),
        ("update rowhooks.job set installed = false", "its job policies.Serials is not installed"),
        ("delete from rowhooks.job_hook", "there is no hook serials"),
    ],
)
async def test_what_cannot_run_is_refused_with_the_reason(
    console: Starlette, db: Connection, history: None, statement: str, message: str
) -> None:
    db.execute(statement.encode())
    async with logged_in(console, "oscar") as browser:
        answer = await browser.get(DRY_RUN)
    assert answer.status_code == 422
    assert message in text_in(answer.text)


async def test_a_viewer_may_look_but_not_start(console: Starlette, db: Connection, history: None) -> None:
    async with logged_in(console, "alice") as browser:
        page = (await browser.get(DRY_RUN)).text
        async with logged_in(console, "oscar") as other:
            fields = hidden((await other.get(DRY_RUN)).text)
        answer = await browser.submit("/replay/start", **fields)
    assert "4 of 14 changes match." in text_in(page)
    assert "/replay/start" not in page
    assert answer.status_code == 403
    assert runs(db) == []


async def test_changes_that_the_person_may_not_see_are_left_out(
    console: Starlette, db: Connection, history: None
) -> None:
    db.execute("alter table dcim.device enable row level security")
    db.execute("create policy odd on dcim.device to oscar using (id % 2 = 1)")
    async with logged_in(console, "oscar") as browser:
        answer = await browser.get(DRY_RUN)
        await browser.submit("/replay/start", **hidden(answer.text))
    assert "2 of 7 changes match." in text_in(answer.text)
    assert "as far as you may see them" in text_in(answer.text)
    assert [id_ for _, id_ in runs(db)] == ["1", "3"]


@pytest.mark.parametrize("query", ["since=yesterday", "since=1h&until=2h", "since=1h&until=never"])
async def test_a_time_span_that_is_none_is_refused(console: Starlette, history: None, query: str) -> None:
    async with logged_in(console, "oscar") as browser:
        answer = await browser.get(f"/replay?hook=serials&{query}")
    assert answer.status_code == 422
    assert "is not" in text_in(answer.text)


@pytest.mark.parametrize(
    "altered",
    [{"after": "x"}, {"after": "-5"}, {"begun": "now"}, {"since": "2026-01-01"}, {"samples": "{"}, {"samples": "[[1]]"},
     {"looked_at": "9" * 500}],
)  # fmt: skip
async def test_a_form_that_was_altered_is_refused(
    console: Starlette, db: Connection, history: None, altered: dict[str, Any]
) -> None:
    async with logged_in(console, "oscar") as browser:
        fields = hidden((await browser.get(DRY_RUN)).text)
        answer = await browser.submit("/replay/look", **fields | altered)
    assert answer.status_code == 422
    assert "this form was altered" in text_in(answer.text)


async def test_names_and_rows_are_inert(console: Starlette, db: Connection, history: None) -> None:
    add_hook(db, EVIL, job=JOB, tables=["dcim.device"], actions=["create"])
    db.execute("insert into dcim.device values (11, %s, null)", (EVIL,))
    async with logged_in(console, "oscar") as browser:
        answer = await browser.get("/replay", params={"hook": EVIL, "since": "1h"})
        pages = [answer, await browser.submit("/replay/start", follow=True, **hidden(answer.text))]
        pages.append(await browser.get("/replay", params={"hook": EVIL, "since": EVIL, "job": EVIL, "table": EVIL}))
    assert EVIL in text_in(pages[0].text)
    assert all(is_inert(page.text) for page in pages)


@pytest.mark.parametrize("query", ["", "?hook=serials", "?hook=serials&begun=never", "?begun=2026-01-01T00:00:00Z"])
async def test_an_address_that_names_no_replay_has_no_progress(console: Starlette, history: None, query: str) -> None:
    async with logged_in(console, "oscar") as browser:
        answer: httpx.Response = await browser.get(f"/replay/progress{query}")
    assert answer.status_code in (404, 422)


def test_what_a_form_carries_is_read_as_it_was_written() -> None:
    now = datetime.now(UTC)
    progress = Progress(
        Wanted("a hook", None, now, now, now, "seen"), Place(0, 7, 9, 1000), 3, 2, 1, 1, now,
        (Sample(5, now.isoformat(), "update", "s.t", 'a "row"'),),
    )  # fmt: skip
    assert Progress.sent(progress.fields()) == progress
    with pytest.raises(UsageError):
        Progress.sent({})
