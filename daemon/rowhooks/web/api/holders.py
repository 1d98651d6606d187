"""Tokens: whom one stands for. PostgreSQL says so; for a few seconds its answer is kept."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections import OrderedDict
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool

from rowhooks.domain.errors import PermissionDenied
from rowhooks.postgres.console.access import Access, admit
from rowhooks.postgres.console.logins import OwnLogin
from rowhooks.postgres.console.tokens import TokenHolder, holder_of_token, take_up_role
from rowhooks.web.api.problems import ROLE_NOT_LENT, Refusal
from rowhooks.web.people.person import Person

KEPT = 5.0
"""Seconds for which an answer is kept, and after which a token that was revoked is refused at the latest."""
MOST = 1000
"""How many answers are kept."""
QUESTIONS = 4
"""How many tokens are asked about at the same time; others wait."""
TURNS = 4
"""How many questions are asked at the same time for all tokens of one role."""
clock = time.monotonic
"""Returns the time in seconds."""
_TOKEN = re.compile(r"rwh_[A-Za-z0-9_-]{16,200}", re.ASCII)


@dataclass(frozen=True)
class Holder:
    """Whom a valid token stands for.

    Args:
        person: its role, with connections that have the role's rights.
        scopes: what the token may do at most.
        until: when PostgreSQL is asked again, in seconds of the clock.
    """

    person: Person
    scopes: tuple[str, ...]
    until: float


class Tokens:
    """The tokens that a console has been shown.

    Args:
        own: the console's own login, which may check tokens and take up the roles of some.
        allow_superusers: accept tokens of superusers.
    """

    def __init__(self, own: OwnLogin, *, allow_superusers: bool = False) -> None:
        self._own, self._allow_superusers = own, allow_superusers
        self._kept: OrderedDict[bytes, Holder] = OrderedDict()
        self._persons: dict[str, Person] = {}
        self._turns = asyncio.Semaphore(QUESTIONS)

    async def find(self, token: str) -> Holder | None:
        """Return whom a token stands for; None where it is no token, unknown, expired or revoked.

        Raises:
            Refusal: the console may not take up its role.
            RowhooksError: the database does not answer, or does not let the role in.
        """
        if not _TOKEN.fullmatch(token):
            return None
        # The table has the digests alone, and finds them by an index: the time tells nothing of other tokens.
        digest = hashlib.sha256(token.encode()).digest()
        kept = self._kept.get(digest)
        if kept is not None and clock() < kept.until:
            return kept
        self._kept.pop(digest, None)
        async with self._turns:
            holder = await run_in_threadpool(self._ask, digest)
        if holder is None:
            return None
        found = Holder(await self._person(holder.role), holder.scopes, clock() + KEPT)
        self._kept[digest] = found
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)
        return found

    def _ask(self, digest: bytes) -> TokenHolder | None:
        # It writes down when the token was used.
        with self._own.itself.lend(read_only=False) as conn:
            return holder_of_token(conn, digest)

    async def _person(self, role: str) -> Person:
        person = self._persons.get(role) or Person(role, self._own.of(role), TURNS)
        found = await run_in_threadpool(self._admit, person)
        person.level = found.level
        if len(self._persons) > MOST:
            self._persons.clear()
        self._persons[role] = person
        return person

    def _admit(self, person: Person) -> Access:
        is_role_taken = False
        try:
            with person.connections.lend(read_only=True) as conn:
                take_up_role(conn)
                is_role_taken = True
                return admit(conn, allow_superusers=self._allow_superusers)
        except PermissionDenied as error:
            if is_role_taken:
                raise
            raise Refusal(
                ROLE_NOT_LENT, f"the console's own login may not take up role {person.role}: {error.message}",
                hint=f"let an administrator grant {person.role} to the console's own login",
            ) from error  # fmt: skip


def tokens_of(app: Starlette) -> Tokens | None:
    """Return the tokens of a console; None for a console without a login of its own, which cannot check any."""
    console = app.state.console
    if console.own is None:
        return None
    found = getattr(app.state, "tokens", None)
    if found is None:
        found = app.state.tokens = Tokens(console.own, allow_superusers=console.settings.allow_superusers)
    assert isinstance(found, Tokens)
    return found
