"""`rowhooks demo`: its steps in order. Each says why, does it, and checks what it claims."""

from __future__ import annotations

import contextlib
import inspect
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from rowhooks.demo.buttons import Activate
from rowhooks.demo.console import show_console
from rowhooks.demo.page import Page
from rowhooks.demo.receivers import AuditLine, DeviceCount, SerialPolicy
from rowhooks.demo.stage import APPLICATION_LOGIN, DAEMON_LOGIN, DATABASE, Stage
from rowhooks.domain import shell
from rowhooks.postgres.administration.hooks import add_hook
from rowhooks.postgres.administration.jobs import set_job_enabled
from rowhooks.postgres.administration.roles import Roles
from rowhooks.postgres.administration.schema import install
from rowhooks.postgres.administration.tables import track
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.statements import Statements
from rowhooks.receivers.classes import class_path

SQL = Statements(Path(__file__).with_name("story.sql"))
SITE, DEVICE = "dcim.site", "dcim.device"
ACTIONS = ("create", "update", "delete")
HOOKS = (("serials", SerialPolicy, ("update",)), ("counts", DeviceCount, ACTIONS), ("audit", AuditLine, ACTIONS))
WRITERS, TRANSACTIONS, DEVICES = 4, 20, 10
"""Of the busy step: connections, transactions of all of them, devices of each transaction."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """A signal asked the demo to end."""


def run_demo(*, keep: bool, console: Console, with_console: bool = False) -> int:
    """Show the main job on an embedded PostgreSQL, and leave nothing behind.

    Args:
        keep: stay up at the end, until SIGINT or SIGTERM.
        console: where to write.
        with_console: stay up with `rowhooks console`, and say how to log in there.

    Returns:
        0: everything was as it should be; 1: something was not; 128 + n: signal n ended it before its end.

    Raises:
        EmbeddedServerError: the server cannot be had or started.
        RowhooksError: the daemon did not start, or stopped working.
    """
    page = Page(console)
    try:
        with contextlib.ExitStack() as undo:
            # PGHOSTADDR and the like lead to a server of the user's.
            hidden = [name for name in os.environ if name.startswith("PG")]
            undo.callback(os.environ.update, {name: os.environ.pop(name) for name in hidden})
            Story(_stage(undo), page, with_console=with_console).tell(keep=keep or with_console)
    except Stopped as stopped:
        number = signal.Signals(stopped.args[0])
        page.say(f"{number.name} received: the server is stopped, its directory removed")
        return 128 + number
    page.say("The server is stopped, and its directory removed.")
    if page.false_claims:
        page.say(f"{len(page.false_claims)} of the claims above did not hold.")
    return int(bool(page.false_claims))


def _stage(undo: contextlib.ExitStack) -> Stage:
    """Return the stage; raise Stopped at the first SIGINT or SIGTERM; clear away undisturbed by another."""

    def ignore() -> None:
        # Not held: the programs that stop the server inherit it, and Ctrl-C goes to them too.
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def stop(number: int, _: FrameType | None) -> None:
        ignore()
        raise Stopped(number)

    for number in _SIGNALS:
        undo.callback(signal.signal, number, signal.signal(number, stop))
    stage = Stage()
    undo.callback(stage.close)
    undo.callback(ignore)
    return stage


class Story:
    """The steps, told on a page, played on a stage."""

    def __init__(self, stage: Stage, page: Page, *, with_console: bool = False) -> None:
        self._stage = stage
        self._page = page
        self._with_console = with_console

    def tell(self, *, keep: bool) -> None:
        """Play every step; stay up at the end, or say where to go next."""
        self._page.title(
            "A PostgreSQL database that already exists gets triggers; small Python classes, receivers, run when its "
            f"rows change. What is marked {self._page.mark} was checked against the database before it was printed."
        )
        self._attach()
        self._add_receivers()
        self._change_a_value()
        self._write_a_bad_serial()
        self._write_concurrently()
        self._sum_up()
        if keep:
            self._stay()
            return
        self._page.step("Where to go next", "The same on your own database: it needs no extension and no restart.")
        for command in ("rowhooks demo --keep", "rowhooks init --dsn postgresql://...", "rowhooks run"):
            self._page.command(command)

    def _attach(self) -> None:
        stage, page = self._stage, self._page
        page.step("Attach", "The tables of an inventory get triggers; rowhooks adds a schema of its own, nothing else.")
        stage.server.start()
        stage.server.run("createdb", f"--maintenance-db={stage.server.dsn()}", DATABASE)
        stage.run_script("inventory.sql")
        page.say(f"PostgreSQL {stage.ask('show server_version')[0]['server_version']} in {stage.server.directory}")
        page.command("rowhooks init")
        page.command(f"rowhooks track {SITE} {DEVICE}")
        install(Target(stage.dsn()), Roles())
        with stage.connect() as conn:
            for table in (SITE, DEVICE):
                track(conn, table, audit_receivers=False)
        stage.run_script("daemon_role.sql")
        [counts] = self._show(SQL["shown_tables"])
        page.claim("the rows that the tables have are no changes", counts["changes"] == 0 < counts["devices"])

    def _add_receivers(self) -> None:
        stage, page = self._stage, self._page
        page.step("Three receivers", "A receiver is a class, a job is a registered receiver; a hook says when it runs.")
        page.say("One of the three, from rowhooks/demo/receivers.py:")
        page.source(inspect.getsource(SerialPolicy))
        page.command("rowhooks run")
        stage.start_daemon(SerialPolicy.__module__, *([Activate.__module__] if self._with_console else []))
        stage.wait_until(SQL["three_jobs"])
        found = f"the daemon, as {DAEMON_LOGIN}, has found the three jobs; a job is disabled until you enable it"
        page.claim(found, stage.ask(SQL["three_jobs"])[0]["is_so"])
        with stage.connect() as conn:
            for name, cls, actions in HOOKS:
                job, on = class_path(cls), ["--table", DEVICE, "--on", ",".join(actions)]
                set_job_enabled(conn, job, enabled=True)
                page.command(shell.command("rowhooks", "jobs", "enable", job))
                add_hook(conn, name, job=job, tables=[DEVICE], actions=actions)
                page.command(shell.command("rowhooks", "hooks", "add", name, "--job", job, *on))

    def _change_a_value(self) -> None:
        self._page.step("A change", "The application changes a row; each hook on its table starts a receiver.")
        self._apply("inventory-api", "update dcim.device set status = 'active' where name = 'ams1-acc08'")
        line = self._stage.ask("select max(line) as line from dcim.audit_line")[0]["line"]
        right = f"{APPLICATION_LOGIN} as inventory-api: update dcim.device ams1-acc08: status planned -> active"
        self._page.claim(f"the audit line is written: {line}", line == right)

    def _write_a_bad_serial(self) -> None:
        self._page.step("A bad value", "A receiver puts a bad serial back. What it writes itself starts no receiver.")
        self._apply("stock-taking", "update dcim.device set serial = 'unknown' where name = 'ams1-rtr01'")
        [found] = self._stage.ask(SQL["serial_and_writer"])
        self._page.claim(f"the serial is {found['serial']} again", found["serial"] == "SN-100101")
        no_change = f"transaction {found['writer']} put it back, and no change of it is logged: it started nothing"
        self._page.claim(no_change, not found["is_logged"])

    def _write_concurrently(self) -> None:
        stage, page = self._stage, self._page
        page.step("Many writers", "Several connections write and one rolls back; nothing is lost or counted twice.")

        def write(number: int) -> None:
            # Every transaction creates devices at the same few sites, and moves half of them on.
            stage.write("bulk-import", (SQL["write_devices"], number, DEVICES), (SQL["move_devices"], number))

        with ThreadPoolExecutor(WRITERS + 1) as pool:
            delete = "delete from dcim.device where site_id = 2"
            undecided = pool.submit(stage.write, "undecided", (delete,), gives_up=True)
            list(pool.map(write, range(TRANSACTIONS)))
            undecided.result()
        stage.wait_until(SQL["settled"])
        owed = self._owed("bulk-import")
        are_logged = f"{TRANSACTIONS} transactions: {owed['changes']} changes are in the log"
        page.claim(are_logged, owed["changes"] == TRANSACTIONS * DEVICES * 3 / 2)
        page.claim(f"their hooks asked for {owed['due']} runs: each is there once, and succeeded", owed["is_paid"])
        page.claim("every site's device_count is right", not stage.ask(SQL["wrong_counts"]))
        undone = "the transaction that was rolled back left no change and started no run"
        page.claim(undone, not stage.ask(SQL["undecided"]))

    def _sum_up(self) -> None:
        self._page.step("In numbers", "Every run of the demo, and the median time from the commit to its start.")
        self._show(SQL["shown_numbers"])
        owed = self._owed()
        counted = "{due} runs were due, {recorded} are on record, {succeeded} succeeded".format(**owed)
        self._page.claim(counted, owed["is_paid"])

    def _stay(self) -> None:
        stage, page = self._stage, self._page
        if self._with_console:
            show_console(stage, page)
        psql = "psql" if shutil.which("psql") else str(stage.server.binaries / "psql")
        page.step("Your turn", "The server and the daemon stay up until Ctrl-C: change something, and see what runs.")
        page.say("As the application, which may write the inventory and nothing of rowhooks':")
        page.command(shell.command(psql, stage.dsn(APPLICATION_LOGIN)))
        for statement in (
            "update dcim.device set serial = 'none' where name = 'fra1-acc10' returning serial;",
            "select serial from dcim.device where name = 'fra1-acc10';",
            "select line from dcim.audit_line order by id desc limit 5;",
        ):
            page.command(statement, prompt="")
        page.say("As the administrator, who sees the log and the results:")
        page.command(shell.command(psql, stage.dsn()))
        page.command(shell.command("rowhooks", "results", "list", "--dsn", stage.dsn()))
        page.say("Ctrl-C ends it.")
        with contextlib.suppress(Stopped):
            code = stage.daemon and stage.daemon.wait()
            page.claim(f"the daemon runs (it ended with exit code {code})", None)

    def _apply(self, user: str, sql: str) -> None:
        """Let the application run a statement, wait for its runs, and show what the database says of them."""
        self._page.command(sql, f"{APPLICATION_LOGIN}=> ")
        self._stage.write(user, (sql,))
        self._stage.wait_until(SQL["settled"])
        self._show(SQL["shown_change"])
        self._show(SQL["shown_runs"])
        owed = self._owed(user)
        is_right = owed["changes"] == 1 and owed["due"] == 3 and owed["is_paid"]
        self._page.claim("one change is logged, the application's, with one run a hook; each succeeded", is_right)

    def _show(self, query: str) -> list[dict[str, Any]]:
        """Show a query and its answer; return it."""
        self._page.command(query, "postgres=> ")
        rows = self._stage.ask(query)
        self._page.table(rows)
        return rows

    def _owed(self, user: str | None = None) -> dict[str, Any]:
        """Return what is due because of a user's changes, or of all, and beside it what became of it."""
        return self._stage.ask(SQL["owed"], user)[0]
