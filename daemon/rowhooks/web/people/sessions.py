"""Sessions: who is logged in, kept in memory. A restart of the console logs everybody out."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rowhooks.domain.errors import ConnectionFailed
from rowhooks.web.people.person import Person

COOKIE, PLAIN_COOKIE = "__Host-rowhooks", "rowhooks-plain"
"""The cookie of a session. A browser sends the first to this host alone, and takes it from this host alone; it takes it
only over TLS or from its own machine. The second one is for plain HTTP, where that is allowed."""
MOST_ENDED = 1000
"""How many ended sessions are remembered, to say why they have ended."""

REASONS = {
    "idle": "You were logged out because you had not used the console for a while.",
    "longest": "You were logged out because a session does not last longer.",
    "elsewhere": "You were logged out by a page of another session of yours.",
    "many": "You were logged out because your role has logged in elsewhere too often.",
    "connections": "You were logged out because your connections to PostgreSQL have ended.",
    "user": "You were logged out because the proxy named another user.",
    "ended": "Your session has ended.",
}
"""Why a session has ended, by the word that stands in an address."""
NOT_DONE, MAY_BE_DONE = "no", "unknown"
DONE = {
    NOT_DONE: "The form that you sent was not taken: nothing was done, and what you had entered is not kept.",
    MAY_BE_DONE: "Look whether the form that you sent was taken before you send it again.",
}
"""What became of a form whose session had ended, or ended meanwhile, by the word that stands in an address."""


@dataclass
class Session:
    """One person that is logged in on one browser.

    Args:
        person: the person.
        started: when it logged in, in seconds of the clock.
        used: when its last request came.
        how: postgres, proxy or oidc.
        user: the name that a proxy or a provider gave.
        client: from where it logged in.
        csrf_token: what each of its forms sends back.
        name: names the session on pages; it opens nothing.
        since: when it logged in.
    """

    person: Person
    started: float
    used: float
    how: str = "postgres"
    user: str = ""
    client: str = ""
    csrf_token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    since: datetime = field(default_factory=lambda: datetime.now(UTC))


class Sessions:
    """The sessions of a console.

    Args:
        idle: seconds without a request after which a session ends.
        longest: seconds after which it ends in any case.
        most: sessions at the same time.
        most_of_one: sessions of one role at the same time; a further one ends the oldest.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        idle: float,
        longest: float,
        most: int = 200,
        most_of_one: int = 10,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._idle, self._longest, self._clock = idle, longest, clock
        self._most, self._most_of_one = most, most_of_one
        self._sessions: dict[str, Session] = {}
        self._ended: OrderedDict[str, str] = OrderedDict()

    def begin(self, person: Person, how: str = "postgres", user: str = "", client: str = "") -> str:
        """Begin a session; return the value of its cookie, which is new for each.

        Raises:
            ConnectionFailed: there are too many sessions.
        """
        self.purge()
        of_one = self.of_role(person.role)
        while len(of_one) >= self._most_of_one:
            self._end_named(of_one.pop(0).name, "many")
        if len(self._sessions) >= self._most:
            person.end()
            raise ConnectionFailed("too many people are logged in", hint="try again later")
        now = self._clock()
        cookie = secrets.token_urlsafe(32)
        self._sessions[cookie] = Session(person, now, now, how, user, client)
        return cookie

    def find(self, cookie: str | None, *, is_use: bool = True) -> Session | None:
        """Return the session of a cookie; None if there is none, or it has ended.

        Args:
            cookie: the value of the cookie.
            is_use: whether it counts as used now. A page that asks by itself does not keep a session alive.
        """
        session = self._sessions.get(cookie or "")
        if session is None or cookie is None:
            return None
        now = self._clock()
        if reason := self._is_over(session, now):
            self.end(cookie, reason)
            return None
        if is_use:
            session.used = now
        return session

    def is_live(self, session: Session) -> bool:
        """Say whether a session has not ended; that does not count as a use."""
        return not self._is_over(session, self._clock())

    def why_ended(self, cookie: str | None) -> str:
        """Return the reason of REASONS why the session of a cookie has ended; empty if there never was a cookie."""
        return self._ended.get(cookie, "ended") if cookie else ""

    def of_role(self, role: str) -> list[Session]:
        """Return the sessions of a role, the oldest first."""
        return sorted((one for one in self._sessions.values() if one.person.role == role), key=lambda one: one.started)

    def end(self, cookie: str | None, reason: str = "ended") -> None:
        """End the session of a cookie, and its connections."""
        if cookie and (session := self._sessions.pop(cookie, None)):
            self._ended[cookie] = reason
            while len(self._ended) > MOST_ENDED:
                self._ended.popitem(last=False)
            session.person.end()

    def end_all_of(self, role: str) -> int:
        """End all sessions of a role; return how many there were."""
        ended = [cookie for cookie, session in self._sessions.items() if session.person.role == role]
        for cookie in ended:
            self.end(cookie, "elsewhere")
        return len(ended)

    def purge(self) -> None:
        """End the sessions whose time is over."""
        now = self._clock()
        over = [(cookie, reason) for cookie, one in self._sessions.items() if (reason := self._is_over(one, now))]
        for cookie, reason in over:
            self.end(cookie, reason)

    def end_all(self) -> None:
        """End all sessions."""
        for cookie in list(self._sessions):
            self.end(cookie)

    def _is_over(self, session: Session, now: float) -> str:
        """Return why a session is over; empty if it is not."""
        if session.person.has_ended:
            return "connections"
        if now - session.started > self._longest:
            return "longest"
        return "idle" if now - session.used > self._idle else ""

    def _end_named(self, name: str, reason: str) -> None:
        for cookie in [cookie for cookie, one in self._sessions.items() if one.name == name]:
            self.end(cookie, reason)
