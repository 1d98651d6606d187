"""docs/how-to/: the receivers and the application of these pages do what the pages say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import httpx
import psycopg
import pytest
import yaml
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from rowhooks import Hook
from rowhooks.receivers.registry import take_registered
from rowhooks.testing import Rehearsal
from tests.support.embedding import ANN, BOB, make_buttons
from tests.support.pages import blocks, python_of

Answer = tuple[int, Any]
SHOP = """
create schema shop;
create table shop.orders (id integer primary key, status text);
create table shop.product (id integer primary key, name text, owner text);
"""


def defined(page: str, name: str) -> Any:
    """Return what a block of a page defines; what it registers is forgotten."""
    module = types.ModuleType("how_to")
    exec(compile(python_of(page, f"class {name}"), page, "exec"), module.__dict__)
    take_registered()
    return module.__dict__[name]


@pytest.fixture
def shop(empty_dsn: str) -> Iterator[Rehearsal]:
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        conn.execute(SHOP)
    with Rehearsal(empty_dsn) as kit:
        yield kit


class Other:
    """Another system, which answers what it is told to.

    Args:
        answer: makes status and body of the answer from the headers and the body of a request.
    """

    def __init__(self, answer: Callable[[Any, bytes], Answer]) -> None:
        self.asked: list[tuple[str, Any, bytes]] = []
        other = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                other.asked.append((self.path, self.headers, body))
                status, said = answer(self.headers, body)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(said).encode())

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the name is http.server's)
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Other:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_a_webhook_is_called_with_one_key_for_all_attempts(shop: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = defined("how-to/webhook.md", "TellOrders")
    answers = iter([503, 503, 200, 200])
    with Other(lambda *_: (next(answers), {})) as shipping:
        monkeypatch.setenv("SHIPPING_URL", shipping.url)
        [hook] = receiver.Meta.hooks
        order = {"id": 7, "status": "new"}
        run = shop.run_hook(
            receiver, table="shop.orders", before=order, after={"status": "paid"}, hook=hook, attempts=3
        )
        assert (run.status, run.result) == ("SUCCESS", 200)
        assert [one.status for one in run.attempts] == ["RETRY", "RETRY", "SUCCESS"]
        for attempt in run.attempts[:2]:
            # An answer that is an error is open until it is collected.
            assert attempt.exception is not None
            assert isinstance(attempt.exception.error, HTTPError)
            attempt.exception.error.close()
        keys = [headers["Idempotency-Key"] for _, headers, _ in shipping.asked]
        assert len(keys) == 3
        assert len(set(keys)) == 1
        assert json.loads(shipping.asked[0][2]) == {"order": {"id": 7}, "row": {"id": 7, "status": "paid"}}
        other = shop.run_hook(receiver, table="shop.orders", after={"id": 8, "status": "paid"}, hook=hook)
        assert other.status == "SUCCESS"
        assert shipping.asked[-1][1]["Idempotency-Key"] not in keys
        unpaid = shop.run_hook(receiver, table="shop.orders", after={"id": 9, "status": "new"}, hook=hook)
        assert (unpaid.matched, len(shipping.asked)) == (False, 4)


class SearchIndex:
    """A search engine with versions."""

    def __init__(self) -> None:
        self.versions: dict[int, int] = {}
        self.documents: dict[int, Any] = {}
        self.refuses = False

    def answer(self, _: Any, body: bytes) -> Answer:
        lines = [json.loads(line) for line in body.splitlines()]
        items = []
        while lines:
            [(act, about)] = lines.pop(0).items()
            document = lines.pop(0) if act == "index" else None
            items.append({act: {"status": self._put(about, document)}})
        return 200, {"items": items}

    def _put(self, about: Any, document: Any) -> int:
        assert (about["_index"], about["version_type"]) == ("products", "external")
        key = about["_id"]
        if self.refuses:
            return 400
        if about["version"] <= self.versions.get(key, -1):
            return 409
        self.versions[key] = about["version"]
        if document is None:
            return 404 if self.documents.pop(key, None) is None else 200
        self.documents[key] = document
        return 201


def test_a_search_index_has_the_newest_state_of_each_row(shop: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = defined("how-to/search-index.md", "IndexProducts")
    index = SearchIndex()
    table = "shop.product"
    with Other(index.answer) as engine:
        monkeypatch.setenv("SEARCH_URL", engine.url)
        made = shop.run_hook(receiver, table=table, after={"id": 1, "name": "bolt"})
        assert (made.status, made.result) == ("SUCCESS", {"documents": 1})
        assert index.documents == {1: {"id": 1, "name": "bolt", "owner": None}}
        # A newer one is there: the older one is left out, and that is no failure.
        index.versions[1] = 10**9
        assert shop.run_hook(receiver, table=table, before={"id": 1}, after={"name": "nut"}).status == "SUCCESS"
        assert index.documents[1]["name"] == "bolt"
        index.versions[1] = 0
        assert shop.run_hook(receiver, table=table, before={"id": 1}).status == "SUCCESS"
        assert index.documents == {}
        index.refuses = True
        failed = shop.run_hook(receiver, table=table, after={"id": 2, "name": "washer"}, attempts=21)
        assert failed.status == "FAILURE"
        assert failed.exception is not None
        assert "1 documents were refused" in failed.exception.message
        assert engine.asked[0][0] == "/_bulk"


def test_a_bad_value_is_put_back_and_a_good_one_stays(shop: Rehearsal) -> None:
    receiver = defined("how-to/revert.md", "OwnerPolicy")
    [hook] = receiver.Meta.hooks
    good, bad = "ann@shop.example", "mallory@elsewhere"
    product = {"id": 1, "name": "bolt", "owner": good}

    def change(before: dict[str, Any], **after: Any) -> Any:
        return shop.run_hook(receiver, table="shop.product", before=before, after=after, hook=hook)

    assert change(product, owner=bad).result == "put back"
    assert shop.execute("select owner from shop.product") == [{"owner": good}]
    assert change({"id": 1}, owner="bob@shop.example").result == "fine"
    assert change({"id": 1}, name="nut").matched is False
    # Another session has written meanwhile, as a trigger may.
    shop.execute(
        """
        create function shop.change_again() returns trigger language plpgsql as
        $$ begin update shop.product set owner = null where owner = 'mallory@elsewhere'; return null; end $$
        """
    )
    shop.execute(
        "create trigger again after update of owner on shop.product for each row when (new.owner like 'mallory%') "
        "execute function shop.change_again()"
    )
    assert change({"id": 1}, owner=bad).result == "changed again since"


def test_a_row_that_is_read_with_a_lock_is_put_back_too(shop: Rehearsal) -> None:
    receiver = defined("how-to/revert.md", "LockedPolicy")
    product = {"id": 1, "name": "bolt", "owner": "ann"}
    run = shop.run_hook(receiver, table="shop.product", before=product, after={"owner": "mallory"})
    assert (run.exception, run.result) == (None, "put back")
    assert shop.execute("select owner from shop.product") == [{"owner": "ann"}]


@pytest.fixture
def application(
    db: psycopg.Connection[Any], device: str, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> types.ModuleType:
    monkeypatch.setenv("INVENTORY_DSN", make_buttons(db, dsn))
    page = "how-to/fastapi-page.md"
    module = types.ModuleType("how_to_application")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(python_of(page, "def role_of"), page, "exec"), module.__dict__)
    module.__dict__["ROLES"].update(ann=ANN, bob=BOB)
    return module


async def test_the_page_of_an_application_shows_the_buttons_that_a_person_may_press(
    application: types.ModuleType,
) -> None:
    transport = httpx.ASGITransport(application.app)
    async with httpx.AsyncClient(transport=transport, base_url="https://shop.example") as browser:
        page = await browser.get("/devices/42")
        assert '<rowhooks-buttons table="dcim.device" key="42">' in page.text
        script = re.findall(r'src="(/rowhooks/[\w.-]+)"', page.text)
        assert (await browser.get(script[0])).status_code == 200
        asked: dict[str, Any] = {
            "url": "/rowhooks/row_buttons",
            "params": {"object_table": "dcim.device", "object_text": "42"},
        }
        sent = {"X-Rowhooks": "1", "Sec-Fetch-Site": "same-origin", "Origin": "https://shop.example"}
        for person, may in (("ann", True), ("bob", False)):
            answer = await browser.get(**asked, headers={**sent, "X-User": person})
            shown = [one for group in answer.json()["groups"] for one in group["buttons"]]
            [reboot] = (one for one in shown if one["name"] == "Reboot")
            assert reboot["disabled"] is not may, reboot
        assert (await browser.get(**asked, headers={**sent, "X-User": "mallory"})).status_code in (401, 403)


MIGRATED = """
import sys
import django
from django.conf import settings

