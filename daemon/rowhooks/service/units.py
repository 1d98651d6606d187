"""The units of an installed rowhooks for systemd: written, enabled and removed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from rowhooks.domain.errors import Conflict, RowhooksError, UsageError
from rowhooks.resources import data_directory

MARK = "# Written by `rowhooks systemd install`. Make changes in a drop-in (systemctl edit)."
"""The first line of each file that the commands may overwrite and remove."""
DAEMON, CONSOLE, WORKER = "rowhooks", "rowhooks-console", "rowhooks-worker"
"""The services: the daemon, the console and a worker."""
PLAIN, TEMPLATE = f"{DAEMON}.service", f"{DAEMON}@.service"
"""The files of the plain unit, and of the template of which each instance has a database of its own."""
CONSOLE_PLAIN, CONSOLE_TEMPLATE = f"{CONSOLE}.service", f"{CONSOLE}@.service"
"""The same for the console."""
WORKER_PLAIN, WORKER_TEMPLATE = f"{WORKER}.service", f"{WORKER}@.service"
"""The same for a worker."""
_INSTANCE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]*")
_HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108  (the names of directories, which nothing here uses)
"""Directories that the service cannot see (ProtectHome, PrivateTmp)."""


def unit_text(name: str, executable: str, *, user: bool = False) -> str:
    """Return the text of a unit, made from the one source that the plain unit and the template have.

    Args:
        name: `PLAIN`, `TEMPLATE`, or one of those of the console and of a worker.
        executable: the path of the command.
        user: for a user's own service manager.
    """
    service, is_template = name.removesuffix(".service").removesuffix("@"), name.endswith("@.service")
    source = data_directory("systemd") / ("user" if user else "") / f"{service}.service"
    described = service.replace("-", " ")
    words = {
        "ROWHOOKS": executable,
        "DESCRIPTION": f"{described} for %i" if is_template else described,
        "SETTINGS": "%i" if is_template else DAEMON,
        "CREDENTIALS": f"{service}.%i" if is_template else service,
        "UNIT": f"{service}@NAME" if is_template else service,
    }
    return re.sub(r"@([A-Z]+)@", lambda found: words[found[1]], source.read_text("utf-8"))


class Units:
    """The units of one installation.

    Args:
        instance: the name of one of several services, each for one database; None for the plain unit.
        user: whether the unit is for the user's own service manager.
        service: `DAEMON`, `CONSOLE` or `WORKER`.

    Raises:
        UsageError: the instance cannot have this name.
    """

    def __init__(self, *, instance: str | None, user: bool, service: str = DAEMON) -> None:
        if instance is not None and not _INSTANCE.fullmatch(instance):
            raise UsageError(
                f"{instance!r} cannot be the name of an instance",
                hint="use letters, digits, underscores and dots",
            )
        self._user = user
        self._instance = instance
        self._service = service
        self._file = f"{service}.service" if instance is None else f"{service}@.service"
        self.unit = self._file if instance is None else f"{service}@{instance}.service"
        if user:
            home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
            self._directory = home / "systemd" / "user"
            self.settings_file = home / "rowhooks" / f"{instance or 'rowhooks'}.toml"
        else:
            self._directory = Path("/etc/systemd/system")
            self.settings_file = Path(f"/etc/rowhooks/{instance or 'rowhooks'}.toml")
        self._sysusers = Path("/etc/sysusers.d/rowhooks.conf")

    def install(self) -> list[Path]:
        """Write the unit, create its system user, and enable it; return the files written.

        Raises:
            UsageError: systemd does not run here, the user is not root, or the service could not see the command.
            Conflict: a file of that name was written by another program.
            RowhooksError: systemd refused.
        """
        self._check()
        executable = str(command(must_be_seen=not self._user))
        texts = {self._directory / self._file: unit_text(self._file, executable, user=self._user)}
        if not self._user:
            texts[self._sysusers] = (data_directory("systemd") / "sysusers.d/rowhooks.conf").read_text("utf-8")
        for path in texts:
            _refuse_others(path)
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{MARK}\n{text}", "utf-8")
        if not self._user:
            _call("systemd-sysusers", str(self._sysusers))
            self.settings_file.parent.mkdir(mode=0o755, exist_ok=True)
        self._systemctl("daemon-reload")
        self._systemctl("enable", self.unit)
        return list(texts)

    def start(self) -> None:
        """Start or restart the service; wait until it is ready.

        Raises:
            RowhooksError: it cannot be started.
        """
        self._systemctl("restart", self.unit)

    def uninstall(self) -> list[Path]:
        """Stop and disable the service, and remove the files that no other instance needs; return those.

        Settings, credentials and the user `rowhooks` stay.

        Raises:
            UsageError: nothing is installed, systemd does not run here, or the user is not root.
            Conflict: the unit was written by another program.
            RowhooksError: systemd refused.
        """
        self._check()
        path = self._directory / self._file
        if not path.exists():
            raise UsageError(f"{path} does not exist: nothing is installed", hint="rowhooks systemd install --help")
        _refuse_others(path)
        self._systemctl("disable", "--now", self.unit)
        removed = []
        if self._instance is None or not any(self._directory.glob(f"*.wants/{self._service}@*.service")):
            removed.append(path)
        if not self._user and not [
            other for other in self._directory.glob("rowhooks*.service") if other not in removed
        ]:
            removed.append(self._sysusers)
        for one in removed:
            one.unlink(missing_ok=True)
        self._systemctl("daemon-reload")
        return removed

    def _check(self) -> None:
        if shutil.which("systemctl") is None:
            raise UsageError(
                "there is no systemctl: this machine does not use systemd",
                hint="start `rowhooks run` with the service manager of this machine",
            )
        if not self._user and os.geteuid() != 0:
            raise UsageError("only root can write system units", hint="use sudo, or --user for a service of your own")

    def _systemctl(self, *arguments: str) -> None:
        _call("systemctl", *(["--user"] if self._user else []), *arguments)


def command(*, must_be_seen: bool) -> Path:
    """Return the path of the installed command.

    Args:
        must_be_seen: whether another user must see it, in a service with ProtectHome.

    Raises:
        UsageError: it is not installed, or the service could not see it.
    """
    path = Path(sysconfig.get_path("scripts")) / "rowhooks"
    if not path.exists():
        raise UsageError(f"{path} does not exist", hint="install rowhooks instead of running it from its source")
    for place in (path, Path(sys.base_prefix)):
        hidden = [directory for directory in _HIDDEN if place.resolve().is_relative_to(directory)]
        closed = [parent for parent in place.resolve().parents if not parent.stat().st_mode & 0o001]
        if must_be_seen and (hidden or closed):
            raise UsageError(
                f"the service could not see {place}, which is below {(hidden or closed)[0]}",
                hint="install rowhooks where every user can read it, for example with the system's python3:"
                " python3 -m venv /opt/rowhooks && /opt/rowhooks/bin/pip install 'rowhooks[daemon]'",
            )
    return path


def _refuse_others(path: Path) -> None:
    if path.exists() and not path.read_text("utf-8").startswith(MARK):
        raise Conflict(f"{path} was not written by `rowhooks systemd install`", hint="move the file away, or keep it")


def _call(*arguments: str) -> None:
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RowhooksError(f"`{' '.join(arguments)}` failed: {done.stderr.strip() or done.stdout.strip()}")
