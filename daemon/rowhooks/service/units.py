"""Units: systemd's units of an installed rowhooks, written, enabled and removed."""

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

MARK = "# Written by `rowhooks systemd install`; changes belong into a drop-in (systemctl edit)."
"""The first line of each file that is ours to write again and to remove."""
EXECUTABLE = "@ROWHOOKS@"
"""Stands in the units for the path of the command."""
_INSTANCE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]*")
_HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108  (names of places, not used as such)
"""Places that the service does not see (ProtectHome, PrivateTmp)."""


class Units:
    """The units of one installation.

    Args:
        instance: of the template, one a database; None for the plain unit.
        user: for the user's own service manager.

    Raises:
        UsageError: the instance's name cannot be one.
    """

    def __init__(self, *, instance: str | None, user: bool) -> None:
        if instance is not None and not _INSTANCE.fullmatch(instance):
            raise UsageError(
                f"{instance!r} cannot be the name of an instance",
                hint="letters, digits, underscores and dots are taken",
            )
        self._user = user
        self._instance = instance
        self._template = "rowhooks.service" if instance is None else "rowhooks@.service"
        self.unit = "rowhooks.service" if instance is None else f"rowhooks@{instance}.service"
        if user:
            home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
            self._directory = home / "systemd" / "user"
            self.settings_file = home / "rowhooks" / f"{instance or 'rowhooks'}.toml"
        else:
            self._directory = Path("/etc/systemd/system")
            self.settings_file = Path(f"/etc/rowhooks/{instance or 'rowhooks'}.toml")
        self._sysusers = Path("/etc/sysusers.d/rowhooks.conf")

    def install(self) -> list[Path]:
        """Write the unit, make its user, and enable it; return what was written.

        Raises:
            UsageError: this is not the place or the user for it.
            Conflict: a file of that name is not ours.
            RowhooksError: systemd refused.
        """
        self._check()
        executable = command(must_be_seen=not self._user)
        source = data_directory("systemd") / ("user" if self._user else "")
        texts = {self._directory / self._template: (source / self._template).read_text("utf-8")}
        if not self._user:
            texts[self._sysusers] = (data_directory("systemd") / "sysusers.d/rowhooks.conf").read_text("utf-8")
        for path in texts:
            _refuse_others(path)
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{MARK}\n{text.replace(EXECUTABLE, str(executable))}", "utf-8")
        if not self._user:
            _call("systemd-sysusers", str(self._sysusers))
            self.settings_file.parent.mkdir(mode=0o755, exist_ok=True)
        self._systemctl("daemon-reload")
        self._systemctl("enable", self.unit)
        return list(texts)

    def start(self) -> None:
        """Start the service, or start it again with what was written; wait until it is ready.

        Raises:
            RowhooksError: it cannot be started.
        """
        self._systemctl("restart", self.unit)

    def uninstall(self) -> list[Path]:
        """Stop and disable the service and remove what no other one needs; return what was removed.

        Settings, credentials and the user `rowhooks` stay.

        Raises:
            UsageError: nothing is installed, or this is not the place or the user for it.
            Conflict: the unit is not ours.
            RowhooksError: systemd refused.
        """
        self._check()
        path = self._directory / self._template
        if not path.exists():
            raise UsageError(f"{path} does not exist: nothing is installed", hint="rowhooks systemd install --help")
        _refuse_others(path)
        self._systemctl("disable", "--now", self.unit)
        removed = []
        if self._instance is None or not any(self._directory.glob("*.wants/rowhooks@*.service")):
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
                "there is no systemctl: systemd does not run this machine", hint="run `rowhooks run` by what does"
            )
        if not self._user and os.geteuid() != 0:
            raise UsageError(
                "system units can be written by root only", hint="sudo, or --user for a service of your own"
            )

    def _systemctl(self, *arguments: str) -> None:
        _call("systemctl", *(["--user"] if self._user else []), *arguments)


def command(*, must_be_seen: bool) -> Path:
    """Return the path of the installed command.

    Args:
        must_be_seen: by another user, in a service with ProtectHome.

    Raises:
        UsageError: it is not installed, or where it cannot be seen.
    """
    path = Path(sysconfig.get_path("scripts")) / "rowhooks"
    if not path.exists():
        raise UsageError(f"{path} does not exist", hint="install rowhooks, do not run it from its source")
    for place in (path, Path(sys.base_prefix)):
        hidden = [directory for directory in _HIDDEN if place.resolve().is_relative_to(directory)]
        closed = [parent for parent in place.resolve().parents if not parent.stat().st_mode & 0o001]
        if must_be_seen and (hidden or closed):
            raise UsageError(
                f"the service could not see {place}, which is below {(hidden or closed)[0]}",
                hint="install rowhooks where every user may read it, for example with a system's python3:"
                " python3 -m venv /opt/rowhooks && /opt/rowhooks/bin/pip install rowhooks",
            )
    return path


def _refuse_others(path: Path) -> None:
    if path.exists() and not path.read_text("utf-8").startswith(MARK):
        raise Conflict(
            f"{path} was not written by `rowhooks systemd install`", hint="move it away, or keep it as it is"
        )


def _call(*arguments: str) -> None:
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RowhooksError(f"`{' '.join(arguments)}` failed: {done.stderr.strip() or done.stdout.strip()}")
