"""The buttons of rows by PostgREST: the statements that it sends (tests/support/postgrest.py), not the program."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.support import postgrest
from tests.support.builds import CHECKOUT
from tests.support.embedding import ANN, BOB, ends, make_buttons, presses

Connection = psycopg.Connection[Any]
SETUP = CHECKOUT / "examples" / "postgrest" / "setup.sql"


@pytest.fixture
def authenticator(db: Connection, device: str, dsn: str) -> Iterator[Connection]:
    """PostgREST's connection, after the example's setup."""
    make_buttons(db, dsn)
    db.execute(SETUP.read_text())
    db.execute(f"grant {ANN}, {BOB} to authenticator; grant usage on schema api to {ANN}, {BOB}")
    db.execute(f"grant execute on all functions in schema api to {ANN}, {BOB}")
    with psycopg.connect(make_conninfo(dsn, user="authenticator")) as conn:
        yield conn


@pytest.fixture(params=["api", "rowhooks"])
def schema(request: pytest.FixtureRequest) -> str:
    """The schema that PostgREST serves: the example's, or rowhooks itself."""
    return str(request.param)


class Client:
    """Requests of the component, with a token of a role.

    Args:
        conn: PostgREST's connection.
        schema: what it serves.
        role: the token's role.
    """

    def __init__(self, conn: Connection, schema: str, role: str = ANN) -> None:
        self._conn, self._schema, self._claims = conn, schema, {"role": role, "aud": "rowhooks"}

    def get(self, name: str, **given: str) -> tuple[int, Any]:
        return postgrest.call(self._conn, self._schema, name, given, self._claims, method="GET")

    def buttons(self, key: str = "42", table: str = "dcim.device") -> tuple[int, Any]:
        return self.get("row_buttons", object_table=table, object_text=key)

    def press(self, button: str = "Reboot", key: str = "42", **more: Any) -> tuple[int, Any]:
        given = {"button": button, "object_table": "dcim.device", "object_text": key, "idempotency_key": "k", **more}
        return postgrest.call(self._conn, self._schema, "press", given, self._claims, method="POST")


def test_a_person_sees_the_buttons_of_a_row_presses_one_and_sees_what_becomes_of_it(
    db: Connection, authenticator: Connection, schema: str
) -> None:
    ann = Client(authenticator, schema)
    status, shown = ann.buttons()
    assert status == 200
    # Templates are not rendered: the names stand for them.
    assert [(group["name"], [one["label"] for one in group["buttons"]]) for group in shown["groups"]] == [
        ("", ["Ping", "Reboot"]),
        ("Life", ["Resize", "Retire"]),
    ]
    assert shown["groups"][1]["buttons"][0]["input_fields"][0]["title"] == "Size"
    status, run = ann.press("Resize", inputs={"size": 3})
    assert (status, presses(db)) == (200, [("Resize", {"id": 42}, ANN, "authenticator", None, {"size": 3})])
    assert ann.get("run_state", id=str(run)) == (
        200, {"id": run, "status": "PENDING", "is_finished": False, "message": None},
    )  # fmt: skip
    ends(db, "FAILURE", "no power")
    assert ann.get("run_state", id=str(run))[1]["message"] == "no power"
    assert Client(authenticator, schema, BOB).get("run_state", id=str(run)) == (200, None)
    assert ann.press("Resize", inputs={"size": 3}) == (200, run)


def test_the_database_refuses_as_ever(db: Connection, authenticator: Connection, schema: str) -> None:
    bob = Client(authenticator, schema, BOB)
    status, said = bob.press()
    assert (status, said["message"]) == (403, "role bob may not press button Reboot")
    assert {one["reason"] for group in bob.buttons()[1]["groups"] for one in group["buttons"]} == {
        "you may not press it"
    }
    ann = Client(authenticator, schema)
    assert "no row" in ann.press(key="44")[1]["message"]
    assert "no row" in ann.buttons("44")[1]["message"]
    assert ann.buttons(table="dcim.nothing")[0] == 404
    assert presses(db) == []


def test_who_has_no_token_sees_nothing(db: Connection, authenticator: Connection) -> None:
    nobody = Client(authenticator, "api", "anonymous")
    assert nobody.buttons()[0] == nobody.press()[0] == nobody.get("run_state", id="1")[0] == 403
    assert presses(db) == []


def test_a_get_presses_nothing(db: Connection, authenticator: Connection, schema: str) -> None:
    """Neither from an image's address nor from a link."""
    ann = Client(authenticator, schema)
    status, said = ann.get("press", button="Reboot", object_table="dcim.device", object_text="42")
    assert (status, said["code"]) == (405, "25006")
    assert presses(db) == []
