"""Reader: parts of batches between two snapshots."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from rowhooks import ObjectChange
from rowhooks.domain.feed import Position, Snapshot
from rowhooks.pipeline.reader import Part, Reader
from tests.support.make import change

EMPTY = Snapshot(100, 100)


class Log:
    """A log in memory, read by the rules of FeedSource; tells what it was asked."""

    def __init__(self, *changes: ObjectChange, snapshot: Snapshot = EMPTY, version: int = 1) -> None:
        self.changes = list(changes)
        self.snapshot = snapshot
        self.version = version
        self.asked: list[str] = []
        self.bound = 1000

    async def look(self) -> tuple[Snapshot, int]:
        self.asked.append("look")
        return self.snapshot, self.version

    async def anchor(self) -> None:
        self.asked.append("anchor")

    async def next_batch(
        self, position: Position, limit: int, configure: Callable[[int], Awaitable[None]]
    ) -> tuple[Snapshot, list[ObjectChange], bool]:
        snapshot, version = await self.look()
        changes, is_end = await self.fetch(position.aim(snapshot), limit)
        await configure(version)
        return snapshot, changes, is_end

    async def fetch(self, position: Position, limit: int) -> tuple[list[ObjectChange], bool]:
        self.asked.append("fetch")
        assert position.target is not None
        late = position.ended_since()
        found = [
            one
            for one in self.changes
            if one.id > position.after_id
            and (
                one.transaction_id in late
                or (
                    one.id > position.floor_id
                    and one.transaction_id >= position.snapshot.xmax
                    and position.target.sees(one.transaction_id)
                )
            )
        ]
        bound = min(limit, self.bound)
        return sorted(found, key=lambda one: one.id)[:bound], len(found) < bound

    async def configure(self, version: int) -> None:
        self.asked.append(f"configure {version}")

    def reader(self, position: Position, limit: int = 10) -> Reader:
        return Reader(self, position, limit, self.configure)


def entry(id_: int, transaction_id: int) -> ObjectChange:
    return change(id_, transaction_id=transaction_id)


def ids(part: Part | None) -> list[int]:
    assert part is not None
    return [one.id for one, _ in part.changes]


async def read(reader: Reader) -> list[int]:
    found: list[int] = []
    while (part := await reader.next_part()) is not None:
        found += ids(part)
    return found


async def test_nothing_new_is_no_part() -> None:
    log = Log(snapshot=EMPTY)
    assert await log.reader(Position(EMPTY)).next_part() is None
    assert log.asked == ["look", "fetch", "configure 1"]


async def test_a_part_carries_the_position_behind_each_change() -> None:
    target = Snapshot(103, 103)
    log = Log(entry(1, 100), entry(2, 101), snapshot=target)
    part = await log.reader(Position(EMPTY)).next_part()
    assert part is not None
    assert [(one.id, position) for one, position in part.changes] == [
        (1, Position(EMPTY, target, 1, newest_id=1)),
        (2, Position(EMPTY, target, 2, newest_id=2)),
    ]
    assert part.end == Position(target, None, newest_id=2)


async def test_the_configuration_is_known_before_any_change_is_read() -> None:
    log = Log(entry(1, 100), snapshot=Snapshot(101, 101), version=7)
    await log.reader(Position(EMPTY)).next_part()
    assert log.asked == ["look", "fetch", "configure 7"]


async def test_a_batch_larger_than_the_limit_is_read_in_parts_of_one_snapshot() -> None:
    target = Snapshot(110, 110)
    log = Log(*(entry(n, 100) for n in range(1, 6)), snapshot=target)
    reader = log.reader(Position(EMPTY), limit=2)
    first = await reader.next_part()
    # What is committed meanwhile waits for the next batch.
    log.snapshot = Snapshot(120, 120)
    log.changes.append(entry(6, 115))
    second, third, fourth = [await reader.next_part() for _ in range(3)]
    assert [ids(part) for part in (first, second, third, fourth)] == [[1, 2], [3, 4], [5], [6]]
    assert log.asked == ["look", "fetch", "configure 1", "fetch", "fetch", "anchor", "look", "fetch", "configure 1"]
    assert first is not None
    assert third is not None
    assert first.end == Position(EMPTY, target, 2, newest_id=2)
    assert third.end == Position(target, None, newest_id=5)


async def test_a_batch_of_exactly_the_limit_ends_with_an_empty_part() -> None:
    target = Snapshot(110, 110)
    log = Log(entry(1, 100), entry(2, 100), snapshot=target)
    reader = log.reader(Position(EMPTY), limit=2)
    assert ids(await reader.next_part()) == [1, 2]
    last = await reader.next_part()
    assert last == Part((), Position(target, None, newest_id=2))
    assert await reader.next_part() is None


async def test_a_restart_in_the_middle_of_a_batch_reads_its_rest_and_nothing_twice() -> None:
    target = Snapshot(110, 110)
    log = Log(*(entry(n, 100) for n in range(1, 5)), entry(5, 112), snapshot=Snapshot(120, 120), version=3)
    reader = log.reader(Position(EMPTY, target, after_id=2), limit=10)
    part = await reader.next_part()
    assert ids(part) == [3, 4]
    assert part is not None
    assert part.end == Position(target, None, newest_id=4)
    # The configuration was not known to this reader, so it looked, but kept to the batch in hand.
    assert log.asked == ["look", "configure 3", "fetch"]
    assert ids(await reader.next_part()) == [5]


async def test_a_restart_behind_the_last_change_of_a_batch_remembers_its_newest_id() -> None:
    target = Snapshot(110, 110)
    log = Log(entry(4, 100), snapshot=Snapshot(120, 120))
    part = await log.reader(Position(EMPTY, target, after_id=4, newest_id=4)).next_part()
    assert part == Part((), Position(target, None, newest_id=4))


async def test_a_late_change_comes_although_its_id_is_lower() -> None:
    log = Log(entry(2, 101), snapshot=Snapshot(100, 102, frozenset({100})))
    reader = log.reader(Position(EMPTY))
    assert await read(reader) == [2]
    log.changes.append(entry(1, 100))
    log.snapshot = Snapshot(102, 102)
    part = await reader.next_part()
    assert ids(part) == [1]
    assert part is not None
    assert (part.end.newest_id, part.end.floor_id) == (2, 0)


class Cluster(Log):
    """PostgreSQL's transactions, as snapshots show them: xmax is one past the last that has *ended*, so a younger
    transaction may be running at or above it, and holds ids already."""

    def __init__(self) -> None:
        super().__init__()
        self.open: dict[int, list[int]] = {}
        self.next_xid, self.next_id, self.last_ended = 100, 1, 99
        self.committed: list[int] = []

    def begin(self) -> int:
        xid, self.next_xid = self.next_xid, self.next_xid + 1
        self.open[xid] = []
        return xid

    def write(self, xid: int) -> None:
        self.open[xid].append(self.next_id)
        self.next_id += 1

    def end(self, xid: int, *, commit: bool) -> None:
        self.last_ended = max(self.last_ended, xid)
        written = self.open.pop(xid)
        if commit:
            self.changes += [entry(id_, xid) for id_ in written]
            self.committed += written

    async def anchor(self) -> None:
        self.end(self.begin(), commit=True)

    async def look(self) -> tuple[Snapshot, int]:
        xmax = self.last_ended + 1
        xip = frozenset(xid for xid in self.open if xid < xmax)
        return Snapshot(min(xip, default=xmax), xmax, xip), 1


@settings(max_examples=3 * settings().max_examples)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["begin", "write", "commit", "rollback", "read", "restart"]), st.integers(0, 9)),
        min_size=30,
        max_size=90,
    ),
    limit=st.integers(1, 5),
)
async def test_every_committed_change_comes_once_whatever_overlaps_and_wherever_it_restarts(
    steps: list[tuple[str, int]], limit: int
) -> None:
    cluster, position, delivered = Cluster(), Position(Snapshot(100, 100)), []
    reader = cluster.reader(position, limit)

    async def read() -> Position:
        part = await reader.next_part()
        delivered.extend(ids(part) if part else [])
        return part.end if part else position

    for step, number in steps:
        if step == "begin":
            cluster.begin()
        elif step == "read":
            position = await read()
        elif step == "restart":
            reader = cluster.reader(position, limit)
        elif cluster.open:
            xid = list(cluster.open)[number % len(cluster.open)]
            cluster.write(xid) if step == "write" else cluster.end(xid, commit=step == "commit")
    for xid in list(cluster.open):
        cluster.end(xid, commit=True)
    while (part := await reader.next_part()) is not None:
        delivered += ids(part)
    assert sorted(delivered) == sorted(cluster.committed)


async def test_a_part_that_is_shorter_than_the_limit_need_not_be_the_last() -> None:
    log = Log(*(entry(number, 100) for number in range(1, 6)), snapshot=Snapshot(101, 101))
    log.bound = 2
    reader = log.reader(Position(EMPTY), limit=10)
    parts = [await reader.next_part() for _ in range(3)]
    assert [[change.id for change, _ in part.changes] for part in parts if part is not None] == [[1, 2], [3, 4], [5]]
    assert [part.ends_batch for part in parts if part is not None] == [False, False, True]
