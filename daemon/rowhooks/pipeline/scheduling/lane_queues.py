"""What is in each lane that is taken, first to last: very many lanes, and hardly any in which others wait."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Container, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import TypeAlias

from rowhooks.pipeline.scheduling.tasks import Junction, Lane, Task

Waiting: TypeAlias = "Task | Junction"

_number = attrgetter("number")


class LaneQueues(dict[Lane, "Waiting | deque[Waiting] | None"]):
    """What is in lanes, by the lanes: the first alone or, where others wait, all of them in a deque.

    None: it is in the table alone, as very many may be.
    """

    def members(self, lane: Lane) -> Sequence[Waiting]:
        """Return what is in a lane, the first first."""
        found = self.get(lane)
        if found is None:
            return ()
        return found if type(found) is deque else (found,)  # type: ignore[return-value]

    def queue(self, lane: Lane) -> deque[Waiting]:
        """Return the deque of a lane that is taken; it is made where there was none."""
        found = self[lane]
        if isinstance(found, deque):
            return found
        queue = self[lane] = deque(() if found is None else (found,))
        return queue

    def behind(self, lane: Lane, limit: int | None = None) -> Iterator[Waiting]:
        """Go through what waits behind the first of a lane, so many at the most."""
        queue = self.get(lane)
        return itertools.islice(queue, 1, None if limit is None else limit + 1) if type(queue) is deque else iter(())

    def tasks_behind(self) -> Iterator[Task]:
        """Go through all that waits behind others, lane by lane; what stands in two lanes may come twice."""
        queues = (queue for queue in self.values() if type(queue) is deque)
        return (one for queue in queues for one in queue if one.ahead and isinstance(one, Task))

    def before(self, lanes: Iterable[Lane], apart: Container[Lane]) -> list[Task]:
        """Return what is in lanes, and in those for which that waits too, in the order in which it came.

        Args:
            lanes: where to begin.
            apart: lanes that are left out.
        """
        found: dict[Task, None] = {}
        seen: set[Lane] = set()
        todo = list(lanes)
        while todo:
            lane = todo.pop()
            if lane in seen or lane in apart:
                continue
            seen.add(lane)
            for one in self.members(lane):
                if isinstance(one, Task):
                    found[one] = None
                todo += [one.lane] if one.former_lane is None else [one.lane, one.former_lane]
        return in_order(found)


def in_order(tasks: Iterable[Task]) -> list[Task]:
    """Return tasks in the order in which they came."""
    return sorted(tasks, key=_number)
