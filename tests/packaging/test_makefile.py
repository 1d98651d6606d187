"""The Makefile says what it does while it installs, and is silent when all is there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.builds import CHECKOUT

PYTHON = """#!/bin/sh
# Stands for python: it makes an environment with itself in it, and installs nothing.
echo "python $*" >>"$LOG"
if [ "$2" = venv ]; then
  mkdir -p "$3/bin"
  cp "$0" "$3/bin/python"
  printf '#!/bin/sh\\necho the demo\\n' >"$3/bin/rowhooks"
  chmod +x "$3/bin/rowhooks"
fi
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(CHECKOUT / name, tmp_path)
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def demo(checkout: Path) -> list[str]:
    done = subprocess.run(
        ["make", "--no-print-directory", "demo", "PYTHON=./python", "VENV=environment"],
        cwd=checkout, env={"PATH": "/usr/bin:/bin", "LOG": str(checkout / "log")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def test_a_line_stands_before_each_slow_step_and_none_where_all_is_there(checkout: Path) -> None:
    first = demo(checkout)
    assert first[0] == "Making an environment in environment ..."
    assert first[1].startswith("Installing rowhooks and what its tests need")
    assert first[-1] == "the demo"
    called = (checkout / "log").read_text().splitlines()
    assert [line.split()[2] for line in called if line.startswith("python -m")] == ["venv", "pip"]
    assert demo(checkout) == ["environment/bin/rowhooks demo", "the demo"]
    assert (checkout / "log").read_text().splitlines() == called
