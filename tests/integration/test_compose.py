"""The compose example, run as plain processes: its commands, settings, receivers and SQL are what they say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from psycopg.conninfo import make_conninfo

from rowhooks.demo.embedded import find_binaries
from rowhooks.postgres.administration.doctor import examine
from rowhooks.postgres.administration.status import status
from rowhooks.runtime.daemon import LAST_MOMENTS
from rowhooks.runtime.leader import FLUSH_TIMEOUT
from rowhooks.settings import Settings
from tests.support.brokers import NO_REDIS, REDIS, redis
from tests.support.waiting import PATIENCE, wait

EXAMPLE = Path(__file__).resolve().parents[2] / "contrib" / "compose"
ENTRYPOINT = ["rowhooks"]
"""That of the image."""
READY = re.compile(r"ready:|standing by|\bready\.")
"""What a daemon or a worker says, or Celery's worker."""


@cache
def services() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((EXAMPLE / "compose.yaml").read_text("utf-8"))["services"]
    return read


def steps() -> list[str]:
    """Return the services that end, in the order in which they depend on each other."""
    once = {
        name
        for one in services().values()
        for name, how in one.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    found: list[str] = []
    while len(found) < len(once):
        found += [name for name in once - {*found} if {*services()[name]["depends_on"]} <= {"db", *found}]
    return found


class Example:
    """The example in a directory of its own.

    Args:
        directory: the directory.
        dsn: the database that the service `db` would have.
        broker: the address of Redis that the operator gives; empty: none.
    """

    def __init__(self, directory: Path, dsn: str, broker: str = "") -> None:
        self.directory = directory
        self._dsn = dsn
        self._broker = broker

    def command(self, service: str) -> list[str]:
        """Return what a service runs, as this machine can."""
        how = services()[service]
        entrypoint: list[str] = how.get("entrypoint", ENTRYPOINT if how["image"] == "rowhooks" else [])
        given: list[str] = entrypoint + how["command"]
        program, arguments = given[0], given[1:]
        is_python = program in ("rowhooks", "celery")
        words = [sys.executable, "-m", program] if is_python else [str(find_binaries() / program)]
        return [*words, *(self._here(argument) for argument in arguments)]

    def _here(self, argument: str) -> str:
        if argument.startswith("0.0.0.0:"):
            # Here they are all on one machine.
            return "127.0.0.1:0"
        login = re.fullmatch(r"postgresql://(\w+)@db/shop", argument)
        if login is None:
            return argument.replace("/etc/rowhooks", str(self.directory))
        return self._dsn if login[1] == "postgres" else make_conninfo(self._dsn, user=login[1])

    def run(self, service: str) -> None:
        """Run a service that ends."""
        done = subprocess.run(
            self.command(service), cwd=self.directory, env=self.environment(service), capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{service}: {done.stdout}{done.stderr}"

    @contextmanager
    def running(self, service: str) -> Iterator[None]:
        """Run a service that goes on; it is ready when the block begins, and ends as compose would have it."""
        path = self.directory / f"{service}.log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                self.command(service), cwd=self.directory, env=self.environment(service), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
            )  # fmt: skip
        try:
            wait(lambda: READY.search(path.read_text()) is not None or process.poll() is not None)
            assert process.poll() is None, path.read_text()
            yield
        finally:
            process.terminate()
            assert process.wait(PATIENCE) == 0, path.read_text()

    def environment(self, service: str) -> dict[str, str]:
        """Return the environment of a container, as far as it matters."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("ROWHOOKS_", "PG"))}
        given = services()[service].get("environment", {})
        chosen = {
            name: re.sub(r"^\$\{ROWHOOKS_CELERY_BROKER:-\}$", self._broker, self._here(value))
            for name, value in given.items()
        }
        return {**own, **chosen, "ROWHOOKS_GRACE_PERIOD": "5"}


def going_on(*profiles: str) -> list[str]:
    """Return the services of rowhooks that go on, where these profiles are chosen and no others."""
    return [
        name
        for name, how in services().items()
        if how["image"] == "rowhooks" and name not in steps() and {*how.get("profiles", profiles)} <= {*profiles}
    ]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLE, tmp_path / "compose"))


def all_is_done(db: psycopg.Connection[Any]) -> bool:
    done = "select count(*) from shop.orders as o join shop.reports as r on r.order_id = o.id where o.price = 49.5"
    return db.execute(done).fetchone() == (20,)


def test_orders_get_prices_and_reports_from_the_workers(empty_dsn: str, directory: Path) -> None:
    example = Example(directory, empty_dsn)
    assert going_on() == ["daemon", "standby", "worker-1", "worker-2"]
    with psycopg.connect(empty_dsn, autocommit=True) as db, ExitStack() as stack:
        db.execute((example.directory / "shop.sql").read_bytes())
        for service in steps():
            example.run(service)
        for service in going_on():
            stack.enter_context(example.running(service))
        db.execute("insert into shop.orders (item) select 'chair' from generate_series(1, 20)")
        wait(lambda: all_is_done(db))
        seen = status(db)
        assert sorted(one["queues"] for one in seen["workers"]) == [["work"], ["work", "reports"]]
        assert [one.what for one in examine(db) if "worker" in one.what] == []


@pytest.mark.skipif(REDIS is None, reason=NO_REDIS)
def test_with_the_profile_celery_its_workers_do_the_same(empty_dsn: str, directory: Path) -> None:
    with redis() as broker, psycopg.connect(empty_dsn, autocommit=True) as db, ExitStack() as stack:
        example = Example(directory, empty_dsn, broker.url)
        db.execute((example.directory / "shop.sql").read_bytes())
        for service in steps():
            example.run(service)
        celery = [name for name in going_on("celery") if name not in going_on()]
        assert celery == ["celery-1", "celery-2"]
        # They alone: a worker of rowhooks' would take its part.
        for service in ("daemon", *celery):
            stack.enter_context(example.running(service))
        db.execute("insert into shop.orders (item) select 'chair' from generate_series(1, 20)")
        wait(lambda: all_is_done(db))
        assert {tuple(one["queues"]) for one in status(db)["workers"]} == {("work", "reports")}
        # The daemon is connected too, and says nothing of a broker that is away.
        assert "broker" not in (directory / "daemon.log").read_text()


def test_the_services_are_what_the_image_and_the_daemon_need() -> None:
    variables = {f"ROWHOOKS_{name.upper()}" for name in Settings.model_fields}
    longest = Settings.model_fields["grace_period"].default + FLUSH_TIMEOUT + LAST_MOMENTS
    seconds = {"1m": 60, "90s": 90}
    [port] = re.findall(r"ROWHOOKS_HTTP_LISTEN=0\.0\.0\.0:(\d+)", (EXAMPLE / "../../Dockerfile").read_text("utf-8"))
    for name, how in services().items():
        if how["image"] != "rowhooks":
            continue
        assert {*how["environment"]} <= variables
        assert (how["read_only"], how["cap_drop"]) == (True, ["ALL"])
        if name in going_on("celery"):
            # The image's health check asks the daemon's port, and a worker that listens there.
            listens = how["command"] == ["run"] or how["command"][-2:] == ["--http-listen", f"0.0.0.0:{port}"]
            assert ("healthcheck" in how) != listens
            assert seconds[how["stop_grace_period"]] >= longest


def test_each_file_that_the_example_names_is_there() -> None:
    text = (EXAMPLE / "compose.yaml").read_text("utf-8")
    named = {*re.findall(r"(?:\./|/etc/rowhooks/)([\w.]+\w)", text), "plan.yaml"}
    assert {name for name in named if not (EXAMPLE / name).exists()} == set()
    assert (EXAMPLE / "../.." / "Dockerfile").exists()
