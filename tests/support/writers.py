"""The writers of the interleavings: six sessions, and what a state machine may let them do next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString, TypeVar

import psycopg
import pytest
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from psycopg import sql

from tests.support.ledger import Ledger, Rows, Transaction, Write

Connection = psycopg.Connection[Any]
T = TypeVar("T")

KEYS = range(5)
TABLE = "create table public.item (id integer primary key, stamp integer not null)"
TRANSACTION_ID: LiteralString = "select pg_current_xact_id()"
CHANGE_ID: LiteralString = "select nextval('rowhooks.object_change_id_seq')"

numbers = st.integers(0, 9)


@dataclass
class Session:
    number: int
    conn: Connection
    transaction: Transaction | None = None


def when(candidates: Callable[[Any], list[Session]]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Allow a rule where there is a session that can follow it."""
    is_possible: Callable[[Callable[..., None]], Callable[..., None]] = precondition(
        lambda writers: bool(candidates(writers))
    )
    return is_possible


class Writers(RuleBasedStateMachine):
    """Transactions on `public.item`.

    Args:
        db: an administrator's connection, for what no session can do.
        conns: the sessions'; no transaction is open in them.
    """

    def __init__(self, db: Connection, conns: list[Connection]) -> None:
        super().__init__()
        self.db = db
        self.sessions = [Session(number, conn) for number, conn in enumerate(conns)]
        self.prepared: dict[str, Transaction] = {}
        self.rows: Rows = {}
        self.written = 0
        self.ledger = Ledger()
        self.together = False
        db.execute("delete from public.item")

    @initialize(together=st.booleans())
    def choose_when_transactions_begin(self, together: bool) -> None:
        """Let them begin at any time; or all at once, each with its id, and none before all of these have ended.

        In the latter case nobody draws transaction ids meanwhile, and snapshots do not get past the younger ones.
        """
        self.together = together

    def end(self) -> None:
        """Commit what is open, so that each example proves something."""
        for session in self.begun():
            self.commit_session(session)
        for name in list(self.prepared):
            self.commit_prepared_transaction(name)

    def clean(self) -> None:
        """Roll back whatever an example that failed has left behind."""
        for session in self.sessions:
            session.conn.execute("rollback")
        left = self.db.execute("select gid from pg_prepared_xacts where database = current_database()").fetchall()
        for (name,) in left:
            self.db.execute(sql.SQL("rollback prepared {}").format(sql.Literal(name)))

    # Who can do what now.

    def idle(self) -> list[Session]:
        if self.together and (self.begun() or self.prepared):
            return []
        return [session for session in self.sessions if session.transaction is None]

    def begun(self) -> list[Session]:
        return [session for session in self.sessions if session.transaction is not None]

    def working(self) -> list[Session]:
        return [session for session in self.begun() if not transaction_of(session).failed]

    def able(self) -> list[Session]:
        return self.idle() + self.working()

    def in_a_savepoint(self) -> list[Session]:
        return [session for session in self.begun() if len(transaction_of(session).layers) > 1]

    def able_to_release(self) -> list[Session]:
        return [session for session in self.in_a_savepoint() if not transaction_of(session).failed]

    # Beginning and writing.

    @when(idle)
    @rule(number=numbers, repeatable_read=st.booleans(), draw_an_id=st.booleans())
    def begin(self, number: int, repeatable_read: bool, draw_an_id: bool) -> None:
        for session in self.idle() if self.together else [pick(self.idle(), number)]:
            self.begin_session(session, repeatable_read=repeatable_read)
            if draw_an_id or self.together:
                session.conn.execute(TRANSACTION_ID)

    def begin_session(self, session: Session, *, repeatable_read: bool) -> None:
        note(f"  session {session.number} begins")
        session.conn.execute(f"begin isolation level {'repeatable read' if repeatable_read else 'read committed'}")
        if repeatable_read:
            # The snapshot is taken by the first statement that needs one.
            session.conn.execute("select")
        session.transaction = Transaction(dict(self.rows) if repeatable_read else None)

    @when(able)
    @rule(number=numbers, rows=st.lists(st.tuples(numbers, st.booleans()), min_size=1, max_size=3))
    def write(self, number: int, rows: list[tuple[int, bool]]) -> None:
        session = pick(self.able(), number)
        if session.transaction is None:
            self.begin_session(session, repeatable_read=False)
        for key, delete in rows:
            if not transaction_of(session).failed:
                self.write_row(session, key, delete=delete)

    @when(idle)
    @rule(number=numbers, key=numbers, delete=st.booleans())
    def write_and_commit_in_one_statement(self, number: int, key: int, delete: bool) -> None:
        session = pick(self.idle(), number)
        session.transaction = transaction = Transaction()
        self.write_row(session, key, delete=delete)
        session.transaction = None
        self.committed(transaction)

    def write_row(self, session: Session, number: int, *, delete: bool) -> None:
        transaction = transaction_of(session)
        others = [*(transaction_of(other) for other in self.begun() if other is not session), *self.prepared.values()]
        free = [key for key in KEYS if not any(key in other.held for other in others)]
        if not free:
            return
        key = pick(free, number)
        if transaction.is_overtaken(key, self.rows):
            self.write_overtaken_row(session, key)
            return
        before = transaction.row(key, self.rows)
        self.written += 1
        after = None if delete and before is not None else self.written
        write = Write(self.written, key, before, after, self.ledger.commits)
        note(f"  session {session.number}: {write}")
        if before is None:
            done = session.conn.execute("insert into public.item values (%s, %s)", (key, after))
        elif after is None:
            done = session.conn.execute("delete from public.item where id = %s", (key,))
        else:
            done = session.conn.execute("update public.item set stamp = %s where id = %s", (after, key))
        assert done.rowcount == 1
        transaction.layers[-1].append(write)

    def write_overtaken_row(self, session: Session, key: int) -> None:
        transaction = transaction_of(session)
        assert transaction.snapshot is not None
        note(f"  session {session.number} fails to write {key}, which another one has written")
        if key in transaction.snapshot:
            with pytest.raises(psycopg.errors.SerializationFailure):
                session.conn.execute("update public.item set stamp = 0 where id = %s", (key,))
        else:
            with pytest.raises(psycopg.errors.UniqueViolation):
                session.conn.execute("insert into public.item values (%s, 0)", (key,))
        transaction.failed = True

    @when(able)
    @rule(number=numbers, what=st.sampled_from([TRANSACTION_ID, CHANGE_ID]))
    def draw_an_id_for_nothing(self, number: int, what: LiteralString) -> None:
        session = pick(self.able(), number)
        note(f"  session {session.number}")
        session.conn.execute(what)

    # Savepoints and failures.

    @when(working)
    @rule(number=numbers)
    def set_a_savepoint(self, number: int) -> None:
        session = pick(self.working(), number)
        layers = transaction_of(session).layers
        note(f"  session {session.number}: s{len(layers)}")
        session.conn.execute(savepoint("savepoint", len(layers)))
        layers.append([])

    @when(in_a_savepoint)
    @rule(number=numbers, depth=numbers)
    def roll_back_to_a_savepoint(self, number: int, depth: int) -> None:
        session = pick(self.in_a_savepoint(), number)
        transaction = transaction_of(session)
        chosen = pick(range(1, len(transaction.layers)), depth)
        note(f"  session {session.number}: s{chosen}")
        session.conn.execute(savepoint("rollback to", chosen))
        transaction.layers[chosen:] = [[]]
        transaction.failed = False

    @when(able_to_release)
    @rule(number=numbers)
    def release_a_savepoint(self, number: int) -> None:
        session = pick(self.able_to_release(), number)
        layers = transaction_of(session).layers
        note(f"  session {session.number}: s{len(layers) - 1}")
        session.conn.execute(savepoint("release", len(layers) - 1))
        released = layers.pop()
        layers[-1] += released

    @when(working)
    @rule(number=numbers)
    def fail(self, number: int) -> None:
        session = pick(self.working(), number)
        note(f"  session {session.number}")
        with pytest.raises(psycopg.errors.DivisionByZero):
            session.conn.execute("select 1 / 0")
        transaction_of(session).failed = True

    # Ends.

    @when(begun)
    @rule(number=numbers)
    def commit(self, number: int) -> None:
        self.commit_session(pick(self.begun(), number))

    def commit_session(self, session: Session) -> None:
        note(f"  session {session.number}")
        transaction, session.transaction = transaction_of(session), None
        done = session.conn.execute("commit")
        assert done.statusmessage == ("ROLLBACK" if transaction.failed else "COMMIT")
        if not transaction.failed:
            self.committed(transaction)

    def committed(self, transaction: Transaction) -> None:
        self.rows = transaction.over(self.rows)
        self.ledger.commit(transaction.writes)

    @when(begun)
    @rule(number=numbers)
    def roll_back(self, number: int) -> None:
        session = pick(self.begun(), number)
        note(f"  session {session.number}")
        session.conn.execute("rollback")
        session.transaction = None

    def commit_prepared_transaction(self, name: str) -> None:
        self.db.execute(sql.SQL("commit prepared {}").format(sql.Literal(name)))
        self.committed(self.prepared.pop(name))


def pick(candidates: Sequence[T], number: int) -> T:
    return candidates[number % len(candidates)]


def transaction_of(session: Session) -> Transaction:
    assert session.transaction is not None
    return session.transaction


def savepoint(what: LiteralString, depth: int) -> sql.Composed:
    return sql.SQL(what + " {}").format(sql.Identifier(f"s{depth}"))
