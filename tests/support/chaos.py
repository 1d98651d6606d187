"""Breaks things at random: one seed, one sequence of faults."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import psycopg

from rowhooks.postgres.administration.roles import Roles
from rowhooks.postgres.administration.schema import install
from rowhooks.postgres.connections.target import Target
from tests.support import workload
from tests.support.databases import embedded_server
from tests.support.processes import Process
from tests.support.proxy import MOMENTS, PARTIES, Link, Proxy
from tests.support.waiting import is_settled, wait

LEADER_TIMEOUT = 3.0
SETTLING = 300.0
"""Seconds that what is left may take, once nothing is broken any more."""
MAX_CONNECTIONS = 60
ELSEWHERE = {"ROWHOOKS_QUEUES": "default,elsewhere", "ROWHOOKS_DEFAULT_QUEUE": "elsewhere"}
"""Settings by which workers execute all runs."""


class Stage:
    """A server, a proxy before it, and daemons behind the proxy.

    Args:
        directory: of the daemons.
        has_workers: whether worker processes, behind the proxy too, execute all runs.
    """

    def __init__(self, directory: Path, *, has_workers: bool = False) -> None:
        self.directory = directory
        self.has_workers = has_workers
        self.daemons: list[Process] = []
        self.workers: list[Process] = []
        self._former: list[Process] = []
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            connections = (2 if self.has_workers else 1) * MAX_CONNECTIONS
            # A stop waits for connections that have said nothing yet, as one that the proxy has silenced.
            patience = {"deadlock_timeout": "50ms", "authentication_timeout": "10s"}
            settings = {"max_connections": str(connections), **patience}
            server = embedded_server(settings, os.environ.get("ROWHOOKS_TEST_BINARIES"))
            self._server = stack.enter_context(server)
            self.dsn = self._server.dsn()
            install(Target(self.dsn), Roles())
            with self.connect() as conn:
                workload.set_up(conn, self.directory)
            (self.directory / "outside").touch()
            self.proxy = stack.enter_context(Proxy(str(self._server.directory / ".s.PGSQL.5432")))
            self.daemon_dsn = (
                f"host=127.0.0.1 port={self.proxy.port} dbname=postgres user={workload.DAEMON_LOGIN} connect_timeout=5"
            )
            stack.callback(self._kill_all)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def connect(self) -> psycopg.Connection[Any]:
        """Return an administrator's connection, past the proxy, that commits each statement."""
        return psycopg.connect(self.dsn, autocommit=True)

    def start(self) -> Process:
        """Start one more daemon."""
        settings = {"ROWHOOKS_LEADER_TIMEOUT": str(LEADER_TIMEOUT), "ROWHOOKS_POLL_INTERVAL": "1"}
        elsewhere = ELSEWHERE if self.has_workers else {}
        process = Process(self.daemon_dsn, self.directory, workload.FILE, {**settings, **elsewhere})
        self.daemons.append(process)
        return process

    def start_worker(self) -> None:
        """Start one more worker."""
        options = ("--queue", "elsewhere")
        self.workers.append(
            Process(self.daemon_dsn, self.directory, workload.FILE, ELSEWHERE, options, command="worker")
        )

    @property
    def processes(self) -> list[Process]:
        """The daemons and the workers."""
        return [*self.daemons, *self.workers]

    def leave(self, process: Process) -> None:
        """Note that a daemon or a worker has ended."""
        (self.workers if process in self.workers else self.daemons).remove(process)
        self._former.append(process)

    def restart_server(self, mode: str) -> None:
        """Restart PostgreSQL: `fast` or `immediate`."""
        server = self._server
        server.run("pg_ctl", "restart", "-w", "-s", "-m", mode, "-D", str(server.data), "-l", str(server.log))

    def said(self, what: str) -> int:
        """Return how often the daemons' logs have this in them."""
        return sum(process.log.read_text().count(what) for process in [*self.processes, *self._former])

    def settle(self) -> workload.Reckoning:
        """Wait until everything has been dealt with, end the daemons, and reckon."""
        self.proxy.disarm()
        with self.connect() as conn:
            try:
                wait(lambda: is_settled(conn), SETTLING)
            except AssertionError:
                raise AssertionError(self._what_is_left(conn)) from None
            for process in self.processes:
                process.send(signal.SIGTERM)
            for process in self.processes:
                assert process.ends() == 0, process.log.read_text()[-5000:]
            try:
                return workload.reckon(conn, self.directory / "outside")
            except AssertionError:
                self._print_logs()
                raise

    def _print_logs(self) -> None:
        for process in [*self._former, *self.processes]:
            sys.stdout.write(f"{process.pid}:\n{process.log.read_text()}")

    def _what_is_left(self, conn: psycopg.Connection[Any]) -> str:
        """Say what there is to be said when something does not come to an end."""
        found = [
            str(row)
            for query in (
                "select * from rowhooks.feed",
                "select max(id), max(time) from rowhooks.object_change",
                "select status, leader_epoch, count(*) from rowhooks.job_result group by 1, 2",
                "select pid, application_name, state, wait_event, state_change, query from pg_stat_activity"
                " where datname is not null",
            )
            for row in conn.execute(query).fetchall()
        ]
        logs = [f"{process.pid}:\n{process.log.read_text()[-3000:]}" for process in self.processes]
        return "\n".join(["not settled", *found, *logs])

    def _kill_all(self) -> None:
        for process in self.processes:
            process.kill()


