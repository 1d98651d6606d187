"""Runs what doctor prints as whoever pastes it into a shell would."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

from psycopg.conninfo import conninfo_to_dict

from rowhooks.cli import call
from rowhooks.demo.embedded import find_binaries

_LIBPQ = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}


def run_as_printed(way_out: str, dsn: str) -> str:
    """Run the first command of a way out in a shell, connected as a DSN says; return what it printed.

    Args:
        way_out: what doctor printed: text, a colon, a command; or a command alone.
        dsn: for psql and rowhooks alike.
    """
    return run_in_a_shell(re.sub(r"^[^:']*: (?=psql|rowhooks)", "", re.split(r"; (?:or|where)\b", way_out)[0]), dsn)


def printed_commands(way_out: str) -> list[list[str]]:
    """Return the words of the commands in a way out, as a shell splits them; alternatives (after "; or") left out."""
    found = []
    text = re.split(r"; or\b", way_out)[0]
    for begin in re.finditer(r"(?:^|[ (])(?=(?:psql|rowhooks) )", text):
        words = shlex.shlex(text[begin.end() :], posix=True, punctuation_chars=";&()")
        words.whitespace_split = True
        words.commenters = ""
        command: list[str] = []
        for word in words:
            if set(word) <= set(";&()"):
                break
            command.append(word)
        found.append(command)
    return found


def run_command(words: list[str], dsn: str) -> str:
    """Run one command that was printed, with yes to each question; return what it printed."""
    return run_in_a_shell(shlex.join(words), dsn)


def run_in_a_shell(text: str, dsn: str) -> str:
    """Run commands as a shell reads them, connected as a DSN says to psql and rowhooks alike; return what they printed.

    The command line is called in this process: it starts more quickly.
    """
    given = {_LIBPQ[name]: str(value) for name, value in conninfo_to_dict(dsn).items() if name in _LIBPQ}
    printed = ""
    with tempfile.TemporaryDirectory() as directory, mock.patch.dict(os.environ, {**given, "ROWHOOKS_DSN": dsn}):
        for program, *arguments in commands_in(text, Path(directory)):
            if program == "rowhooks":
                # In a thread of its own, as in a process of its own: the test may have an event loop.
                with ThreadPoolExecutor(1) as thread:
                    code, said = thread.submit(_called, arguments).result()
            else:
                psql = subprocess.run(
                    [find_binaries() / program, *arguments],
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                )  # fmt: skip
                code, said = psql.returncode, psql.stdout
            assert code == 0, f"{text}: {said}"
            printed += said
    return printed


def commands_in(text: str, directory: Path) -> list[list[str]]:
    """Paste a text into a shell; return what it would run: rowhooks or psql, each with its arguments.

    Args:
        text: what is pasted.
        directory: where the shell works, and its home.
    """
    ran = directory / "ran"
    ran.write_bytes(b"")
    for name in ("rowhooks", "psql"):
        program = directory / name
        program.write_text(
            f"#!/bin/sh\nprintf '%s\\0' $(($# + 1)) {name} \"$@\" >>{shlex.quote(str(ran))}\n", encoding="utf-8"
        )
        program.chmod(0o755)
    path = os.pathsep.join([str(directory), os.environ["PATH"]])
    subprocess.run(
        ["sh", "-ec", text], check=True, cwd=directory, env={**os.environ, "PATH": path, "HOME": str(directory)}
    )
    words = iter(os.fsdecode(ran.read_bytes()).split("\0")[:-1])
    return [[next(words) for _ in range(int(count))] for count in words]


def _called(arguments: list[str]) -> tuple[int, str]:
    said = io.StringIO()
    # Whoever pastes a command that asks says yes.
    answers = mock.patch("sys.stdin", io.StringIO("y\n" * 3))
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), answers:
        code = call(arguments)
    return code, said.getvalue()
