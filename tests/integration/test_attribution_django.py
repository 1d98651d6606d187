"""Who wrote, by Django: its ORM over both drivers, with the middleware, in a real database."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import rowhooks
from rowhooks.integrations.attribution import attributed, set_user
from tests.support.django import TABLE, django_project, use_database

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module", params=["psycopg", "psycopg2"])
def driver(request: pytest.FixtureRequest) -> Iterator[str]:
    with django_project(request.param):
        yield request.param


@pytest.fixture(autouse=True)
def database(driver: str, db: Connection, device: str, dsn: str) -> Iterator[None]:
    db.execute(TABLE)
    with use_database(dsn):
        yield


def save(id_: int, using: str = "default") -> None:
    from inventory_models import Device  # type: ignore[import-not-found]

    Device(id=id_, name=f"sw{id_}").save(using=using, force_insert=True)


def said(db: Connection, columns: str = "user_name") -> list[Any]:
    found = db.execute(f"select {columns} from rowhooks.object_change order by id").fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


def answered(view: Callable[[Any], Any], **request: Any) -> Any:
    """Let a view answer a request, through the project's middleware."""
    import inventory_models
    from django.test import Client
    from django.urls import clear_url_caches, path

    inventory_models.urlpatterns[:] = [path("it", view)]
    clear_url_caches()
    return Client(headers=request).get("/it")


# The modes of a connection


def test_in_autocommit_mode_each_write_carries_its_author(db: Connection) -> None:
    with attributed(user="alice", request_id="r1", context="import"):
        save(1)
        save(2)
    save(3)
    assert said(db, "user_name, request_id, change_context") == [
        ("alice", "r1", "import"),
        ("alice", "r1", "import"),
        (None, None, None),
    ]


def test_rows_are_read_as_ever_while_an_author_is_named(db: Connection) -> None:
    from django.db import connection
    from inventory_models import Device

    with attributed(user="alice"):
        save(1)
        Device.objects.bulk_create([Device(id=n, name="x") for n in range(2, 5)])
        assert Device.objects.get(pk=1).name == "sw1"
        assert Device.objects.filter(pk=1).update(name="y") == 1
        assert [one.name for one in Device.objects.order_by("id").iterator()] == ["y", "x", "x", "x"]
        assert Device.objects.update_or_create(pk=9, defaults={"name": "z"})[1] is True
        with connection.cursor() as cursor:
            cursor.execute("update dcim.device set name = upper(name) where id = %s returning id, name", [1])
            assert cursor.fetchall() == [(1, "Y")]
            cursor.execute("with u as (update dcim.device set name = 'q' where id = 2 returning id) select id from u")
            assert cursor.fetchone() == (2,)
            cursor.executemany("insert into dcim.device (id, name) values (%s, %s)", [(20, "a"), (21, "b")])
            assert cursor.rowcount == 2
        assert Device.objects.filter(pk=9).delete()[0] == 1
    assert set(said(db)) == {"alice"}
    assert len(said(db)) == 11


def test_a_transaction_is_marked_once_and_only_if_it_writes(db: Connection) -> None:
    from django.db import connection, transaction
    from inventory_models import Device

    asked: list[int] = []

    def user() -> str:
        asked.append(1)
        return "alice"

    with attributed(user=user), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("set transaction isolation level serializable")
        assert Device.objects.count() == 0
        assert asked == []
    with attributed(user=user), transaction.atomic():
        save(1)
    assert said(db) == ["alice"]


def test_nested_blocks_and_savepoints_rolled_back_keep_the_author(db: Connection) -> None:
    from django.db import transaction

    with attributed(user="alice"), transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            # The variables are set inside of the savepoint, and are lost with it.
            save(1)
            raise ZeroDivisionError
        save(2)
        with transaction.atomic(), transaction.atomic(savepoint=False):
            save(3)
        with attributed(user="bob"):
            save(4)
            with pytest.raises(ZeroDivisionError), transaction.atomic():
                raise ZeroDivisionError
        save(5)
    assert said(db, "object_id ->> 'id', user_name") == [
        ("2", "alice"),
        ("3", "alice"),
        ("4", "bob"),
        ("5", "alice"),
    ]


