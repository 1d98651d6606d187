"""rowhooks as a service of a real systemd; each test is a line of the list of checks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.machine import Machine
from tests.support.service import (
    RECEIVERS,
    UNIT,
    all_have_run_once,
    hook,
    main_pid,
    make_database,
    short_watchdog,
    start_waits_for_the_database,
)

pytestmark = pytest.mark.timeout(600)

SETTINGS = """
dsn = "dbname={database}"
receivers = ["effects.py"]
"""


@pytest.fixture
def service(machine: Machine) -> Iterator[str]:
    """The service, installed, started and with its first job hooked; it is taken away again."""
    machine.forget()
    make_database(machine, "app")
    machine.write("/etc/rowhooks/effects.py", RECEIVERS)
    machine.write("/etc/rowhooks/rowhooks.toml", SETTINGS.format(database="app"))
    machine.run("rowhooks systemd install --now")
    hook(machine, "Effects")
    yield UNIT
    machine.call("rm -rf /run/wedge /run/systemd/system/rowhooks.service.d; rowhooks systemd uninstall")
    machine.call("systemctl reset-failed; rm -rf /etc/rowhooks /etc/credstore")


class Writer:
    """Inserts rows one at a time, in a thread, for the length of a block; failed ones are not counted."""

    def __init__(self, machine: Machine, first: int) -> None:
        self._machine = machine
        self._next = first
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self.written = 0

    def _write(self) -> None:
        while not self._ended.is_set():
            values = ", ".join(f"({self._next + n})" for n in range(5))
            done = self._machine.call(f"su postgres -c 'psql -qX app -c \"insert into thing values {values}\"'")
            self._next += 5
            self.written += done.returncode == 0

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._ended.set()
        self._thread.join()


def test_a_change_runs_a_receiver_as_the_daemons_login_and_no_root(machine: Machine, service: str) -> None:
    machine.psql("insert into thing values (1)")
    assert all_have_run_once(machine)
    assert machine.psql("select distinct login from effect") == "rowhooks"
    assert machine.run(f"stat -c %U /proc/{main_pid(machine)}") == "rowhooks"


def test_the_status_line_says_who_leads_and_what_waits(machine: Machine, service: str) -> None:
    machine.wait(lambda: "leading; backlog 0 changes" in machine.run(f"systemctl status {service}"))


def test_a_start_waits_for_the_database(machine: Machine, service: str) -> None:
    start_waits_for_the_database(machine, service)
    machine.psql("insert into thing values (1)")
    assert all_have_run_once(machine)


def test_a_killed_daemon_is_started_again_and_loses_nothing(machine: Machine, service: str) -> None:
    with Writer(machine, 1) as writer:
        for _ in range(3):
            before = main_pid(machine)
            machine.wait(lambda: writer.written > 3)
            writer.written = 0
            machine.run(f"kill -KILL {before}")
            machine.wait(lambda before=before: main_pid(machine) not in (0, before))
            machine.wait(lambda: machine.show(service, "ActiveState") == "active")
    assert int(machine.show(service, "NRestarts")) == 3
    assert all_have_run_once(machine)


def test_a_receiver_that_wedges_the_event_loop_has_the_daemon_restarted_and_its_run_comes_again(
    machine: Machine, service: str
) -> None:
    short_watchdog(machine, service)
    machine.run("touch /run/wedge")
    before = main_pid(machine)
    machine.psql("insert into thing values (1)")
    machine.wait(lambda: machine.says(service, "blocks the event loop"))
    machine.run("rm /run/wedge")
    machine.wait(lambda: main_pid(machine) not in (0, before))
    assert machine.says(service, "Watchdog timeout")
    assert all_have_run_once(machine)


def test_a_stopped_process_is_restarted_by_the_watchdog(machine: Machine, service: str) -> None:
    short_watchdog(machine, service)
    before = main_pid(machine)
    machine.run(f"kill -STOP {before}")
    machine.psql("insert into thing values (1)")
    machine.wait(lambda: main_pid(machine) not in (0, before))
    assert all_have_run_once(machine)


def test_the_watchdog_leaves_a_daemon_alone_that_is_idle_or_waits_for_its_database(
    machine: Machine, service: str
) -> None:
    short_watchdog(machine, service)
    before = main_pid(machine)
    time.sleep(5)
    machine.run("systemctl stop postgresql@15-main")
    time.sleep(5)
    machine.run("systemctl start postgresql@15-main")
    machine.psql("insert into thing values (1)")
    assert all_have_run_once(machine)
    assert main_pid(machine) == before


def test_a_restart_of_postgresql_is_survived(machine: Machine, service: str) -> None:
    before = main_pid(machine)
    with Writer(machine, 1) as writer:
        for _ in range(2):
            machine.wait(lambda: writer.written > 3)
            machine.run("systemctl restart postgresql@15-main")
            writer.written = 0
        machine.wait(lambda: writer.written > 3)
    assert all_have_run_once(machine)
    assert main_pid(machine) == before


def test_a_reload_takes_up_new_code_and_settings_under_the_same_process_id(machine: Machine, service: str) -> None:
    before = main_pid(machine)
    with Writer(machine, 1) as writer:
        machine.wait(lambda: writer.written > 3 and machine.psql("select 1 from effect where code = 'OLD' limit 1"))
        machine.write("/etc/rowhooks/effects.py", RECEIVERS.replace("OLD", "NEW"))
        machine.write("/etc/rowhooks/rowhooks.toml", SETTINGS.format(database="app") + 'http_listen = "9187"\n')
        machine.run(f"systemctl reload {service}")
        machine.wait(lambda: machine.psql("select 1 from effect where code = 'NEW' limit 1"))
    assert all_have_run_once(machine)
    assert machine.psql("select count(distinct code) from effect") == "2"
    assert main_pid(machine) == before
    assert machine.show(service, "ActiveState") == "active"
    assert machine.show(service, "NRestarts") == "0"
    code = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9187/readyz').status)"
    assert machine.run(f'python3 -c "{code}"') == "200"


def test_a_reload_with_wrong_settings_leaves_the_daemon_as_it_was(machine: Machine, service: str) -> None:
    before = main_pid(machine)
    machine.write("/etc/rowhooks/rowhooks.toml", "taks = 7\n")
    machine.run(f"systemctl reload {service}")
    machine.wait(lambda: machine.says(service, "nothing is reloaded"))
    machine.wait(lambda: machine.show(service, "ActiveState") == "active")
    machine.psql("insert into thing values (1)")
    assert all_have_run_once(machine)
    assert main_pid(machine) == before


def test_wrong_settings_do_not_start_it_again_and_again(machine: Machine, service: str) -> None:
    machine.write("/etc/rowhooks/rowhooks.toml", "taks = 7\n")
    assert not machine.succeeds(f"systemctl restart {service}")
    assert machine.show(service, "ActiveState") == "failed"
    assert machine.show(service, "ExecMainStatus") == "2"
    assert machine.show(service, "NRestarts") == "0"
    assert machine.says(service, "taks: unknown setting")


def test_a_stop_lets_a_running_receiver_end(machine: Machine, service: str) -> None:
    hook(machine, "Slow")
    machine.psql("insert into thing values (1)")
    machine.wait(
        lambda: "2 runs" in machine.show(service, "StatusText") or "1 runs" in machine.show(service, "StatusText")
    )
    machine.run(f"systemctl stop {service}")
    assert machine.psql("select count(*) from effect where code = 'slow'") == "1"
    assert machine.psql("select count(*) from rowhooks.job_result where status <> 'SUCCESS'") == "0"
    assert machine.show(service, "Result") == "success"


def test_the_journal_has_the_fields_of_a_run(machine: Machine, service: str) -> None:
    machine.psql("insert into thing values (1, 'core1')")
    assert all_have_run_once(machine)
    (entry,) = [one for one in machine.journal(service) if one["MESSAGE"] == "seen"]
    fields = {name: entry.get(name) for name in ("PRIORITY", "SYSLOG_IDENTIFIER", "ROWHOOKS_HOOK", "ROWHOOKS_TABLE")}
    assert fields == {
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "rowhooks",
        "ROWHOOKS_HOOK": "Effects",
        "ROWHOOKS_TABLE": "public.thing",
    }
    assert entry["ROWHOOKS_RUN"] == machine.psql("select id from rowhooks.job_result")
    assert entry["ROWHOOKS_OBJECT"] == machine.psql("select object_repr from rowhooks.object_change")
    found = machine.run(f"journalctl -o cat -n 1 -u {service} ROWHOOKS_TABLE=public.thing")
    assert found == "seen"


def test_a_password_comes_as_a_credential_and_is_seen_nowhere(machine: Machine, service: str) -> None:
    machine.psql("alter role rowhooks password 'c0rrect h0rse'")
    settings = SETTINGS.format(database="app host=127.0.0.1 user=rowhooks")
    machine.write("/etc/rowhooks/rowhooks.toml", settings)
    machine.write("/etc/credstore/rowhooks.password", "c0rrect h0rse\n", 0o600)
    machine.run(f"systemctl restart {service}")
    machine.psql("insert into thing values (1)")
    assert all_have_run_once(machine)
    where = machine.psql("select distinct client_addr from pg_stat_activity where usename = 'rowhooks'")
    assert where == "127.0.0.1"
    shown = machine.run(
        f"cat /proc/{main_pid(machine)}/cmdline /proc/{main_pid(machine)}/environ; systemctl show {service}"
    )
    assert "h0rse" not in shown
    assert not machine.says(service, "h0rse")


def test_two_instances_serve_two_databases(machine: Machine, service: str) -> None:
    machine.write("/etc/rowhooks/effects.py", RECEIVERS)
    for name in ("one", "two"):
        make_database(machine, name)
        machine.write(f"/etc/rowhooks/{name}.toml", SETTINGS.format(database=name))
        machine.run(f"rowhooks systemd install --instance {name} --now")
        hook(machine, "Effects", name)
        machine.psql("insert into thing values (1)", name)
    for name in ("one", "two"):
        assert all_have_run_once(machine, name)
    assert main_pid(machine, "rowhooks@one") != main_pid(machine, "rowhooks@two")
    machine.run("systemctl stop rowhooks@one")
    machine.psql("insert into thing values (2)", "two")
    assert all_have_run_once(machine, "two")
    for name in ("one", "two"):
        machine.run(f"rowhooks systemd uninstall --instance {name}")
    assert not machine.succeeds("ls /etc/systemd/system/rowhooks@.service")


def test_what_was_enabled_is_there_after_a_reboot(machine: Machine, service: str) -> None:
    machine.run("systemctl stop rowhooks")
    machine.psql("insert into thing values (1)")
    machine.reboot()
    machine.wait(lambda: machine.show(service, "ActiveState") == "active")
    machine.psql("insert into thing values (2)")
    assert all_have_run_once(machine)


def test_a_user_can_have_a_service_without_root(machine: Machine, service: str) -> None:
    machine.run("systemctl stop rowhooks")
    if not machine.succeeds("id alice"):
        machine.run("useradd --create-home alice && loginctl enable-linger alice")
    machine.psql(
        "do $$ begin create role alice login in role rowhooks_daemon; exception when duplicate_object then end $$"
    )
    machine.psql("grant select on thing to alice; grant insert, select on effect to alice")
    machine.write("/home/alice/.config/rowhooks/effects.py", RECEIVERS)
    machine.write("/home/alice/.config/rowhooks/rowhooks.toml", SETTINGS.format(database="app"))
    machine.run("chown -R alice: /home/alice")
    machine.wait(lambda: machine.succeeds("test -S /run/user/$(id -u alice)/systemd/private"))

    def as_alice(command: str) -> str:
        return machine.run(f"su - alice -c 'XDG_RUNTIME_DIR=/run/user/$(id -u) {command}'")

    as_alice("rowhooks systemd install --user --now")
    machine.psql("insert into thing values (1)")
    assert all_have_run_once(machine)
    assert machine.psql("select distinct login from effect") == "alice"
    as_alice("rowhooks systemd uninstall --user")
    assert machine.run("pgrep -u alice -f 'rowhooks run' || true") == ""


def test_an_uninstall_leaves_nothing_but_settings(machine: Machine, service: str) -> None:
    pid = main_pid(machine)
    machine.run("rowhooks systemd uninstall")
    assert not machine.succeeds(f"kill -0 {pid}")
    left = machine.run("find /etc/systemd /run/systemd/system /etc/sysusers.d -name '*rowhooks*'")
    assert left == ""
    assert machine.succeeds("test -f /etc/rowhooks/rowhooks.toml")


def test_the_exposure_is_at_most_1_5(machine: Machine, service: str) -> None:
    said = machine.run(f"systemd-analyze security --threshold=15 --no-pager {service}").splitlines()[-1]
    assert "Overall exposure level for rowhooks.service: 1." in said
