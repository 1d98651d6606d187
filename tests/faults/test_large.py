"""Long and large: runs that take an hour, transactions of a million rows, backlogs of millions, hot rows, huge rows.

With ROWHOOKS_FAULTS=long (`make faults`) in the sizes of the names, else in small ones.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.pipeline.scheduling.lanes import LONGEST_LANE
from rowhooks.runtime import ingest
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.processes import Process
from tests.support.waiting import eventually, is_read, settled, wait

Connection = psycopg.Connection[Any]

LONG = os.environ.get("ROWHOOKS_FAULTS") == "long"
PATIENCE = 3600.0


def size(long: int, short: int) -> int:
    return long if LONG else short


pytestmark = pytest.mark.timeout(3600 if LONG else 120)


class Witness(JobHookReceiver):
    """Remembers the ids of the changes, by object; may be held up at one of them."""

    class Meta:
        loads_object = False

    seen: ClassVar[dict[Any, list[int]]] = {}
    hot: ClassVar[Any] = None
    release: ClassVar[asyncio.Event]

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        id_ = change.changed_object_id["id"]
        if id_ == self.hot and not self.seen.get(id_):
            await self.release.wait()
        self.seen.setdefault(id_, []).append(change.id)


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    Witness.seen.clear()
    Witness.hot = None
    Witness.release = asyncio.Event()


def changes(db: Connection, where: str = "true") -> list[int]:
    return [row[0] for row in db.execute(f"select id from rowhooks.object_change where {where} order by id").fetchall()]


async def test_a_hot_row_whose_runs_stand_still_keeps_no_other_from_being_dealt_with(
    db: Connection, daemon_dsn: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hot, others = size(50_000, 3_000), size(10_000, 500)
    # What may wait in memory before nothing more is read.
    monkeypatch.setattr(ingest, "MOST_WAITING", size(12_000, 600))
    add_hook(db, Witness, device)
    Witness.hot = 0
    db.execute("insert into dcim.device values (0, 'hot', null)")
    async with running_daemon(daemon_dsn, Witness, time_limit=0, soft_time_limit=0, batch_size=500) as daemon:
        with db.transaction():
            for number in range(1, others + 1):
                db.execute("update dcim.device set serial = %s where id = 0", (f"{number}",))
                db.execute("insert into dcim.device values (%s, 'other', null)", (number,))
        with db.transaction():
            for number in range(hot - others):
                db.execute("update dcim.device set serial = %s where id = 0", (f"x{number}",))
        db.execute("insert into dcim.device values (-1, 'last', null)")
        await eventually(lambda: Witness.seen.get(-1), PATIENCE)
        # All of the others have been dealt with, and of the hot one's nothing.
        assert sum(map(len, Witness.seen.values())) == others + 1
        waiting = "select count(*) from rowhooks.job_result where status = 'PENDING'"
        await eventually(lambda: db.execute(waiting).fetchone() == (hot,), PATIENCE)
        assert daemon.ready.is_set()
        Witness.release.set()
        await eventually(lambda: len(Witness.seen.get(0, ())) == hot + 1, PATIENCE)
        await settled(db)
    assert Witness.seen[0] == changes(db, "object_id = '{\"id\": 0}'")
    assert db.execute("select status, count(*) from rowhooks.job_result group by 1").fetchall() == [
        ("SUCCESS", hot + others + 2)
    ]


async def test_a_long_lane_that_a_dead_leader_has_left_is_taken_over_in_order(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    count = 5 * LONGEST_LANE
    add_hook(db, Witness, device)
    Witness.hot = 0
    async with running_daemon(daemon_dsn, Witness, grace_period=0.1):
        db.execute("insert into dcim.device values (0, 'hot', null)")
        for number in range(1, count):
            db.execute("update dcim.device set serial = %s where id = 0", (f"{number}",))
        waiting = "select count(*) from rowhooks.job_result where status = 'PENDING'"
        await eventually(lambda: db.execute(waiting).fetchone() == (count - 1,))
    assert Witness.seen == {}
    Witness.release.set()
    async with running_daemon(daemon_dsn, Witness, batch_size=100):
        # New ones come while the lane is worked off, and must not overtake what is in the table.
        while len(Witness.seen.get(0, ())) < count - LONGEST_LANE:
            db.execute("update dcim.device set serial = gen_random_uuid()")
            await asyncio.sleep(0.01)
        await settled(db)
    assert Witness.seen[0] == changes(db)


async def test_a_transaction_of_a_million_rows_delays_nobody_while_it_is_open_and_comes_whole(
    db: Connection, dsn: str, daemon_dsn: str, device: str
) -> None:
    count = size(1_000_000, 20_000)
    add_hook(db, Witness, device)
    async with running_daemon(daemon_dsn, Witness):
        with psycopg.connect(dsn) as large:
            for rolled_back in (True, False):
                large.execute("insert into dcim.device select n, 'sw' from generate_series(1, %s::int) as n", (count,))
                large.execute("update dcim.device set serial = 'x' where id between 1 and %s", (count // 10,))
                for number in range(10):
                    id_ = -number - 1 - 100 * rolled_back
                    db.execute("insert into dcim.device values (%s, 'single', null)", (id_,))
                    await eventually(lambda id_=id_: Witness.seen.get(id_))
                assert len(Witness.seen) == 10 + 10 * (not rolled_back)
                if rolled_back:
                    large.rollback()
            large.commit()
        await eventually(lambda: len(Witness.seen) == count + 20, PATIENCE)
        await settled(db)
    assert sorted(id_ for ids in Witness.seen.values() for id_ in ids) == changes(db)
    assert all(ids == sorted(ids) for ids in Witness.seen.values())
    assert [len(Witness.seen[id_]) for id_ in (1, count // 10, count // 10 + 1)] == [2, 2, 1]


class Slow(JobHookReceiver):
    """Its first run goes on until the test lets it go."""

    class Meta:
        loads_object = False

    release: ClassVar[threading.Event]
    done: ClassVar[list[int]] = []

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        if action == "create":
            self.release.wait()
        self.done.append(change.id)


async def test_a_receiver_that_takes_an_hour_holds_back_its_own_row_and_nothing_else(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    Slow.release = threading.Event()
    Slow.done.clear()
    add_hook(db, Slow, device, name="slow")
    add_hook(db, Witness, device, "update", name="busy")
    try:
        async with running_daemon(daemon_dsn, Slow, Witness, time_limit=0, soft_time_limit=0) as daemon:
            db.execute("insert into dcim.device values (1, 'slow', null)")
            started = "select 1 from rowhooks.job_result where status = 'STARTED'"
            await eventually(lambda: db.execute(started).fetchone())
            for number in range(size(20_000, 500)):
                db.execute("update dcim.device set serial = %s where id = 1", (f"{number}",))
            await eventually(lambda: len(Witness.seen.get(1, ())) == size(20_000, 500), PATIENCE)
            # The position is behind all of them: what waits is on record.
            await eventually(lambda: is_read(db), PATIENCE)
            assert Slow.done == []
            assert daemon.ready.is_set()
            Slow.release.set()
            await eventually(lambda: len(Slow.done) == size(20_000, 500) + 1, PATIENCE)
            await settled(db)
    finally:
        Slow.release.set()
    assert Slow.done == changes(db)


RECEIVERS = """
import json, os, time
from pathlib import Path
from rowhooks import JobHookReceiver, register_jobs