def test_an_author_ends_with_its_block_even_if_the_transaction_goes_on(db: Connection) -> None:
    from django.db import transaction

    with transaction.atomic():
        with attributed(user="alice", request_id="r"):
            save(1)
        save(2)
    assert said(db, "user_name, request_id") == [("alice", "r"), (None, None)]


def test_what_the_application_has_set_itself_stays(db: Connection) -> None:
    from django.db import connection, transaction

    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("select set_config('rowhooks.user', 'by hand', true)")
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            save(1)
            raise ZeroDivisionError
        save(2)
    assert said(db) == ["by hand"]


def test_errors_inside_are_the_applications_own(db: Connection) -> None:
    from django.db import DatabaseError, IntegrityError, transaction

    save(1)
    with attributed(user="alice"):
        with pytest.raises(IntegrityError):
            save(1)
        with pytest.raises(IntegrityError), transaction.atomic():
            save(2)
            save(1)
        with transaction.atomic():
            with pytest.raises(IntegrityError), transaction.atomic():
                save(1)
            save(3)
        with pytest.raises(transaction.TransactionManagementError, match="can't execute queries"), transaction.atomic():
            with pytest.raises(DatabaseError):
                save(1)
            save(4)
        save(5)
    assert said(db) == [None, "alice", "alice"]


def test_a_cursor_that_outlives_its_connection_fails_as_ever(db: Connection) -> None:
    from django.db import InterfaceError, OperationalError, connection

    with attributed(user="alice"), connection.cursor() as cursor:
        connection.close()
        with pytest.raises((InterfaceError, OperationalError)):
            cursor.execute("insert into dcim.device (id, name) values (1, 'x')")


def test_a_connection_that_was_lost_is_replaced(db: Connection) -> None:
    from django.db import InterfaceError, OperationalError, close_old_connections, connection

    with attributed(user="alice"):
        save(1)
        with connection.cursor() as cursor:
            cursor.execute("select pg_backend_pid()")
            db.execute("select pg_terminate_backend(%s, 10000)", cursor.fetchone())
        with pytest.raises((InterfaceError, OperationalError)):
            save(2)
        close_old_connections()
        save(3)
    assert said(db, "object_id ->> 'id', user_name") == [("1", "alice"), ("3", "alice")]


def test_each_database_is_marked(db: Connection) -> None:
    from django.db import transaction

    with attributed(user="alice"), transaction.atomic(using="other"):
        save(1, using="other")
        save(2)
    assert sorted(said(db)) == ["alice", "alice"]


def test_with_autocommit_off(db: Connection, dsn: str) -> None:
    from django.db import transaction

    with use_database(dsn, AUTOCOMMIT=False):
        with attributed(user="alice"):
            save(1)
            transaction.commit()
            save(2)
            transaction.rollback()
            save(3)
        save(4)
        transaction.commit()
        save(5)
        transaction.commit()
    assert said(db, "object_id ->> 'id', user_name") == [("1", "alice"), ("3", "alice"), ("4", None), ("5", None)]


def test_server_side_binding_and_a_pool(db: Connection, dsn: str, driver: str) -> None:
    from django.db import connections
    from inventory_models import Device

    if driver == "psycopg2":
        pytest.skip("psycopg 3 alone has them")
    options = {"server_side_binding": True, "pool": {"min_size": 1, "max_size": 1}}
    with use_database(dsn, OPTIONS=options):
        for user in ("alice", None, "bob"):
            with attributed(user=user):
                Device.objects.update_or_create(pk=1, defaults={"name": str(user)})
                # It gives the connection back to the pool.
                connections["default"].close()
        connections["other"].close_pool()
    assert said(db) == ["alice", None, "bob"]


def test_a_wrapper_of_the_applications_own_stays_its_own(db: Connection) -> None:
    from django.db import connection

    seen: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        seen.append(sql)
        return execute(sql, *rest)

    with attributed(user="alice"):
        with connection.execute_wrapper(note):
            # The connection is opened inside of the block.
            save(1)
        save(2)
    assert len(seen) == 1
    assert said(db) == ["alice", "alice"]


# What does not go by the ORM


