"""Shelves: what stands behind the followers of a long lane, by the ids of runs that are on record and not in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from rowhooks.pipeline.scheduling.tasks import Junction, Lane, Task


class Shelves:
    """The shelves of lanes, and which of them are to be fetched from.

    Args:
        hungry: called when something is to be fetched.
    """

    def __init__(self, hungry: Callable[[], None]) -> None:
        self._call = hungry
        self.ids: dict[Lane, int | deque[int]] = {}
        """What is on the shelf of each lane that has one: one id or, where there are more, all of them.

        It may be empty, or 0, while it is fetched.
        """
        self._short: dict[Lane, None] = {}
        self.fetched: set[Lane] = set()
        """The lanes of which something is being fetched."""
        # Of those on two shelves: the lanes, and what has come from the first.
        self._doubles: dict[int, tuple[Lane, Lane]] = {}
        self._met: dict[int, Task | Junction] = {}

    @property
    def hungry(self) -> int:
        """How many lanes are to be fetched from, or are being fetched."""
        return len(self._short) + len(self.fetched)

    def put(self, lane: Lane, run_id: int) -> bool:
        """Put a run on a lane's shelf; say whether the shelf is new."""
        shelf = self.ids.get(lane)
        if isinstance(shelf, deque):
            shelf.append(run_id)
        elif shelf:
            self.ids[lane] = deque((shelf, run_id))
        else:
            # There may be hundreds of thousands of these, and an empty deque has 760 bytes.
            self.ids[lane] = run_id
        return shelf is None

    def put_first(self, lane: Lane, run_ids: Sequence[int]) -> None:
        """Put runs before what is on a lane's shelf."""
        self._short.pop(lane, None)
        behind = self._all(lane)
        self.ids[lane] = run_ids[0] if len(run_ids) == 1 and not behind else deque((*run_ids, *behind))

    def _all(self, lane: Lane) -> Sequence[int]:
        shelf = self.ids.get(lane)
        if isinstance(shelf, deque):
            return shelf
        return (shelf,) if shelf else ()

    def note_double(self, run_id: int, lanes: Sequence[Lane]) -> None:
        """Note that a run stands in two lanes."""
        self._doubles[run_id] = (lanes[0], lanes[1])

    def ask_for_more(self, lane: Lane) -> None:
        """Have a lane's shelf fetched from."""
        if self.ids.get(lane) and lane not in self._short:
            self._short[lane] = None
            self._call()

    def take(self, limit: int, of_one: int) -> dict[Lane, list[int]]:
        """Return what is next on the shelves that are to be fetched from: about `limit` ids, and `of_one` of each."""
        taken: dict[Lane, list[int]] = {}
        while self._short and limit > 0:
            lane = next(iter(self._short))
            del self._short[lane]
            shelf = self.ids[lane]
            if isinstance(shelf, deque):
                taken[lane] = [shelf.popleft() for _ in range(min(len(shelf), of_one))]
            else:
                taken[lane], self.ids[lane] = [shelf], 0
            limit -= len(taken[lane])
        self.fetched.update(taken)
        return taken

    def missing(self, taken: Mapping[Lane, Sequence[int]]) -> list[int]:
        """Return what is to be fetched of what was taken: the ids of runs that are not in memory yet."""
        ids = dict.fromkeys(id_ for some in taken.values() for id_ in some)
        return [id_ for id_ in ids if id_ > 0 and id_ not in self._met]

    def come_back(self, id_: int, lane: Lane, task: Task | None) -> tuple[Task | Junction | None, bool]:
        """Return what was on a lane's shelf, and whether it comes to its lanes only now.

        Args:
            id_: its id.
            lane: the lane.
            task: what was fetched; None where it was revoked, or is no run.

        Returns:
            None where nothing is left of it.
        """
        both = self._doubles.get(id_)
        if both is None:
            if task is not None:
                # As it was when it came, whatever the key is called now.
                task.lane, task.former_lane, task.ahead = lane, None, 1
            return task, task is not None
        if id_ in self._met:
            del self._doubles[id_]
            return self._met.pop(id_), False
        # What came to the lane of the new key waits for that of the former one, also where the run was revoked.
        one: Task | Junction = Junction(*both) if task is None else task
        one.lane, one.former_lane, one.ahead = *both, 2
        self._met[id_] = one
        return one, True

    def clear(self) -> None:
        """Forget everything."""
        self.ids.clear()
        self._short.clear()
        self.fetched.clear()
        self._doubles.clear()
        self._met.clear()
