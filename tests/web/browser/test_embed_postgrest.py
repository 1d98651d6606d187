"""`<rowhooks-buttons>` on the page of the PostgREST example.

The statements are PostgREST's, see tests/support/postgrest.py. A route of the browser stands in for its HTTP.
"""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import psycopg
import pytest
from playwright.sync_api import Route, expect
from psycopg.conninfo import make_conninfo

from rowhooks.web.embed.component import component
from tests.support import postgrest
from tests.support.browser import Visit
from tests.support.builds import CHECKOUT
from tests.support.databases import Templates
from tests.support.embedding import ANN, ends, presses, shop_database
from tests.support.waiting import wait

Connection = psycopg.Connection[Any]
EXAMPLE = CHECKOUT / "examples" / "postgrest"
HERE, API = "https://shop.example", "https://api.example"


@pytest.fixture
def db(administrator: Connection, server: SimpleNamespace, templates: Templates, browser: Any) -> Iterator[Connection]:
    with shop_database(administrator, server, templates) as (db, _):
        db.execute((EXAMPLE / "setup.sql").read_text())
        db.execute(f"grant {ANN} to authenticator; grant usage on schema api to {ANN}")
        db.execute(f"grant execute on all functions in schema api to {ANN}")
        yield db


def test_a_page_presses_through_postgrest(db: Connection, visiting: Visit) -> None:
    def page(route: Route) -> None:
        if route.request.url.endswith(".js"):
            route.fulfill(body=component().decode(), content_type="text/javascript")
        else:
            text = string.Template((EXAMPLE / "index.html").read_text()).substitute(token="anns")
            route.fulfill(body=text, content_type="text/html")

    def answer(route: Route) -> None:
        request = route.request
        allowed = {
            "Access-Control-Allow-Origin": HERE, "Access-Control-Allow-Methods": "GET, POST",
            "Access-Control-Allow-Headers": "authorization, content-type, x-rowhooks",
        }  # fmt: skip
        if request.method == "OPTIONS":
            route.fulfill(status=200, headers=allowed)
            return
        url = urlsplit(request.url)
        given = json.loads(request.post_data or "{}") if request.method == "POST" else dict(parse_qsl(url.query))
        assert request.headers["authorization"] == "Bearer anns"
        name = url.path.removeprefix("/rpc/")
        with psycopg.connect(make_conninfo(db.info.dsn, user="authenticator")) as conn:
            status, found = postgrest.call(conn, "api", name, given, {"role": ANN}, method=request.method)
        route.fulfill(status=status, body=json.dumps(found), content_type="application/json", headers=allowed)

    ann = visiting(HERE)
    ann.faults.expect(f"request to another host: {API}/rpc/")
    ann.page.route(f"{HERE}/**", page)
    ann.page.route(f"{API}/**", answer)
    ann.goes_to("/")
    ann.page.get_by_text("Life", exact=True).click()
    ann.page.get_by_role("button", name="Resize").click()
    ann.page.get_by_label("Size *").fill("3")
    ann.page.get_by_role("dialog").get_by_role("button", name="Press").click()
    wait(lambda: presses(db))
    [(run, *pressed)] = presses(db, "id, button_name, db_user, login, inputs ->> 'size'")
    assert pressed == ["Resize", ANN, "authenticator", "3"]
    expect(ann.page.get_by_role("status")).to_have_text(f"Resize: run {run} goes on")
    ends(db)
    expect(ann.page.get_by_role("status")).to_have_text("Resize: success")
