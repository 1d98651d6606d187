"""The demo's steps, in order: each says why, does it, and checks what it claims."""

from __future__ import annotations

import inspect
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rowhooks.demo.page import Page
from rowhooks.demo.receivers import AuditLine, DeviceCount, SerialPolicy
from rowhooks.demo.stage import APPLICATION_LOGIN, DAEMON_LOGIN, SQL, Stage
from rowhooks.domain import shell
from rowhooks.postgres.administration.hooks import add_hook
from rowhooks.postgres.administration.jobs import set_job_enabled
from rowhooks.receivers.classes import class_path

SITE, DEVICE = "dcim.site", "dcim.device"
ACTIONS = ("create", "update", "delete")
HOOKS = (("serials", SerialPolicy, ("update",)), ("counts", DeviceCount, ACTIONS), ("audit", AuditLine, ACTIONS))
WRITERS, TRANSACTIONS, DEVICES = 4, 20, 10
"""Of the busy step: connections, transactions of all of them, devices of each transaction."""


class Story:
    """The steps, told on a page, played on a stage."""

    def __init__(self, stage: Stage, page: Page) -> None:
        self._stage = stage
        self._page = page

    def tell(self) -> None:
        """Play every step."""
        self._page.title(
            "A PostgreSQL database that already exists gets triggers; small Python classes, receivers, run when its "
            f"rows change. What is marked {self._page.mark} was checked against the database before it was printed."
        )
        self.attach()
        self.add_receivers()
        self.change_a_value()
        self.write_a_bad_serial()
        self.write_concurrently()
        self.sum_up()

    def attach(self) -> None:
        """Fill an inventory, install rowhooks and track the tables."""
        stage, page = self._stage, self._page
        page.step("Attach", "The tables of an inventory get triggers; rowhooks adds a schema of its own, nothing else.")
        stage.build_inventory()
        page.say(f"PostgreSQL {stage.ask('show server_version')[0]['server_version']} in {stage.server.directory}")
        page.commands("rowhooks init", f"rowhooks track {SITE} {DEVICE}")
        stage.attach(SITE, DEVICE)
        [counts] = self._show(SQL["shown_tables"])
        page.claim("the rows that the tables have are no changes", counts["changes"] == 0 < counts["devices"])

    def add_receivers(self) -> None:
        """Start the daemon, enable the jobs, add the hooks."""
        stage, page = self._stage, self._page
        page.step("Three receivers", "A receiver is a class, a job is a registered receiver; a hook says when it runs.")
        page.say("One of the three, from rowhooks/demo/receivers.py:")
        page.source(inspect.getsource(SerialPolicy))
        page.commands("rowhooks run")
        stage.daemon.start()
        stage.wait_until(SQL["three_jobs"])
        page.claim(f"the daemon, as {DAEMON_LOGIN}, has found the three jobs; a job is disabled until you enable it", (
            stage.ask(SQL["three_jobs"])[0]["is_so"]
        ))  # fmt: skip
        with stage.connect() as conn:
            for name, cls, actions in HOOKS:
                job = class_path(cls)
                set_job_enabled(conn, job, enabled=True)
                add_hook(conn, name, job=job, tables=[DEVICE], actions=actions)
                on = ["--table", DEVICE, "--on", ",".join(actions)]
                page.commands(
                    shell.command("rowhooks", "jobs", "enable", job),
                    shell.command("rowhooks", "hooks", "add", name, "--job", job, *on),
                )

    def change_a_value(self) -> None:
        """Show a change that is as it should be."""
        self._page.step("A change", "The application changes a row; each hook on its table starts a receiver.")
        self._apply("update dcim.device set status = 'active' where name = 'ams1-acc08'")
        [found] = self._stage.ask("select max(line) as line from dcim.audit_line")
        self._page.claim(f"the audit line is written: {found['line']}", found["line"] == (
            f"{APPLICATION_LOGIN} as inventory-api: update dcim.device ams1-acc08: status planned -> active"
        ))  # fmt: skip

    def write_a_bad_serial(self) -> None:
        """Show the policy, and that its own write starts nothing."""
        page = self._page
        page.step("A bad value", "A receiver puts a bad serial back. What it writes itself starts no receiver.")
        self._apply("update dcim.device set serial = 'unknown' where name = 'ams1-rtr01'")
        [found] = self._stage.ask(SQL["serial_and_writer"])
        page.claim(f"the serial is {found['serial']} again", found["serial"] == "SN-100101")
        page.claim(
            f"transaction {found['writer']} put it back, and no change of it is logged: it started nothing",
            not found["is_logged"],
        )

    def write_concurrently(self) -> None:
        """Show many writers, and one that rolls back."""
        stage, page = self._stage, self._page
        page.step("Many writers", "Several connections write and one rolls back; nothing is lost or counted twice.")
        newest = self._newest()
        with ThreadPoolExecutor(WRITERS + 1) as pool:
            delete = "delete from dcim.device where site_id = 2"
            undecided = pool.submit(stage.write, "undecided", (delete,), gives_up=True)
            list(pool.map(self._write_devices, range(TRANSACTIONS)))
            undecided.result()
        stage.wait_until(SQL["settled"])
        owed = self._owed_after(newest)
        page.claim(f"{TRANSACTIONS} transactions: {owed['changes']} changes are in the log", (
            owed["changes"] == TRANSACTIONS * DEVICES * 3 / 2
        ))  # fmt: skip
        page.claim(f"their hooks asked for {owed['due']} runs: each is there once, and succeeded", _paid(owed))
        page.claim("every site's device_count is right", not stage.ask(SQL["wrong_counts"]))
        page.claim("the transaction that was rolled back left no change and started no run", (
            not stage.ask(SQL["undecided"])
        ))  # fmt: skip

    def sum_up(self) -> None:
        """Show the numbers."""
        self._page.step("In numbers", "Every run of the demo, and the median time from the commit to its start.")
        self._show(SQL["shown_numbers"])
        owed = self._owed_after(0)
        self._page.claim("{due} runs were due, {recorded} are on record, {succeeded} succeeded".format(**owed), (
            _paid(owed)
        ))  # fmt: skip

    def _apply(self, sql: str) -> None:
        """Let the application run a statement, wait for its runs, and show what the database says of them."""
        newest = self._newest()
        self._page.statement(APPLICATION_LOGIN, sql)
        self._stage.write("inventory-api", (sql,))
        self._stage.wait_until(SQL["settled"])
        self._show(SQL["shown_change"])
        self._show(SQL["shown_runs"])
        owed = self._owed_after(newest)
        self._page.claim("one change is logged, the application's, with one run a hook; each succeeded", (
            owed["changes"] == 1 and owed["due"] == 3 and _paid(owed)
        ))  # fmt: skip

    def _show(self, query: str) -> list[dict[str, Any]]:
        """Show a query and its answer; return it."""
        self._page.statement("postgres", query)
        rows = self._stage.ask(query)
        self._page.table(rows)
        return rows

    def _newest(self) -> int:
        return int(self._stage.ask("select coalesce(max(id), 0) as id from rowhooks.object_change")[0]["id"])

    def _owed_after(self, change_id: int) -> dict[str, int]:
        return self._stage.ask(SQL["owed"], change_id)[0]

    def _write_devices(self, number: int) -> None:
        # Every transaction creates devices at the same few sites, and moves half of them on.
        self._stage.write("bulk-import", (SQL["write_devices"], number, DEVICES), (SQL["move_devices"], number))


def _paid(owed: dict[str, int]) -> bool:
    """Return whether every run is there that should be, and succeeded."""
    return owed["due"] == owed["recorded"] == owed["succeeded"] > 0
