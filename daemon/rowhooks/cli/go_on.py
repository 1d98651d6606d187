"""The commands that a quick start ends with. Each can be pasted into the shell in which it ran."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import TextIO

from rowhooks.cli.common import say
from rowhooks.cli.first_files import FirstFiles
from rowhooks.cli.scaffold import NewReceiver
from rowhooks.domain import shell
from rowhooks.postgres.connections.derived import dsn_without_password, has_password, login_of
from rowhooks.postgres.connections.target import Target

_DSN, _PASSWORD = "ROWHOOKS_DSN", "ROWHOOKS_PASSWORD"


class Commands:
    """The commands to go on.

    Args:
        target: the database, as the administrator.
        receiver: the receiver that was written.
        files: the files beside it.
        hook: the name of its hook.
        dsn: the option --dsn.
        has_hook: whether the hook is there already.
    """

    def __init__(
        self, target: Target, receiver: NewReceiver, files: FirstFiles, hook: str, dsn: str | None, *, has_hook: bool
    ) -> None:
        self._target = target
        self._receiver = receiver
        self._files = files
        self._hook = hook
        self._dsn = dsn
        self._has_hook = has_hook

    def show(self, out: TextIO) -> None:
        """Print them."""
        say("Go on with these commands. First run the daemon, and leave it running:")
        out.write(f"  {self.run()}\n")
        say(
            'When it says "ready", in another terminal: enable the job' + (":" if self._has_hook else ", add its hook:")
        )
        out.write(f"  {self.enable()}\n")
        if self._has_hook:
            say(f"  (hook {self._hook} is there already)", longest=None)
        say("Run the test (it locks the table while it runs; better on a copy of the database):")
        out.write(f"  {self.test()}\n")
        if login_of(dsn_without_password(self._target)) == login_of(self._files.dsn):
            say("  It needs the owner of the table: put an administrator's DSN in place of the daemon's.")
        if has_password(self._target) and self._dsn is not None:
            say("  The password of --dsn is left out here: write it into ~/.pgpass, or set PGPASSWORD.")

    def run(self) -> str:
        """Return the command that runs the daemon."""
        reload = ["--reload"] if importlib.util.find_spec("watchfiles") else []
        return self._rowhooks("run", *self._config(), *reload)

    def enable(self) -> str:
        """Return the command that lets changes start the receiver."""
        job = f"{self._receiver.module}.{self._receiver.name}"
        enable = self._rowhooks("jobs", "enable", job, *self._config())
        if self._has_hook:
            return enable
        table = self._receiver.outline.quoted if self._receiver.outline else self._receiver.table
        add = self._rowhooks(
            "hooks", "add", self._hook, "--job", job, "--table", table, "--on", "create,update,delete", *self._config()
        )
        return f"{enable} && {add}"

    def test(self) -> str:
        """Return the command that runs the test."""
        python = "python" if shutil.which("python") == sys.executable else sys.executable
        file = str(self._receiver.test_file)
        if has_password(self._target) and self._dsn is None and os.environ.get(_DSN):
            dsn = f'"${_DSN}"'
        else:
            dsn = shell.word(dsn_without_password(self._target))
        pytest = f"{shell.command(python, '-m', 'pytest', file, '--rowhooks-dsn')} {dsn}"
        if importlib.util.find_spec("pytest") is not None:
            return pytest
        return f"{shell.command(python, '-m', 'pip', 'install', 'pytest')} && {pytest}"

    def _config(self) -> tuple[str, ...]:
        is_here = self._files.directory.resolve() == Path.cwd()
        return () if is_here else ("--config", str(self._files.settings))

    def _rowhooks(self, *words: str) -> str:
        """Return a command that takes the file's DSN and passfile, whatever this shell's environment says."""
        names = [_DSN, _PASSWORD, *(["PGPASSWORD"] if self._files.has_passfile else [])]
        unset = [word for name in names if os.environ.get(name) for word in ("-u", name)]
        return shell.command(*(["env", *unset] if unset else []), *_program(), *words)


def _program() -> tuple[str, ...]:
    """Return how a shell calls this rowhooks."""
    script = Path(sys.executable).with_name("rowhooks")
    if shutil.which("rowhooks") == str(script):
        return ("rowhooks",)
    return (str(script),) if script.exists() else (sys.executable, "-m", "rowhooks")
