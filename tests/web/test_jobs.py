"""Jobs in the console: listed, shown with their Meta and inputs, enabled, disabled."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from starlette.applications import Starlette

from rowhooks.postgres.administration.hooks import add_hook
from tests.support.configuring import EVIL, add_job, is_inert, text_in
from tests.support.console import logged_in

Connection = psycopg.Connection[Any]
INPUTS = {
    "properties": {
        "size": {"type": "integer", "minimum": 1, "default": 3, "description": "How many."},
        "name": {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "Name of it"},
    },
    "required": ["name"],
}
META = {"time_limit": 30.0, "max_retries": 3, "autoretry_for": ["OSError"], "ordered": True, "of_a_later_version": 7}


async def test_jobs_are_listed_with_their_state_and_what_uses_them(
    console: Starlette, db: Connection, device: str
) -> None:
    add_job(db, "jobs.Used", description="Does things.")
    add_job(db, "jobs.Off", enabled=False)
    add_job(db, "jobs.Gone", installed=False)
    add_job(db, "jobs.Hidden")
    db.execute("update rowhooks.job set hidden = true where class_path = 'jobs.Hidden'")
    add_hook(db, "one", job="jobs.Used", tables=["dcim.device"], actions=["create"])
    async with logged_in(console, "alice") as browser:
        said = text_in((await browser.get("/jobs")).text)
        with_hidden = text_in((await browser.get("/jobs?hidden=1")).text)
    assert "jobs.Used enabled hook Used: Does things. 1 hook, 0 buttons none" in said
    assert "jobs.Off disabled hook" in said
    assert "jobs.Gone enabled class not installed: the present or last leader does not have it" in said
    assert "jobs.Hidden" not in said
    assert "jobs.Hidden" in with_hidden


async def test_a_job_says_what_its_meta_means_what_it_takes_and_what_uses_it(
    console: Starlette, db: Connection
) -> None:
    add_job(db, "jobs.Resize", "button", description="Resizes.", meta=META, inputs=INPUTS)
    async with logged_in(console, "alice") as browser:
        said = text_in((await browser.get("/jobs/jobs.Resize")).text)
    assert "Description Resizes." in said
    assert "time_limit 30.0 seconds after which the run is ended" in said
    assert "autoretry_for OSError after these exceptions" in said
    assert "ordered yes" in said
    assert "of_a_later_version 7" in said
    assert "size integer no 3 minimum: 1 How many." in said
    assert "name string or null yes Name of it" in said


@pytest.mark.parametrize("enabled", [True, False])
async def test_a_viewer_cannot_switch_a_job(console: Starlette, db: Connection, enabled: bool) -> None:
    add_job(db, "jobs.Used", enabled=enabled)
    async with logged_in(console, "alice") as browser:
        page = (await browser.get("/jobs/jobs.Used")).text
        answer = await browser.submit("/jobs/jobs.Used/enabled", enabled="no" if enabled else "yes")
    assert "/jobs/jobs.Used/enabled" not in page
    assert answer.status_code == 403
    assert db.execute("select enabled from rowhooks.job").fetchone() == (enabled,)


async def test_an_operator_enables_and_disables_a_job(console: Starlette, db: Connection) -> None:
    add_job(db, "jobs.Used", enabled=False)
    async with logged_in(console, "oscar") as browser:
        await browser.get("/jobs/jobs.Used")
        answer = await browser.submit("/jobs/jobs.Used/enabled", follow=True, enabled="yes")
        assert "The job was enabled. enabled" in text_in(answer.text)
        assert db.execute("select enabled from rowhooks.job").fetchone() == (True,)
        answer = await browser.submit("/jobs/jobs.Used/enabled", follow=True, enabled="no")
    assert "The job was disabled. disabled" in text_in(answer.text)
    assert db.execute("select enabled from rowhooks.job").fetchone() == (False,)


async def test_a_job_whose_class_is_gone_is_not_enabled_and_the_ways_out_are_named(
    console: Starlette, db: Connection
) -> None:
    add_job(db, "jobs.Gone", enabled=False, installed=False)
    async with logged_in(console, "oscar") as browser:
        page = (await browser.get("/jobs/jobs.Gone")).text
        answer = await browser.submit("/jobs/jobs.Gone/enabled", enabled="yes")
    assert "/jobs/jobs.Gone/enabled" not in page
    assert "rowhooks jobs remove jobs.Gone" in text_in(page)
    assert "job jobs.Gone is not installed" in text_in(answer.text)
    assert answer.status_code == 409


async def test_an_admin_moves_what_a_missing_job_has_and_removes_another_one(
    console: Starlette, db: Connection, device: str
) -> None:
    add_job(db, "jobs.Old")
    add_job(db, "jobs.New", enabled=False)
    add_job(db, "jobs.Gone", installed=False)
    add_hook(db, "one", job="jobs.Old", tables=["dcim.device"], actions=["create"])
    db.execute("update rowhooks.job set installed = false where class_path = 'jobs.Old'")
    async with logged_in(console, "ada") as browser:
        page = (await browser.get("/jobs/jobs.Old")).text
        assert '<option value="jobs.New">' in page
        assert (await browser.submit("/jobs/jobs.Old/move", job="jobs.Gone")).status_code == 409
        moved = await browser.submit("/jobs/jobs.Old/move", follow=True, job="jobs.New")
        removed = await browser.submit("/jobs/jobs.Gone/remove", follow=True)
        assert (await browser.submit("/jobs/jobs.New/remove")).status_code == 409
    assert "Job jobs.New The job has what the missing one had. enabled" in text_in(moved.text)
    assert "The job was removed." in text_in(removed.text)
    assert db.execute("select class_path, enabled from rowhooks.job").fetchall() == [("jobs.New", True)]
    written = db.execute("select actor, act, object from rowhooks.audit order by id desc limit 2").fetchall()
    assert written == [("ada", "remove_job", "jobs.Gone"), ("ada", "move_job", "jobs.Old")]


async def test_an_operator_neither_moves_nor_removes_a_missing_job(console: Starlette, db: Connection) -> None:
    add_job(db, "jobs.Gone", installed=False)
    add_job(db, "jobs.New")
    async with logged_in(console, "oscar") as browser:
        page = (await browser.get("/jobs/jobs.Gone")).text
        answers = [await browser.submit(f"/jobs/jobs.Gone/{act}", job="jobs.New") for act in ("remove", "move")]
    assert "/jobs/jobs.Gone/remove" not in page
    assert [answer.status_code for answer in answers] == [403, 403]
    assert db.execute("select count(*) from rowhooks.job").fetchone() == (2,)


async def test_a_job_that_is_not_there_has_no_page(console: Starlette) -> None:
    async with logged_in(console, "alice") as browser:
        answer = await browser.get("/jobs/jobs.Nothing")
    assert answer.status_code == 404
    assert "there is no job jobs.Nothing" in text_in(answer.text)


async def test_what_a_class_says_of_itself_is_inert(console: Starlette, db: Connection) -> None:
    schema = {
        "properties": {EVIL: {"type": EVIL, "default": EVIL, "description": EVIL, "title": EVIL, "pattern": EVIL}}
    }
    add_job(db, f"jobs.{EVIL}", "button", description=EVIL, meta={EVIL: EVIL}, inputs=schema)
    path = str(console.url_path_for("job", name=f"jobs.{EVIL}"))
    async with logged_in(console, "ada") as browser:
        pages = [(await browser.get(address)).text for address in ("/jobs", path)]
    assert EVIL in text_in(pages[0])
    assert all(is_inert(page) for page in pages)


@pytest.mark.parametrize(
    "schema",
    [[], {"properties": []}, {"properties": {"a": True}, "required": 7}, {"properties": {"a": {"$ref": "#/x"}}}],
)
async def test_a_schema_of_any_shape_has_a_page(console: Starlette, db: Connection, schema: Any) -> None:
    add_job(db, "jobs.Odd", "button", inputs=schema)
    async with logged_in(console, "alice") as browser:
        assert (await browser.get("/jobs/jobs.Odd")).status_code == 200