host, port, name, user = sys.argv[1:]
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": name, "HOST": host, "PORT": port,
                           "USER": user}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
)
django.setup()
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command

call_command("migrate", verbosity=0)
permission = Permission.objects.get(codename="change_group")
for name in ("by_user", "by_group", "nobody"):
    User.objects.create_user(name)
User.objects.create_superuser("root")
User.objects.create_superuser("gone", is_active=False)
User.objects.get(username="by_user").user_permissions.add(permission)
group = Group.objects.create(name="operators")
group.permissions.add(permission)
User.objects.get(username="by_group").groups.add(group)
"""


def test_the_permissions_of_djangos_users_are_djangos(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn) as conn:
        info = conn.info
        where = [info.host, str(info.port), info.dbname, info.user]
    subprocess.run([sys.executable, "-c", MIGRATED, *where], check=True)
    backend = defined("how-to/django-and-nautobot.md", "Permissions")()
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(empty_dsn))
    with Session(engine) as session:
        allowed = {
            name
            for name in ("by_user", "by_group", "nobody", "root", "gone", "missing")
            if backend.has_perm(session, name, "auth.change_group")
        }
        assert allowed == {"by_user", "by_group", "root"}
        assert not backend.has_perm(session, "by_user", "auth.change_user")
        # A claim counts from the application alone, and a login is no user.
        pairs = [("root", "django"), ("root", "psql"), (None, "django"), (None, "root")]
        assert backend.resolve(session, pairs) == ["root", "login psql", "login django", "login root"]
    engine.dispose()


def test_the_hooks_of_these_pages_are_ones_that_can_be_declared() -> None:
    for page, name in (("webhook", "TellOrders"), ("search-index", "IndexProducts"), ("revert", "OwnerPolicy")):
        assert all(isinstance(hook, Hook) for hook in defined(f"how-to/{page}.md", name).Meta.hooks)


def test_the_files_that_grafana_and_prometheus_are_given_are_there() -> None:
    page = Path(__file__).parents[2] / "docs" / "how-to" / "grafana.md"
    for link in re.findall(r"\]\((\.\./\.\./contrib/[^)]+)\)", page.read_text("utf-8")):
        assert (page.parent / link).exists()
    assert all(yaml.safe_load(one.text) for one in blocks("how-to/grafana.md") if one.language == "yaml")
