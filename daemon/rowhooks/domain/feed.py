"""The feed's position, which is made of PostgreSQL's transaction snapshots."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Self


@dataclass(frozen=True)
class Snapshot:
    """A pg_snapshot (PostgreSQL, "Transaction ID and Snapshot Information Functions").

    Args:
        xmin: every transaction below this id had ended.
        xmax: no transaction from this id on had ended; some of them may have been running.
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
        snapshot: every change that is visible in it has been dealt with.
        target: the present batch is what this snapshot sees and `snapshot` does not; None between batches.
        after_id: the changes of the present batch up to this id have been dealt with.
        floor_id: transactions at or above the snapshot's xmax have drawn, and will draw, only higher ids.
        newest_id: the highest id that has been dealt with.
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
        """Return the position behind one change of the present batch."""
        return self.past_each([change_id])[0]

    def past_each(self, change_ids: Iterable[int]) -> list[Position]:
        """Return the positions behind changes of the present batch, whose ids ascend."""
        snapshot, target, _, floor_id, newest_id = self
        return [
            tuple.__new__(Position, (snapshot, target, id_, floor_id, id_ if id_ > newest_id else newest_id))
            for id_ in change_ids
        ]

    def arrive(self, floor_id: int) -> Position:
        """Return the position behind the present batch; `floor_id` is the one that holds for its target."""
        assert self.target is not None, "there is no present batch"
        return Position(self.target, None, 0, max(self.floor_id, floor_id), self.newest_id)

    def ended_since(self) -> list[int]:
        """Return the transactions that were open at `snapshot` and had ended at `target`: late, lower ids."""
        assert self.target is not None, "there is no present batch"
        return [xid for xid in self.snapshot.xip if self.target.sees(xid)]
