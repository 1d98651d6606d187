"""Idempotency keys of acts that the database does not know: their answers are kept in memory for a while.

A press is not among them: PostgreSQL itself keeps its key. After a restart of the console the keys are forgotten.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.responses import Response

from rowhooks.web.api.problems import ALREADY_DONE, IN_PROGRESS, KEY_REUSED, TOO_MANY, Refusal

LONGEST_KEPT = 24 * 3600.0
"""Seconds for which an answer is kept."""
MOST_OF_ONE = 500
"""How many answers are kept for one person; the oldest give way."""
MOST = 5000
"""How many are kept for all."""
LARGEST = 20_000
"""Bytes of an answer that is kept; of a larger one it is known that it was given."""
REPLAYED = "Idempotency-Replayed"
"""The header of an answer that was given before."""


@dataclass
class _Kept:
    """An act with a key.

    Args:
        digest: of the request.
        since: when it began, in seconds of the clock.
        is_done: whether it was answered.
        answer: what was answered; None where that is not kept.
    """

    digest: bytes
    since: float
    is_done: bool = False
    answer: Response | None = None


class Answers:
    """The answers to requests with a key.

    Args:
        clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._of_role: dict[str, int] = {}

    async def once(
        self, role: str, key: str, digest: bytes, act: Callable[[], Awaitable[Response]], *, is_secret: bool
    ) -> Response:
        """Do an act, or return the answer of the same act.

        Args:
            role: who asks.
            key: its idempotency key.
            digest: of the whole request; see `digest_of`.
            act: does it. Where it fails, nothing is kept, and the request can be sent again.
            is_secret: whether the answer is not kept, because it holds a secret.

        Raises:
            Refusal: the key was used for another request, or its request is going on, or its answer was secret.
        """
        self._forget_the_old()
        kept = self._kept.get((role, key))
        if kept is not None:
            return _again(kept, digest)
        self._make_room(role)
        kept = self._kept[role, key] = _Kept(digest, self._clock())
        self._of_role[role] = self._of_role.get(role, 0) + 1
        try:
            answer = await act()
        except BaseException:
            self._forget(role, key)
            raise
        kept.is_done = True
        kept.answer = None if is_secret or len(answer.body) > LARGEST else answer
        return answer

    def _forget_the_old(self) -> None:
        oldest = self._clock() - LONGEST_KEPT
        while self._kept and next(iter(self._kept.values())).since < oldest:
            self._forget(*next(iter(self._kept)))

    def _make_room(self, role: str) -> None:
        if self._of_role.get(role, 0) >= MOST_OF_ONE:
            self._forget_one([place for place in self._kept if place[0] == role])
        if len(self._kept) >= MOST:
            self._forget_one(list(self._kept))

    def _forget_one(self, places: list[tuple[str, str]]) -> None:
        """Forget the oldest answer; what is going on stays."""
        oldest = next((place for place in places if self._kept[place].is_done), None)
        if oldest is None:
            raise Refusal(TOO_MANY, "too many requests with an idempotency key are going on", hint="try again",
                          headers={"Retry-After": "5"})  # fmt: skip
        self._forget(*oldest)

    def _forget(self, role: str, key: str) -> None:
        if self._kept.pop((role, key), None) is not None:
            self._of_role[role] -= 1
            if not self._of_role[role]:
                del self._of_role[role]


def answers_of(app: Starlette) -> Answers:
    """Return the answers that a console has given."""
    found = getattr(app.state, "answers", None)
    if found is None:
        found = app.state.answers = Answers()
    assert isinstance(found, Answers)
    return found


def digest_of(method: str, path: str, query: bytes, body: bytes) -> bytes:
    """Return a digest of a request."""
    whole = hashlib.sha256()
    for part in (method.encode(), path.encode("utf-8", "surrogatepass"), query, body):
        whole.update(len(part).to_bytes(8, "big") + part)
    return whole.digest()


def _again(kept: _Kept, digest: bytes) -> Response:
    if kept.digest != digest:
        raise Refusal(KEY_REUSED, "this idempotency key was used for another request",
                      hint="give each act a key of its own")  # fmt: skip
    if not kept.is_done:
        raise Refusal(IN_PROGRESS, "the request with this idempotency key is going on", hint="try again in a while",
                      headers={"Retry-After": "1"})  # fmt: skip
    if kept.answer is None:
        raise Refusal(ALREADY_DONE, "this was done before, and its answer was not kept", hint="see what there is now")
    headers = {name: value for name, value in kept.answer.headers.items() if name != "content-length"}
    return Response(bytes(kept.answer.body), kept.answer.status_code, {**headers, REPLAYED: "true"})