class Chaos:
    """Breaks things on a stage, one after another.

    Args:
        stage: where.
        seed: makes the sequence of faults.
        most_daemons: how many run at once.
    """

    def __init__(self, stage: Stage, seed: int, most_daemons: int = 3) -> None:
        self._stage = stage
        self._rng = random.Random(seed)
        self._most_daemons = most_daemons
        self.done: Counter[str] = Counter()
        self._faults: dict[Callable[[], None], int] = {
            self.kill: 3,
            self.terminate: 1,
            self.cut_some: 4,
            self.cut_all: 2,
            self.spring_a_trap: 8,
            self.silence_some: 1,
            self.end_backends: 2,
            self.crash_the_server: 1,
            self.restart_the_server: 1,
            self.stop_and_continue: 1,
            self.fill_the_connections: 1,
        }

    def run(self, seconds: float) -> None:
        """Go on for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._have_daemons()
            time.sleep(min(self._rng.expovariate(2.0), 2.0))
            fault = self._rng.choices(list(self._faults), list(self._faults.values()))[0]
            self.done[fault.__name__] += 1
            fault()
        self._have_daemons()

    def _have_daemons(self) -> None:
        stage = self._stage
        for process in [process for process in stage.processes if process.ended]:
            kind = "worker" if process in stage.workers else "daemon"
            log = process.log.read_text()[-5000:]
            raise AssertionError(f"a {kind} has ended by itself with exit code {process.exit_code}:\n{log}")
        while len(stage.daemons) < self._rng.randint(1, self._most_daemons):
            stage.start()
        while stage.has_workers and len(stage.workers) < self._rng.randint(1, 2):
            stage.start_worker()

    def _any(self) -> Process:
        return self._rng.choice(self._stage.processes)

    def _one(self, links: list[Link]) -> list[Link]:
        return self._rng.sample(links, 1) if links else []

    def kill(self) -> None:
        """Kill a daemon or a worker."""
        process = self._any()
        process.kill()
        self._stage.leave(process)

    def terminate(self) -> None:
        """Ask a daemon or a worker to end, whatever goes on."""
        process = self._any()
        process.send(signal.SIGTERM)
        code, log = process.ends(), process.log.read_text()
        # One that has not even begun ends as the system has it.
        assert code == 0 or (code == -signal.SIGTERM and not log), log[-5000:]
        self._stage.leave(process)

    def cut_some(self) -> None:
        """Cut a few connections, at random instants."""
        for _ in range(self._rng.randint(1, 5)):
            self._stage.proxy.cut(self._one)
            time.sleep(self._rng.random() / 10)

    def cut_all(self) -> None:
        """Cut every connection."""
        self._stage.proxy.cut()

    def spring_a_trap(self) -> None:
        """Cut a connection between the receiver's write, the result, and the answer to COMMIT."""
        trap = self._stage.proxy.set_trap(self._rng.choice(PARTIES), self._rng.choice(MOMENTS))
        trap.sprung.wait(1.0)

    def silence_some(self) -> None:
        """Swallow what is said on a connection, for a while."""
        self._stage.proxy.silence(self._one)
        time.sleep(self._rng.random() * 3)
        self._stage.proxy.disarm()

    def end_backends(self) -> None:
        """End a server process of a daemon's."""
        with self._stage.connect() as conn:
            pids = [row[0] for row in conn.execute(
                "select pid from pg_stat_activity where usename = %s", (workload.DAEMON_LOGIN,)
            ).fetchall()]  # fmt: skip
            if pids:
                conn.execute("select pg_terminate_backend(%s)", (self._rng.choice(pids),))

    def crash_the_server(self) -> None:
        """Let PostgreSQL crash and recover."""
        self._stage.restart_server("immediate")

    def restart_the_server(self) -> None:
        """Restart PostgreSQL in good order."""
        self._stage.restart_server("fast")

    def stop_and_continue(self) -> None:
        """Stop a daemon or a worker for longer than a standby waits, and let it go on as if nothing had happened."""
        if len(self._stage.daemons) == 1:
            self._stage.start()
        process = self._any()
        process.send(signal.SIGSTOP)
        time.sleep(LEADER_TIMEOUT + self._rng.random() * 4)
        process.send(signal.SIGCONT)

    def fill_the_connections(self) -> None:
        """Take every connection that an ordinary role can have, for a while."""
        with taken_connections(self._stage.dsn):
            time.sleep(self._rng.random() * 3)


@contextlib.contextmanager
def taken_connections(dsn: str) -> Iterator[None]:
    """Hold every connection that an ordinary role can have."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(psycopg.OperationalError):
            for _ in range(MAX_CONNECTIONS):
                stack.enter_context(psycopg.connect(dsn, user=workload.DAEMON_LOGIN))
        yield


@contextlib.contextmanager
def staged(*, has_workers: bool = False) -> Iterator[Stage]:
    """Set a stage up in a directory of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="rowhooks-faults-") as directory,
        Stage(Path(directory), has_workers=has_workers) as stage,
    ):
        yield stage
