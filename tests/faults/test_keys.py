"""A row whose key changes: its runs keep their order, in memory, in the table and under another leader."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import psycopg
import pytest

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.pipeline.scheduling.lanes import LONGEST_LANE
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import eventually, is_read, settled

Connection = psycopg.Connection[Any]


class Witness(JobHookReceiver):
    """Remembers the changes by the row's name, which stays; is held up at the first of row `a`."""

    class Meta:
        loads_object = False

    seen: ClassVar[dict[str, list[int]]] = {}
    going_on: ClassVar[set[str]] = set()
    release: ClassVar[asyncio.Event]

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        name = (change.object_data or {})["name"]
        assert name not in self.going_on, "two runs of one row at once"
        self.going_on.add(name)
        try:
            if name == "a" and not self.seen.get(name):
                await self.release.wait()
            await asyncio.sleep(0)
            self.seen.setdefault(name, []).append(change.id)
        finally:
            self.going_on.discard(name)


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    Witness.seen.clear()
    Witness.going_on.clear()
    Witness.release = asyncio.Event()


def pending(db: Connection) -> int:
    row = db.execute("select count(*) from rowhooks.job_result where status = 'PENDING'").fetchone()
    assert row is not None
    return int(row[0])


def update(db: Connection, id_: int, count: int) -> None:
    with db.transaction():
        for number in range(count):
            db.execute("update dcim.device set serial = %s where id = %s", (f"{number}", id_))


@pytest.mark.parametrize("is_taken_over", [False, True], ids=["one leader", "two leaders"])
@pytest.mark.parametrize("count", [1, LONGEST_LANE + 20], ids=["short", "long"])
@pytest.mark.parametrize("starts", [True, False], ids=["a run of the move", "no run of the move"])
async def test_runs_of_a_rows_new_key_wait_for_those_of_its_former_key(
    db: Connection, daemon_dsn: str, device: str, starts: bool, count: int, is_taken_over: bool
) -> None:
    add_hook(db, Witness, device)
    if not starts:
        db.execute("update rowhooks.job_hook set columns = '{serial}'")
    async with running_daemon(daemon_dsn, Witness, grace_period=0.1, batch_size=100):
        db.execute("insert into dcim.device values (1, 'a', null)")
        update(db, 1, count)
        # A chain, and a row that comes into the place of the first.
        db.execute("update dcim.device set id = 2 where id = 1")
        db.execute("update dcim.device set id = 3 where id = 2")
        db.execute("insert into dcim.device values (1, 'b', null)")
        update(db, 3, count)
        db.execute("insert into dcim.device values (9, 'z', null)")
        await eventually(lambda: Witness.seen.get("z"))
        await eventually(lambda: is_read(db))
        expected = db.execute(
            "select c.id from rowhooks.object_change as c where c.postchange ->> 'name' = 'a'"
            " and (%s or c.action = 'create' or c.prechange ->> 'serial' is distinct from c.postchange ->> 'serial')"
            " order by c.id",
            (starts,),
        ).fetchall()
        assert "a" not in Witness.seen
        if is_taken_over:
            await eventually(lambda: pending(db) >= len(expected) - 1)
        else:
            Witness.release.set()
            await settled(db)
    if is_taken_over:
        async with running_daemon(daemon_dsn, Witness, batch_size=100):
            db.execute("insert into dcim.device values (10, 'y', null)")
            db.execute("update dcim.device set serial = 'last' where id = 3")
            await eventually(lambda: Witness.seen.get("y"))
            assert "a" not in Witness.seen
            Witness.release.set()
            await settled(db)
    assert Witness.seen["a"][: len(expected)] == [id_ for (id_,) in expected]
    assert len(Witness.seen["a"]) == len(expected) + is_taken_over
    assert len(Witness.seen["b"]) == 1
