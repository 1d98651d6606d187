"""Errors of the API: each is a problem, and none tells a secret."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette

from rowhooks.domain import errors
from rowhooks.domain.errors import RowhooksError
from rowhooks.web.api.problems import kinds, refusal_of
from tests.support.api import API, session_of
from tests.support.console import Browser


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


async def test_an_unknown_path_is_a_problem(console: Starlette) -> None:
    async with Browser(console) as browser:
        found = problem(await browser.get("/api/v1/nothing"), 404)
    assert found["type"] == "/api/v1/docs#problem-unknown-path"


async def test_a_method_that_a_path_does_not_know_is_a_problem_that_names_those_it_knows(console: Starlette) -> None:
    async with session_of(console, "alice") as client:
        answer = await client.put("hooks", json={})
    problem(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD, POST"


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
    def breaks(_: object) -> None:
        raise RuntimeError("s3cret")

    monkeypatch.setattr("rowhooks.postgres.administration.hooks.list_hooks", breaks)
    async with session_of(console, "alice") as client:
        answer = await client.get("hooks")
    problem(answer, 500)
    assert "s3cret" not in answer.text
    assert "s3cret" in caplog.text
