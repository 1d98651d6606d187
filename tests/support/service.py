"""Services of a real systemd: their database, their receivers, and what has come of them."""

from __future__ import annotations

from tests.support.machine import Machine

UNIT = "rowhooks.service"
RECEIVERS = """
import time
from pathlib import Path
from rowhooks import Hook, JobHookReceiver, register_jobs
from sqlalchemy import text

class Effects(JobHookReceiver):
    async def receive_job_hook(self, change, action, changed_object):
        if Path("/run/wedge").exists():
            time.sleep(3600)
        self.logger.warning("seen", extra={"object": changed_object})
        values = {"id": change.id, "code": "OLD"}
        await self.session.execute(text("insert into effect values (:id, :code)"), values)

class Slow(JobHookReceiver):
    def receive_job_hook(self, change, action, changed_object):
        self.session.execute(text("insert into effect values (:id, 'slow')"), {"id": change.id})
        time.sleep(3)

register_jobs(Effects, Slow)
"""
TABLES = """
create table thing (id integer primary key, name text);
create table effect (change_id bigint, code text, login name default session_user);
grant select on thing to rowhooks;
grant insert, select on effect to rowhooks;
"""


def make_database(machine: Machine, name: str) -> None:
    """Make a database as docs/operating.md says, with two jobs and their hooks."""
    machine.psql(f"drop database if exists {name} with (force)", "postgres")
    machine.psql(f"create database {name}", "postgres")
    machine.run(f"su postgres -c 'rowhooks init --dsn dbname={name}'")
    if machine.psql("select 1 from pg_roles where rolname = 'rowhooks'", name) == "":
        machine.psql("create role rowhooks login in role rowhooks_daemon", name)
    machine.psql(TABLES, name)
    machine.run(f"su postgres -c 'rowhooks track thing --dsn dbname={name}'")


def hook(machine: Machine, job: str, name: str = "app") -> None:
    """Enable a job that the daemon has found, and hook it to the table."""
    machine.wait(lambda: machine.psql(f"select 1 from rowhooks.job where class_path = 'effects.{job}'", name))
    as_admin = "su postgres -c 'rowhooks {} --dsn dbname=" + name + "'"
    machine.run(as_admin.format(f"jobs enable {job}"))
    machine.run(as_admin.format(f"hooks add {job} --job {job} --table thing --on create"))


def effects(machine: Machine, database: str = "app") -> list[str]:
    return machine.psql("select change_id from effect order by change_id", database).split()


def captured(machine: Machine, database: str = "app") -> list[str]:
    return machine.psql("select id from rowhooks.object_change order by id", database).split()


def all_have_run_once(machine: Machine, database: str = "app") -> bool:
    """Wait until each change has had its effect; say whether each had it once."""
    machine.wait(lambda: set(effects(machine, database)) >= set(captured(machine, database)))
    return effects(machine, database) == captured(machine, database)


def main_pid(machine: Machine, unit: str = UNIT) -> int:
    return int(machine.show(unit, "MainPID"))


def short_watchdog(machine: Machine, service: str) -> None:
    machine.write(f"/run/systemd/system/{service}.d/watchdog.conf", "[Service]\nWatchdogSec=3\nTimeoutAbortSec=2\n")
    machine.run(f"systemctl daemon-reload && systemctl restart {service}")


def start_waits_for_the_database(machine: Machine, service: str) -> None:
    """Start a service while PostgreSQL is stopped; check that it is active when PostgreSQL is there, and not before."""
    machine.run(f"systemctl stop {service} postgresql@15-main 2>/dev/null || systemctl stop {service} postgresql")
    machine.run(f"systemctl start --no-block {service}")
    machine.wait(lambda: "waiting for the database" in machine.show(service, "StatusText"))
    assert machine.show(service, "ActiveState") == "activating"
    machine.run("systemctl start postgresql postgresql@15-main 2>/dev/null || systemctl start postgresql")
    machine.wait(lambda: machine.show(service, "ActiveState") == "active")
