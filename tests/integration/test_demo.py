"""The demo keeps its promises, and notices when one of them is broken."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from rich.console import Console

from rowhooks.demo.page import Page
from rowhooks.demo.stage import Stage
from rowhooks.demo.story import run_demo
from rowhooks.domain.errors import RowhooksError

RUN = "import sys; from rich.console import Console; from rowhooks.demo.story import run_demo; "


def play() -> tuple[int, str]:
    """Run the demo into a file 100 columns wide; return its exit code and what it wrote."""
    written = io.StringIO()
    code = run_demo(keep=False, console=Console(file=written, width=100))
    return code, written.getvalue()


def directory_in(output: str) -> Path:
    """Return the server's directory, which the demo names."""
    found = re.search(r"^PostgreSQL [0-9.]+ in (\S+)$", output, re.MULTILINE)
    assert found, output
    return Path(found[1])


def is_running(pid: int) -> bool:
    """Say whether a process runs; one that ended and was not waited for by its parent does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return state.strip()[:1] not in ("", "Z")


class Subprocess:
    """The demo in a process of its own, read line by line."""

    def __init__(self, *, keep: bool, with_console: bool = False) -> None:
        asked = f"keep={keep}, with_console={with_console}"
        code = f"{RUN} sys.exit(run_demo({asked}, console=Console(width=100)))"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8"
        )
        self.output = ""

    def read_until(self, text: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if text in line:
                return
        pytest.fail(f"the demo ended before it wrote {text!r}:\n{self.output}")

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        self.output += self.process.communicate(timeout=60)[0]
        return self.process.returncode

    def __enter__(self) -> Subprocess:
        return self

    def __exit__(self, *_: Any) -> None:
        if self.process.poll() is None:
            self.end(signal.SIGTERM)


def test_the_demo_shows_the_main_job_and_leaves_nothing_behind() -> None:
    code, output = play()
    assert "NOT SO" not in output
    assert code == 0
    assert "warning: 'unknown' is no serial: put back to SN-100101" in output
    assert "✓ the serial is SN-100101 again" in output
    unwrapped = " ".join(output.split())
    assert "✓ one change is logged, the application's, with one run a hook; each succeeded" in unwrapped
    assert re.search(r"✓ transaction \d+ put it back, and no change of it is logged: it started nothing", unwrapped)
    assert (
        "✓ the audit line is written: inventory_app as inventory-api: update dcim.device ams1-acc08: status planned"
        in unwrapped
    )
    assert "✓ every site's device_count is right" in output
    assert "✓ their hooks asked for 700 runs: each is there once, and succeeded" in output
    assert "✓ the transaction that was rolled back left no change and started no run" in output
    assert "✓ 706 runs were due, 706 are on record, 706 succeeded" in output
    assert not directory_in(output).exists()


def test_the_demo_can_be_read_in_80_columns_without_colours() -> None:
    written = io.BytesIO()
    with io.TextIOWrapper(written, encoding="ascii", write_through=True) as file:
        page = Page(Console(file=file, width=80))
        page.title("a " * 100)
        page.step("A step", "Why it is shown.")
        page.source("class A:\n    " + "x = 1; " * 30)
        page.claim("one " * 40, True)
        page.table([{"name": "rows", "count": 3}])
        lines = written.getvalue().decode("ascii").splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in "".join(lines)


def test_the_demo_says_so_when_a_receiver_does_not_do_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    run_script = Stage.run_script

    def forbid_serials(stage: Stage, name: str) -> None:
        run_script(stage, name)
        if name == "daemon_role.sql":
            with stage.connect() as conn:
                conn.execute("revoke update (serial) on dcim.device from inventory_hooks")

    monkeypatch.setattr(Stage, "run_script", forbid_serials)
    code, output = play()
    assert code == 1
    assert "✗ NOT SO: the serial is unknown again" in output
    assert "✗ NOT SO: one change is logged" in output
    assert "of the claims above did not hold" in output
    assert not directory_in(output).exists()


def test_with_keep_the_demo_stays_up_until_sigint_and_then_leaves_nothing_behind() -> None:
    with Subprocess(keep=True) as demo:
        demo.read_until("Ctrl-C ends it.")
        directory = directory_in(demo.output)
        pid = int((directory / "data" / "postmaster.pid").read_text().splitlines()[0])
        assert is_running(pid)
        found = re.search(r"psql '(postgresql://inventory_app@\S+)'", demo.output)
        assert found, demo.output
        with psycopg.connect(found[1]) as conn:
            assert conn.execute("select count(*) > 500 from dcim.device").fetchone() == (True,)
        code = demo.end(signal.SIGINT)
    assert code == 0, demo.output
    assert not directory.exists()
    assert not is_running(pid)


def test_with_console_the_demo_prints_an_address_and_a_log_in_that_work() -> None:
    with Subprocess(keep=False, with_console=True) as demo:
        demo.read_until("Ctrl-C ends it.")
        directory = directory_in(demo.output)
        address = re.search(r"^Open (http://127\.0\.0\.1:\d+)$", demo.output, re.MULTILINE)
        log_in = re.search(r"^Log in as role (\S+) with password (\S+)$", demo.output, re.MULTILINE)
        assert address
        assert log_in
        with httpx.Client(base_url=address[1], headers={"origin": address[1]}) as browser:
            for role, password, status in (("postgres", "x", 401), (log_in[1], "x", 401), (*log_in.groups(), 303)):
                answer = browser.post("/login", data={"role": role, "password": password})
                assert answer.status_code == status
        code = demo.end(signal.SIGINT)
    assert code == 0, demo.output
    assert not directory.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_the_demo_leaves_nothing_behind(number: signal.Signals) -> None:
    with Subprocess(keep=False) as demo:
        demo.read_until("PostgreSQL 18")
        directory = directory_in(demo.output)
        pid = int((directory / "data" / "postmaster.pid").read_text().splitlines()[0])
        code = demo.end(number)
    assert code == 128 + number, demo.output
    assert not directory.exists()
    assert not is_running(pid)


def test_the_users_own_connection_settings_do_not_lead_the_demo_astray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("ROWHOOKS_LISTEN_DSN", "postgresql://192.0.2.1/other")
    code, _ = play()
    assert code == 0
    assert os.environ["PGHOSTADDR"] == "192.0.2.1"


def test_a_daemon_that_ends_is_an_error_that_quotes_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    start = Stage.start_daemon
    monkeypatch.setattr(Stage, "start_daemon", lambda stage, *_: start(stage, "no.such_module"))
    with pytest.raises(RowhooksError, match=r"did not do its work; its log ends: .*no\.such_module"):
        play()
