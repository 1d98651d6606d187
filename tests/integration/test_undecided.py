"""Odd values: no writer dodges a conditional hook, and what cannot be decided says so in the run's log."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import psycopg
import pytest
from psycopg.types.json import Jsonb

from rowhooks import Hook, JobHookReceiver, ObjectChange
from rowhooks.cli import call
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.rows import first_value
from tests.support.waiting import eventually, settled

Connection = psycopg.Connection[Any]

BIG = {"attr": "amount", "op": "gt", "value": 1000}
NINES = "9" * 5000
DEEP = "[" * 3000 + "]" * 3000


class Policy(JobHookReceiver):
    fails: ClassVar[int] = 0

    def receive_job_hook(self, change: Any, action: str, changed_object: Any) -> None:
        if Policy.fails:
            Policy.fails -= 1
            raise RuntimeError("not yet")


class Batched(JobHookReceiver):
    class Meta:
        batch_size = 40
        batch_wait = 0.05

    async def receive_job_hooks(self, changes: list[ObjectChange]) -> None:
        self.logger.info("%d changes", len(changes))


class Declared(JobHookReceiver):
    class Meta:
        hooks = (Hook("dcim.payment", conditions=BIG, on_undecided="skip", name="Declared"),)

    def receive_job_hook(self, change: Any, action: str, changed_object: Any) -> None:
        pass


@pytest.fixture
def payment(db: Connection, device: str) -> str:
    """Return a tracked table with columns that take anything."""
    db.execute("create table dcim.payment (id integer primary key, amount numeric, config jsonb, raw json)")
    db.execute("grant select on dcim.payment to rowhooks_daemon")
    db.execute("select rowhooks.track('dcim.payment')")
    return "dcim.payment"


def conditional(db: Connection, receiver: type, table: str, conditions: Any, on_undecided: str = "run") -> None:
    add_hook(db, receiver, table, "create")
    db.execute("update rowhooks.job_hook set conditions = %s, on_undecided = %s", (Jsonb(conditions), on_undecided))


def started(db: Connection) -> list[int]:
    return [
        row[0]
        for row in db.execute(
            "select (r.object_id ->> 'id')::integer from rowhooks.job_result as r order by r.object_change_id"
        ).fetchall()
    ]


def lines(db: Connection) -> list[tuple[int, str, str]]:
    return db.execute(
        "select (r.object_id ->> 'id')::integer, e.level, e.message from rowhooks.job_log_entry as e"
        " join rowhooks.job_result as r on r.id = e.job_result_id order by r.object_change_id, e.id"
    ).fetchall()


NOT_A_NUMBER = (
    "the conditions could not be decided: amount gt: a string and a number cannot be put in order;"
    " the hook runs because on_undecided = run"
)


@pytest.mark.parametrize(
    ("conditions", "column", "value"),
    [
        (BIG, "amount", NINES),
        ({"attr": "config.kind", "value": "bribe"}, "config", f'{{"kind": "bribe", "x": {NINES}}}'),
        ({"attr": "config.kind", "value": "bribe"}, "config", f'{{"kind": "bribe", "x": {DEEP}}}'),
        ({"attr": "raw.kind", "value": "bribe"}, "raw", f'{{"kind": "bribe", "x": {DEEP}}}'),
        ({"attr": "amount", "value": 100.00000000000000001, "negate": True}, "amount", "100.00000000000000002"),
    ],
    ids=["a number of 5,000 digits", "such a number beside it", "nested 3,000 deep", "as json", "more digits than 15"],
)
async def test_an_odd_value_is_read_and_decided(
    db: Connection, daemon_dsn: str, payment: str, conditions: Any, column: str, value: str
) -> None:
    conditional(db, Policy, payment, conditions, "skip")
    db.execute(f"insert into dcim.payment (id, {column}) values (1, %s)", (value,))
    async with running_daemon(daemon_dsn, Policy):
        await settled(db)
    assert started(db) == [1]
    assert lines(db) == []


DUE = "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    "conditions",
    [
        {"attr": "due", "op": "eq", "value": DUE},
        {"attr": "due", "op": "in", "value": ["2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"]},
        {"and": [{"attr": "due", "op": "gte", "value": DUE}, {"attr": "due", "op": "lte", "value": DUE}]},
        {"attr": "config.due", "op": "eq", "value": DUE},
    ],
    ids=["eq", "in", "order", "inside of a document"],
)
async def test_a_writer_s_time_zone_dodges_no_hook(
    db: Connection, daemon_dsn: str, payment: str, conditions: Any
) -> None:
    db.execute("alter table dcim.payment add column due timestamptz")
    conditional(db, Policy, payment, conditions, "skip")
    # The last has an offset with seconds.
    zones = ["'UTC'", "'Asia/Tokyo'", "'America/St_Johns'", "'Asia/Kathmandu'", "interval '09:18:59'"]
    for number, zone in enumerate(zones, 1):
        db.execute(f"set time zone {zone}")
        db.execute(
            "insert into dcim.payment (id, due, config) values (%s, %s, jsonb_build_object('due', %s::timestamptz))",
            (number, DUE, DUE),
        )
    for number, step in ((11, 1), (12, -1)):
        db.execute(
            "insert into dcim.payment (id, due, config) select %s, d, jsonb_build_object('due', d)"
            " from (select %s::timestamptz + %s * interval '1 microsecond') as t (d)",
            (number, DUE, step),
        )
    async with running_daemon(daemon_dsn, Policy):
        await settled(db)
    assert started(db) == [1, 2, 3, 4, 5]
    written = db.execute("select count(distinct postchange ->> 'due') from rowhooks.object_change").fetchone()
    # All five in one zone, and the two beside them.
    assert written == (3,)


@pytest.mark.parametrize("on_undecided", ["run", "skip"])
async def test_what_cannot_be_decided_starts_the_hook_with_the_reason_in_its_log_or_is_skipped(
    db: Connection, daemon_dsn: str, payment: str, on_undecided: str, caplog: pytest.LogCaptureFixture
) -> None:
    conditional(db, Policy, payment, BIG, on_undecided)
    db.execute("insert into dcim.payment (id, amount) values (1, 5), (2, 'NaN'), (3, null), (4, 2000), (5, 'NaN')")
    async with running_daemon(daemon_dsn, Policy):
        await settled(db)
    runs = on_undecided == "run"
    assert started(db) == ([2, 4, 5] if runs else [4])
    assert lines(db) == ([(2, "warning", NOT_A_NUMBER), (5, "warning", NOT_A_NUMBER)] if runs else [])
    said = [record.getMessage() for record in caplog.records if "on_undecided" in record.getMessage()]
    assert said == [
        f"hook Policy {'runs' if runs else 'does not run'} because on_undecided = {on_undecided}:"
        " the conditions could not be decided: amount gt: a string and a number cannot be put in order"
    ]


async def test_a_row_that_could_not_be_captured_starts_the_hook(db: Connection, daemon_dsn: str, payment: str) -> None:
    conditional(db, Policy, payment, {"attr": "raw.kind", "value": "bribe"})
    db.execute("""insert into dcim.payment (id, amount, raw) values (1, 5, '{"kind": "bribe", "x": "\\u0000"}')""")
    db.execute("""insert into dcim.payment (id, amount, raw) values (2, 5, '{"kind": "gift"}')""")
    async with running_daemon(daemon_dsn, Policy):
        await settled(db)
    assert started(db) == [1]
    ((id_, level, message),) = lines(db)
    assert (id_, level) == (1, "warning")
    assert message.startswith("the conditions could not be decided: raw.kind eq: the ")
    assert message.endswith("could not be captured; the hook runs because on_undecided = run")


async def test_what_is_so_whatever_the_odd_value_means_is_decided(
    db: Connection, daemon_dsn: str, payment: str
) -> None:
    conditional(db, Policy, payment, {"and": [BIG, {"attr": "id", "op": "lt", "value": 10}]})
    db.execute("insert into dcim.payment (id, amount) values (1, 'NaN'), (11, 'NaN')")
    async with running_daemon(daemon_dsn, Policy):
        await settled(db)
    assert started(db) == [1]


async def test_each_run_of_a_batch_has_its_own_reason(db: Connection, daemon_dsn: str, payment: str) -> None:
    conditional(db, Batched, payment, BIG)
    db.execute("insert into dcim.payment (id, amount) values (1, 2000), (2, 'NaN'), (3, 'Infinity'), (4, 2000)")
    async with running_daemon(daemon_dsn, Batched):
        await settled(db)
    assert started(db) == [1, 2, 3, 4]
    assert lines(db) == [(1, "info", "4 changes"), (2, "warning", NOT_A_NUMBER), (3, "warning", NOT_A_NUMBER)]


async def test_a_run_that_is_retried_says_it_once(db: Connection, daemon_dsn: str, payment: str) -> None:
    conditional(db, Policy, payment, BIG)
    db.execute("insert into dcim.payment (id, amount) values (1, 'NaN')")
    Policy.fails = 1
    async with running_daemon(daemon_dsn, Policy):
        await settled(db)
        db.execute("select rowhooks.retry(r.id) from rowhooks.job_result as r")
        await eventually(lambda: db.execute("select 1 from rowhooks.job_result where status = 'SUCCESS'").fetchone())
    assert lines(db) == [(1, "warning", NOT_A_NUMBER)]


async def test_a_replay_runs_what_cannot_be_decided_and_says_so(
    db: Connection, daemon_dsn: str, payment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("insert into dcim.payment (id, amount) values (1, 5), (2, 'NaN'), (3, 2000)")
    conditional(db, Policy, payment, BIG)
    assert call(["replay", "--hook", "Policy", "--since", "1h", "--yes", "--json", "--dsn", daemon_dsn]) == 0
    assert json.loads(capsys.readouterr().out) == {"hook": "Policy", "runs": 2}
    async with running_daemon(daemon_dsn, Policy):
        await settled(db)
    assert started(db) == [2, 3]
    assert lines(db) == [(2, "warning", NOT_A_NUMBER)]


async def test_a_hook_declared_in_code_says_what_becomes_of_the_undecided(
    db: Connection, daemon_dsn: str, payment: str
) -> None:
    async with running_daemon(daemon_dsn, Declared):
        db.execute("update rowhooks.job set enabled = true")
    assert db.execute("select on_undecided from rowhooks.job_hook").fetchone() == ("skip",)
    db.execute("update rowhooks.job_hook set on_undecided = 'run'")
    db.execute("insert into dcim.payment (id, amount) values (1, 'NaN'), (2, 2000)")
    async with running_daemon(daemon_dsn, Declared):
        await settled(db)
    # The code has the last word.
    assert started(db) == [2]


def test_the_command_line_sets_shows_and_tests_it(
    db: Connection, dsn: str, payment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> tuple[int, str, str]:
        code = call([*words, "--dsn", dsn])
        said = capsys.readouterr()
        return code, said.out, said.err

    db.execute("insert into rowhooks.job (class_path, kind, name, enabled) values ('jobs.It', 'hook', 'It', true)")
    add = ["hooks", "add", "it", "--job", "It", "--table", payment, "--on", "create", "--conditions", json.dumps(BIG)]
    assert run(*add)[0] == 0
    assert json.loads(run("hooks", "list", "--json")[1])[0]["on_undecided"] == "run"
    db.execute("insert into dcim.payment (id, amount) values (1, 'NaN')")
    change_id = first_value(db, "select id from rowhooks.object_change")
    test = ["hooks", "test", "it", "--change", str(change_id)]
    assert run(*test)[:2] == (
        0, f"Hook it starts on change {change_id} (create of dcim.payment 1).\n  {NOT_A_NUMBER}\n"
    )  # fmt: skip
    assert json.loads(run(*test, "--json")[1])["undecided"] == NOT_A_NUMBER.partition(";")[0]

    assert run("hooks", "edit", "it", "--on-undecided", "skip")[0] == 0
    assert "skip" in run("hooks", "list")[1]
    code, out, _ = run(*test)
    assert code == 1
    assert out.endswith(f"  {NOT_A_NUMBER.partition(';')[0]}; the hook skips it, because on_undecided = skip\n")
    found = json.loads(run(*test, "--json")[1])
    assert (found["starts"], found["undecided"], len(found["reasons"])) == (False, None, 1)

    code, _, err = run("hooks", "edit", "it", "--on-undecided", "maybe")
    assert (code, "choose from: run, skip" in err) == (2, True)
    with pytest.raises(psycopg.errors.CheckViolation):
        db.execute("update rowhooks.job_hook set on_undecided = 'maybe'")
