"""What the document of the API promises, tried by schemathesis with requests that it makes up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import hypothesis
import psycopg
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from rowhooks.postgres.administration.hooks import add_hook
from rowhooks.web.api import OPERATIONS
from rowhooks.web.api.authentication import Level
from rowhooks.web.api.document import document
from tests.support.api import API, session_of
from tests.support.configuring import add_job
from tests.support.console_runs import add_run, let_people_read
from tests.support.pressing import add_button

CONFIG = SchemathesisConfig.from_dict(
    {
        "generation": {"max-examples": 5, "deterministic": True, "allow-x00": False, "database": "none"},
        "phases": {"stateful": {"enabled": False}},
        # What fits the document may still be refused by its meaning: a table that is none. See the test for the rest.
        "checks": {
            "positive_data_acceptance": {"expected-statuses": ["2xx", 401, 403, 404, 409, 412, 422]},
            "negative_data_rejection": {"expected-statuses": [400, 401, 403, 404, 413, 415, 422]},
        },
    }
)


class Relay:
    """The application of the test that runs: the tests are made from the document before there is any."""

    app: Starlette | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)


RELAY = Relay()
SCHEMA = schemathesis.openapi.from_dict(document(OPERATIONS, "/api/v1"), config=CONFIG)
SCHEMA.app = RELAY


ADMINS = {f"{one.method} {one.path}" for one in OPERATIONS if one.level is Level.ADMIN}
"""What only admins may do; an operator tries the rest."""


@pytest.fixture
async def headers(
    console: Starlette, db: psycopg.Connection[Any], device: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[dict[str, dict[str, str]]]:
    """The headers of the sessions of an operator and of an admin; the database has something of each kind."""
    let_people_read(db)
    db.execute("insert into dcim.device values (1, 'd1', 'x')")
    button = add_button(db, device)
    add_job(db, "policies.Serials")
    add_hook(db, "0", job="policies.Serials", tables=[device], actions=["update"])
    add_run(db, None, trigger="press", job_button_id=button, button_name="Reboot", status="FAILURE", id=1)
    monkeypatch.setattr(RELAY, "app", console)
    async with session_of(console, "oscar") as oscar, session_of(console, "ada") as ada:
        yield {"oscar": headers_of(oscar), "ada": headers_of(ada)}


def headers_of(client: httpx.AsyncClient) -> dict[str, str]:
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    return {"X-CSRF-Token": client.headers["X-CSRF-Token"], "Cookie": cookie}


# One database for all requests to an operation.
@SCHEMA.parametrize()
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_what_the_document_promises_is_kept(case: Any, headers: dict[str, dict[str, str]]) -> None:
    role = "ada" if case.operation.label in ADMINS else "oscar"
    answer = case.call_and_validate(base_url=API, headers=headers[role])
    if case.meta.generation.mode.is_positive and answer.status_code in (400, 422):
        assert not answer.json()["type"].endswith(("#problem-invalid", "#problem-malformed")), answer.text
