"""Transactions in random interleavings against the feed's reader, and against the bell.

A state machine draws what happens next, one step at a time: on six connections to a real server transactions begin,
write rows, set savepoints and roll back to them, fail, are prepared, commit or roll back, while a reader reads a part,
or all there is, or is replaced by another one that begins at an earlier position. One thread takes all the steps, also
those that fall between two round trips of the reader's, so that it is known at each what has been committed; what is
random is which steps overlap which transactions.

The model (ledger.py) knows the committed rows, what each open transaction has written and at which savepoint, and so
which rows it holds: no step waits for a lock. Each write leaves a stamp of its own in its row, so that a delivered
change tells which write it is. What must hold:

- A change that is delivered is owed: its transaction has been committed, its savepoint was not rolled back, and since
  the position at which the reader began it was not delivered before.
- When the reader finds nothing more, nothing is owed any more that had been committed when it looked, however many
  transactions are open.
- A change comes after those that its transaction wrote before it, and after those of every transaction that had been
  committed when it was written; so the changes of a row come in the order of its writes.
- A reader that goes to sleep, having read all there was, is woken once something is owed.

The rows are few and transaction ids are drawn apart from the writes, so that a younger transaction often has the lower
change ids, which is where reading by ids or by snapshots alone goes wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import psycopg
import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test
from psycopg import sql

from rowhooks import ObjectChange
from rowhooks.domain.feed import Position, Snapshot
from rowhooks.domain.queues import Queues
from rowhooks.pipeline.listener import Bell
from rowhooks.pipeline.reader import Part, Reader
from rowhooks.postgres.configuration_source import PostgresConfiguration
from rowhooks.postgres.connections.connect import connect
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.feed import PostgresFeed
from rowhooks.postgres.leadership import epoch as leadership
from rowhooks.postgres.leadership.bell import PostgresBellLock
from rowhooks.postgres.results import PostgresResults
from rowhooks.postgres.values import RowDecoder
from tests.support.ledger import Transaction
from tests.support.writers import TABLE, TRANSACTION_ID, Connection, Writers, numbers, pick, transaction_of

SESSIONS = 6
MOST_PREPARED = 4
PATIENCE = 10.0
"""Seconds within which the bell must ring and the reader has read all; never reached unless something is broken."""

limits = st.sampled_from([1, 1, 1, 2, 3, 10])
# Steps that other rules take too, for the rules that take several at once. A transaction is named by its age.
Step = tuple[str, int, int]
ages = st.sampled_from([0, 0, 0, 1, 2, 3, 4])
write = st.tuples(st.just("write"), numbers, numbers)
writing = write | st.tuples(st.sampled_from(["commit", "write and commit"]), ages, numbers)
reading = st.one_of(
    write,
    st.tuples(st.sampled_from(["commit", "commit and read a part"]), ages, numbers),
    st.tuples(st.just("commit and read"), ages, numbers),
    st.tuples(st.sampled_from(["read a part", "restart"]), st.integers(0, 2), st.integers(1, 3)),
)


@dataclass
class World:
    """The connections, which all examples share."""

    runner: asyncio.Runner
    db: Connection
    sessions: list[Connection]
    connection: asyncpg.Connection[Any]
    control: asyncpg.Connection[Any]
    feed: PostgresFeed
    bell: Bell
    lock: PostgresBellLock

    def anchor(self) -> Position:
        """Return the position behind everything there is, while no transaction is open."""

        async def anchor() -> Position:
            newest_id = await self.feed.newest_id()
            await self.feed.anchor()
            snapshot, _ = await self.feed.look()
            return Position(snapshot, floor_id=newest_id, newest_id=newest_id)

        return self.runner.run(anchor())

    def stored(self, position: Position) -> Position:
        """Store a position as a leader does, and return what the next leader finds."""

        async def store() -> Position:
            leader_epoch = uuid.uuid4()
            await leadership.take_over(self.connection, leader_epoch, "old", 1, Queues())
            await PostgresResults(self.connection, leader_epoch).record([], [], position)
            return (await leadership.take_over(self.connection, uuid.uuid4(), "new", 1, Queues())).position

        return self.runner.run(store())


@pytest.fixture
def world(db: Connection, dsn: str, daemon_dsn: str) -> Iterator[World]:
    db.execute(TABLE)
    db.execute("select rowhooks.track('public.item')")
    bell = Bell(PATIENCE)

    async def open_feed() -> tuple[asyncpg.Connection[Any], asyncpg.Connection[Any], PostgresFeed]:
        connection, control = await connect(Target(daemon_dsn)), await connect(Target(daemon_dsn))
        await control.add_listener("rowhooks", lambda *_: bell.ring())
        decoder = RowDecoder()

        async def load() -> None:
            feed.tables = (await PostgresConfiguration(connection).load()).tables
            decoder.learn(feed.tables)

        feed = PostgresFeed(connection, decoder, load)
        await load()
        return connection, control, feed

    with contextlib.ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        sessions = [stack.enter_context(psycopg.connect(dsn, autocommit=True)) for _ in range(SESSIONS)]
        for session in sessions:
            # A step that waits is a mistake of the model's.
            session.execute("set lock_timeout = '5s'")
        connection, control, feed = runner.run(open_feed())
        stack.callback(lambda: runner.run(connection.close()))
        stack.callback(lambda: runner.run(control.close()))
        sleeping = runner.run(connect(Target(daemon_dsn)))
        stack.callback(lambda: runner.run(sleeping.close()))
        yield World(runner, db, sessions, connection, control, feed, bell, PostgresBellLock(sleeping, 0.001))


class Interleavings(Writers):
    """Transactions and a reader; it reads from this machine, which lets the writers go on before each round trip."""

    def __init__(self, world: World) -> None:
        super().__init__(world.db, world.sessions)
        self.world = world
        self.asleep = False
        self.by_parts = False
        self.meanwhile: list[Step] = []
        self.commits_seen = self.commits_read = 0
        # Each position that was handed out, and how much had been delivered there.
        self.places = [(world.anchor(), 0)]
        self.read_from(self.places[0][0], 2)

    @initialize(limit=limits)
    def choose_the_first_limit(self, limit: int) -> None:
        self.read_from(self.places[0][0], limit)

    def teardown(self) -> None:
        try:
            if not self.ledger.broken:
                self.end()
                self.rest()
        finally:
            self.clean()

    def read_from(self, position: Position, limit: int) -> None:
        async def configure(version: int) -> None:
            assert version > 0

        self.reader = Reader(self, position, limit, configure)

    # What the reader reads from: FeedSource.

    async def look(self) -> tuple[Snapshot, int]:
        self.let_the_writers_go_on()
        self.commits_seen = self.ledger.commits
        return await self.world.feed.look()

    async def next_batch(
        self, position: Position, limit: int, configure: Callable[[int], Awaitable[None]]
    ) -> tuple[Snapshot, list[ObjectChange], bool]:
        self.let_the_writers_go_on()
        self.commits_seen = self.ledger.commits
        return await self.world.feed.next_batch(position, limit, configure)

    async def anchor(self) -> None:
        self.let_the_writers_go_on()
        await self.world.feed.anchor()

    async def fetch(self, position: Position, limit: int) -> tuple[list[ObjectChange], bool]:
        self.let_the_writers_go_on()
        return await self.world.feed.fetch(position, limit)

    def let_the_writers_go_on(self) -> None:
        if self.meanwhile:
            self.take(self.meanwhile.pop(0))

    def take(self, step: Step) -> None:
        """Take a step if it can be taken now."""
        what, number, key = step
        if what == "write" and self.working():
            self.write_row(pick(self.working(), number), key, delete=key < 2)
        elif what == "write and commit" and self.idle():
            self.write_and_commit_in_one_statement(number, key, delete=key < 2)
        elif what.startswith("commit") and self.begun():
            self.commit(number)
        elif what == "restart":
            self.restart(number, limit=key, store=False)
        if what.endswith("read a part") or (what.endswith("read") and self.by_parts):
            self.next_part()
        elif what.endswith("read"):
            self.rest()

    # The reader.

    def next_part(self) -> Part | None:
        self.asleep = False
        part = self.world.runner.run(self.reader.next_part())
        if part is None:
            self.ledger.settle(self.commits_seen)
            return None
        for change, position in part.changes:
            note(f"  delivered: {change.id} of {change.transaction_id}, {change.action} {change.object_id_json}")
            self.ledger.deliver(change)
            self.places.append((position, self.ledger.place))
        self.places.append((part.end, self.ledger.place))
        return part

    @rule(meanwhile=st.lists(writing, max_size=3))
    def read_a_part(self, meanwhile: list[Step]) -> None:
        self.meanwhile = list(meanwhile)
        self.next_part()
        # Whatever the reader did, the writers have done the same.
        while self.meanwhile:
            self.let_the_writers_go_on()

    @rule(
        limit=limits,
        writes=st.lists(write, min_size=3, max_size=8),
        steps=st.lists(reading, min_size=5, max_size=15),
        by_parts=st.booleans(),
    )
    def overlap(self, limit: int, writes: list[Step], steps: list[Step], by_parts: bool) -> None:
        """Begin wherever none is open and write here and there; then end and read, close together.

        Of several transactions that are open, the oldest commits more often than others. That leaves the younger ones
        above the next snapshot's xmax, where no snapshot names them.
        """
        self.restart(1, limit=limit, store=False)
        for session in self.idle():
            self.begin_session(session, repeatable_read=False)
            session.conn.execute(TRANSACTION_ID)
        self.by_parts = by_parts
        for step in writes + steps:
            self.take(step)

    def something_was_committed(self) -> bool:
        return self.ledger.commits > self.commits_read

    @precondition(something_was_committed)
    @rule()
    def read_everything(self) -> None:
        self.rest()

    def rest(self) -> None:
        """Read until there is nothing more."""
        self.commits_read = self.ledger.commits
        # Each part has a change in it, or ends a batch. A batch without changes is what somebody else's transaction
        # brings, the server's own autovacuum or analyze among them, and these end.
        end = time.monotonic() + PATIENCE
        while self.next_part() is not None:
            if time.monotonic() > end:
                self.ledger.fail("the reader does not come to an end")

    @rule(back=numbers, limit=limits, store=st.booleans())
    def restart(self, back: int, limit: int, store: bool) -> None:
        del self.places[max(1, len(self.places) - back) :]
        position, place = self.places[-1]
        note(f"  at {position}")
        self.ledger.rewind(place)
        self.asleep = False
        if store:
            # This draws transaction ids.
            stored = self.world.stored(position)
            assert stored == position
        self.read_from(position, limit)


class Sleeps(Interleavings):
    """Transactions, and a reader that sleeps until the bell rings."""

    def rest(self) -> None:
        """Read until there is nothing more, and go to sleep, if nobody holds the bell lock."""
        super().rest()
        if self.asleep:
            self.wake_up()
        if not self.world.runner.run(self.world.lock.arm()):
            note("  the reader does not get the bell lock")
            return
        # What has been rung for what is read already has arrived after a round trip, and so cannot ring later.
        self.world.runner.run(leadership.probe(self.world.control, PATIENCE))
        self.world.bell.answer()
        super().rest()
        self.asleep = True

    def wake_up(self) -> None:
        self.world.runner.run(self.world.lock.disarm())
        self.asleep = False

    def restart(self, back: int, limit: int, store: bool) -> None:
        if self.asleep:
            self.wake_up()
        super().restart(back, limit, store)

    def clean(self) -> None:
        if self.asleep:
            self.wake_up()
        super().clean()

    def committed(self, transaction: Transaction) -> None:
        super().committed(transaction)
        if self.asleep and self.ledger.unread:
            if not self.world.runner.run(self.world.bell.wait()):
                self.ledger.fail(f"the reader sleeps on, and has not read {list(self.ledger.unread)}")
            self.wake_up()


class TwoPhase(Interleavings):
    """Transactions of which some are prepared first, and a reader for which nobody rings."""

    @precondition(lambda self: self.working() and len(self.prepared) < MOST_PREPARED)
    @rule(number=numbers)
    def prepare(self, number: int) -> None:
        session = pick(self.working(), number)
        # Prepared transactions have one name space in the whole cluster.
        name = uuid.uuid4().hex
        note(f"  session {session.number} prepares transaction {len(self.prepared)}")
        session.conn.execute(sql.SQL("prepare transaction {}").format(sql.Literal(name)))
        self.prepared[name], session.transaction = transaction_of(session), None

    @precondition(lambda self: self.prepared)
    @rule(number=numbers)
    def commit_prepared(self, number: int) -> None:
        self.commit_prepared_transaction(pick(list(self.prepared), number))

    @precondition(lambda self: self.prepared)
    @rule(number=numbers)
    def roll_back_prepared(self, number: int) -> None:
        name = pick(list(self.prepared), number)
        self.db.execute(sql.SQL("rollback prepared {}").format(sql.Literal(name)))
        del self.prepared[name]


def steps() -> settings:
    """As many examples as the profile says, of as many steps as it takes to overlap."""
    return settings(stateful_step_count=50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


# A failure takes minutes to be made small.
@pytest.mark.timeout(3600)
def test_whatever_overlaps_each_change_is_delivered_once_and_in_order_and_a_sleeping_reader_is_woken(
    world: World,
) -> None:
    run_state_machine_as_test(lambda: Sleeps(world), settings=steps())  # type: ignore[arg-type]


@pytest.mark.timeout(3600)
def test_whatever_overlaps_prepared_transactions_each_change_is_delivered_once_and_in_order(
    db: Connection, world: World
) -> None:
    if db.execute("show max_prepared_transactions").fetchone() == ("0",):
        pytest.skip("this server takes no prepared transactions (max_prepared_transactions = 0)")
    db.execute("select rowhooks.set_notify(false)")
    run_state_machine_as_test(lambda: TwoPhase(world), settings=steps())  # type: ignore[arg-type]
