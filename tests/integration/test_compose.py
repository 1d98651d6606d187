"""The compose example, run as plain processes: its commands, settings, receivers and SQL are what they say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import yaml
from psycopg.conninfo import make_conninfo

from rowhooks.demo.embedded import find_binaries
from rowhooks.postgres.administration.doctor import examine
from rowhooks.postgres.administration.status import status
from tests.support.waiting import PATIENCE, wait

EXAMPLE = Path(__file__).resolve().parents[2] / "contrib" / "compose"


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
    """

    def __init__(self, directory: Path, dsn: str) -> None:
        self.directory = directory
        self._dsn = dsn

    def command(self, service: str) -> list[str]:
        """Return what a service runs, as this machine can."""
        program, *arguments = services()[service]["command"]
        words = [sys.executable, "-m", "rowhooks"] if program == "rowhooks" else [str(find_binaries() / program)]
        for argument in arguments:
            login = re.fullmatch(r"postgresql://(\w+)@db/shop", argument)
            own = self._dsn if login is None or login[1] == "postgres" else make_conninfo(self._dsn, user=login[1])
            words.append(own if login else argument.replace("/etc/rowhooks", str(self.directory)))
        return words

    def run(self, service: str) -> None:
        """Run a service that ends."""
        done = subprocess.run(
            self.command(service), cwd=self.directory, env=self.environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{service}: {done.stdout}{done.stderr}"

    @contextmanager
    def running(self, service: str) -> Iterator[None]:
        """Run a service that goes on; it is ready when the block begins."""
        path = self.directory / f"{service}.log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                self.command(service), cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL, stderr=log
            )
        try:
            wait(lambda: "ready:" in path.read_text() or process.poll() is not None)
            yield
        finally:
            process.terminate()
            assert process.wait(PATIENCE) == 0, path.read_text()

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a container, as far as it matters."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("ROWHOOKS_", "PG"))}
        return {**own, "ROWHOOKS_GRACE_PERIOD": "5"}


def test_orders_get_prices_and_reports_from_the_workers(empty_dsn: str, tmp_path: Path) -> None:
    example = Example(Path(shutil.copytree(EXAMPLE, tmp_path / "compose")), empty_dsn)
    going_on = [name for name in services() if name != "db" and name not in steps()]
    assert going_on == ["daemon", "worker-1", "worker-2"]
    with psycopg.connect(empty_dsn, autocommit=True) as db, ExitStack() as stack:
        db.execute((example.directory / "shop.sql").read_bytes())
        for service in steps():
            example.run(service)
        for service in going_on:
            stack.enter_context(example.running(service))
        db.execute("insert into shop.orders (item) select 'chair' from generate_series(1, 20)")
        wait(lambda: db.execute("select count(*) from shop.orders where price = 49.5").fetchone() == (20,))
        wait(lambda: db.execute("select count(*) from shop.reports").fetchone() == (20,))
        seen = status(db)
        assert sorted(one["queues"] for one in seen["workers"]) == [["work"], ["work", "reports"]]
        assert [one.what for one in examine(db) if "worker" in one.what] == []


def test_each_file_that_the_example_names_is_there() -> None:
    text = (EXAMPLE / "compose.yaml").read_text("utf-8")
    named = {*re.findall(r"(?:\./|/etc/rowhooks/)([\w.]+\w)", text), "plan.yaml"}
    assert {name for name in named if not (EXAMPLE / name).exists()} == set()
    assert (EXAMPLE / "../..").resolve() == Path(__file__).resolve().parents[2]
