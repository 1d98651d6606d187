"""`rowhooks run --reload`: a daemon that loads its code again when a file of it is saved."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rowhooks.domain.errors import SettingsError, UsageError
from rowhooks.runtime.reloading import check_reloading, watched_directories
from rowhooks.settings import load_settings
from tests.support.hooks import add_hook
from tests.support.imports import imports_undone
from tests.support.processes import Process
from tests.support.waiting import wait

Connection = psycopg.Connection[Any]
RECEIVER = """
import helper
from rowhooks import JobHookReceiver, register_jobs


class Says(JobHookReceiver):
    def receive_job_hook(self, change, action, changed_object):
        return [{said!r}, helper.SAID]


register_jobs(Says)
"""
REFUSED = "nothing is reloaded, the daemon goes on as it was: receivers' module policy.py cannot be imported: "

Start = Callable[[], Process]


@pytest.fixture
def start(tmp_path: Path, daemon_dsn: str, device: str) -> Iterator[Start]:
    started = []
    (tmp_path / "rowhooks.toml").write_text('receivers = ["policy.py"]\n')
    (tmp_path / "helper.py").write_text("SAID = 1\n")

    def start() -> Process:
        process = Process(daemon_dsn, tmp_path, "policy.py", options=["--reload"])
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def job(db: Connection, device: str) -> None:
    """A hook that starts the receiver on new rows of dcim.device."""

    class Says: ...

    Says.__module__, Says.__qualname__ = "policy", "Says"
    add_hook(db, Says, device, "create")


def write(directory: Path, said: str) -> None:
    (directory / "policy.py").write_text(RECEIVER.format(said=said))


def said(db: Connection, number: int) -> list[Any]:
    """Insert a row; return what the receiver says of it."""
    db.execute("insert into dcim.device (id, name) values (%s, 'sw')", (number,))
    query = "select result from rowhooks.job_result where finished_at is not null and object_id ->> 'id' = %s"
    wait(lambda: db.execute(query, (str(number),)).fetchone() is not None)
    [(result,)] = db.execute(query, (str(number),)).fetchall()
    return list(result)


def test_each_save_is_taken_up_and_what_cannot_be_loaded_is_not(
    db: Connection, job: None, start: Start, tmp_path: Path
) -> None:
    write(tmp_path, "first")
    process = start()
    process.wait_for("ready: ")
    pid = process.pid
    assert said(db, 1) == ["first", 1]
    write(tmp_path, "second")
    wait(lambda: process.count("ready: ") == 2)
    assert said(db, 2) == ["second", 1]
    (tmp_path / "policy.py").write_text("def (\n")
    process.wait_for(f"{REFUSED}SyntaxError: invalid syntax (policy.py, line 1)")
    assert said(db, 3) == ["second", 1]
    write(tmp_path, "third")
    wait(lambda: process.count("ready: ") == 3)
    assert said(db, 4) == ["third", 1]
    # What a receiver imports from beside it is its code too.
    (tmp_path / "helper.py").write_text("SAID = 2\n")
    wait(lambda: process.count("ready: ") == 4)
    assert said(db, 5) == ["third", 2]
    assert process.pid == pid
    assert not process.ended


def test_a_daemon_begins_without_a_receiver_and_the_next_save_mends_it(
    db: Connection, job: None, start: Start, tmp_path: Path
) -> None:
    (tmp_path / "policy.py").write_text("def (\n")
    process = start()
    process.wait_for("there is no receiver; the daemon waits until a file of its code is saved")
    process.wait_for("ready: ")
    assert process.says("receivers' module policy.py cannot be imported: SyntaxError")
    write(tmp_path, "mended")
    wait(lambda: process.count("ready: ") == 2)
    assert said(db, 1) == ["mended", 1]


def test_the_settings_are_taken_up_too(db: Connection, job: None, start: Start, tmp_path: Path) -> None:
    write(tmp_path, "first")
    process = start()
    process.wait_for("ready: ")
    (tmp_path / "rowhooks.toml").write_text("taks = 7\n")
    process.wait_for("nothing is reloaded, the daemon goes on as it was: rowhooks.toml: taks: unknown setting")
    (tmp_path / "rowhooks.toml").write_text("tasks = 7\n")
    wait(lambda: process.count("ready: ") == 2)


def test_it_stops_in_good_order(start: Start, tmp_path: Path) -> None:
    write(tmp_path, "first")
    process = start()
    process.wait_for("ready: ")
    process.send(signal.SIGTERM)
    assert process.ends() == 0
    assert not process.says("Traceback")


def test_a_service_reloads_by_its_manager(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--reload is for development") as refused:
        check_reloading({"NOTIFY_SOCKET": "/run/systemd/notify"})
    assert refused.value.hint == "take it out of the unit; to load new code: systemctl reload rowhooks"
    done = subprocess.run(
        [sys.executable, "-m", "rowhooks", "run", "--reload", "--receivers", "policy.py"],
        cwd=tmp_path, env={**os.environ, "NOTIFY_SOCKET": "/run/systemd/notify"},
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, "--reload is for development" in done.stderr) == (2, True)


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(SettingsError, match="the package watchfiles is not installed") as refused:
        check_reloading({})
    assert refused.value.hint == "run: pip install 'rowhooks[reload]'"


def test_the_directories_of_the_code_are_watched_and_not_those_of_what_is_installed(tmp_path: Path) -> None:
    for file in ("project/rowhooks.toml", "project/policies/one.py", "elsewhere/acme/sub/__init__.py"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / "elsewhere/acme/__init__.py").write_text("import acme.sub\nimport psycopg\n")
    with imports_undone(tmp_path):
        sys.path.insert(0, str(tmp_path / "elsewhere"))
        __import__("acme")
        settings = load_settings(
            tmp_path / "project/rowhooks.toml", receivers=("policies/one.py", "acme.receivers"), models=("acme:Device",)
        )
        watched = watched_directories(settings)
    assert [str(one.relative_to(tmp_path.resolve())) for one in watched] == [
        "elsewhere/acme", "elsewhere/acme/sub", "project", "project/policies",
    ]  # fmt: skip
