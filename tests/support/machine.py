"""A machine with a real systemd, PostgreSQL and rowhooks: a Debian root, booted by systemd-nspawn."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

PACKAGES = (
    "dbus",
    "libnss-systemd",
    "libpam-systemd",
    "postgresql",
    "procps",
    "python3-venv",
    "systemd",
    "systemd-sysv",
)
PATIENCE = 60.0
REBOOTS = 133
"""How systemd-nspawn says that the machine wants to be started again (--keep-unit)."""
NSPAWN = ("systemd-nspawn", "--quiet", "--private-network", "--register=no", "--keep-unit")


class CannotRun(Exception):
    """Why there can be no such machine here."""


def build_root(cache: Path) -> Path:
    """Return a Debian root with `PACKAGES` that can be booted.

    Raises:
        CannotRun: with the reason.
    """
    if shutil.which("systemd-nspawn") is None:
        raise CannotRun("there is no systemd-nspawn (Debian's package systemd-container)")
    root = debian_root(cache, PACKAGES)
    call(*NSPAWN, "--directory", str(root), "/bin/true")
    return root


def debian_root(cache: Path, packages: Sequence[str]) -> Path:
    """Return a Debian root with these packages, of the release and from the mirror that this machine has itself.

    Raises:
        CannotRun: with the reason.
    """
    if os.geteuid() != 0:
        raise CannotRun("only root can do that")
    for tool in ("debootstrap", "apt-get"):
        if shutil.which(tool) is None:
            raise CannotRun(f"there is no {tool} (Debian's package {tool.removesuffix('-get')})")
    root = cache / "root"
    if not (root / "ready").exists():
        shutil.rmtree(root, ignore_errors=True)
        cache.mkdir(parents=True, exist_ok=True)
        suite, mirror = _release()
        call("debootstrap", "--variant=minbase", f"--include={','.join(packages)}", suite, str(root), mirror)
        shutil.rmtree(root / "var/cache/apt")
        (root / "ready").touch()
    return root


def copy(root: Path, to: Path) -> None:
    """Copy a root with its owners, links and devices."""
    call("cp", "--archive", "--reflink=auto", str(root), str(to))


def _release() -> tuple[str, str]:
    """Return the code name of this machine's release, and where its packages come from."""
    said = call("apt-get", "indextargets", "--format", "$(SITE) $(CODENAME) $(COMPONENT)", "Created-By: Packages")
    lines = [line.split() for line in said.splitlines()]
    code_name = next(
        line.partition("=")[2]
        for line in Path("/etc/os-release").read_text("utf-8").splitlines()
        if line.startswith("VERSION_CODENAME=")
    )
    site = next((site for site, name, component in lines if (name, component) == (code_name, "main")), None)
    if site is None:
        raise CannotRun(f"this machine has no source of packages of {code_name}")
    return code_name, site


def call(*command: str) -> str:
    """Run a command; return what it printed.

    Raises:
        CannotRun: it failed; with the last line that it said.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise CannotRun(f"{command[0]}: {last}")
    return done.stdout


class Machine:
    """A booted machine.

    Args:
        root: its file system, which is its own.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._console = root.parent / "console.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0
        self._cursor = ""

    def boot(self) -> None:
        """Start it, and wait until systemd has started everything."""
        with self._console.open("ab") as console:
            self._process = subprocess.Popen(
                [*NSPAWN, "--boot", "--console=pipe", "--directory", str(self.root)],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
            )  # fmt: skip
        self.wait(self._find_leader)
        self.wait(lambda: self.succeeds("systemctl is-system-running --wait"))

    def _find_leader(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._console.read_text(errors="replace")[-2000:]
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for child in children:
            if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                self._leader = int(child)
                return True
        return False

    def reboot(self) -> None:
        """Let systemd start the machine anew."""
        self.run("systemctl reboot")
        assert self._process is not None
        assert self._process.wait(PATIENCE) == REBOOTS
        self.boot()

    def end(self) -> None:
        """Switch it off."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def call(self, command: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a shell command in it, as root, with this on its standard input."""
        enter = ["nsenter", "--target", str(self._leader), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        return subprocess.run(
            [*enter, "--", "sh", "-c", f"cd /; {command}"],
            input=given, capture_output=True, text=True, check=False, env=environment, timeout=2 * PATIENCE,
        )  # fmt: skip

    def succeeds(self, command: str) -> bool:
        """Say whether a command ends with 0."""
        return self.call(command).returncode == 0

    def run(self, command: str, given: str = "") -> str:
        """Run a command that must succeed; return what it printed."""
        done = self.call(command, given)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file in it."""
        self.run(f"mkdir -p $(dirname {path}) && install -m {mode:o} /dev/stdin {path}", text)

    def psql(self, statement: str, database: str = "app") -> str:
        """Run SQL as PostgreSQL's administrator; return the rows, columns separated by |."""
        return self.run(f"su postgres -c 'psql -qAtX -v ON_ERROR_STOP=1 {database}'", statement)

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.run(f"systemctl show --value --property={name} {unit}")

    def forget(self) -> None:
        """Leave out of the journal what is in it by now."""
        self._cursor = json.loads(self.run("journalctl -n 1 -o json"))["__CURSOR"]

    def journal(self, unit: str) -> list[dict[str, Any]]:
        """Return a unit's entries."""
        after = f"--after-cursor='{self._cursor}'" if self._cursor else ""
        self.run("journalctl --sync")
        return [json.loads(line) for line in self.run(f"journalctl -o json -u {unit} {after}").splitlines()]

    def says(self, unit: str, what: str) -> bool:
        """Say whether a unit's journal has this in it."""
        return any(what in str(entry["MESSAGE"]) for entry in self.journal(unit))

    @staticmethod
    def wait(condition: Callable[..., Any], patience: float = PATIENCE) -> Any:
        """Wait until a condition is true, and return it."""
        deadline = time.monotonic() + patience
        while not (value := condition()):
            assert time.monotonic() < deadline, f"{condition} did not become true within {patience} s"
            time.sleep(0.1)
        return value


def install(root: Path, checkout: Path, wheels: Path, python: Sequence[str]) -> None:
    """Install the checkout, with what it needs, as the docs say.

    Raises:
        CannotRun: what it needs cannot be had.
    """
    call(
        *python, "-m", "pip", "wheel", "--quiet", "--constraint", str(checkout / "constraints.txt"),
        "--wheel-dir", str(wheels), f"{checkout}[console,systemd]",
    )  # fmt: skip
    shutil.copytree(wheels, root / "opt/wheels")
    commands = (
        "python3 -m venv /opt/rowhooks",
        "/opt/rowhooks/bin/pip install --quiet --no-index --find-links /opt/wheels 'rowhooks[console,systemd]'",
        "ln -s /opt/rowhooks/bin/rowhooks /usr/local/bin/rowhooks",
    )
    call("chroot", str(root), "sh", "-ec", " && ".join(commands))
