"""Where the feed stands: PostgreSQL's transaction snapshots, and the position made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self


@dataclass(frozen=True)
class Snapshot:
    """A pg_snapshot (PostgreSQL, "Transaction ID and Snapshot Information Functions").

    Args:
        xmin: every transaction below it had ended.
        xmax: no transaction from it on had ended; some of them may have been running.
        xip: the transactions between the two that were still open.
    """

    xmin: int
    xmax: int
    xip: frozenset[int] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read PostgreSQL's text form, `xmin:xmax:xip,xip`."""
        xmin, xmax, xip = text.split(":")
        return cls(int(xmin), int(xmax), frozenset(map(int, xip.split(","))) if xip else frozenset())

    def __str__(self) -> str:
        return f"{self.xmin}:{self.xmax}:{','.join(map(str, sorted(self.xip)))}"

    def sees(self, transaction_id: int) -> bool:
        """Say whether a transaction had ended when the snapshot was taken."""
        return transaction_id < self.xmax and transaction_id not in self.xip


class Position(NamedTuple):
    """How far the feed has been dealt with.

    Args:
        snapshot: every change visible in it has been dealt with.
        target: the batch in hand is what this one sees and `snapshot` does not; None between batches.
        after_id: of the batch in hand, the changes up to this id have been dealt with.
        floor_id: every transaction at or above the snapshot's xmax has drawn, and will draw, only higher ids.
        newest_id: the highest id that was dealt with.
    """

    snapshot: Snapshot
    target: Snapshot | None = None
    after_id: int = 0
    floor_id: int = 0
    newest_id: int = 0

    def aim(self, target: Snapshot) -> Position:
        """Return the position at the start of the batch up to `target`."""
        return self._replace(target=target, after_id=0)

    def past(self, change_id: int) -> Position:
        """Return the position behind one change of the batch in hand."""
        return Position(self.snapshot, self.target, change_id, self.floor_id, max(self.newest_id, change_id))

    def arrive(self, floor_id: int) -> Position:
        """Return the position behind the batch in hand; `floor_id` is the one that holds for its target."""
        assert self.target is not None, "there is no batch in hand"
        return Position(self.target, None, 0, max(self.floor_id, floor_id), self.newest_id)

    def ended_since(self) -> list[int]:
        """Return the transactions that were open at `snapshot` and had ended at `target`: late, lower ids."""
        assert self.target is not None, "there is no batch in hand"
        return [xid for xid in self.snapshot.xip if self.target.sees(xid)]
