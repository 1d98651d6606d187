"""What goes on while things break: writers, receivers with effects inside and outside a transaction, the reckoning.

Each receiver notes (change id, hook) in a file before anything else, and most also in the table `effect`, in their
transaction. Besides, those add to two rows of `shared`, some in the wrong order, so that there are deadlocks; the sum
tells once more how many transactions have taken effect.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psycopg

RECEIVERS = '''
import asyncio, os, random, time
from rowhooks import JobHookReceiver, register_jobs
from sqlalchemy import text

EFFECT = text(
    "insert into effect (change_id, hook, object_id, daemon) values (:change_id, :hook, :object_id, :daemon)"
)
SHARED = text("update shared set n = n + 1 where id = :id")


class Hiccup(Exception):
    pass


def note(receiver, change):
    with open(os.environ["OUTSIDE"], "a") as file:
        file.write(f"{change.id} {type(receiver).__name__}\\n")


def two(change):
    ids = random.sample(range(20), 2)
    return ids if change.id % 10 == 0 else sorted(ids)


def effect(receiver, change):
    return {
        "change_id": change.id,
        "hook": type(receiver).__name__,
        "object_id": change.changed_object_id["id"],
        "daemon": os.getpid(),
    }


class Plain(JobHookReceiver):
    def receive_job_hook(self, change, action, changed_object):
        note(self, change)
        self.session.execute(EFFECT, effect(self, change))
        for id in two(change):
            self.session.execute(SHARED, {"id": id})
        if change.id % 53 == 0:
            time.sleep(1.2)


class Asynchronous(JobHookReceiver):
    async def receive_job_hook(self, change, action, changed_object):
        note(self, change)
        await self.session.execute(EFFECT, effect(self, change))
        for id in two(change):
            await self.session.execute(SHARED, {"id": id})
        if change.id % 59 == 0:
            await asyncio.sleep(1.2)


class Outside(JobHookReceiver):
    async def receive_job_hook(self, change, action, changed_object):
        note(self, change)
        if change.id % 61 == 0:
            await asyncio.sleep(1.2)


class Retried(JobHookReceiver):
    """Fails every other time, after having written."""

    class Meta:
        max_retries = 1000
        retry_backoff = 0.05
        retry_backoff_max = 0.2
        autoretry_for = (Hiccup,)

    def receive_job_hook(self, change, action, changed_object):
        note(self, change)
        self.session.execute(EFFECT, effect(self, change))
        for id in two(change):
            self.session.execute(SHARED, {"id": id})
        if random.random() < 0.5:
            raise Hiccup("again")


class Grouped(Plain):
    """Shares its transaction with other runs; fails now and then."""

    class Meta(Retried.Meta):
        group_commit = 10

    def receive_job_hook(self, change, action, changed_object):
        super().receive_job_hook(change, action, changed_object)
        if random.random() < 0.05:
            raise Hiccup("again")


class GroupedToo(Grouped):
    pass


register_jobs(Plain, Asynchronous, Outside, Retried, Grouped, GroupedToo)
'''
FILE = "workload_receivers.py"
INSIDE = ("Plain", "Asynchronous", "Retried", "Grouped", "GroupedToo")
HOOKS = (*INSIDE, "Outside")
OBJECTS = 25
DAEMON_LOGIN = "workload_daemon"

_SET_UP = f"""
create table thing (id integer primary key, value integer, note text);
create table effect (seq bigserial primary key, change_id bigint, hook text, object_id integer, daemon integer);
create table shared (id integer primary key, n bigint not null);
insert into shared select n, 0 from generate_series(0, 19) as n;
create role {DAEMON_LOGIN} login in role rowhooks_daemon;
grant select on thing to rowhooks_daemon;
grant select, insert on effect to rowhooks_daemon;
grant usage on sequence effect_seq_seq to rowhooks_daemon;
grant select, update on shared to rowhooks_daemon;
select rowhooks.track('thing');
"""


def set_up(conn: psycopg.Connection[Any], directory: Path) -> None:
    """Make the tables and hooks in a database with rowhooks installed, and the file of receivers."""
    (directory / FILE).write_text(RECEIVERS)
    conn.execute(_SET_UP)
    for name in HOOKS:
        conn.execute(
            "insert into rowhooks.job (class_path, kind, name, enabled) values (%s, 'hook', %s, true)",
            (f"{Path(FILE).stem}.{name}", name),
        )
    conn.execute(
        "insert into rowhooks.job_hook (name, job_id, type_create, type_update, type_delete)"
        " select j.name, j.id, true, true, true from rowhooks.job as j"
    )
    conn.execute(
        "insert into rowhooks.job_hook_table (job_hook_id, tracked_table_id)"
        " select h.id, t.id from rowhooks.job_hook as h cross join rowhooks.tracked_table as t"
    )


class Writers:
    """Applications that write, roll back, and go on when the server comes back.

    Args:
        dsn: the server, without any proxy between.
        seed: makes what they write.
        count: how many write at once.
        pause: seconds between two transactions of one of them, on average.
    """

    def __init__(self, dsn: str, seed: int, count: int = 2, pause: float = 0.12) -> None:
        self._dsn = dsn
        self._pause = pause
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(random.Random(f"{seed}/{number}"),), name=f"writer {number}")
            for number in range(count)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _write(self, rng: random.Random) -> None:
        while not self._stopping.is_set():
            # The server goes away now and then; what was committed is in its log, and nothing else counts.
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self._dsn, connect_timeout=2) as conn:
                conn.execute("set lock_timeout = '1s'")
                conn.commit()
                while not self._stopping.is_set():
                    self._transaction(conn, rng)
                    self._stopping.wait(rng.expovariate(1 / self._pause))
            self._stopping.wait(0.1)

    def _transaction(self, conn: psycopg.Connection[Any], rng: random.Random) -> None:
        try:
            for _ in range(rng.randint(1, 3)):
                self._statement(conn, rng)
            if rng.random() < 0.2:
                conn.execute("savepoint here")
                self._statement(conn, rng)
                conn.execute("rollback to here")
            self._stopping.wait(rng.expovariate(100))
            if rng.random() < 0.1:
                conn.rollback()
            else:
                conn.commit()
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            conn.rollback()

    @staticmethod
    def _statement(conn: psycopg.Connection[Any], rng: random.Random) -> None:
        id_, value = rng.randrange(OBJECTS), rng.randrange(10**6)
        if rng.random() < 0.15:
            conn.execute("delete from thing where id = %s", (id_,))
        else:
            conn.execute(
                "insert into thing values (%(id)s, %(value)s)"
                " on conflict (id) do update set value = excluded.value, note = %(note)s",
                {"id": id_, "value": value, "note": f"note {value}"},
            )


@dataclass(frozen=True)
class Reckoning:
    """What is found in the end.

    Args:
        changes: committed changes.
        runs: pairs of change and hook that were to be seen.
        again_outside: lines in the file beyond one for each pair.
    """

    changes: int
    runs: int
    again_outside: int


def reckon(conn: psycopg.Connection[Any], outside: Path) -> Reckoning:
    """Compare what was committed with what the receivers did; to be called when everything has ended."""
    changes = [row[0] for row in conn.execute("select id from rowhooks.object_change order by id").fetchall()]
    expected = {(change_id, hook) for change_id in changes for hook in HOOKS}

    effects: Counter[tuple[int, str]] = Counter()
    latest: dict[tuple[str, int], int] = {}
    for change_id, hook, object_id in conn.execute("select change_id, hook, object_id from effect order by seq"):
        effects[change_id, hook] += 1
        before = latest.get((hook, object_id), 0)
        assert change_id > before, (
            f"{hook} of object {object_id}: change {change_id} came after {before}\n{_of_lane(conn, hook, object_id)}"
        )
        latest[hook, object_id] = change_id
    assert {pair: count for pair, count in effects.items() if count != 1} == {}, "effects more than once"
    missing = sorted(pair for pair in expected if pair[1] in INSIDE and pair not in effects)
    assert missing == [], f"{len(missing)} effects are missing: {missing[:10]}\n{_on_record(conn, missing[:10])}"
    assert effects.keys() <= expected, "effects of changes that are not there"

    lines = Counter(
        (int(line.split()[0]), line.split()[1]) for line in outside.read_text().splitlines() if len(line.split()) == 2
    )
    unseen = sorted(expected - lines.keys())
    assert unseen == [], f"{len(unseen)} runs left nothing outside: {unseen[:10]}"

    results = conn.execute(
        "select status, count(*), count(distinct (object_change_id, job_hook_id)) from rowhooks.job_result group by 1"
    ).fetchall()
    assert results == [("SUCCESS", len(expected), len(expected))], results
    assert conn.execute("select sum(n) from shared").fetchone() == (2 * len(changes) * len(INSIDE),)
    return Reckoning(len(changes), len(expected), sum(lines.values()) - len(expected))


def _of_lane(conn: psycopg.Connection[Any], hook: str, object_id: int) -> str:
    """Return what has become of the runs of a hook for an object: their effects, in their order, and their results."""
    effects = conn.execute(
        "select seq, change_id, daemon from effect where hook = %s and object_id = %s order by seq", (hook, object_id)
    ).fetchall()
    results = conn.execute(
        "select object_change_id, id, attempt, started_at, finished_at from rowhooks.job_result"
        " where hook_name = %s and object_id ->> 'id' = %s::text order by id",
        (hook, object_id),
    ).fetchall()
    return "\n".join(map(str, ["seq, change, process:", *effects, "change, run, attempt, began, ended:", *results]))


def _on_record(conn: psycopg.Connection[Any], pairs: list[tuple[int, str]]) -> str:
    """Return what is on record of some runs: their results with their log lines."""
    return "\n".join(
        str(row)
        for change_id, hook in pairs
        for row in conn.execute(
            "select to_jsonb(r), (select jsonb_agg(to_jsonb(e) order by e.id) from rowhooks.job_log_entry as e"
            " where e.job_result_id = r.id) from rowhooks.job_result as r"
            " join rowhooks.job_hook as h on h.id = r.job_hook_id where r.object_change_id = %s and h.name = %s",
            (change_id, hook),
        ).fetchall()
        or [f"({change_id}, {hook!r}): no result"]
    )
