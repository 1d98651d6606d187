"""The buttons of rows in a Django project, over both drivers: in process, by Django's own test client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.support.django import django_project, use_database
from tests.support.embedding import ANN, APPLICATION, BOB, ends, make_buttons, presses

Connection = psycopg.Connection[Any]


def role_of(request: Any) -> str | None:
    """The setting ROWHOOKS_ROLE."""
    role: str | None = request.headers.get("X-Role")
    return role


@pytest.fixture(scope="module", params=["psycopg", "psycopg2"])
def project(request: pytest.FixtureRequest) -> Iterator[None]:
    with django_project(
        request.param,
        ROWHOOKS_ROLE=f"{__name__}.role_of",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        MIDDLEWARE=["rowhooks.integrations.django.AttributionMiddleware"],
    ):
        yield


@pytest.fixture(autouse=True)
def database(project: None, db: Connection, device: str, dsn: str) -> Iterator[None]:
    import inventory_models  # type: ignore[import-not-found]
    from django.urls import clear_url_caches, include, path

    application = make_buttons(db, dsn)
    inventory_models.urlpatterns[:] = [path("rowhooks/", include("rowhooks.integrations.django.buttons"))]
    clear_url_caches()
    with use_database(application):
        yield


class Page:
    """A page of the project on which somebody is logged in.

    Args:
        role: the person's role; None: nobody is logged in.
        user: the person's name, as the project's middleware knows it.
        options: of Django's test client.
    """

    def __init__(self, role: str | None = ANN, user: str | None = None, **options: Any) -> None:
        from django.test import Client

        headers = {name: value for name, value in {"X-Role": role, "X-User": user}.items() if value}
        self._client = Client(headers=headers, raise_request_exception=False, **options)
        self.headers: dict[str, str] = {}

    def buttons(self, table: str = "dcim.device", key: str = "42") -> Any:
        answer = self._client.get("/rowhooks/row_buttons", {"object_table": table, "object_text": key})
        if answer.status_code == 200:
            self.headers = answer.json()["headers"]
        return answer

    def presses(self, button: str = "Reboot", key: str = "42", kind: str = "application/json", **more: Any) -> Any:
        body = {"button": button, "object_table": "dcim.device", "object_text": key, **more}
        return self._client.post("/rowhooks/press", json.dumps(body), content_type=kind, headers=self.headers)

    def state(self, run: object) -> Any:
        return self._client.get("/rowhooks/run_state", {"id": run})

    def get(self, path: str, **headers: str) -> Any:
        return self._client.get(path, headers=headers)


def role_in_force() -> Any:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("select current_user, current_setting('statement_timeout')")
        return cursor.fetchone()


def test_a_person_sees_the_buttons_of_a_row_presses_one_and_sees_what_becomes_of_it(db: Connection) -> None:
    page = Page()
    shown = page.buttons().json()["groups"]
    assert [(group["name"], [one["label"] for one in group["buttons"]]) for group in shown] == [
        ("", ["Ping & wait", "Reboot core-1"]),
        ("Life", ["Resize", "ann: Retire"]),
    ]
    assert shown[1]["buttons"][0]["input_fields"][0]["name"] == "size"
    pressed = page.presses("Resize", inputs={"size": 3})
    assert pressed.status_code == 202
    run = pressed.json()["id"]
    assert page.state(run).json() == {"id": run, "status": "PENDING", "is_finished": False, "message": None}
    ends(db, "FAILURE", "no power")
    assert page.state(run).json() == {"id": run, "status": "FAILURE", "is_finished": True, "message": "no power"}
    assert presses(db) == [("Resize", {"id": 42}, ANN, APPLICATION, None, {"size": 3})]
    assert role_in_force() == (APPLICATION, "0")


def test_a_page_of_another_site_lacks_djangos_token(db: Connection) -> None:
    page = Page(enforce_csrf_checks=True)
    assert page.presses().status_code == 403
    assert presses(db) == []
    page.buttons()
    assert list(page.headers) == ["X-CSRFTOKEN"]
    assert page.presses().status_code == 202


def test_nobody_is_refused(db: Connection) -> None:
    page = Page(None)
    for answer in (page.buttons(), page.presses(), page.state(1)):
        assert (answer.status_code, answer.json()["message"]) == (401, "nobody is logged in")
    assert presses(db) == []


@pytest.mark.parametrize(("role", "status"), [(BOB, 403), ("none", 403), ("rowhooks_owner", 403), ("x", 403)])
def test_the_database_refuses_who_may_not_press(db: Connection, role: str, status: int) -> None:
    answer = Page(role).presses()
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/json")
    assert presses(db) == []
    assert role_in_force() == (APPLICATION, "0")


def test_within_a_transaction_of_the_projects_own_the_role_ends_with_the_question(db: Connection) -> None:
    from django.db import transaction

    with transaction.atomic():
        assert Page().presses().status_code == 202
        assert role_in_force() == (APPLICATION, "0")
        assert Page().presses(key="999").status_code == 404
        assert role_in_force() == (APPLICATION, "0")
        assert presses(db) == []
    assert len(presses(db)) == 1


def test_a_press_is_its_users_and_only_the_user_sees_what_becomes_of_it(
    db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rowhooks.integrations.django import AttributionMiddleware

    monkeypatch.setattr(AttributionMiddleware, "user", lambda _, request: request.headers.get("X-User"))
    run = Page(user="ann.lee").presses().json()["id"]
    assert presses(db, "user_name") == [("ann.lee",)]
    assert Page(user="ann.lee").state(run).status_code == 200
    assert Page(user="bob.lee").state(run).status_code == 404
    assert Page().state(run).status_code == 404


def test_malformed_requests_are_refused(db: Connection) -> None:
    page = Page()
    assert page.presses(kind="text/plain").status_code == 415
    assert page.presses(presser="root").status_code == 422
    assert page.presses(idempotency_key="x" * 200_000).status_code == 413
    assert page.get("/rowhooks/row_buttons?object_table=a&object_table=b&object_text=1").status_code == 422
    assert page.get("/rowhooks/press").status_code == 405
    assert page.buttons("dcim.nothing").status_code == 404
    assert presses(db) == []


def test_the_component_is_served_and_kept() -> None:
    answer = Page(None).get("/rowhooks/rowhooks-buttons.js")
    assert answer["Content-Type"] == "text/javascript; charset=utf-8"
    assert b"customElements" in answer.content
    assert Page(None).get("/rowhooks/rowhooks-buttons.js", **{"If-None-Match": answer["ETag"]}).status_code == 304


def test_a_setting_that_is_missing_is_named() -> None:
    from django.core.exceptions import ImproperlyConfigured
    from django.test import Client, override_settings

    with override_settings(ROWHOOKS_ROLE=None), pytest.raises(ImproperlyConfigured, match="ROWHOOKS_ROLE"):
        Client().get("/rowhooks/run_state", {"id": 1})


def test_the_template_tags_name_the_row() -> None:
    from django.template import Context, Template
    from inventory_models import Device

    text = '{% load rowhooks %}{% rowhooks_buttons row text_press=press %}{% rowhooks_script nonce="n" %}'
    rendered = Template(text).render(Context({"row": Device(id=42), "press": '"><script>'}))
    assert rendered == (
        '<rowhooks-buttons table="&quot;dcim&quot;.&quot;device&quot;" key="42" src="/rowhooks/"'
        ' text-press="&quot;&gt;&lt;script&gt;"></rowhooks-buttons>'
        '<script type="module" src="/rowhooks/rowhooks-buttons.js" nonce="n"></script>'
    )
