"""Names in paths: each name has an address of its own, which leads back to it."""

from __future__ import annotations

import asyncio

import httpx
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from rowhooks.web.linking import names

assert names.NameConvertor.regex


async def named(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"named {request.path_params['name']}")


async def edited(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"edited {request.path_params['name']}")


async def added(request: Request) -> PlainTextResponse:
    return PlainTextResponse("added")


app = Starlette(
    routes=[
        Route("/hooks/new", added, name="hook_new"),
        Route("/hooks/{name:name}", named, name="hook"),
        Route("/hooks/{name:name}/edit", edited, name="hook_edit"),
    ]
)


def get(path: str) -> str:
    async def ask() -> str:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://console") as client:
            return (await client.get(path)).text

    return asyncio.run(ask())


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1) | st.sampled_from(
    ["new", ".", "..", "a/b", "50%", "%2F", "a?b#c", "x/edit", "a b", "ü", "//evil.example", "\\\\evil.example"]
)


@given(NAMES)
def test_each_name_is_reached_by_its_own_address(name: str) -> None:
    assert get(app.url_path_for("hook", name=name)) == f"named {name}"
    assert get(app.url_path_for("hook_edit", name=name)) == f"edited {name}"


def test_a_plain_name_stands_as_it_is_in_its_address() -> None:
    assert app.url_path_for("hook", name="serial-policy") == "/hooks/serial-policy"
