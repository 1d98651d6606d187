"""`<rowhooks-buttons>` on the page of the Django example, which runs as its users run it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from playwright.sync_api import expect

from tests.support.browser import Visit
from tests.support.builds import CHECKOUT
from tests.support.databases import Templates
from tests.support.embedding import ANN, APPLICATION, Shop, ends, presses, served, shop_database
from tests.support.waiting import wait

Connection = psycopg.Connection[Any]
EXAMPLE = CHECKOUT / "examples" / "django"
PASSWORD = "a l0ng one"


@pytest.fixture(scope="module")
def shop(
    administrator: Connection, server: SimpleNamespace, templates: Templates, browser: Any, tmp_path_factory: Any
) -> Iterator[Shop]:
    log: Path = tmp_path_factory.mktemp("shop") / "log"
    with shop_database(administrator, server, templates) as (db, dsn):
        db.execute(f"create schema django authorization {APPLICATION}")
        db.execute(f"grant usage on schema dcim to {APPLICATION}; grant select on dcim.device to {APPLICATION}")
        environment = {
            "INVENTORY_DB": db.info.dbname, "INVENTORY_HOST": db.info.host, "INVENTORY_PORT": str(db.info.port),
            "INVENTORY_USER": APPLICATION, "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        }  # fmt: skip
        manage = (sys.executable, "manage.py")
        create = ("createsuperuser", "--noinput", "--username", ANN, "--email", "ann@example.org")
        for command in (("migrate",), create):
            done = subprocess.run(
                [*manage, *command], cwd=EXAMPLE, env={**os.environ, **environment}, capture_output=True, text=True,
                check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
        run = (*manage, "runserver", "--noreload", "127.0.0.1:{port}")
        with served(*run, directory=EXAMPLE, log=log, port=None, **environment) as address:
            yield Shop(db, dsn, address)


def test_a_user_of_django_presses_a_button_and_sees_what_becomes_of_it(shop: Shop, visiting: Visit) -> None:
    ann = visiting(shop.address)
    ann.goes_to("/accounts/login/")
    ann.page.get_by_label("Username").fill(ANN)
    ann.page.get_by_label("Password").fill(PASSWORD)
    ann.page.get_by_role("button", name="Log in").click()
    expect(ann.page.get_by_role("heading", name="Device core-1")).to_be_visible()
    ann.page.get_by_role("button", name="Reboot core-1").click()
    ann.page.get_by_role("dialog").get_by_role("button", name="Press").click()
    wait(lambda: presses(shop.db))
    assert presses(shop.db) == [("Reboot", {"id": 42}, ANN, APPLICATION, ANN, None)]
    ends(shop.db)
    expect(ann.page.get_by_role("status")).to_have_text("Reboot core-1: success")


def test_who_has_logged_out_is_told_and_presses_nothing(shop: Shop, visiting: Visit) -> None:
    before = presses(shop.db)
    ann = visiting(shop.address)
    ann.faults.expect("status 401")
    # The page itself wants a log-in; the endpoint says so too.
    ann.goes_to("/accounts/login/")
    answer = ann.page.request.get("/rowhooks/row_buttons?object_table=dcim.device&object_text=42")
    assert (answer.status, answer.json()["message"]) == (401, "nobody is logged in")
    assert presses(shop.db) == before