def memory():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

class Look(JobHookReceiver):
    async def receive_job_hook(self, change, action, changed_object):
        row = change.postchange or change.prechange
        note = {
            "action": action,
            "memory": memory(),
            "length": len(row["serial"] or ""),
            "object": changed_object and len(changed_object.serial or ""),
        }
        with open(os.environ["OUTSIDE"], "a") as file:
            file.write(json.dumps(note) + "\\n")

register_jobs(Look)
"""


def looks(path: Path) -> list[dict[str, Any]]:
    # Of a line that is being written, only its beginning may be there.
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def looked(path: Path) -> int:
    """Return how many looks there are. To read them all takes longer than the daemon takes for some of them."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.fixture
def look(db: Connection, device: str) -> None:
    db.execute("insert into rowhooks.job (class_path, kind, name, enabled) values ('look.Look', 'hook', 'Look', true)")
    db.execute(
        "with hook as (insert into rowhooks.job_hook (name, job_id, type_create, type_update, type_delete)"
        " select name, id, true, true, true from rowhooks.job returning id)"
        " insert into rowhooks.job_hook_table select h.id, t.id from hook as h, rowhooks.tracked_table as t"
    )


@pytest.mark.parametrize("value", ["md5(n::text)", "repeat('x', 32)"], ids=["hardly compressed", "much compressed"])
def test_rows_of_30_megabytes_are_written_delivered_and_forgotten(
    db: Connection, daemon_dsn: str, look: None, tmp_path: Path, value: str
) -> None:
    (tmp_path / "look.py").write_text(RECEIVERS)
    megabytes, rows = 30, size(12, 5)
    # The log's is the compression that counts; twice takes twice as long.
    db.execute("alter table dcim.device alter serial set storage external")
    large = f"(select string_agg({value}, '') from generate_series(1, {megabytes * 2**15}) as n)"
    db.execute("insert into dcim.device values (0, 'small', null)")
    process = Process(daemon_dsn, tmp_path, "look.py")
    try:
        process.wait_for("ready: ")
        wait(lambda: looked(tmp_path / "outside") == 1)
        db.execute(f"insert into dcim.device select n, 'large', {large} from generate_series(1, {rows}) as n")
        db.execute("update dcim.device set name = 'still large' where id = 1")
        wait(lambda: looked(tmp_path / "outside") == rows + 2, 110)
        db.execute("delete from dcim.device where id = 1")
        wait(lambda: looked(tmp_path / "outside") == rows + 3, 110)
        db.execute("update dcim.device set name = 'small again' where id = 0")
        wait(lambda: looked(tmp_path / "outside") == rows + 4)
    finally:
        process.kill()
    seen = looks(tmp_path / "outside")
    assert [one["length"] for one in seen[1:-1]] == [megabytes * 2**20] * (rows + 2)
    assert [one["object"] for one in seen if one["action"] == "update"] == [megabytes * 2**20, 0]
    # A part has one of them. Each is in memory as the driver's bytes, as text, as JSON and as an object.
    assert max(one["memory"] for one in seen) < 500, [round(one["memory"]) for one in seen]


def test_memory_does_not_grow_with_the_backlog(db: Connection, daemon_dsn: str, look: None, tmp_path: Path) -> None:
    (tmp_path / "look.py").write_text(RECEIVERS)
    largest = []
    for count in (1_000, size(2_000_000, 20_000)):
        db.execute("truncate dcim.device")
        rows = "select n, 'sw', repeat('x', 100) from generate_series(1, %s) as n"
        db.execute(f"insert into dcim.device {rows}", (count,))
        (tmp_path / "outside").unlink(missing_ok=True)
        process = Process(daemon_dsn, tmp_path, "look.py")
        try:
            wait(lambda count=count: looked(tmp_path / "outside") >= min(count, 100_000), PATIENCE)
        finally:
            process.kill()
        largest.append(max(one["memory"] for one in looks(tmp_path / "outside")))
    assert largest[1] < 1.5 * largest[0], largest
