"""Errors of the API: each is a problem, and none tells a secret."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest
from starlette.applications import Starlette

from rowhooks.domain import errors
from rowhooks.domain.errors import RowhooksError
from rowhooks.web.api.problems import kinds, refusal_of
from tests.support.api import API, session_of
from tests.support.console import Browser, make_console, make_people


def problem(answer: httpx.Response, status: int) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, object] = answer.json()
    assert {"type", "title", "status", "detail", "hint", "errors"} == set(found)
    assert found["status"] == status
    assert found["detail"]
    return found


ERRORS = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, RowhooksError)]


@pytest.mark.parametrize("error", ERRORS)
def test_each_error_of_rowhooks_is_a_problem_of_a_kind_that_the_reference_has(error: type[RowhooksError]) -> None:
    refusal = refusal_of(error("what is wrong", hint="what to do"))
    assert (refusal.detail, refusal.hint) == ("what is wrong", "what to do")
    assert error is RowhooksError or refusal.kind in kinds()


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v1", "/api/v1/", "/api/v1/me/", "/api/v1/a%0Ab"])
async def test_an_unknown_path_is_a_problem(console: Starlette, path: str) -> None:
    async with Browser(console) as browser:
        found = problem(await browser.get(path), 404)
    assert found["type"] == "/api/v1/docs#problem-unknown-path"


async def test_a_method_that_a_path_does_not_know_is_a_problem_that_names_those_it_knows(console: Starlette) -> None:
    async with session_of(console, "alice") as client:
        answer = await client.put("hooks", json={})
        stream = await client.head("runs/1/events")
    problem(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert (stream.status_code, stream.headers["allow"]) == (405, "GET")


async def test_nobody_is_told_how_to_be_somebody(console: Starlette) -> None:
    async with Browser(console) as browser:
        answer = await browser.get("/api/v1/me")
    problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("headers", [{"X-CSRF-Token": "other"}, {"Origin": "https://evil.example"}])
async def test_an_act_that_another_site_sends_with_the_cookie_is_refused(
    console: Starlette, headers: dict[str, str]
) -> None:
    async with session_of(console, "ada") as client:
        found = problem(await client.post("hooks/x/enable", headers=headers), 403)
    assert found["type"] == "/api/v1/docs#problem-forged"


async def test_a_body_that_is_not_json_is_a_problem(console: Starlette) -> None:
    async with session_of(console, "ada") as client:
        problem(await client.post("hooks", content="{", headers={"Content-Type": "application/json"}), 400)
        problem(await client.post("hooks", content="{}", headers={"Content-Type": "text/plain"}), 415)


@pytest.mark.parametrize("number", ["1e200000", "1e-200000", "9" * 200_000, "[" * 400_000 + "]" * 400_000])
async def test_a_few_characters_do_not_keep_the_console_busy(console: Starlette, number: str) -> None:
    # Made an integer, 1e99999999 takes minutes in which nobody else gets an answer.
    async with session_of(console, "mallory") as client:
        before = time.process_time()
        body = f'{{"name": "a", "job": "a.B", "tables": ["a.b"], "text": "x", "weight": {number}}}'
        answer = await client.post("buttons", content=body, headers={"content-type": "application/json"})
        problem(answer, 400)
        assert time.process_time() - before < 2


async def test_each_field_that_is_wrong_is_named_without_its_value(console: Starlette) -> None:
    async with session_of(console, "ada") as client:
        answer = await client.post(
            "hooks", json={"name": "x", "job": 5, "tables": [], "actions": ["s3cret"], "more": 1}
        )
    found = problem(answer, 422)
    named = {one["field"] for one in found["errors"]}  # type: ignore[attr-defined]
    assert named == {"/job", "/actions/0", "/more"}
    assert "s3cret" not in answer.text


async def test_a_parameter_that_is_unknown_or_given_twice_is_refused(console: Starlette) -> None:
    async with session_of(console, "alice") as client:
        assert "hiden" in str(problem(await client.get("jobs?hiden=true"), 422)["errors"])
        assert "more than once" in str(problem(await client.get("jobs?hidden=true&hidden=false"), 422)["errors"])


@pytest.mark.parametrize("path", ["hooks/%00", "hooks/%ED%A0%80", "hooks/a%00b", "hooks/%FF", "jobs?hidden=%FF"])
async def test_a_name_that_postgresql_cannot_hold_is_a_problem(console: Starlette, path: str) -> None:
    async with session_of(console, "ada") as client:
        problem(await client.get(f"{API}/{path}"), 400)


async def test_what_is_unexpected_is_a_problem_that_tells_nothing(
    console: Starlette, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("s3cret")

    monkeypatch.setattr("rowhooks.web.api.resources.jobs.jobs_behind", breaks)
    async with session_of(console, "alice") as client:
        answer = await client.get("jobs")
    problem(answer, 500)
    assert "s3cret" not in answer.text
    assert "s3cret" in caplog.text


async def test_what_the_console_refuses_before_the_api_is_a_problem_too(dsn: str) -> None:
    console = make_console(dsn, largest_body=1024)
    async with Browser(console) as browser:
        problem(await browser.post("/api/v1/hooks", content=b"x" * 2000), 413)
        problem(await browser.get("/api/v1/me", headers={"Host": "evil.example"}), 421)
        problem(await browser.request("TRACE", "/api/v1/me"), 405)


async def test_a_body_that_proves_too_large_in_pieces_is_a_problem(dsn: str, db: psycopg.Connection[Any]) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b'"' + b"x" * 500

    make_people(db)
    async with session_of(make_console(dsn, largest_body=1024), "ada") as client:
        problem(await client.post("hooks", content=pieces(), headers={"Content-Type": "application/json"}), 413)


async def test_too_many_requests_at_the_same_time_are_a_problem(dsn: str, db: psycopg.Connection[Any]) -> None:
    make_people(db)
    async with session_of(make_console(dsn, requests_per_person=2), "ada") as client:
        answers = await asyncio.gather(*(client.get("me") for _ in range(5)))
    refused = [one for one in answers if one.status_code == 429]
    assert refused
    for one in refused:
        assert problem(one, 429)["type"] == "/api/v1/docs#problem-too-many-requests"
        assert one.headers["retry-after"]


async def test_a_session_whose_connections_have_ended_is_nobody(
    console: Starlette, db: psycopg.Connection[Any]
) -> None:
    async with session_of(console, "ada") as client:
        assert (await client.get("me")).status_code == 200
        db.execute("select pg_terminate_backend(pid, 10000) from pg_stat_activity where usename = 'ada'")
        answers = [await client.get("me") for _ in range(3)]
    problem(answers[-1], 401)
