"""Celery's brokers, the real ones: Redis and RabbitMQ, each in a directory and on ports of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.waiting import wait

REDIS = shutil.which("redis-server")
EPMD = shutil.which("epmd")
# Debian's /usr/sbin/rabbitmq-server becomes the user of its service.
RABBITMQ = shutil.which("rabbitmq-server", path="/usr/lib/rabbitmq/bin")
NO_REDIS = "Redis is not installed (Debian's package redis-server)"
NO_RABBITMQ = "RabbitMQ is not installed (Debian's package rabbitmq-server)"


class Redis:
    """One server, which forgets everything when it is stopped.

    Args:
        directory: for its log.
    """

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._log = directory / "redis.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        assert REDIS is not None
        command = [REDIS, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(command, cwd=self._log.parent, stdout=log, stderr=log)
        _wait_until_it_listens(self._process, self.port, self._log)

    def stop(self) -> None:
        """End it by SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def says(self, *words: str) -> bytes:
        """Return what it answers to a command, as it comes over the wire."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(b" ".join(word.encode() for word in words) + b"\r\n")
            return connection.recv(65536)


@contextlib.contextmanager
def redis() -> Iterator[Redis]:
    """Run Redis."""
    with tempfile.TemporaryDirectory(prefix="rowhooks-redis-", dir="/tmp") as name:
        server = Redis(Path(name))
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def rabbitmq() -> Iterator[str]:
    """Run RabbitMQ; yield its address."""
    assert RABBITMQ is not None
    assert EPMD is not None
    with tempfile.TemporaryDirectory(prefix="rowhooks-rabbitmq-", dir="/tmp") as name, contextlib.ExitStack() as stack:
        directory = Path(name)
        port, distribution, epmd = free_port(), free_port(), free_port()
        (directory / "plugins").write_text("[].\n")
        (directory / "rabbitmq.conf").write_text(f"listeners.tcp.default = 127.0.0.1:{port}\n")
        environment = {
            **os.environ, "HOME": name, "ERL_EPMD_PORT": str(epmd), "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"rowhooks{port}@localhost", "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": f"{name}/data", "RABBITMQ_LOG_BASE": f"{name}/log",
            "RABBITMQ_CONFIG_FILE": f"{name}/rabbitmq", "RABBITMQ_ENABLED_PLUGINS_FILE": f"{name}/plugins",
            "RABBITMQ_PID_FILE": f"{name}/pid",
        }  # fmt: skip
        # The name server of Erlang's nodes: started by the node itself, it would stay when that has ended.
        _run(stack, [EPMD, "-address", "127.0.0.1", "-port", str(epmd)], environment, directory / "epmd.log", epmd)
        _run(stack, [RABBITMQ], environment, directory / "rabbitmq.log", port)
        yield f"amqp://guest:guest@127.0.0.1:{port}//"


def _run(
    stack: contextlib.ExitStack, command: list[str], environment: Mapping[str, str], path: Path, port: int
) -> None:
    with path.open("w") as log:
        # In a session of its own: the program is a script that starts others.
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    stack.callback(_end, process)
    _wait_until_it_listens(process, port, path)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait()


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    wait(lambda: process.poll() is not None or _listens(port))
    assert process.poll() is None, log.read_text()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
