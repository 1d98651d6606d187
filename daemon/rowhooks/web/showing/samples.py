"""Samples of what waits, taken by the console when somebody looks, and kept in its memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

MOST = 500
"""How many samples are kept."""
APART = timedelta(seconds=10)
"""How far two samples are apart at least."""
LONGEST = timedelta(days=1)
"""How long a sample is kept."""


@dataclass(frozen=True)
class Sample:
    """What waited at a time.

    Args:
        at: the time, by the server's clock.
        backlog: changes that had not been dealt with.
        lag: seconds since the oldest of them was made; 0 where there was none.
        waiting: runs that had not ended.
    """

    at: datetime
    backlog: int
    lag: float
    waiting: int


class Samples:
    """The newest samples."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=MOST)

    def add(self, sample: Sample) -> None:
        """Add a sample, unless it is too near to the last one."""
        while self._samples and sample.at - self._samples[0].at > LONGEST:
            self._samples.popleft()
        if not self._samples or sample.at - self._samples[-1].at >= APART:
            self._samples.append(sample)

    def __iter__(self) -> Iterator[Sample]:
        """Iterate over the samples, the oldest first."""
        return iter(tuple(self._samples))