def test_statements_that_cannot_be_in_a_transaction_run_and_are_named(
    db: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    from django.db import connection

    with attributed(user="alice"), connection.cursor() as cursor, caplog.at_level(logging.WARNING, "rowhooks"):
        cursor.execute("vacuum dcim.device")
        cursor.execute("create index concurrently on dcim.device (name)")
        cursor.execute("do $$ begin insert into dcim.device values (1, 'x'); commit; end $$")
    assert said(db) == [None]
    (warning,) = caplog.messages
    assert warning.startswith("DO runs in autocommit mode")


@pytest.mark.parametrize("written", ["vacuum {}", "create index concurrently device_name on {} (name)"])
def test_composed_statements_that_cannot_be_in_a_transaction_run(driver: str, written: str) -> None:
    from django.db import connection

    sql = importlib.import_module(f"{driver}.sql")
    composed = sql.SQL(written).format(sql.Identifier("dcim", "device"))
    with attributed(user="alice"), connection.cursor() as cursor:
        cursor.execute(composed)
        cursor.execute(b"vacuum dcim.device")


def test_composed_statements_carry_their_author(db: Connection, driver: str) -> None:
    from django.db import connection

    sql = importlib.import_module(f"{driver}.sql")
    composed = sql.SQL("insert into {} (id, name) values (%s, 'x')").format(sql.Identifier("dcim", "device"))
    with attributed(user="alice"), connection.cursor() as cursor:
        cursor.execute(composed, [1])
        cursor.execute(b"insert into dcim.device (id, name) values (2, 'x')")
    assert said(db) == ["alice", "alice"]


def test_the_present_transaction_is_marked_by_hand(db: Connection, driver: str) -> None:
    from django.db import connection, transaction

    from rowhooks.integrations.django import mark_transaction

    with attributed(user="alice"):
        with pytest.raises(transaction.TransactionManagementError, match="needs a transaction"):
            mark_transaction()
        with transaction.atomic():
            mark_transaction()
            # The driver's own cursor.
            with connection.connection.cursor() as cursor:
                cursor.execute("insert into dcim.device (id, name) values (1, 'x')")
        with transaction.atomic():
            with connection.connection.cursor() as cursor:
                cursor.execute("insert into dcim.device (id, name) values (2, 'x')")
            save(3)
    assert said(db) == ["alice", None, "alice"]


def test_a_press_carries_its_author(db: Connection) -> None:
    from django.db import connection, connections, transaction

    from tests.support.results import add_button

    save(42)
    add_button(db, "dcim.device")
    with attributed(user="alice"):
        first = rowhooks.press(connection, "Reboot", "dcim.device", 42)
        with transaction.atomic():
            second = rowhooks.press(connections["default"], "Reboot", "dcim.device", {"id": 42})
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            with connection.cursor() as cursor:
                rowhooks.press(cursor, "Reboot", "dcim.device", 42)
            raise ZeroDivisionError
    assert db.execute("select id, user_name from rowhooks.job_result order by id").fetchall() == [
        (first, "alice"),
        (second, "alice"),
    ]


# Values


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ('o\'brien \\ "x" %s $1 {}; drop table t; --', 'o\'brien \\ "x" %s $1 {}; drop table t; --'),
        ("a\0b", "a\ufffdb"),
        ("\ud800x", "?x"),
        ("x" * 10_000, "x" * 255),
        ("東京", "東京"),
        (7, "7"),
        ("", None),
    ],
)
def test_no_value_breaks_a_write(db: Connection, given: Any, kept: str | None) -> None:
    with attributed(user=given, request_id=given):
        save(1)
    assert said(db, "user_name, request_id") == [(kept, kept)]


def test_a_character_that_the_database_does_not_have_breaks_no_write(administrator: Connection, dsn: str) -> None:
    from django.db import connection

    administrator.execute("create database latin encoding latin1 lc_collate 'C' lc_ctype 'C' template template0")
    try:
        with use_database(make_conninfo(dsn, dbname="latin")), connection.cursor() as cursor:
            cursor.execute("create table t (id integer, who text default current_setting('rowhooks.user', true))")
            with attributed(user="é 東"):
                cursor.execute("insert into t values (1)")
            cursor.execute("select who from t")
            assert cursor.fetchall() == [("é \\u6771",)]
    finally:
        administrator.execute("drop database latin with (force)")


