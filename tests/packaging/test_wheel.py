"""The built wheel, in an environment of its own, with the checkout out of reach."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.builds import CHECKOUT, build
from tests.support.waiting import eventually

pytestmark = pytest.mark.packaging

DATA = ("sql", "alembic", "systemd")

RECEIVER = '''
from rowhooks import JobHookReceiver, register_jobs, table

Device = table("public.device")

class Upper(JobHookReceiver):
    """Write serials in capitals."""

    def receive_job_hook(self, change, action, changed_object):
        assert isinstance(changed_object, Device)
        changed_object.serial = changed_object.serial.upper()
        changed_object.save()

register_jobs(Upper)
'''


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


class Installation:
    """An environment with the wheel and its dependencies, and a directory to work in."""

    def __init__(self, root: Path, wheel: Path) -> None:
        self.bin = root / "venv" / "bin"
        self.work = root / "work"
        self.work.mkdir()
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "ROWHOOKS_", "VIRTUAL_ENV"))
        }
        subprocess.run([sys.executable, "-m", "venv", str(root / "venv")], check=True, env=self.environment)
        constraints = ["--constraint", str(CHECKOUT / "constraints.txt")]
        self(
            "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *constraints, f"{wheel}[daemon]"
        )

    def __call__(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(self.bin / program), *arguments],
            cwd=self.work, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{program} {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    @contextlib.contextmanager
    def daemon(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        log = self.work / "daemon.log"
        with (
            log.open("wb") as stream,
            subprocess.Popen(
                [str(self.bin / "rowhooks"), "run", *arguments],
                cwd=self.work, env=self.environment, stdout=stream, stderr=stream,
            ) as process,
        ):  # fmt: skip
            try:
                yield process
            except BaseException:
                sys.stderr.write(log.read_text())
                raise
            finally:
                if process.poll() is None:
                    process.kill()


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Installation:
    return Installation(tmp_path_factory.mktemp("installation"), wheel)


def test_the_wheel_carries_the_data_and_the_type_marker(wheel: Path) -> None:
    found = contents(wheel)
    expected = {
        f"rowhooks/_data/{path.relative_to(CHECKOUT)}": path.read_bytes()
        for name in DATA
        for path in (CHECKOUT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name: found.get(name) for name in expected} == expected
    assert "rowhooks/py.typed" in found
    for name in ("sql/install.sql", "alembic/env.py", "alembic/versions/release_0_2_0.py", "systemd/rowhooks.service"):
        assert f"rowhooks/_data/{name}" in found
    versions = [name for name in found if name.startswith("rowhooks/_data/alembic/versions/")]
    assert {Path(name).suffix for name in versions} == {".py", ".sql"}


def test_the_wheel_carries_everything_of_the_package_and_nothing_else(wheel: Path) -> None:
    found = {name for name in contents(wheel) if ".dist-info/" not in name and "/_data/" not in name}
    package = CHECKOUT / "daemon"
    # The statements beside the modules that run them.
    assert {name for name in found if name.endswith(".sql")} == {
        str(path.relative_to(package)) for path in package.rglob("*.sql")
    }
    assert found == {
        str(path.relative_to(package))
        for path in (package / "rowhooks").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_announces_its_plugins(wheel: Path) -> None:
    (entry_points,) = (text for name, text in contents(wheel).items() if name.endswith(".dist-info/entry_points.txt"))
    assert "[pytest11]\nrowhooks = rowhooks.integrations.pytest_plugin\n" in entry_points.decode()
    assert "[alembic.plugins]\nrowhooks = rowhooks.integrations.alembic.plugin\n" in entry_points.decode()


def test_the_sdist_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    # Without options, build makes the wheel from the sdist.
    from_sdist = build(tmp_path / "dist")
    assert len(list((tmp_path / "dist").glob("*.tar.gz"))) == 1
    assert from_sdist.name == wheel.name
    assert from_sdist.read_bytes() == wheel.read_bytes()


def test_the_installed_package_reads_nothing_of_the_checkout(installation: Installation) -> None:
    program = """
        import json, sys
        import rowhooks
        from rowhooks.resources import data_directory
        print(json.dumps({
            "module": rowhooks.__file__,
            "data": [str(data_directory(name)) for name in ("sql", "alembic", "systemd")],
            "path": sys.path,
        }))
    """
    found = json.loads(installation("python", "-c", textwrap.dedent(program)))
    environment = installation.bin.parent
    for path in (found["module"], *found["data"]):
        assert Path(path).is_relative_to(environment)
    assert not any(Path(path).is_relative_to(CHECKOUT) for path in found["path"])


def test_the_installed_wheel_does_the_main_job(installation: Installation, empty_dsn: str) -> None:
    def rowhooks(*arguments: str) -> Any:
        return installation("rowhooks", *arguments, "--dsn", empty_dsn)

    receivers = installation.work / "policies.py"
    receivers.write_text(RECEIVER)
    with psycopg.connect(empty_dsn, autocommit=True) as conn:

        def wait_for(query: str, expected: list[tuple[Any, ...]], process: subprocess.Popen[bytes]) -> None:
            def condition() -> bool:
                assert process.poll() is None, "the daemon has ended"
                return conn.execute(query).fetchall() == expected

            asyncio.run(eventually(condition))

        assert "installed" in rowhooks("init")
        conn.execute("create table device (id integer primary key, serial text)")
        assert rowhooks("track", "public.device") == "Tracking public.device.\n"
        with installation.daemon("--dsn", empty_dsn, "--receivers", "policies.py") as process:
            wait_for("select class_path from rowhooks.job", [("policies.Upper",)], process)
            rowhooks("jobs", "enable", "Upper")
            rowhooks("hooks", "add", "Capitals", "--job", "Upper", "--table", "public.device", "--on", "create,update")
            conn.execute("insert into device values (1, 'sn1')")
            wait_for("select status from rowhooks.job_result", [("SUCCESS",)], process)
            assert conn.execute("select serial from device").fetchall() == [("SN1",)]
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0
        (result,) = json.loads(rowhooks("results", "list", "--json"))
        assert (result["status"], result["class_path"], result["hook_name"]) == (
            "SUCCESS",
            "policies.Upper",
            "Capitals",
        )
        # The receiver's own write started nothing.
        assert len(json.loads(rowhooks("changes", "list", "--json"))) == 1
        assert "rowhooks is removed." in rowhooks("uninstall", "--yes")
