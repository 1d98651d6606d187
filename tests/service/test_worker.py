"""A worker as a service of a real systemd, beside its daemon."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.machine import Machine
from tests.support.service import (
    RECEIVERS,
    all_have_run_once,
    hook,
    main_pid,
    make_database,
    short_watchdog,
    start_waits_for_the_database,
)

pytestmark = pytest.mark.timeout(600)

UNIT = "rowhooks-worker.service"
SETTINGS = """
dsn = "dbname=app"
receivers = ["effects.py"]
queues = ["default", "work"]
default_queue = "work"
"""


@pytest.fixture
def worker(machine: Machine) -> Iterator[str]:
    """A worker that executes all that its daemon hands out, both services; they are taken away again."""
    machine.forget()
    make_database(machine, "app")
    machine.write("/etc/rowhooks/effects.py", RECEIVERS)
    machine.write("/etc/rowhooks/rowhooks.toml", SETTINGS)
    machine.run("rowhooks systemd install --now")
    machine.run("rowhooks systemd install --worker --now")
    hook(machine, "Effects")
    yield UNIT
    machine.call(f"rm -rf /run/wedge /run/systemd/system/{UNIT}.d; rowhooks systemd uninstall --worker")
    machine.call("rowhooks systemd uninstall; systemctl reset-failed; rm -rf /etc/rowhooks /etc/credstore")


def test_it_executes_what_the_daemon_hands_out_and_its_status_line_says_so(machine: Machine, worker: str) -> None:
    machine.psql("insert into thing values (1)")
    assert all_have_run_once(machine)
    assert machine.show(worker, "StatusText") == "working"


def test_its_start_waits_for_the_database(machine: Machine, worker: str) -> None:
    start_waits_for_the_database(machine, worker)


def test_one_that_hangs_is_started_again_by_the_watchdog_and_its_runs_come_again(machine: Machine, worker: str) -> None:
    short_watchdog(machine, worker)
    machine.run("touch /run/wedge")
    before = main_pid(machine, worker)
    machine.psql("insert into thing values (1)")
    machine.wait(lambda: machine.says(worker, "blocks the event loop"))
    machine.run("rm /run/wedge")
    machine.wait(lambda: main_pid(machine, worker) not in (0, before))
    assert machine.says(worker, "Watchdog timeout")
    # It says where it hung.
    assert machine.says(worker, "in receive_job_hook")
    assert all_have_run_once(machine)


def test_a_reload_takes_up_new_code_under_the_same_process_id(machine: Machine, worker: str) -> None:
    before = main_pid(machine, worker)
    machine.write("/etc/rowhooks/effects.py", RECEIVERS.replace("OLD", "NEW"))
    machine.run(f"systemctl reload {worker}")
    machine.wait(lambda: machine.says(worker, "reloading"))
    machine.psql("insert into thing values (1)")
    assert all_have_run_once(machine)
    assert machine.psql("select distinct code from effect") == "NEW"
    assert (main_pid(machine, worker), machine.show(worker, "ActiveState")) == (before, "active")


def test_it_stops_in_good_order(machine: Machine, worker: str) -> None:
    machine.run(f"systemctl stop {worker}")
    assert machine.show(worker, "Result") == "success"
    machine.psql("insert into thing values (1)")
    machine.run(f"systemctl start {worker}")
    assert all_have_run_once(machine)
