"""Pages of which a part is told again: a press of several rows, and a replay."""

from __future__ import annotations

import html
import re
from typing import Any

import httpx
import psycopg
import pytest
from starlette.applications import Starlette

from tests.support.console import logged_in
from tests.support.console_runs import add_run, let_people_read
from tests.support.hooks import add_hook
from tests.support.results import Serial, add_button
from tests.support.rows import first_value
from tests.support.streams import listening

Connection = psycopg.Connection[Any]
pytestmark = pytest.mark.usefixtures("quick_streams")


@pytest.fixture(autouse=True)
def people(db: Connection, device: str, console: Starlette) -> None:
    let_people_read(db)
    db.execute("insert into dcim.device values (1, 'sw1'), (2, 'sw2')")


def stream_of(answer: httpx.Response) -> str | None:
    """Return the address of the stream that a page follows."""
    assert answer.status_code == 200, answer.text
    found = re.search(r'data-live="([^"]+)"', answer.text)
    return html.unescape(found[1]) if found else None


def finish(db: Connection) -> None:
    db.execute("update rowhooks.job_result set status = 'SUCCESS', finished_at = now() where finished_at is null")


async def test_a_press_of_several_rows_is_told_until_all_its_runs_have_ended(
    console: Starlette, db: Connection
) -> None:
    add_button(db, "dcim.device")
    db.execute("update rowhooks.job_button set roles = '{alice}'")
    with db.transaction():
        db.execute("set local role alice")
        batch = first_value(db, "select rowhooks.press_many('Reboot', 'dcim.device', array['1', '2'])")
    async with logged_in(console, "alice") as browser:
        address = stream_of(await browser.get(f"/batches/{batch}"))
        assert address is not None
        async with listening(browser, console, address) as listener:
            await listener.hears("0 of 2 runs have ended")
            db.execute(
                "update rowhooks.job_result set status = 'SUCCESS', finished_at = now()"
                " where id = (select min(id) from rowhooks.job_result)"
            )
            await listener.hears("1 of 2 runs have ended")
            finish(db)
            assert await listener.ends() == "finished"
        assert "2 of 2 runs have ended" in listener.heard[-2].data
        assert stream_of(await browser.get(f"/batches/{batch}")) is None


async def test_the_runs_of_a_replay_are_told_until_they_have_ended(console: Starlette, db: Connection) -> None:
    hook = add_hook(db, Serial, "dcim.device", name="Serials")
    begun = first_value(db, "select now()")
    add_run(db, hook, status="PENDING", hook_name="Serials", created_at=begun)
    async with logged_in(console, "oscar") as browser:
        page = await browser.get("/replay/progress", params={"hook": "Serials", "begun": begun.isoformat()})
        address = stream_of(page)
        assert address is not None
        async with listening(browser, console, address) as listener:
            await listener.hears("1 have not ended")
            finish(db)
            assert await listener.ends() == "finished"
        assert "All of them have ended." in listener.heard[-2].data


async def test_what_has_not_changed_is_not_told_again(console: Starlette, db: Connection) -> None:
    hook = add_hook(db, Serial, "dcim.device", name="Serials")
    begun = first_value(db, "select now()")
    add_run(db, hook, status="PENDING", hook_name="Serials", created_at=begun)
    async with logged_in(console, "oscar") as browser:
        page = await browser.get("/replay/progress", params={"hook": "Serials", "begun": begun.isoformat()})
        async with listening(browser, console, stream_of(page) or "") as listener:
            await listener.hears("1 have not ended")
            add_run(db, hook, status="PENDING", hook_name="Serials", created_at=begun)
            await listener.hears("2 have not ended")
    assert len(listener.heard) == 2
