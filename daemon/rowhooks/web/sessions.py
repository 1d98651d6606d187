"""Sessions: who is logged in, kept in memory. A restart of the console logs everybody out."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rowhooks.web.person import Person

COOKIE = "__Host-rowhooks"
"""The cookie of a session. A browser sends it to this host alone, and takes it from this host alone."""


@dataclass
class Session:
    """One person that is logged in on one browser.

    Args:
        person: the person.
        started: when it logged in, in seconds of the clock.
        used: when its last request came.
        csrf_token: what each of its forms sends back.
    """

    person: Person
    started: float
    used: float
    csrf_token: str = field(default_factory=lambda: secrets.token_urlsafe(32))


class Sessions:
    """The sessions of a console.

    Args:
        idle: seconds without a request after which a session ends.
        longest: seconds after which it ends in any case.
        clock: returns the time in seconds.
    """

    def __init__(self, idle: float, longest: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._idle, self._longest, self._clock = idle, longest, clock
        self._sessions: dict[str, Session] = {}

    def begin(self, person: Person) -> str:
        """Begin a session; return the value of its cookie, which is new for each."""
        now = self._clock()
        cookie = secrets.token_urlsafe(32)
        self._sessions[cookie] = Session(person, now, now)
        return cookie

    def find(self, cookie: str | None) -> Session | None:
        """Return the session of a cookie, which counts as used now; None if there is none, or it has ended."""
        session = self._sessions.get(cookie or "")
        if session is None or cookie is None:
            return None
        now = self._clock()
        if now - session.used > self._idle or now - session.started > self._longest:
            self.end(cookie)
            return None
        session.used = now
        return session

    def end(self, cookie: str | None) -> None:
        """End the session of a cookie, and its connections."""
        if session := self._sessions.pop(cookie or "", None):
            session.person.connections.close()

    def end_all(self) -> None:
        """End all sessions."""
        for cookie in list(self._sessions):
            self.end(cookie)
