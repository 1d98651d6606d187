"""Who wrote, by FastAPI: a request's user, found by a middleware or by a dependency."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import fastapi
import httpx
import psycopg
import pytest
import sqlalchemy
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware.authentication import AuthenticationMiddleware

from rowhooks.integrations import attribution
from rowhooks.integrations.attribution import attributed
from rowhooks.integrations.sqlalchemy import attribute
from rowhooks.integrations.starlette import AttributionMiddleware, set_user

Connection = psycopg.Connection[Any]


class ByHeader(AuthenticationBackend):
    async def authenticate(self, conn: Any) -> Any:
        name = conn.headers.get("x-user")
        return (AuthCredentials(), SimpleUser(name)) if name else None


def named(x_token: Annotated[str | None, fastapi.Header()] = None) -> None:
    """A plain dependency, which FastAPI calls in a thread."""
    if x_token:
        set_user(x_token)


@pytest.fixture
def engine(dsn: str) -> Iterator[sqlalchemy.Engine]:
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn), pool_size=1)
    attribute(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def app(engine: sqlalchemy.Engine, dsn: str, device: str) -> fastapi.FastAPI:
    app = fastapi.FastAPI(dependencies=[fastapi.Depends(named)])
    app.add_middleware(AuthenticationMiddleware, backend=ByHeader())
    app.add_middleware(AttributionMiddleware)

    def write(id_: int) -> None:
        with engine.begin() as connection:
            connection.execute(text("insert into dcim.device (id, name) values (:id, 'x')"), {"id": id_})

    @app.post("/plain/{id_}")
    def plain(id_: int) -> None:
        write(id_)

    @app.post("/later/{id_}")
    async def later(id_: int, background: fastapi.BackgroundTasks) -> None:
        background.add_task(write, id_)

    @app.post("/async/{id_}")
    async def asynchronous(id_: int) -> None:
        own: AsyncEngine = create_async_engine(
            "postgresql+psycopg://", async_creator=lambda: psycopg.AsyncConnection.connect(dsn)
        )
        attribute(own)
        async with own.begin() as connection:
            await connection.execute(text("insert into dcim.device (id, name) values (:id, 'x')"), {"id": id_})
        await own.dispose()

    @app.post("/fails/{id_}")
    def fails(id_: int) -> None:
        write(id_)
        raise ZeroDivisionError

    return app


def said(db: Connection) -> list[Any]:
    return db.execute("select user_name, request_id, change_context from rowhooks.object_change order by id").fetchall()


def client(app: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


@pytest.mark.parametrize("path", ["/plain/1", "/later/1", "/async/1"])
@pytest.mark.parametrize("header", ["X-User", "X-Token"])
async def test_a_request_writes_for_its_user(db: Connection, app: fastapi.FastAPI, path: str, header: str) -> None:
    async with client(app) as http:
        answer = await http.post(path, headers={header: "alice", "X-Request-ID": "r1"})
    assert answer.status_code == 200
    assert said(db) == [("alice", "r1", "web")]


async def test_nothing_is_left_for_the_next_request(db: Connection, app: fastapi.FastAPI) -> None:
    async with client(app) as http:
        assert (await http.post("/fails/1", headers={"X-User": "alice"})).status_code == 500
        assert (await http.post("/plain/2")).status_code == 200
    assert [user for user, _, _ in said(db)] == ["alice", None]
    # Each request has an id of its own.
    assert len({request_id for _, request_id, _ in said(db)}) == 2


def add_route(app: fastapi.FastAPI, dependency: Callable[[], Any]) -> None:
    (plain,) = (route.endpoint for route in app.routes if getattr(route, "path", "") == "/plain/{id_}")  # type: ignore[attr-defined]
    app.add_api_route("/block/{id_}", plain, methods=["POST"], dependencies=[fastapi.Depends(dependency)])


async def test_a_dependency_with_a_yield_may_open_a_block(db: Connection, app: fastapi.FastAPI) -> None:
    async def as_bob() -> AsyncIterator[None]:
        with attributed(user="bob"):
            yield

    add_route(app, as_bob)
    async with client(app) as http:
        assert (await http.post("/block/1")).status_code == 200
    assert [user for user, _, _ in said(db)] == ["bob"]


async def test_a_block_that_ends_in_another_thread_breaks_no_request_and_is_named(
    db: Connection, app: fastapi.FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    def as_bob() -> Iterator[None]:
        with attributed(user="bob"):
            yield

    add_route(app, as_bob)
    attribution._warn_of_context.cache_clear()
    async with client(app) as http:
        assert (await http.post("/block/1")).status_code == 200
        assert (await http.post("/block/2")).status_code == 200
    assert [user for user, _, _ in said(db)] == [None, None]
    assert len([message for message in caplog.messages if "make it `async def`" in message]) == 1


async def test_requests_at_the_same_time_are_told_apart(db: Connection, app: fastapi.FastAPI) -> None:
    kinds = enumerate(["plain", "async"] * 3)
    async with client(app) as http:
        await asyncio.gather(*(http.post(f"/{kind}/{n}", headers={"X-Token": f"u{n}"}) for n, kind in kinds))
    found = db.execute("select object_id ->> 'id', user_name from rowhooks.object_change").fetchall()
    assert sorted(found) == [(str(n), f"u{n}") for n in range(6)]


async def test_the_values_can_be_chosen(db: Connection, app: fastapi.FastAPI) -> None:
    app.user_middleware.clear()
    chosen = AttributionMiddleware(app, user=lambda scope: scope["path"], request_id=lambda scope: 7, context="api")
    async with client(chosen) as http:
        await http.post("/plain/1")
    assert said(db) == [("/plain/1", "7", "api")]


async def test_a_web_socket_writes_for_its_user_too(db: Connection, engine: sqlalchemy.Engine, device: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            with engine.begin() as connection:
                connection.execute(text("insert into dcim.device (id, name) values (1, 'x')"))

    middleware = AttributionMiddleware(app)
    await middleware({"type": "lifespan"}, None, None)
    scope = {"type": "websocket", "headers": [(b"x-request-id", b"s")], "user": SimpleUser("bob")}
    await middleware(scope, None, None)
    assert said(db) == [("bob", "s", "web")]
