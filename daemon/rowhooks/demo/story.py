"""The demo's steps, in order; each says why, does it, and checks what it claims."""

from __future__ import annotations

import inspect
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from rowhooks.demo import evidence
from rowhooks.demo.evidence import Change, Ran
from rowhooks.demo.page import Page
from rowhooks.demo.receivers import AuditLine, DeviceCount, SerialPolicy
from rowhooks.demo.stage import APPLICATION_LOGIN, DAEMON_LOGIN, Stage
from rowhooks.receivers.registry import class_path

SITE, DEVICE, INTERFACE = "dcim.site", "dcim.device", "dcim.interface"
ACTIONS = ("create", "update", "delete")
HOOKS = (
    ("serials", SerialPolicy, (DEVICE,), ("update",)),
    ("counts", DeviceCount, (DEVICE,), ACTIONS),
    ("audit", AuditLine, (DEVICE, INTERFACE), ACTIONS),
)
SHOWN = 2
"""How many changes of one statement are shown; the others are counted."""
WRITERS, TRANSACTIONS, DEVICES = 4, 5, 10
"""Of the busy minute: connections at once, transactions of each, devices of each transaction."""
_USER = "inventory-api"


@dataclass(frozen=True)
class Effect:
    """What came of one transaction of the application."""

    changes: list[Change]
    runs: dict[int, list[Ran]]


