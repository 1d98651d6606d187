"""Flow: how much is handed to the workers of a queue ahead of what they have done."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

AHEAD = 0.1
"""Seconds of work that the workers have before them."""
FEWEST_OF_EACH_SLOT = 2
"""Runs that each slot has before it, however long they take."""
LARGEST_GROUP = 200
"""Runs in one group."""
_SPAN = 0.25
"""Seconds over which the rate is measured."""


class Flow:
    """Watches how many runs of a queue end in a second, and bounds by that how many are handed out.

    Where runs are slow, hardly more than the workers can execute at once are taken from where a press overtakes them
    and a revocation costs nothing. Where they are quick, one message carries many.

    Args:
        clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._out = 0
        self._ended = 0
        self._since = clock()
        self._rate = 0.0

    def room(self, slots: int) -> int:
        """Return how many more runs may be handed out to workers with so many slots."""
        return max(FEWEST_OF_EACH_SLOT * slots, math.ceil(self._rate * AHEAD)) - self._out

    def size_of_group(self, runs: int, workers: int) -> int:
        """Return how many of so many runs go into one group, so that each worker gets some."""
        return max(1, min(LARGEST_GROUP, math.ceil(runs / workers)))

    def handed(self, runs: int) -> None:
        """Note that runs were handed out."""
        self._out += runs

    def ended(self, runs: int) -> None:
        """Note that runs have come back."""
        self._out -= runs
        self._ended += runs
        moment = self._clock()
        if moment - self._since >= _SPAN:
            rate = self._ended / (moment - self._since)
            self._rate = max(rate, (self._rate + rate) / 2)
            self._since, self._ended = moment, 0
