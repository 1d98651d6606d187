"""Pace: how many runs of a pool are prepared ahead, so that the rows loaded for them are fresh when they begin."""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST_WAIT = 0.05
"""Seconds for which a row that is loaded is to wait for its run: half of the time for which it is fresh."""
FEWEST = 10
"""How many may be prepared ahead, however long they wait."""
MOST = 10
"""How many times the limit may be, however quickly they begin."""
_LOOK = 0.05
_GROWTH = 1.25


class Pace:
    """Watches how long the rows of one pool's runs wait, and bounds by that how many are prepared and have not begun.

    Where runs are quick, many rows are loaded by one query. Where they are slow, or the machine is busy, rows that were
    loaded further ahead would grow old and be loaded again.

    Args:
        limit: how many runs of the pool may go on at the same time: so many are prepared ahead at first.
        clock: returns the time in seconds.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._most = MOST * limit
        self._since = clock()
        self._longest = 0.0
        self._is_short = False
        self.ahead = limit
        """How many runs may be prepared, or on the way to it, that have not begun."""

    def allows(self, ahead: int) -> bool:
        """Say whether one more may be prepared, where so many are that have not begun."""
        if ahead >= self.ahead:
            self._is_short = True
        return ahead < self.ahead

    def begun(self, waited: float) -> None:
        """Note for how many seconds a row has waited until its run began, or until it was too old for that."""
        self._longest = max(self._longest, waited)
        moment = self._clock()
        if moment - self._since < _LOOK:
            return
        if self._longest > LONGEST_WAIT:
            self.ahead = max(FEWEST, int(self.ahead * LONGEST_WAIT / self._longest))
        elif self._is_short:
            self.ahead = min(self._most, int(self.ahead * _GROWTH) + 1)
        self._since, self._longest, self._is_short = moment, 0.0, False
