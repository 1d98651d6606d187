"""The buttons of a row, asked on every kind of connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import psycopg2
import pytest
import sqlalchemy
from sqlalchemy.orm import Session

from rowhooks.domain.errors import NotFound, UsageError
from rowhooks.postgres.shown_buttons import buttons_for
from tests.support.django import django_project, use_database
from tests.support.pressing import add_button

Connection = psycopg.Connection[Any]


@contextmanager
def by_sqlalchemy(dsn: str, driver: Any) -> Iterator[sqlalchemy.Connection]:
    engine = sqlalchemy.create_engine(f"postgresql+{driver.__name__}://", creator=lambda: driver.connect(dsn))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@contextmanager
def by_django(dsn: str, driver: str) -> Iterator[Any]:
    with django_project(driver):
        from django.db import connection

        with use_database(dsn):
            yield connection


CONNECTIONS: dict[str, Any] = {
    "psycopg": psycopg.connect,
    "psycopg2": psycopg2.connect,
    "sqlalchemy": lambda dsn: by_sqlalchemy(dsn, psycopg),
    "sqlalchemy over psycopg2": lambda dsn: by_sqlalchemy(dsn, psycopg2),
    "django": lambda dsn: by_django(dsn, "psycopg"),
    "django over psycopg2": lambda dsn: by_django(dsn, "psycopg2"),
}


@pytest.fixture(params=CONNECTIONS)
def connection(request: pytest.FixtureRequest, dsn: str) -> Iterator[Any]:
    with CONNECTIONS[request.param](dsn) as connection:
        yield connection


@pytest.fixture(autouse=True)
def table(db: Connection) -> None:
    db.execute(
        """
        create schema "a:b %s";
        create table "a:b %s"."it's %" (
          "key:1" integer, "key %s" text, data jsonb, "data:x" json, price numeric, primary key ("key:1", "key %s")
        );
        select rowhooks.track('"a:b %s"."it''s %"');
        insert into "a:b %s"."it's %" values (1, 'x', '{"mtu": 9000}', '["one"]', 1.50), (2, 'y', '"text"', null, null);
        """
    )
    add_button(db, TABLE)
    add_button(db, TABLE, "Weigh")
    db.execute("""
      update rowhooks.job_button set text = '{{ obj.data.mtu }} {{ obj["data:x"][0] }} {{ obj.price }} <{{ user }}>'
      where name = 'Reboot'
    """)
    db.execute("""update rowhooks.job set inputs_schema = '{"properties": {"size": {}}}' where class_path ~ 'Reboot'""")


TABLE = '"a:b %s"."it\'s %"'
ROW = {"key:1": 1, "key %s": "x"}


def test_labels_are_rendered_from_the_row_whatever_its_names(connection: Any) -> None:
    (group,) = buttons_for(connection, TABLE, ROW, "alice & bob")
    reboot, weigh = group.buttons
    assert (reboot.name, str(reboot.label)) == ("Reboot", "9000 one 1.50 <alice &amp; bob>")
    assert (reboot.inputs_schema, weigh.inputs_schema) == ({"properties": {"size": {}}}, None)
    assert (weigh.name, str(weigh.label), weigh.reason) == ("Weigh", "Press", "")


def test_a_key_may_be_json_text(connection: Any) -> None:
    (group,) = buttons_for(connection, TABLE, '{"key:1": 2, "key %s": "y"}', "alice")
    assert "the text cannot be rendered" in group.buttons[0].reason


def test_a_row_that_is_not_there_is_said(connection: Any) -> None:
    with pytest.raises(NotFound, match="there is no row"):
        buttons_for(connection, TABLE, {"key:1": 3, "key %s": "x"}, "alice")
    with pytest.raises(UsageError, match="is no key of"):
        buttons_for(connection, TABLE, {"id": 3}, "alice")


def test_a_session_is_asked_in_its_own_transaction(dsn: str) -> None:
    with ExitStack() as stack:
        connection = stack.enter_context(by_sqlalchemy(dsn, psycopg))
        session = stack.enter_context(Session(connection))
        session.execute(sqlalchemy.text("""delete from "a:b %s"."it's %" """))
        with pytest.raises(NotFound):
            buttons_for(session, TABLE, ROW, "alice")


def test_a_key_is_compared_as_by_a_press_and_not_by_an_operator_in_the_search_path(dsn: str, db: Connection) -> None:
    db.execute(
        "create schema hostile;"
        "create function hostile.never(integer, integer) returns boolean language sql as 'select false';"
        "create operator hostile.= (leftarg = integer, rightarg = integer, function = hostile.never)"
    )
    with psycopg.connect(dsn, options="-c search_path=hostile,pg_catalog,pg_temp") as conn:
        assert buttons_for(conn, TABLE, ROW, "alice")[0].buttons[0].name == "Reboot"


def test_what_is_no_known_connection_is_refused() -> None:
    with pytest.raises(TypeError, match=r"pressed on a builtins\.object"):
        buttons_for(object(), TABLE, ROW, "alice")
