"""Grouping: which runs of a thread share a transaction, and which of them wait for its COMMIT.

Two may have to do with them: their thread, which commits, and the event loop, which gives the thread up where the
receiver that it executes is abandoned. The first to take them decides what becomes of them.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from rowhooks.domain.errors import LeadershipLost
from rowhooks.domain.run import Outcome
from rowhooks.pipeline.execution.outcomes import one_line
from rowhooks.pipeline.execution.runner import Execution
from rowhooks.pipeline.ports import CommitGroup, GroupUndone

logger = logging.getLogger(__name__)

LONGEST_OPEN = 0.05
"""Seconds after which what the first run of a group has written is committed, between two runs."""


class Member(NamedTuple):
    """A run that was executed and waits for the COMMIT of its group."""

    execution: Execution
    outcome: Outcome


class Grouping:
    """The runs of one thread that share a transaction.

    Args:
        transaction: theirs.
        size: how many may share it.
        kind: what starts them. A deferred trigger is executed by the COMMIT, under the session variables of the last
            run: what a press leads to must not look like what a hook's run wrote.
    """

    def __init__(self, transaction: CommitGroup, size: int, kind: type) -> None:
        self.transaction = transaction
        self._size = size
        self._kind = kind
        self._members: list[Member] | None = []
        self._since: float | None = None
        self._lock = threading.Lock()

    @property
    def takes_more(self) -> bool:
        """Whether any other run may begin in it."""
        return self.takes(sys.maxsize, self._kind)

    def takes(self, size: int, kind: type) -> bool:
        """Say whether a run of this kind may begin in it, one that shares its transaction with so many at most."""
        with self._lock:
            if kind is not self._kind:
                return False
            if self._members is None or self.transaction.is_lost or self.transaction.is_full:
                return False
            is_recent = self._since is None or time.monotonic() - self._since < LONGEST_OPEN
            return is_recent and len(self._members) < min(self._size, size)

    def limit(self, size: int) -> None:
        """Let a run begin in it that shares its transaction with so many at most."""
        self._size = min(self._size, size)

    def add(self, member: Member) -> bool:
        """Have a run wait for the COMMIT; return False where that does not come any more."""
        with self._lock:
            if self._members is None:
                return False
            if self._since is None:
                self._since = time.monotonic()
            self._members.append(member)
            return True

    def take(self) -> list[Member]:
        """Return what waits, once: who has it decides what becomes of it."""
        with self._lock:
            members, self._members = self._members, None
            return members or []


def committed(transaction: CommitGroup, members: Sequence[Member]) -> tuple[str | None, LeadershipLost | None]:
    """Commit what runs have written; return why none of it remains, and what ends the leadership, if anything does."""
    reason = None
    try:
        transaction.commit([member.outcome for member in members])
    except GroupUndone as error:
        reason = _told(error, members)
    except LeadershipLost as error:
        return None, error
    except Exception as error:
        logger.exception("the results of %d runs cannot be recorded together", len(members))
        reason = f"{type(error).__name__}: {error}"
    if reason is not None:
        logger.warning("%d runs are executed again, each in its own transaction: %s", len(members), reason)
    return reason, None


def _told(error: GroupUndone, members: Sequence[Member]) -> str:
    """Return why runs are executed again, without the server's message where one of them keeps such out of its log."""
    is_sensitive = any(member.execution.options.has_sensitive_variables for member in members)
    return type(error.__cause__).__name__ if is_sensitive and error.__cause__ is not None else one_line(error)