def test_a_user_that_cannot_be_found_out_costs_no_write(db: Connection, caplog: pytest.LogCaptureFixture) -> None:
    def user() -> str:
        raise LookupError("no user")

    with attributed(user=user, context="import"):
        save(1)
    assert said(db, "user_name, change_context") == [(None, "import")]
    assert "rowhooks.user of a transaction cannot be found out" in caplog.text


def test_set_user_needs_a_block() -> None:
    with pytest.raises(rowhooks.RowhooksError, match=r"outside of a request .*middleware"):
        set_user("alice")


def test_a_check_says_that_there_are_two_drivers(driver: str) -> None:
    from django.core.checks import run_checks

    found = [(one.id, one.level) for one in run_checks()]
    assert found == ([("rowhooks.I001", 20)] if driver == "psycopg" else [])


# The middleware


def test_a_subclass_says_it_otherwise(db: Connection) -> None:
    import inventory_models
    from django.http import HttpRequest, HttpResponse
    from django.test import Client, override_settings
    from django.urls import clear_url_caches, path

    from rowhooks.integrations.django import AttributionMiddleware

    class Ours(AttributionMiddleware):
        def user(self, request: HttpRequest) -> str:
            return "somebody"

        def context(self, request: HttpRequest) -> str:
            return str(request.resolver_match.view_name)

    def write(request: HttpRequest) -> HttpResponse:
        save(1)
        return HttpResponse()

    inventory_models.urlpatterns[:] = [path("write", write, name="the write")]
    inventory_models.Ours = Ours
    clear_url_caches()
    with override_settings(MIDDLEWARE=["inventory_models.Ours"]):
        assert Client().get("/write").status_code == 200
    assert said(db, "user_name, change_context") == [("somebody", "the write")]


@pytest.fixture
def users(db: Connection) -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def test_a_request_writes_for_its_user_and_leaves_nothing_behind(db: Connection, users: None) -> None:
    import inventory_models
    from django.contrib.auth import get_user_model
    from django.http import HttpResponse
    from django.test import Client
    from django.urls import clear_url_caches, path

    get_user_model().objects.create_user("alice")

    def write(request: Any) -> HttpResponse:
        save(int(request.GET["id"]))
        return HttpResponse()

    def read(request: Any) -> HttpResponse:
        from inventory_models import Device

        return HttpResponse(str(Device.objects.count()))

    inventory_models.urlpatterns[:] = [path("write", write), path("read", read)]
    clear_url_caches()
    client = Client()
    client.force_login(get_user_model().objects.get())
    assert client.get("/write?id=1", headers={"X-Request-ID": "r1"}).status_code == 200
    # A request that reads asks for no session: a cache may keep its answer for everybody.
    assert "Cookie" not in client.get("/read").headers.get("Vary", "")
    Client().get("/write?id=2")
    save(3)
    (first, second, third) = said(db, "user_name, request_id, change_context")
    assert first == ("alice", "r1", "web")
    assert second[0] is None
    assert len(second[1]) == 36
    assert third == (None, None, None)


def test_a_request_that_fails_leaves_nothing_behind(db: Connection) -> None:
    def fail(request: Any) -> Any:
        set_user("alice")
        save(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        answered(fail)
    save(2)
    assert said(db) == ["alice", None]


def test_in_an_asynchronous_application_tasks_are_told_apart(db: Connection) -> None:
    import inventory_models
    from django.http import HttpResponse
    from django.test import AsyncClient
    from django.urls import clear_url_caches, path

    async def write(request: Any) -> HttpResponse:
        from inventory_models import Device

        set_user(request.GET["user"])
        await asyncio.sleep(0)
        await Device(id=int(request.GET["id"]), name="x").asave(force_insert=True)
        return HttpResponse()

    inventory_models.urlpatterns[:] = [path("write", write)]
    clear_url_caches()

    async def both() -> None:
        client = AsyncClient()
        await asyncio.gather(*(client.get(f"/write?id={n}&user=u{n}") for n in range(5)))

    asyncio.run(both())
    assert sorted(said(db, "object_id ->> 'id', user_name")) == [(str(n), f"u{n}") for n in range(5)]
