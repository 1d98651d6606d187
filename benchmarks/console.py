"""Console: how soon it answers with each of its pages when the log is long."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.daemon_process import PATIENCE
from benchmarks.database import Database, Server
from benchmarks.month import BUSY, BUTTON, FORGOTTEN, TABLES, live_through
from benchmarks.plan import Plan
from benchmarks.receivers import AsyncNoOp
from benchmarks.results import PageTime, Series

TRIVIAL = "/login"
"""A page that asks the database nothing."""
_TABLE = f"/tables/bench.{TABLES[0]}"
PAGES = {
    "home": "/",
    "tables": "/tables",
    "rows of a table": _TABLE,
    "rows from the middle on": f"{_TABLE}?after=%5B%22{{middle}}%22%5D",
    "a row": f"{_TABLE}/row?key=77",
    "a row that changes all the time": f"{_TABLE}/row?key={BUSY}",
    "a row that changed long ago": f"{_TABLE}/row?key={FORGOTTEN}",
    "what a press asks": f"{_TABLE}/press?button={BUTTON}&key=77",
    "runs": "/runs",
    "runs that failed, 1 %": "/runs?status=FAILURE",
    "runs that were revoked: none": "/runs?status=REVOKED",
    "runs of a hook": f"/runs?hook={AsyncNoOp.__name__}",
    "a run": "/runs/{run}",
    "changes": "/changes",
    "changes of a table, 10 %": f"/changes?table=bench.{TABLES[-1]}",
    "changes of a user, 2.5 %": "/changes?user=user-3",
    "changes of a day": "/changes?since={day}",
    "a change": "/changes/{change}",
    "hooks": "/hooks",
    "a hook": f"/hooks/{AsyncNoOp.__name__}",
    "jobs": "/jobs",
    "buttons": "/buttons",
    "a button": f"/buttons/{BUTTON}",
    "replay": "/replay",
    "status": "/status",
    "doctor": "/status/doctor",
}
"""The pages that are measured; {run} and {change} are the newest, {middle} is a key, {day} a time 20 days ago."""
ROUNDS = 15
"""How often each page is asked for in a round of the plan; the pages take turns."""
ROLE = "rowhooks_bench_person"
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


def console(server: Server, plan: Plan) -> tuple[PageTime, ...]:
    """Measure how soon the console answers with each page, beside a page that asks the database nothing.

    Raises:
        RuntimeError: the console does not start, or does not answer with a page.
    """
    with server.database() as database:
        _prepare(database, plan)
        known = {
            "run": database.value("select max(r.id) from rowhooks.job_result as r where r.trigger = 'change'"),
            "change": database.value("select max(c.id) from rowhooks.object_change as c"),
            "middle": plan.table_rows // 2,
            "day": database.value("select to_char(now() - interval '20 days', 'YYYY-MM-DD')"),
        }
        addresses = {name: address.format_map(known) for name, address in PAGES.items()}
        try:
            with _running(database) as port:
                return _measure(Browser(port), addresses, plan.rounds)
        finally:
            database.execute("drop owned by {role}", role=ROLE)
            database.execute("drop role {role}", role=ROLE)


def _prepare(database: Database, plan: Plan) -> None:
    live_through(database, plan.console_changes, plan.table_rows)
    database.execute("create role {role} login password 'bench'", role=ROLE)
    database.execute("grant rowhooks_admin to {role}", role=ROLE)
    database.execute("grant usage on schema bench to {role}", role=ROLE)
    database.execute("grant select on all tables in schema bench to {role}", role=ROLE)


def _measure(browser: Browser, addresses: Mapping[str, str], rounds: int) -> tuple[PageTime, ...]:
    browser.log_in(ROLE)
    sizes = {name: len(browser.get(address)) for name, address in addresses.items()}
    taken: dict[str, list[float]] = {name: [] for name in addresses}
    trivial: list[float] = []
    for _ in range(rounds):
        once: dict[str, list[float]] = {name: [] for name in ("", *addresses)}
        for _ in range(ROUNDS):
            for name, address in {"": TRIVIAL, **addresses}.items():
                once[name].append(browser.timed(address))
        trivial.append(Series(tuple(once[""])).median)
        for name in addresses:
            taken[name].append(Series(tuple(once[name])).median)
    return tuple(PageTime(name, sizes[name], Series(tuple(taken[name])), Series(tuple(trivial))) for name in addresses)


class Browser:
    """Somebody that asks for pages on one connection.

    Args:
        port: the console's, on loopback.
    """

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self._origin = f"http://127.0.0.1:{port}"
        self._cookies: dict[str, str] = {}

    def log_in(self, role: str) -> None:
        """Log in by the form."""
        token = _TOKEN.search(self.get("/login").decode())
        fields = {"role": role, "password": "bench", "csrf_token": token[1] if token else ""}
        self._ask("POST", "/login", urlencode(fields), {"content-type": "application/x-www-form-urlencoded"}, 303)

    def get(self, address: str) -> bytes:
        """Return a page."""
        return self._ask("GET", address)

    def timed(self, address: str) -> float:
        """Return how many seconds the console takes for a page."""
        begin = time.perf_counter()
        self._ask("GET", address)
        return time.perf_counter() - begin

    def _ask(
        self, method: str, address: str, body: str | None = None, more: Mapping[str, str] | None = None,
        expected: int = 200,
    ) -> bytes:  # fmt: skip
        cookie = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        headers = {"cookie": cookie, "origin": self._origin, **(more or {})}
        self._connection.request(method, address, body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        for given in answer.msg.get_all("set-cookie") or ():
            name, _, value = given.partition(";")[0].partition("=")
            self._cookies[name] = value
        if answer.status != expected:
            raise RuntimeError(f"{method} {address} is answered with {answer.status}: {content[:200].decode()}")
        return content


@contextlib.contextmanager
def _running(database: Database) -> Iterator[int]:
    """Run the console in a process of its own; yield its port."""
    with tempfile.TemporaryDirectory(prefix="rowhooks-bench-") as directory:
        log = Path(directory) / "log"
        with log.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "rowhooks", "console", "--listen", "127.0.0.1:0"],
                cwd=directory,
                env={**os.environ, "ROWHOOKS_DSN": database.dsn, "ROWHOOKS_CONSOLE_ALLOW_PASSWORDLESS": "true"},
                stdin=subprocess.DEVNULL, stderr=file,
            )  # fmt: skip
        try:
            yield _port(process, log)
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        if found := re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text()):
            return int(found[1])
        time.sleep(0.05)
    raise RuntimeError(f"the console does not start: {log.read_text()[-1000:]}")
