"""The queue of runs that may share a transaction, and how many threads take from it at the same time.

Few threads make large groups. Many of them wait for the interpreter's lock, and come to few runs each before what the
first run has written is to be committed. So one thread takes all runs, and others come only while those that there are
wait for something most of the time: an answer from elsewhere, a slow network.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Hashable
from typing import NamedTuple

from rowhooks.pipeline.scheduling.grouping import Grouping
from rowhooks.pipeline.scheduling.pools import PreparedRun

PACE = 0.02
"""Seconds between two looks at what the threads do. A thread that is in the same run for longer is not waited for."""
WINDOW = 0.1
"""Seconds over which it is measured how much they compute."""
IDLE, BUSY = 0.3, 0.5
"""The part of the time that the threads compute, together: below the first another one comes, above the second one of
several goes."""
FARTHEST = 50
"""How far down the queue a run is looked for that may share a transaction."""


class _Place(NamedTuple):
    """What a thread does here.

    Args:
        since: when its run began; None where it commits.
        computed: how much processor time it had used then.
    """

    since: float | None
    computed: float


class GroupQueue:
    """Runs that may share a transaction, for the threads that have a place here.

    A thread has its place until it has come to the end of its group. All methods may be called in any thread.
    """

    def __init__(self) -> None:
        # Each with how many runs without the option had come before it.
        self._waiting: deque[tuple[int, PreparedRun]] = deque()
        self._places = self._least = 1
        self._inside: dict[Hashable, _Place] = {}
        self._computed = self._since = 0.0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many runs wait."""
        return len(self._waiting)

    @property
    def free(self) -> int:
        """For how many more threads there is a place, and a run."""
        return max(0, min(len(self._waiting), self._places - len(self._inside)))

    def is_next(self, begun: int) -> bool:
        """Say whether a run is here that came before the next one without the option, of which so many have begun."""
        try:
            return self._waiting[0][0] <= begun
        except IndexError:
            return False

    def put(self, run: PreparedRun, before: int) -> None:
        """Have a run wait behind the others.

        Args:
            run: the run.
            before: how many runs without the option had come before it.
        """
        self._waiting.append((before, run))

    def clear(self) -> None:
        """Drop what waits."""
        self._waiting.clear()

    def enter(self, thread: Hashable) -> PreparedRun | None:
        """Give a place to a thread, and its first run; None where there is no run or no place."""
        with self._lock:
            if len(self._inside) >= self._places or not self._waiting:
                return None
            self._inside[thread] = _Place(time.monotonic(), time.thread_time())
            return self._waiting.popleft()[1]

    def leave(self, thread: Hashable) -> None:
        """Take the place of a thread back, also one that has none any more."""
        with self._lock:
            self._inside.pop(thread, None)

    def is_followed(self, kind: type) -> bool:
        """Say whether a run of this kind is near the head."""
        for place in range(FARTHEST):
            try:
                _, one = self._waiting[place]
            except IndexError:
                return False
            if kind_of(one) is kind:
                return True
        return False

    def next_of(self, grouping: Grouping) -> PreparedRun | None:
        """Return a run near the head that may begin in a group."""
        others: list[tuple[int, PreparedRun]] = []
        found = None
        while found is None and len(others) < FARTHEST:
            try:
                place = self._waiting.popleft()
            except IndexError:
                break
            _, one = place
            if grouping.takes(one.group_commit, kind_of(one)):
                grouping.limit(one.group_commit)
                found = one
            else:
                others.append(place)
        self._waiting.extendleft(reversed(others))
        return found

    def moved(self, thread: Hashable, *, goes_on: bool) -> None:
        """Note, in a thread that has got through a run, that it has done so, and whether it has another one."""
        moment, computed = time.monotonic(), time.thread_time()
        with self._lock:
            if (place := self._inside.get(thread)) is not None:
                self._computed += computed - place.computed
                self._inside[thread] = _Place(moment if goes_on else None, computed)

    def watch(self) -> None:
        """Measure from now on how much the threads compute."""
        with self._lock:
            self._computed, self._since = 0.0, time.monotonic()

    def adapt(self) -> None:
        """Have more places, or fewer, after what the threads do."""
        moment = time.monotonic()
        with self._lock:
            elapsed = moment - self._since
            if elapsed >= WINDOW and self._inside:
                if self._computed < elapsed * IDLE:
                    self._least = min(self._least, len(self._inside)) + 1
                elif self._computed > elapsed * BUSY:
                    self._least = max(1, self._least - 1)
                self._computed, self._since = 0.0, moment
            waiting = sum(one.since is not None and moment - one.since > PACE for one in self._inside.values())
            # Where all of them wait, many more may come to wait, too.
            self._places = max(self._least + waiting, 2 * waiting if waiting == len(self._inside) else 0)


def kind_of(one: PreparedRun) -> type:
    """Return what kind of run it is: one of a hook's is marked by other session variables than one of a button's."""
    return type(one.run.origin)
