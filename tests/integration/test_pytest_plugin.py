"""pytest's plugin, as a user's project uses it: in a pytest of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

import rowhooks.integrations.pytest_plugin

CHECKOUT = Path(__file__).resolve().parents[2]
GUIDE = (CHECKOUT / "docs/testing.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
POLICY = """
from rowhooks import JobHookReceiver, register_jobs

class SerialPolicy(JobHookReceiver):
    def receive_job_hook(self, change, action, changed_object):
        if not changed_object.serial.startswith("SN-"):
            changed_object.serial = change.prechange["serial"]
            changed_object.save()

register_jobs(SerialPolicy)
"""
Pytest = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def inventory(empty_dsn: str) -> str:
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        conn.execute("create schema dcim")
        conn.execute("create table dcim.device (id integer primary key, name text not null, serial text)")
    return empty_dsn


@pytest.fixture
def run_pytest(tmp_path: Path) -> Pytest:
    """A project with the guide's first test and its receiver."""
    (tmp_path / "serial_policy.py").write_text(POLICY)
    (tmp_path / "test_policy.py").write_text(BLOCKS[0])

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ROWHOOKS_", "PYTEST"))}
        # By name: the environment may have been installed before there was an entry point.
        kept["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        return subprocess.run(
            [
                sys.executable, "-m", "pytest", "-q", "-p", "rowhooks.integrations.pytest_plugin", "-W", "error",
                *arguments,
            ],
            cwd=tmp_path, env={**kept, **environment}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run


def test_the_five_line_test_of_the_guide_passes_and_leaves_nothing(run_pytest: Pytest, inventory: str) -> None:
    done = run_pytest("--rowhooks-dsn", inventory)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    with psycopg.connect(inventory) as conn:
        assert conn.execute("select count(*) from dcim.device").fetchone() == (0,)


def test_the_complete_example_of_the_guide_passes(run_pytest: Pytest, inventory: str, tmp_path: Path) -> None:
    (example,) = (block for block in BLOCKS if "class Retire" in block)
    (tmp_path / "test_policy.py").write_text(example)
    done = run_pytest("--rowhooks-dsn", inventory)
    assert "5 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("way", ["environment", "settings", "fixture"])
def test_each_way_to_name_the_database(run_pytest: Pytest, inventory: str, tmp_path: Path, way: str) -> None:
    if way == "settings":
        (tmp_path / "pytest.ini").write_text(f"[pytest]\nrowhooks_dsn = {inventory}\n")
    if way == "fixture":
        (tmp_path / "conftest.py").write_text(
            f"import pytest\n@pytest.fixture(scope='session')\ndef rowhooks_dsn():\n    return {inventory!r}\n"
        )
    done = run_pytest(**({"ROWHOOKS_TEST_DSN": inventory} if way == "environment" else {}))
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_without_a_database_every_way_to_name_one_is_named(run_pytest: Pytest) -> None:
    done = run_pytest()
    assert done.returncode == 1
    for way in ("--rowhooks-dsn", "rowhooks_dsn in", "ROWHOOKS_TEST_DSN", "a fixture rowhooks_dsn"):
        assert way in done.stdout


def test_a_test_that_does_not_use_the_fixture_imports_no_driver(run_pytest: Pytest, tmp_path: Path) -> None:
    (tmp_path / "test_policy.py").write_text(
        "import sys\ndef test_it():\n    assert not {'psycopg', 'sqlalchemy', 'asyncpg'} & set(sys.modules)\n"
    )
    assert "1 passed" in run_pytest().stdout


def test_the_entry_point_names_the_plugin() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"rowhooks": rowhooks.integrations.pytest_plugin.__name__}
    assert not any(dependency.startswith("pytest") for dependency in project["dependencies"])
