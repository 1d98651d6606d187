"""Pace: how many runs of a pool are prepared ahead, so that the rows loaded for them are fresh when they begin."""

from __future__ import annotations

import time
from collections.abc import Callable

AHEAD = 2
"""How many times as many runs of a pool are prepared, or go on, as may go on at the same time, whatever their pace.

One more for each worker: it finds the next one ready, and its row is still fresh.
"""
AT_MOST = 10
"""The same, where runs are so quick that what is prepared is used up before more is loaded."""
LONGEST_WAIT = 0.05
"""Seconds for which a row may wait for its run at the present pace: half of the time for which it is fresh."""
_LOOK = 0.1


class Pace:
    """Counts the runs of one pool that end, and bounds what is prepared by that.

    A drain of quick receivers loads fewer rows a query than it could where only twice the workers are prepared; of slow
    ones, rows prepared further ahead would grow old, and be loaded again.

    Args:
        limit: how many runs may go on at the same time.
        clock: returns the time in seconds.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._ended = 0
        self._since = clock()
        self.places = AHEAD * limit
        """How many runs may be prepared, or go on."""

    def ended(self) -> None:
        """Count a run that has ended."""
        self._ended += 1
        passed = self._clock() - self._since
        if passed >= _LOOK:
            rate = self._ended / passed
            self.places = min(max(AHEAD * self._limit, self._limit + int(rate * LONGEST_WAIT)), AT_MOST * self._limit)
            self._ended = 0
            self._since += passed