class Story:
    """The steps, told on a page, played on a stage."""

    def __init__(self, stage: Stage, page: Page) -> None:
        self._stage = stage
        self._page = page
        self._requests = 0
        self._busy = (0, 0)

    def tell(self) -> None:
        """Play every step."""
        self._page.title(
            "A PostgreSQL database that already exists gets triggers; small Python classes, receivers, run when its "
            f"rows change. What is marked {self._page.mark} was checked against the database before it was printed."
        )
        self.build()
        self.attach()
        self.add_receivers()
        self.change_a_value()
        self.write_a_bad_serial()
        self.count_devices()
        self.write_at_once()
        self.knock_at_the_door()
        self.sum_up()

    def build(self) -> None:
        """Start the server, fill the inventory."""
        stage, page = self._stage, self._page
        page.step("An inventory", "A PostgreSQL of the demo's own, with the tables of some application in it.")
        with page.working("starting PostgreSQL"):
            stage.server.start()
            stage.build_inventory()
        page.say(f"PostgreSQL {stage.value('show server_version')} in {stage.server.directory}")
        page.say("")
        counts = {name: stage.value(f"select count(*) from {name}") for name in (SITE, DEVICE, INTERFACE)}  # noqa: S608
        page.table(None, ("table", "rows"), counts.items())

    def attach(self) -> None:
        """Install, track, and see that nothing started."""
        stage, page = self._stage, self._page
        page.step("Attach", "rowhooks adds a schema of its own and triggers; the tables themselves stay as they are.")
        page.commands("rowhooks init", f"rowhooks track {SITE} {DEVICE} {INTERFACE}")
        with page.working("installing schema rowhooks"):
            stage.attach(SITE, DEVICE, INTERFACE)
        tracked = stage.value("select count(*) from rowhooks.tracked_table where untracked_at is null")
        page.claim(f"{tracked} tables are tracked; their rows from before are no changes", (
            tracked == 3 and evidence.last_change(stage) == 0
        ))  # fmt: skip
        page.claim(
            f"the application's login, {APPLICATION_LOGIN}, may not read the log: its writes are logged all the same",
            not stage.value("select has_table_privilege(%s, 'rowhooks.object_change', 'select')", APPLICATION_LOGIN),
        )

    def add_receivers(self) -> None:
        """Start the daemon, enable the jobs, add the hooks."""
        stage, page = self._stage, self._page
        page.step(
            "Three receivers", "A receiver is a class; a job is a receiver that is known; a hook says when it runs."
        )
        page.say("One of the three, from rowhooks/demo/receivers.py:")
        page.source(textwrap.dedent(inspect.getsource(SerialPolicy)))
        page.commands("rowhooks run")
        with page.working("starting the daemon"):
            stage.daemon.start()
        found = stage.value("select count(*) from rowhooks.job where installed and not enabled")
        page.claim("the daemon has found the three jobs; a job is disabled until somebody enables it", found == 3)
        for name, cls, tables, actions in HOOKS:
            stage.enable(class_path(cls))
            stage.add_hook(name, class_path(cls), tables, actions)
            on_tables = " ".join(f"--table {name}" for name in tables)
            page.commands(
                f"rowhooks jobs enable {class_path(cls)}",
                f"rowhooks hooks add {name} --job {class_path(cls)} {on_tables} --on {','.join(actions)}",
            )
        page.claim(
            f"the daemon's login, {DAEMON_LOGIN}, is no superuser: of a device it may write the serial, and not the"
            " name",
            stage.value(
                "select not r.rolsuper and has_column_privilege(r.oid, 'dcim.device', 'serial', 'update')"
                " and not has_column_privilege(r.oid, 'dcim.device', 'name', 'update')"
                " from pg_roles as r where r.rolname = %s",
                DAEMON_LOGIN,
            ),
        )

    def change_a_value(self) -> None:
        """Show a change that is as it should be."""
        stage, page = self._stage, self._page
        page.step("A change", "The application changes a row; each hook on its table starts a receiver.")
        effect = self._apply("update dcim.device set status = 'active' where name = 'ams1-acc08'")
        page.say("  (A table's first run waits longest: the daemon looks its columns up.)")
        page.claim("one row was changed, and one change logged", len(effect.changes) == 1)
        page.claim("its three hooks started one run each, and each succeeded", _succeeded(effect, 3))
        line = stage.value("select coalesce(max(line), '') from dcim.audit_line")
        page.claim(f"the audit line is written: {line}", line == (
            f"{APPLICATION_LOGIN} as {_USER}: update dcim.device ams1-acc08: status planned -> active"
        ))  # fmt: skip

    def write_a_bad_serial(self) -> None:
        """Show the policy, and that its own write starts nothing."""
        stage, page = self._stage, self._page
        page.step(
            "A bad value", "A policy puts a bad serial back. Its own write is a receiver's, and starts no receiver."
        )
        before = stage.value("select serial from dcim.device where name = 'ams1-rtr01'")
        newest = evidence.last_change(stage)
        effect = self._apply("update dcim.device set serial = 'unknown' where name = 'ams1-rtr01'")
        [(now, writer)] = stage.ask("select serial, xmin::text from dcim.device where name = 'ams1-rtr01'")
        page.claim(f"the serial is {now} again", now == before and now != "unknown")
        page.claim(
            f"transaction {writer} put it back, and the log knows no change of that transaction",
            not stage.value("select exists (select from rowhooks.changes where transaction_id::xid = %s::xid)", writer),
        )
        owed = evidence.owed_after(stage, newest)
        page.claim(
            "so one change is logged, the application's, with one run a hook: the reverting write started nothing",
            len(effect.changes) == 1 and _succeeded(effect, 3) and owed.paid,
        )

    def count_devices(self) -> None:
        """Show a counter kept right through a create, a move and a delete."""
        stage, page = self._stage, self._page
        page.step(
            "A counter", "site.device_count follows the devices, whatever program creates, moves or deletes them."
        )
        sites = ("ams1", "fra1")
        start = self._counts(*sites)
        newest = evidence.last_change(stage)
        self._apply(
            """
            insert into dcim.device (site_id, name, role, model, serial)
            select s.id, 'ams1-acc26', 'access', 'A-2400', 'SN-200001' from dcim.site as s where s.name = 'ams1'
            """
        )
        created = self._counts(*sites)
        self._apply(
            """
            update dcim.device set site_id = (select s.id from dcim.site as s where s.name = 'fra1')
            where name = 'ams1-acc26'
            """
        )
        moved = self._counts(*sites)
        deletion = self._apply("delete from dcim.device where name = 'fra1-acc25'")
        deleted = self._counts(*sites)
        page.table(
            "dcim.site.device_count",
            ("site", "at first", "created", "moved", "deleted"),
            list(zip(sites, start, created, moved, deleted, strict=True)),
        )
        a, f = start
        page.claim(
            "the counts are right after each step",
            (created, moved, deleted) == ((a + 1, f), (a, f + 1), (a, f)) and not evidence.wrong_counts(stage),
        )
        interfaces = [c for c in deletion.changes if c.table == INTERFACE and c.user == _USER]
        page.claim(
            f"the delete took {len(interfaces)} interfaces along: each is a change with the user's name on it",
            len(interfaces) == 8 and len(deletion.changes) == 9,
        )
        written = stage.value(
            "select count(*) from rowhooks.changes where id > %s and object_type = 'dcim.site'", newest
        )
        page.claim("dcim.site is tracked too, but the receiver's writes to it are no changes", written == 0)

    def write_at_once(self) -> None:
        """Show many writers at once, and one that rolls back."""
        stage, page = self._stage, self._page
        total = WRITERS * TRANSACTIONS * DEVICES
        page.step(
            "Many at once", "Several connections write at once and one rolls back; nothing is lost or counted twice."
        )
        newest = evidence.last_change(stage)
        lines = stage.value("select count(*) from dcim.audit_line")
        with page.working(f"{WRITERS} connections write"), ThreadPoolExecutor(WRITERS + 1) as pool:
            waiting = [pool.submit(self._write_devices, writer) for writer in range(WRITERS)]
            waiting.append(pool.submit(self._change_its_mind))
            for done in waiting:
                done.result()
        with page.working("the daemon runs the receivers"):
            stage.settle()
        self._busy = (newest, evidence.last_change(stage))
        creates, updates, devices = stage.ask(
            "select count(*) filter (where action = 'create'), count(*) filter (where action = 'update'),"
            " count(distinct object_id) from rowhooks.changes where id > %s",
            newest,
        )[0]
        owed = evidence.owed_after(stage, newest)
        page.say(
            f"  {WRITERS} connections, {WRITERS * TRANSACTIONS} transactions: {creates} devices created,"
            f" {updates} of them moved."
        )
        page.claim(f"{creates + updates} changes of {devices} devices are in the log", (
            (creates, updates, devices) == (total, total // 2, total)
        ))  # fmt: skip
        page.claim(f"their hooks asked for {owed.due} runs: each is there once, and succeeded", owed.due and owed.paid)
        written = stage.value("select count(*) from dcim.audit_line") - lines
        page.claim(f"{written} audit lines were written, one a change", written == creates + updates)
        wrong = evidence.wrong_counts(stage)
        page.claim("every site's device_count is right" + (f", but for {', '.join(wrong)}" if wrong else ""), not wrong)
        ghosts = stage.value(
            "select (select count(*) from rowhooks.changes where user_name = 'undecided')"
            " + (select count(*) from rowhooks.results where user_name = 'undecided')"
        )
        page.claim("the transaction that was rolled back left no change and started no run", ghosts == 0)
        [(seconds,)] = stage.ask(
            "select extract(epoch from max(r.finished_at) - min(c.time))::float from rowhooks.results as r"
            " join rowhooks.changes as c on c.id = r.object_change_id where c.id > %s",
            newest,
        )
        page.say(f"  From the first write to the end of the last run: {seconds:.2f} s.")

    def knock_at_the_door(self) -> None:
        """Show that the application cannot hide a change by saying that it is a receiver."""
        page = self._page
        page.step(
            "Nobody else's door", "Receivers' writes are known by a session variable. The application sets it too."
        )
        effect = self._apply(
            "update dcim.device set status = 'retired' where name = 'lhr1-acc09'",
            before="select set_config('rowhooks.receiver', 'let me in', true)",
        )
        page.claim(
            "it is no member of the daemon's role: its change is logged, and starts its three runs",
            len(effect.changes) == 1 and _succeeded(effect, 3),
        )

    def sum_up(self) -> None:
        """Show the numbers."""
        stage, page = self._stage, self._page
        page.step("In numbers", "Read from rowhooks.changes and rowhooks.results, as they stand now.")
        changes = stage.ask(
            "select object_type, count(*) filter (where action = 'create'), count(*) filter (where action = 'update'),"
            " count(*) filter (where action = 'delete') from rowhooks.changes group by object_type order by object_type"
        )
        page.table("Changes", ("table", "create", "update", "delete"), changes)
        runs = stage.ask(
            "select j.name, r.status, count(*),"
            " round(percentile_cont(0.5) within group (order by extract(epoch from r.finished_at - r.started_at))"
            "::numeric * 1000, 1)"
            " from rowhooks.results as r join rowhooks.job as j on j.class_path = r.class_path"
            " group by j.name, r.status order by j.name, r.status"
        )
        page.table("Runs", ("job", "status", "runs", "took, median ms"), runs)
        first, last = self._busy
        speeds = [
            ("one transaction at a time", evidence.speed_between(stage, 0, first)),
            ("many at once (step 7)", evidence.speed_between(stage, first, last)),
        ]
        page.table(
            "From commit to the start of a run",
            ("writes", "runs", "median ms", "longest ms"),
            [(name, speed.runs, f"{speed.median:.1f}", f"{speed.longest:.1f}") for name, speed in speeds],
        )
        owed = evidence.owed_after(stage, 0)
        page.claim(f"{owed.due} runs were due, {owed.recorded} are on record, {owed.succeeded} succeeded", owed.paid)

    def _apply(self, sql: str, *, before: str | None = None) -> Effect:
        """Let the application run a statement, wait for what comes of it, and show that."""
        stage, page = self._stage, self._page
        newest = evidence.last_change(stage)
        self._requests += 1
        for statement in (before, sql):
            if statement is not None:
                page.statement(APPLICATION_LOGIN, statement)
        with stage.application(_USER, f"req-{self._requests}") as conn:
            for statement in (before, sql):
                if statement is not None:
                    conn.execute(textwrap.dedent(statement))
        stage.settle()
        changes = evidence.changes_after(stage, newest)
        effect = Effect(changes, {change.id: evidence.runs_of(stage, change.id) for change in changes})
        for change in changes[:SHOWN]:
            page.change(change)
            for run in effect.runs[change.id]:
                page.run(run, evidence.lines_of(stage, run.id))
        if len(changes) > SHOWN:
            page.say(f"  ... and {len(changes) - SHOWN} more changes of the same transaction")
        return effect

    def _counts(self, *sites: str) -> tuple[int, ...]:
        query = "select s.device_count from dcim.site as s where s.name = any(%s) order by s.name"
        return tuple(count for (count,) in self._stage.ask(query, list(sites)))

    def _write_devices(self, writer: int) -> None:
        # Every writer creates devices at the same few sites, and moves half of them on in the same transaction.
        for number in range(TRANSACTIONS):
            with self._stage.application("bulk-import", f"import-{writer}-{number}") as conn:
                conn.execute(
                    "insert into dcim.device (site_id, name, role, model, serial)"
                    " select 1 + n %% 4, format('new-%%s-%%s-%%s', %(writer)s::int, %(number)s::int, n), 'access',"
                    " 'A-2400', format('SN-%%s', 300000 + 1000 * %(writer)s::int + 100 * %(number)s::int + n)"
                    " from generate_series(1, %(devices)s::int) as n",
                    {"writer": writer, "number": number, "devices": DEVICES},
                )
                conn.execute(
                    "update dcim.device set site_id = site_id + 1 where name like %s and id %% 2 = 0",
                    (f"new-{writer}-{number}-%",),
                )

    def _change_its_mind(self) -> None:
        with self._stage.application("undecided", "import-never") as conn:
            conn.execute("delete from dcim.device where site_id = 2")
            conn.rollback()


def _succeeded(effect: Effect, runs: int) -> bool:
    """Say whether every change has this many runs, and each succeeded."""
    return all(
        len(of_change) == runs and all(run.status == "SUCCESS" for run in of_change)
        for of_change in effect.runs.values()
    )
