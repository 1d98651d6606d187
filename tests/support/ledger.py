"""The model of the interleavings: what transactions have written, and what the feed owes for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from rowhooks import ObjectChange

Rows = dict[int, int]
"""Key to stamp: each write leaves a stamp of its own in its row."""
Identity = tuple[str, int, int | None, int | None]
"""Action, key, and the row's stamp before and after: no two committed writes share it."""


@dataclass(frozen=True)
class Write:
    """One row created, updated or deleted by a statement that succeeded.

    Args:
        number: place among all writes, as they were made.
        key: the row.
        before: the row's stamp; None for a create.
        after: the row's new stamp; None for a delete.
        commits_before: how many transactions had been committed when it was made.
    """

    number: int
    key: int
    before: int | None
    after: int | None
    commits_before: int

    @property
    def identity(self) -> Identity:
        action = "create" if self.before is None else "delete" if self.after is None else "update"
        return action, self.key, self.before, self.after


def identity(change: ObjectChange) -> Identity:
    """Return what the write has that an object change records."""
    before, after = change.prechange, change.postchange
    assert change.changed_object_id == {"id": (after or before or {})["id"]}
    return (
        change.action,
        change.changed_object_id["id"],
        None if before is None else before["stamp"],
        None if after is None else after["stamp"],
    )


@dataclass
class Transaction:
    """An open or prepared transaction.

    Args:
        snapshot: the rows that REPEATABLE READ sees; None in READ COMMITTED.
        layers: what was written, the transaction's own and then each savepoint's.
        failed: only a rollback, whole or to a savepoint, is possible now.
    """

    snapshot: Rows | None = None
    layers: list[list[Write]] = field(default_factory=lambda: [[]])
    failed: bool = False

    @property
    def writes(self) -> list[Write]:
        return [write for layer in self.layers for write in layer]

    @property
    def held(self) -> set[int]:
        """The keys whose rows nobody else can write now."""
        return {write.key for write in self.writes}

    def row(self, key: int, committed: Rows) -> int | None:
        """Return the stamp of the row that a write would find; None where there is none."""
        return self.over(committed).get(key)

    def over(self, rows: Rows) -> Rows:
        """Return the rows as they are once this is committed over them."""
        rows = dict(rows)
        for write in self.writes:
            if write.after is None:
                del rows[write.key]
            else:
                rows[write.key] = write.after
        return rows

    def is_overtaken(self, key: int, committed: Rows) -> bool:
        """Say whether REPEATABLE READ must refuse to write this row: another one has, since the snapshot."""
        return self.snapshot is not None and key not in self.held and committed.get(key) != self.snapshot.get(key)


@dataclass(frozen=True)
class _Owed:
    write: Write
    commit: int

    def precedes(self, other: _Owed) -> bool:
        if self.commit == other.commit:
            return self.write.number < other.write.number
        return self.commit <= other.write.commits_before


class Ledger:
    """Commits and deliveries, entered as they happen; raises where the feed breaks its promise.

    Of two changes one precedes the other if the same transaction wrote it before, or if its transaction had been
    committed when the other was written. That a row's changes keep their order, and that a transaction which saw
    another's commit comes after it, both follow.
    """

    def __init__(self) -> None:
        self.commits = 0
        self.broken = False
        self.unread: dict[Identity, _Owed] = {}
        self._delivered: list[_Owed] = []

    def commit(self, writes: Iterable[Write]) -> None:
        """Enter a transaction's commit: from now on its changes are owed."""
        self.commits += 1
        self.unread |= {write.identity: _Owed(write, self.commits) for write in writes}

    @property
    def place(self) -> int:
        """How many changes have been delivered; to rewind to."""
        return len(self._delivered)

    def deliver(self, change: ObjectChange) -> None:
        """Enter a delivery.

        Raises:
            AssertionError: it is not owed, or another one had to come first.
        """
        delivered = identity(change)
        if delivered not in self.unread:
            twice = any(owed.write.identity == delivered for owed in self._delivered)
            self.fail(f"{delivered} was delivered twice" if twice else f"{delivered} is delivered and not committed")
        owed = self.unread.pop(delivered)
        for other in self.unread.values():
            if other.precedes(owed):
                self.fail(f"{delivered} was delivered before {other.write.identity}")
        self._delivered.append(owed)

    def rewind(self, place: int) -> None:
        """Enter a restart: what was delivered behind this place is owed once more."""
        self.unread |= {owed.write.identity: owed for owed in self._delivered[place:]}
        del self._delivered[place:]

    def settle(self, commits: int) -> None:
        """Enter that the reader has found nothing more when there had been so many commits.

        Raises:
            AssertionError: something of them was not delivered.
        """
        missing = [identity for identity, owed in self.unread.items() if owed.commit <= commits]
        if missing:
            self.fail(f"committed and not delivered: {missing}")

    def fail(self, what: str) -> None:
        """Raise; what is entered after it proves nothing."""
        self.broken = True
        raise AssertionError(what)
