"""rowhooks installed as a tool: by pipx and by uv, from wheels alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.builds import CHECKOUT

pytestmark = pytest.mark.packaging


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """A directory with the wheel and all that it needs."""
    directory = tmp_path_factory.mktemp("wheels")
    constraints = ["--constraint", str(CHECKOUT / "constraints.txt")]
    command = ["-m", "pip", "wheel", "--quiet", *constraints, "--wheel-dir", str(directory), f"{wheel}[daemon]"]
    subprocess.run([sys.executable, *command], check=True)
    return directory


def installed_by(tool: str, wheels: Path, home: Path) -> Path:
    """Install rowhooks; return the command."""
    bin_ = home / "bin"
    programs = Path(sys.executable).parent
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP", "UV_", "VIRTUAL_ENV"))
    }
    if tool == "pipx":
        command = [
            str(programs / "pipx"),
            "install",
            f"--pip-args=--no-index --find-links {wheels}",
            "rowhooks[daemon]",
        ]
        environment |= {"PIPX_HOME": str(home / "pipx"), "PIPX_BIN_DIR": str(bin_)}
    else:
        command = [
            str(programs / "uv"),
            "tool",
            "install",
            "--no-index",
            "--find-links",
            str(wheels),
            "--python",
            sys.executable,
        ]
        command.append("rowhooks[daemon]")
        environment |= {
            "UV_TOOL_DIR": str(home / "uv"),
            "UV_TOOL_BIN_DIR": str(bin_),
            "UV_CACHE_DIR": str(home / "cache"),
        }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return bin_ / "rowhooks"


@pytest.mark.parametrize("tool", ["pipx", "uv"])
def test_the_tool_sets_a_database_up(tool: str, wheels: Path, tmp_path: Path, empty_dsn: str) -> None:
    command = installed_by(tool, wheels, tmp_path)

    def rowhooks(*arguments: str) -> str:
        done = subprocess.run(
            [command, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "ROWHOOKS_DSN": empty_dsn},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "installed" in rowhooks("init")
    assert json.loads(rowhooks("status", "--json"))["running"] is False
    assert "uninstall" in rowhooks("systemd", "--help")
