"""The document of the API, and the page that is made of it."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from rowhooks.web.api import OPERATIONS
from rowhooks.web.api.document import document
from rowhooks.web.api.problems import kinds
from tests.support.console import Browser

DOCUMENT = document(OPERATIONS, "/api/v1")


def described() -> list[tuple[str, str, dict[str, Any]]]:
    return [(method, path, one) for path, methods in DOCUMENT["paths"].items() for method, one in methods.items()]


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


async def test_the_document_is_public_and_of_openapi_3_1(console: Starlette) -> None:
    async with Browser(console) as browser:
        answer = await browser.get("/api/v1/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == DOCUMENT
    assert answer.json()["openapi"] == "3.1.0"


def test_each_operation_is_described_once() -> None:
    assert len(described()) == len(OPERATIONS) == len({one["operationId"] for _, _, one in described()})


def test_each_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        place = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_the_parameters_of_a_path_are_those_of_its_model(operation: Any) -> None:
    assert re.findall(r"\{(\w+)\}", operation.path) == list(operation.path_model.model_fields)


def test_everything_but_the_document_needs_a_token_or_a_session() -> None:
    public = [one["operationId"] for _, _, one in described() if not one["security"]]
    assert public == ["show_document", "show_overview", "show_reference"]


async def test_the_overview_names_each_operation_and_each_kind_of_problem(console: Starlette) -> None:
    async with Browser(console) as browser:
        answer = await browser.get("/api/v1/docs")
    assert answer.headers["content-type"].startswith("text/html")
    for _, path, one in described():
        assert f"#{one['operationId']}" in answer.text
        assert path in answer.text
    for kind in kinds():
        assert f'id="problem-{kind.name}"' in answer.text


@pytest.mark.parametrize("subject", sorted({operation.subject for operation in OPERATIONS}))
async def test_the_reference_shows_the_operations_of_a_subject_without_a_script(
    console: Starlette, subject: str
) -> None:
    async with Browser(console) as browser:
        answer: httpx.Response = await browser.get(f"/api/v1/docs/{subject}")
    assert answer.headers["content-type"].startswith("text/html")
    assert len(answer.content) < 100_000
    for _, path, one in described():
        assert (f'id="{one["operationId"]}"' in answer.text) == (path.split("/")[1] == subject)
    links = set(re.findall(r'href="#([^"]+)"', answer.text))
    assert links <= set(re.findall(r'id="([^"]+)"', answer.text))
