"""Reader: returns the next changes in commit-safe order, from the stored position.

The feed works between two snapshots, as PgQ does: a batch is what the new one sees and the old one did not. If a
transaction was open at the old snapshot and has ended since, its changes come now, whatever their ids. A transaction
that is still open delays no other. A large batch is read in bounded parts of the same snapshot pair.

The reader must know an id below which nothing new comes; otherwise each batch would search the whole log. The delivered
changes do not tell this id: a transaction that was running, but above the snapshot's xmax, may hold lower ids. So the
reader drops an anchor now and then: it draws a transaction id r when the highest id that it has seen is h. A
transaction above r got its own id later, and so draws ids above h. A transaction below r has, in any later snapshot,
ended or is among the open ones.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.feed import Position
from rowhooks.pipeline.ports import FeedSource


@dataclass(frozen=True)
class Part:
    """Changes in order, and where the feed stands behind each of them.

    Args:
        changes: each with the position behind it.
        end: the position behind the part; beyond the last change's where the part ends the batch.
    """

    changes: tuple[tuple[ObjectChange, Position], ...]
    end: Position

    @property
    def ends_batch(self) -> bool:
        """Whether its batch has no further part."""
        return self.end.target is None


class Reader:
    """Reads the log from a position on; holds no transaction open.

    Args:
        source: the log.
        position: where to begin.
        limit: changes in a part at the most.
        configure: told the configuration's version in each new snapshot, before any change of it is handed out: a
            change is never matched against a configuration older than itself.
    """

    def __init__(
        self, source: FeedSource, position: Position, limit: int, configure: Callable[[int], Awaitable[None]]
    ) -> None:
        self._source = source
        self._configure = configure
        self._position = position
        self._limit = limit
        self._floor_id = self._target_floor_id = position.floor_id
        self._since_anchor = 0
        self._configured = False

    async def next_part(self, limit: int | None = None) -> Part | None:
        """Return the next part, None when everything visible has been read.

        Args:
            limit: changes at the most, where a new batch begins; None for as many as ever.
        """
        if self._position.target is None:
            if self._since_anchor >= self._limit:
                await self._source.anchor()
                self._floor_id, self._since_anchor = self._position.newest_id, 0
            snapshot, changes, is_end = await self._source.next_batch(self._position, limit or self._limit, self._know)
            if snapshot == self._position.snapshot:
                return None
            self._position = self._position.aim(snapshot)
            self._target_floor_id = self._floor_id
        else:
            # In the middle of a batch no look is needed, unless the reader began there after a restart.
            if not self._configured:
                await self._know((await self._source.look())[1])
            changes, is_end = await self._source.fetch(self._position, self._limit)
        positions = self._position.past_each([change.id for change in changes])
        if positions:
            self._position = positions[-1]
        self._since_anchor += len(changes)
        if is_end:
            self._position = self._position.arrive(self._target_floor_id)
        return Part(tuple(zip(changes, positions, strict=True)), self._position)

    async def _know(self, version: int) -> None:
        await self._configure(version)
        self._configured = True
