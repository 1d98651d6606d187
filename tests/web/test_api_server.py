"""The API over a real connection: names as they are sent, streams while they go on, answers that are waited for."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import psycopg

from tests.support.api import new_token, own_login
from tests.support.console import make_people
from tests.support.console_runs import add_run, let_people_read
from tests.support.console_server import console_thread
from tests.support.pressing import add_button
from tests.support.results import add_line

Connection = psycopg.Connection[Any]


async def test_a_program_presses_waits_and_follows_with_a_token(dsn: str, db: Connection, device: str) -> None:
    make_people(db)
    let_people_read(db)
    db.execute("insert into dcim.device values (1, 'd1')")
    add_button(db, device, "a/b%2F\n")
    token = new_token(db, "alice")
    headers = {"Authorization": f"Bearer {token}"}
    with console_thread(dsn, dsn=own_login(db, dsn)) as address:
        async with httpx.AsyncClient(base_url=f"{address}/api/v1/", headers=headers, timeout=60) as client:
            button = await client.get("buttons/a%2Fb%252F%0A")
            assert button.json()["name"] == "a/b%2F\n"
            press = {"button": "a/b%2F\n", "table": device, "key": 1}
            pressed = (await client.post("presses", json=press)).json()
            waiting = asyncio.create_task(client.get(f"presses/{pressed['id']}?wait=30"))
            async with client.stream("GET", f"runs/{pressed['id']}/events") as stream:
                told = stream.aiter_lines()
                while await anext(told) != "event: state":
                    pass
                add_line(db, pressed["id"], "it works")
                db.execute("update rowhooks.job_result set status = 'SUCCESS', finished_at = now()")
                rest = "\n".join([line async for line in told])
            assert "it works" in rest
            assert rest.endswith("event: end\ndata: finished\n")
            assert (await waiting).json()["status"] == "SUCCESS"


async def test_a_stream_of_somebody_who_is_gone_is_not_kept(dsn: str, db: Connection, device: str) -> None:
    make_people(db)
    let_people_read(db)
    run = add_run(db, 1, status="STARTED")
    headers = {"Authorization": f"Bearer {new_token(db, 'alice')}"}
    with console_thread(dsn, dsn=own_login(db, dsn), streams_per_person=1) as address:
        async with httpx.AsyncClient(base_url=f"{address}/api/v1/", headers=headers, timeout=60) as client:
            async with client.stream("GET", f"runs/{run}/events") as first:
                assert first.status_code == 200
                refused = await client.get(f"runs/{run}/events")
                assert refused.status_code == 429
                assert refused.headers["content-type"] == "application/problem+json"
            async with asyncio.timeout(30):
                while True:
                    async with client.stream("GET", f"runs/{run}/events") as again:
                        if again.status_code == 200:
                            return
