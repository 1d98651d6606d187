"""Changes: listed by filters, shown with their differences, and with the hooks that they start and do not start."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from starlette.applications import Starlette

from rowhooks.postgres.console.changes import PAGE, SQL, ChangeFilter, list_changes
from rowhooks.postgres.console.why import SQL as WHY
from tests.support.configuring import text_in
from tests.support.console import Browser, logged_in, page_at
from tests.support.console_runs import HOSTILE, NOON, add_run, let_people_read
from tests.support.hooks import add_hook
from tests.support.results import LEASE, Serial, behind_the_feed
from tests.support.rows import first_value

Connection = psycopg.Connection[Any]
QUOTE = '"'


@pytest.fixture(autouse=True)
def people(db: Connection, device: str, console: Starlette) -> None:
    let_people_read(db)


def shown(text: str) -> list[int]:
    return [int(id_) for id_ in re.findall(r'<tr id="change-(\d+)">', text)]


def link(text: str, label: str) -> str:
    found = re.search(rf'href="([^"]+)">{label}</a>', text)
    assert found, f"no link {label}"
    return html.unescape(found[1])


def insert(db: Connection, count: int, first: int = 1) -> list[int]:
    """Insert devices; return the ids of the changes, the newest first."""
    db.execute(
        "insert into dcim.device select n, 'sw' || n from generate_series(%s::integer, %s) as n order by n",
        (first, first + count - 1),
    )
    return [row[0] for row in db.execute("select id from rowhooks.object_change order by id desc limit %s", (count,))]


async def listed(browser: Browser, **query: str) -> list[int]:
    answer = await browser.get("/changes", params=query)
    assert answer.status_code == 200, answer.text
    return shown(answer.text)


async def test_pages_follow_each_other_in_both_directions(console: Starlette, db: Connection) -> None:
    changes = insert(db, 2 * PAGE + 10)
    async with logged_in(console, "alice") as browser:
        pages = [await browser.get("/changes")]
        for _ in range(2):
            pages.append(await browser.get(link(pages[-1].text, "Older")))
        assert [shown(one.text) for one in pages] == [changes[:PAGE], changes[PAGE : 2 * PAGE], changes[2 * PAGE :]]
        assert "Older</a>" not in pages[-1].text
        back = await browser.get(link(pages[-1].text, "Newer"))
        assert shown(back.text) == changes[PAGE : 2 * PAGE]
        newer = link(pages[0].text, "Newer")
        assert shown((await browser.get(newer)).text) == changes[:PAGE]
        [new] = insert(db, 1, first=1000)
        assert shown((await browser.get(newer)).text) == [new, *changes[: PAGE - 1]]


async def test_a_filter_leaves_the_others_out(console: Starlette, db: Connection) -> None:
    db.execute("create table dcim.site (id integer primary key); select rowhooks.track('dcim.site')")
    let_people_read(db, "dcim.site")
    create, other = insert(db, 2)[::-1]
    with db.transaction():
        db.execute("set local rowhooks.\"user\" = 'grace'; set local rowhooks.request_id = 'r-7'")
        db.execute("update dcim.device set serial = 'x' where id = 1")
    db.execute("insert into dcim.site values (1); truncate dcim.site")
    site, truncate = (row[0] for row in db.execute("select id from rowhooks.object_change order by id desc limit 2"))
    site, truncate = truncate, site
    update = other + 1
    everything = [truncate, site, update, other, create]
    async with logged_in(console, "alice") as browser:
        assert await listed(browser) == everything
        assert await listed(browser, table="dcim.site") == [truncate, site]
        assert await listed(browser, action="update") == [update]
        assert await listed(browser, action="truncate") == [truncate]
        assert await listed(browser, user="grace") == [update]
        assert await listed(browser, user="postgres") == everything
        assert await listed(browser, request_id="r-7") == [update]
        assert await listed(browser, key="2") == [other]
        assert await listed(browser, key='{"id": 1}', table="dcim.device") == [update, create]
        assert await listed(browser, table="dcim.unknown") == []


async def test_a_time_span_is_found_by_ids_and_nothing_in_it_is_missed(console: Starlette, db: Connection) -> None:
    changes = insert(db, 300)[::-1]
    for number, change in enumerate(changes):
        db.execute(
            "update rowhooks.object_change set time = %s where id = %s", (NOON + timedelta(hours=number), change)
        )
    # Ids have gaps.
    db.execute("delete from rowhooks.object_change where id between %s and %s", (changes[40], changes[60]))
    async with logged_in(console, "alice") as browser:
        span = {"since": "2026-02-02T12:00", "until": "2026-02-02T20:00"}
        assert await listed(browser, **span) == []
        span = {"since": "2026-02-03T12:00", "until": "2026-02-03T20:00"}
        assert await listed(browser, **span) == changes[72:80][::-1]
        assert await listed(browser, since="2026-02-12T20:00") == changes[296:][::-1]
        assert await listed(browser, until="2026-01-31T15:00") == changes[:3][::-1]
        assert await listed(browser, since="2030-01-01") == []
        assert await listed(browser, until="2020-01-01") == []


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("action=drop", "there is no action drop"),
        ("since=yesterday", "is not a time"),
        ("before=x", "is not the id of a change"),
        ("run=x", "is not the id of a run"),
    ],
)
async def test_a_filter_that_makes_no_sense_is_said(
    console: Starlette, db: Connection, query: str, problem: str
) -> None:
    insert(db, 1)
    async with logged_in(console, "alice") as browser:
        answer = await browser.get(f"/changes?{query}")
    assert answer.status_code == 422
    assert problem in html.unescape(answer.text)
    assert shown(answer.text) == []


async def test_the_changes_of_a_run_are_listed(console: Starlette, db: Connection) -> None:
    insert(db, 1)
    with db.transaction():
        db.execute("set local rowhooks.request_id = 'a-key'")
        wrote = insert(db, 3, first=10)
        run = add_run(db, None, trigger="press", job_button_id=1, key="a-key")
    async with logged_in(console, "alice") as browser:
        assert await listed(browser, run=str(run)) == wrote


@pytest.mark.parametrize("query", ["older", "newer"])
def test_a_page_reads_no_more_changes_than_it_shows(db: Connection, query: str) -> None:
    changes = insert(db, 20_000)
    db.execute("analyze rowhooks.object_change")
    with db.transaction(), psycopg.RawCursor(db) as cursor:
        cursor.execute("set local role alice")
        values = (*[None] * 10, changes[10_000], PAGE + 1)
        plan = "\n".join(row[0] for row in cursor.execute(f"explain (analyze) {SQL[query]}", values).fetchall())
        assert max(int(rows) for rows in re.findall(r"actual time=\S+ rows=(\d+)", plan)) < 1500, plan


def test_a_page_of_the_few_changes_that_match_is_read_from_the_newest_on(db: Connection) -> None:
    insert(db, 20_000)
    db.execute("update rowhooks.object_change set user_name = 'ann' where id % 40 = 0")
    db.execute("vacuum analyze rowhooks.object_change")
    with db.transaction(), psycopg.RawCursor(db) as cursor:
        cursor.execute("set local role alice")
        values = (None, None, "ann", *[None] * 7, None, PAGE + 1)
        plan = "\n".join(row[0] for row in cursor.execute(f"explain (analyze) {SQL['older']}", values).fetchall())
    assert "Seq Scan on object_change_0" not in plan, plan
    assert f"rows={PAGE + 1}.00 loops=1" in plan or f"rows={PAGE + 1} loops=1" in plan, plan


def test_a_time_is_looked_for_in_few_steps(db: Connection) -> None:
    insert(db, 20_000)
    db.execute("analyze rowhooks.object_change")
    with db.transaction(), psycopg.RawCursor(db) as cursor:
        cursor.execute("set local role alice")
        plan = "\n".join(
            row[0] for row in cursor.execute(f"explain (analyze) {SQL['boundaries']}", ([NOON],)).fetchall()
        )
        assert max(int(rows) for rows in re.findall(r"actual time=\S+ rows=(\d+)", plan)) < 1000, plan


def test_four_questions_are_enough_for_any_page(db: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    execute = psycopg.RawCursor.execute

    def noted(self: psycopg.RawCursor[Any], query: Any, *values: Any, **named: Any) -> Any:
        asked.append(query)
        return execute(self, query, *values, **named)

    monkeypatch.setattr(psycopg.RawCursor, "execute", noted)
    run = add_run(db, None, trigger="press", job_button_id=1)
    for wanted in (ChangeFilter(table="a.b", since=NOON, until=NOON), ChangeFilter(table="a.b", since=NOON, run=run)):
        asked.clear()
        list_changes(db, wanted, after=1)
        assert 2 < len(asked) <= 4


# One change


async def page_of(console: Starlette, change: int, role: str = "alice") -> str:
    return await page_at(console, f"/changes/{change}", role)


def verdict(text: str, hook: str) -> str:
    """Return what a page says of a hook."""
    rows = [text_in(row) for row in re.findall(r"<tr>(.*?)</tr>", text, re.DOTALL)]
    [found] = [row for row in rows if row.startswith(f"{hook} ")]
    return found.removeprefix(f"{hook} ").partition(" ")[2]


async def test_a_change_says_who_changed_what(console: Starlette, db: Connection) -> None:
    db.execute("insert into dcim.device values (1, 'sw1', 'old')")
    with db.transaction():
        db.execute(
            "set local rowhooks.\"user\" = 'grace'; set local rowhooks.request_id = 'r-7';"
            " set local rowhooks.context = 'import'; update dcim.device set serial = 'new', name = 'sw9'"
        )
    said = text_in(await page_of(console, first_value(db, "select max(id) from rowhooks.object_change")))
    assert "Action update Row dcim.device" in said
    assert 'Key {"id": 1}' in said
    assert "Login postgres User grace as the application says Request r-7 Context import" in said
    assert "serial old new" in said
    assert "name sw1 sw9" in said
    assert "No hook is on this table." in said


async def test_what_was_not_recorded_is_said(console: Starlette, db: Connection) -> None:
    [change] = insert(db, 1)
    db.execute("update rowhooks.object_change set capture_error = 'serial: too large'")
    # Whoever may not read a column is not told its values by the error either.
    assert "Not everything was recorded: serial: too large" in text_in(await page_of(console, change))


async def test_whatever_stands_in_a_change_is_text(console: Starlette, db: Connection) -> None:
    name = add_hook(db, Serial, "dcim.device", name=HOSTILE)
    with db.transaction():
        for variable in ("user", "request_id", "context"):
            db.execute("select set_config(%s, %s, true)", (f"rowhooks.{variable}", HOSTILE))
        db.execute(
            f'alter table dcim.device add "{HOSTILE.replace(chr(34), chr(34) * 2)}" text default %s'
            % psycopg.sql.Literal(HOSTILE).as_string()
        )
        db.execute("insert into dcim.device values (1, %s, %s)", (HOSTILE, HOSTILE))
    change = first_value(db, "select max(id) from rowhooks.object_change")
    db.execute("update rowhooks.object_change set capture_error = %s, object_repr = %s", (HOSTILE, HOSTILE))
    add_run(db, name, trigger="change", object_change_id=change, hook_name=HOSTILE)
    async with logged_in(console, "alice") as browser:
        for path in (f"/changes/{change}", "/changes", f"/changes?key={HOSTILE}&user={HOSTILE}"):
            text = (await browser.get(path)).text
            assert "<script>alert" not in text
            assert "<img" not in text


async def test_a_page_of_the_largest_change_stays_small(console: Starlette, db: Connection) -> None:
    columns = ", ".join(f"c{n} text" for n in range(300))
    db.execute(f"create table dcim.wide (id integer primary key, {columns})")
    db.execute("select rowhooks.track('dcim.wide')")
    let_people_read(db, "dcim.wide")
    values = ", ".join(["repeat('\"', 3000)"] * 300)
    db.execute(f"insert into dcim.wide values (1, {values})")
    change = first_value(db, "select max(id) from rowhooks.object_change")
    for n in range(150):
        db.execute(
            "with j as (insert into rowhooks.job (class_path, kind, name) values (%s, 'hook', 'x') returning id),"
            " h as (insert into rowhooks.job_hook (name, job_id, type_create) select %s, id, true from j returning id)"
            " insert into rowhooks.job_hook_table (job_hook_id, tracked_table_id) select h.id, 2 from h",
            (f"{'x' * 80}.J{n}", f"{n}{QUOTE * 100}"),
        )
    async with logged_in(console, "alice") as browser:
        answer = await browser.get(f"/changes/{change}")
    assert answer.status_code == 200
    assert len(answer.content) <= 100_000
    assert "There is no room for" in answer.text
    assert re.search(r"and \d+ more", answer.text)


async def test_a_change_that_nobody_may_see_is_not_found(console: Starlette, db: Connection) -> None:
    [change] = insert(db, 1)
    db.execute("revoke select on dcim.device from alice")
    async with logged_in(console, "alice") as browser:
        for path in (f"/changes/{change}", "/changes/999", f"/changes/{'9' * 40}"):
            assert (await browser.get(path)).status_code == 404
        assert await listed(browser) == []


# Which hooks


def hook_on(db: Connection, name: str = "Serials", actions: str = "create update delete") -> int:
    """Make a hook that is older than the changes that follow."""
    hook = add_hook(db, Serial, "dcim.device", actions, name)
    db.execute("update rowhooks.job set installed = true")
    return hook


async def test_a_hook_that_has_started_is_shown_with_its_run(console: Starlette, db: Connection) -> None:
    hook = hook_on(db)
    [change] = insert(db, 1)
    run = add_run(db, hook, trigger="change", object_change_id=change, hook_name="Serials")
    replay = add_run(db, hook, object_change_id=change, hook_name="Serials")
    again = add_run(db, hook, trigger="change", object_change_id=change, hook_name="Serials", original_id=run)
    text = await page_of(console, change)
    assert verdict(text, "Serials") == f"run {run} SUCCESS"
    said = text_in(text)
    assert f"run {replay} SUCCESS Serials, a replay" in said
    assert f"run {again} SUCCESS Serials, repeats run {run}" in said


async def test_a_change_that_is_not_read_yet_will_start_its_hooks(console: Starlette, db: Connection) -> None:
    hook_on(db)
    [change] = insert(db, 1)
    assert verdict(await page_of(console, change), "Serials") == "will start no daemon has read the change yet"
    db.execute("update rowhooks.feed set leader = 'host:1'")
    assert verdict(await page_of(console, change), "Serials") == "will start the daemon has not read the change yet"


async def test_a_run_that_is_missing_is_no_success(console: Starlette, db: Connection) -> None:
    hook_on(db)
    [change] = insert(db, 1)
    behind_the_feed(db)
    assert verdict(await page_of(console, change), "Serials").startswith(
        "no run it would start, and no run is on record"
    )


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("update rowhooks.job_hook set enabled = false", "the hook is disabled"),
        ("update rowhooks.job set enabled = false", "its job tests.support.results.Serial is disabled"),
        (
            "update rowhooks.job_hook set enabled = false; update rowhooks.job_hook set enabled = true",
            "the change is from before the hook or its job was enabled",
        ),
        ("update rowhooks.job_hook set type_update = false", "it does not start on update, only on create, delete"),
        ("update rowhooks.job_hook set columns = '{name}'", "the update changes none of its columns (name)"),
        (
            "update rowhooks.job_hook set ignored_columns = '{serial}'",
            "the update changes nothing but columns that it ignores (serial)",
        ),
        (
            """update rowhooks.job_hook set conditions = '{"attr": "name", "value": "sw2"}'""",
            "name",
        ),
    ],
)  # fmt: skip
async def test_a_hook_that_does_not_start_says_why(
    console: Starlette, db: Connection, statement: str, reason: str
) -> None:
    hook_on(db)
    db.execute("insert into dcim.device values (1, 'sw1', 'old')")
    db.execute("update dcim.device set serial = 'new'")
    db.execute(statement)
    change = first_value(db, "select max(id) from rowhooks.object_change")
    found = verdict(await page_of(console, change), "Serials")
    assert found.startswith("not started ")
    assert reason in found


async def test_a_hook_that_was_altered_since_says_so(console: Starlette, db: Connection) -> None:
    hook = hook_on(db)
    [change] = insert(db, 1)
    run = add_run(db, hook, trigger="change", object_change_id=change)
    db.execute("update rowhooks.job_hook set type_create = false")
    expected = "as it is now, it would not start: it does not start on create, only on delete, update"
    assert verdict(await page_of(console, change), "Serials") == f"run {run} SUCCESS {expected}"


async def test_what_a_hook_receiver_has_written_starts_no_hook_and_names_its_run(
    console: Starlette, db: Connection
) -> None:
    hook = hook_on(db)
    db.execute("select rowhooks.track('dcim.device', audit_receivers => true)")
    with db.transaction():
        db.execute("set local rowhooks.receiver = 'a-key'")
        [change] = insert(db, 1)
        run = add_run(db, hook, key="a-key", created_at=first_value(db, "select clock_timestamp()"))
    said = text_in(await page_of(console, change))
    assert "what hook receivers write starts no hook" in said
    assert f"Written by run {run}" in said


async def test_what_a_button_receiver_has_written_names_its_run(console: Starlette, db: Connection) -> None:
    with db.transaction():
        db.execute("set local rowhooks.request_id = 'a-key'; set local rowhooks.context = 'job-button'")
        [change] = insert(db, 1)
        run = add_run(
            db,
            None,
            trigger="press",
            job_button_id=1,
            key="a-key",
            created_at=first_value(db, "select clock_timestamp()"),
        )
    with db.transaction():
        db.execute("set local rowhooks.request_id = 'a-key'; set local rowhooks.context = 'job-button'")
        [forged] = insert(db, 1, first=2)
    assert f"Written by run {run}" in text_in(await page_of(console, change))
    assert "Written by" not in text_in(await page_of(console, forged))


async def test_hooks_of_other_tables_and_of_tables_that_are_not_tracked_any_more_are_told_apart(
    console: Starlette, db: Connection
) -> None:
    hook_on(db)
    db.execute("create table dcim.site (id integer primary key); select rowhooks.track('dcim.site')")
    let_people_read(db, "dcim.site")
    db.execute("insert into dcim.site values (1)")
    change = first_value(db, "select max(id) from rowhooks.object_change")
    said = text_in(await page_of(console, change))
    assert "No hook is on this table. 1 hook is on other tables." in said
    [device] = insert(db, 1)
    db.execute("select rowhooks.untrack('dcim.device')")
    assert "The table is not tracked any more" in text_in(await page_of(console, device))


async def test_a_hook_that_depends_on_a_hidden_column_is_not_decided_and_tells_nothing(
    console: Starlette, db: Connection
) -> None:
    hook_on(db)
    db.execute("""update rowhooks.job_hook set conditions = '{"attr": "serial", "value": "secret"}'""")
    db.execute("insert into dcim.device values (1, 'sw1', 'secret')")
    change = first_value(db, "select max(id) from rowhooks.object_change")
    db.execute("revoke select on dcim.device from alice")
    db.execute("grant select (id, name) on dcim.device to alice")
    text = await page_of(console, change)
    assert verdict(text, "Serials") == "not known it depends on columns that you may not read: serial"
    assert "You may not read these columns: serial." in text_in(text)
    assert "secret" not in text
    assert verdict(await page_of(console, change, "ada"), "Serials").startswith("will start")


def test_the_runs_of_a_change_are_found_by_indexes(db: Connection) -> None:
    hook = hook_on(db)
    db.execute(
        "insert into rowhooks.job_result (trigger, status, leader_epoch, job_hook_id, job_id, class_path, finished_at,"
        " object_change_id, tracked_table, created_at) select 'change', 'SUCCESS', %s, %s, 1, 'x.Y', now(), n, 1, %s"
        " from generate_series(1, 20000) as n",
        (LEASE, hook, NOON),
    )
    insert(db, 5000)
    db.execute("analyze rowhooks.job_result, rowhooks.object_change")
    questions = {"runs": (7, 10), "change": (7,), "writer": (NOON - timedelta(days=3), "700", "a-key", 100)}
    with db.transaction(), psycopg.RawCursor(db) as cursor:
        cursor.execute("set local role alice")
        for name, values in questions.items():
            plan = "\n".join(row[0] for row in cursor.execute(f"explain (analyze) {WHY[name]}", values).fetchall())
            assert max(int(rows) for rows in re.findall(r"actual time=\S+ rows=(\d+)", plan)) < 1000, (name, plan)
