"""How often a log-in may fail."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator

WINDOW = 900.0
"""Seconds for which a failure counts."""
OF_ROLE_FROM_CLIENT, OF_CLIENT, OF_ROLE = 5, 20, 100
"""How many failures there may be within the window. A stranger cannot lock a role out of its own machine soon."""
MOST_KEYS = 20_000
"""How many roles and clients are remembered; the ones that failed longest ago are forgotten first."""


class Attempts:
    """Counts log-ins that failed, by role and by client.

    Args:
        clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[tuple[str, ...], deque[float]] = OrderedDict()

    def begin(self, role: str, client: str) -> float:
        """Count an attempt, as a failure until it succeeds.

        It is counted before it is made: attempts at the same time are as many as one after another.

        Args:
            role: the role that wants to log in.
            client: from where.

        Returns:
            0, or the seconds after which another attempt may be made; this one must not be made then.
        """
        now = self._clock()
        wait = max(self._wait(key, most, now) for key, most in _keys(role, client))
        if not wait:
            for key, _ in _keys(role, client):
                self._failures.setdefault(key, deque()).append(now)
                self._failures.move_to_end(key)
            while len(self._failures) > MOST_KEYS:
                self._failures.popitem(last=False)
        return wait

    def succeeded(self, role: str, client: str) -> None:
        """Take an attempt back, which succeeded, and the failures of this role from there."""
        for key, _ in _keys(role, client):
            if failures := self._failures.get(key):
                failures.pop()
        self._failures.pop(("role and client", role, client), None)

    def not_made(self, role: str, client: str) -> None:
        """Take an attempt back that said nothing about the password: the server could not be reached."""
        for key, _ in _keys(role, client):
            if failures := self._failures.get(key):
                failures.pop()

    def _wait(self, key: tuple[str, ...], most: int, now: float) -> float:
        failures = self._failures.get(key)
        while failures and failures[0] <= now - WINDOW:
            failures.popleft()
        return failures[0] + WINDOW - now if failures and len(failures) >= most else 0.0


def _keys(role: str, client: str) -> Iterator[tuple[tuple[str, ...], int]]:
    yield ("role and client", role, client), OF_ROLE_FROM_CLIENT
    yield ("client", client), OF_CLIENT
    yield ("role", role), OF_ROLE
