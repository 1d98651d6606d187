"""Calls: groups that a worker is called for one by one, and what waits for their end."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping


class Calls:
    """What a worker was called for, and what waits until it is executed."""

    def __init__(self) -> None:
        self._new: list[uuid.UUID] = []
        self._ends: dict[uuid.UUID, asyncio.Future[int]] = {}
        self._is_closed = False

    async def wait_for(self, group: uuid.UUID, *, in_hand: bool) -> int:
        """Wait for the end of a group.

        Args:
            group: the group.
            in_hand: whether the worker has it; else it is among those that `take` returns.

        Returns:
            How many runs it has had; 0: the worker did not execute it.
        """
        if self._is_closed:
            return 0
        end = self._ends.get(group)
        if end is None:
            end = self._ends[group] = asyncio.get_running_loop().create_future()
            if not in_hand:
                self._new.append(group)
        # Another call may wait for it too.
        return await asyncio.shield(end)

    def take(self) -> list[uuid.UUID]:
        """Return the groups that the worker was called for and has not looked at yet."""
        new, self._new = self._new, []
        return new

    def end(self, sizes: Mapping[uuid.UUID, int]) -> None:
        """Answer the calls for some groups.

        Args:
            sizes: how many runs the worker has executed of each.
        """
        for group, size in sizes.items():
            end = self._ends.pop(group, None)
            if end is not None and not end.done():
                end.set_result(size)

    def close(self) -> None:
        """Answer all calls, those to come too: the worker executes nothing more."""
        self._is_closed = True
        self.end(dict.fromkeys(self._ends, 0))
