"""The console in process, people who use it, and their browsers without JavaScript.

A fixture `console` (tests/web/conftest.py) is the application on this test's database, with the roles of ROLES.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from starlette.applications import Starlette

from rowhooks.postgres.connections.target import Target
from rowhooks.web.app import Console, ConsoleApp, make_app
from rowhooks.web.settings import ConsoleSettings
from tests.support.waiting import wait

PASSWORD = "c0rrect h0rse: b@ttery/staple"
ROLES = {"alice": "rowhooks_viewer", "oscar": "rowhooks_operator", "ada": "rowhooks_admin", "mallory": None}
"""Who uses the console, and the role of rowhooks that makes it a viewer, an operator, an admin, or nothing."""
HERE = "https://localhost"
_MADE: list[Console] = []
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


def make_people(db: psycopg.Connection[Any]) -> None:
    """Create the roles of ROLES with their password."""
    for name, granted in ROLES.items():
        role = sql.Identifier(name)
        db.execute(sql.SQL("create role {} login password {}").format(role, PASSWORD))
        if granted and db.execute("select from pg_roles where rolname = %s", (granted,)).fetchone() is not None:
            db.execute(sql.SQL("grant {} to {}").format(sql.Identifier(granted), role))


def make_console(
    dsn: str, /, clock: Callable[[], float] = time.monotonic, *, refusal_time: float = 0.0, **settings: Any
) -> ConsoleApp:
    """Return the console's application for a database.

    Args:
        dsn: the database. The tests' server trusts every login, unless a test makes it ask for passwords.
        clock: what sessions and attempts have their time from.
        refusal_time: seconds after which a refused log-in is answered.
        settings: settings of the console that are not the defaults.
    """
    chosen = ConsoleSettings(**{"allow_passwordless": True, **settings})
    console = Console.open(chosen, Target(dsn), clock=clock, refusal_time=refusal_time)
    _MADE.append(console)
    return make_app(console)


@contextlib.contextmanager
def consoles_closed() -> Iterator[None]:
    """End the sessions and connections of all consoles that were made within the block."""
    before = len(_MADE)
    try:
        yield
    finally:
        while len(_MADE) > before:
            _MADE.pop().close()


@contextlib.contextmanager
def passwords_wanted(db: psycopg.Connection[Any], *roles: str) -> Iterator[None]:
    """Let the server ask for the passwords of these roles, instead of trusting them.

    Args:
        db: an administrator's connection that commits each statement, on the server's machine.
        roles: the roles, the last of which has the password PASSWORD.
    """
    (name,) = db.execute("select current_setting('hba_file')").fetchone() or ("",)
    file = Path(str(name))
    before = file.read_text()
    lines = "".join(f"local all {role} scram-sha-256\nhost all {role} all scram-sha-256\n" for role in roles)
    file.write_text(lines + before)
    db.execute("select pg_reload_conf()")
    wait(lambda: _is_refused(make_conninfo(db.info.dsn, user=roles[-1], password="wrong")))
    try:
        yield
    finally:
        file.write_text(before)
        db.execute("select pg_reload_conf()")


def _is_refused(dsn: str) -> bool:
    try:
        psycopg.connect(dsn).close()
    except psycopg.OperationalError:
        return True
    return False


class Browser(httpx.AsyncClient):
    """A browser without JavaScript: it keeps cookies, and sends the token and the origin with each form.

    Args:
        app: the console.
        here: the address of the console.
        client: the address of the browser.
        headers: headers of each request, such as those that a proxy adds.
    """

    def __init__(
        self, app: Starlette, here: str = HERE, client: str = "127.0.0.1", headers: Mapping[str, str] | None = None
    ) -> None:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False, client=(client, 50_000))
        super().__init__(transport=transport, base_url=here, headers=headers)
        self.csrf_token = ""

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send a request; remember the token of a page that has one."""
        answer = await super().send(request, **options)
        if answer.headers.get("content-type", "").startswith("text/html") and (found := _TOKEN.search(answer.text)):
            self.csrf_token = found[1]
        return answer

    async def submit(self, path: str, /, *, follow: bool = False, **fields: Any) -> httpx.Response:
        """Send a form as a page of the console does.

        Args:
            path: where it goes.
            follow: whether to follow the redirection; the answer is the next page then.
            fields: its fields; the token is added.
        """
        origin = str(self.base_url).rstrip("/")
        return await self.post(
            path, data={"csrf_token": self.csrf_token, **fields}, follow_redirects=follow,
            headers={"origin": origin, "sec-fetch-site": "same-origin"},
        )  # fmt: skip


@contextlib.asynccontextmanager
async def logged_in(app: Starlette, role: str, password: str = PASSWORD) -> AsyncIterator[Browser]:
    """Yield a browser in which a role is logged in; it logs out at the end.

    Args:
        app: the console.
        role: one of ROLES, or another role with this password.
        password: its password.
    """
    async with Browser(app) as browser:
        await browser.get("/login")
        answer = await browser.submit("/login", follow=True, role=role, password=password)
        assert answer.status_code == 200, answer.text
        try:
            yield browser
        finally:
            await browser.submit("/logout")


async def submitted(app: Starlette, role: str, address: str, /, **form: Any) -> httpx.Response:
    """Return what a role gets that has logged in to send the form of a page; see `Browser.submit`."""
    async with logged_in(app, role) as browser:
        await browser.get(address)
        return await browser.submit(address, **form)


async def page_at(app: Starlette, address: str, role: str = "alice") -> str:
    """Return a page as a role gets it that has logged in for it."""
    async with logged_in(app, role) as browser:
        answer = await browser.get(address)
    assert answer.status_code == 200, answer.text
    return answer.text
