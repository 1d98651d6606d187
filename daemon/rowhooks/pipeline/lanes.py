"""Lanes: which run may start next. Pure bookkeeping; the scheduler says when runs begin and end."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from typing import Any

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.job import JobOptions
from rowhooks.domain.run import Batch, Run, now
from rowhooks.pipeline.progress import Step
from rowhooks.pipeline.runner import Execution

Lane = tuple[Any, ...]

LONGEST_LANE = 200
"""Runs that wait in memory behind one another; what comes after them waits in the table alone, by its id."""
REFILL_BELOW = 50
"""When so few are left in memory, the next ones are fetched."""


class Member:
    """A run on its way in a batch.

    Args:
        run: what is to be run with others.
        step: what of the feed waits for it to be on record; None once it is.
        due: when it may be run again.
        size: how much of a row it holds, in characters.
    """

    __slots__ = ("due", "on_record", "run", "size", "step", "submitted_at")

    def __init__(self, run: Run, step: Step | None, due: datetime | None, size: int) -> None:
        self.run = run
        self.step = step
        self.due = due
        self.size = size
        self.on_record = step is None
        self.submitted_at = time.monotonic()


class Ticket:
    """A run on its way through the scheduler.

    Args:
        run: what is to be run.
        step: what of the feed waits for the run to be on record; None once it is.
        options: how it is to be run.
        asynchronous: its receiver is `async def`.
        on_record: it stands in the table, unstarted, and may have been revoked there.
        due: when a run that waits for its retry may start.
        members: the runs of a batch.
    """

    __slots__ = (
        "asynchronous", "changed_object", "due", "execution", "interrupted", "lane", "loaded", "loaded_at", "members",
        "on_record", "options", "place", "refused", "run", "started_on_record", "step", "submitted_at", "user",
        "worker",
    )  # fmt: skip

    def __init__(
        self,
        run: Run,
        step: Step | None,
        options: JobOptions,
        asynchronous: bool,
        *,
        on_record: bool,
        due: datetime | None,
        members: list[Member] | None = None,
    ) -> None:
        self.run = run
        self.step = step
        self.members = members
        self.options = options
        self.asynchronous = asynchronous
        self.on_record = on_record or any(member.on_record for member in members or ())
        self.due = due
        # What it must not overtake.
        self.lane: Lane = run.lane if options.ordered or members is not None else (run.id,)
        self.submitted_at = time.monotonic()
        self.started_on_record = False
        self.interrupted = False
        # For whom it is, and its row, once they are known; or what stands in the way of them.
        self.user: str | None = None
        self.changed_object: Any = None
        self.refused: Exception | None = None
        self.loaded_at: float | None = None
        # How much of a row was loaded for it, in characters.
        self.loaded = 0
        # What gives back the place that it takes among those that are got ready.
        self.place: Callable[[], None] | None = None
        self.execution: Execution | None = None
        self.worker: Any = None

    @property
    def size(self) -> int:
        """How much of rows it holds, in characters."""
        if self.members is not None:
            return sum(member.size for member in self.members)
        return size_of(self.run)

    def drop_members(self, run_ids: Collection[int]) -> None:
        """Take runs out of a batch that is to go on without them; one at least is left."""
        assert self.members is not None
        self.members = [member for member in self.members if member.run.id not in run_ids]
        self.run = Batch.of([member.run for member in self.members])


def size_of(run: Run) -> int:
    """Return how much of what users made a run holds, in characters: rows, key, names, context."""
    cause = run.cause
    texts = [cause.object_id_json, cause.object_repr, cause.db_user, cause.user_name]
    if isinstance(cause, ObjectChange):
        texts += [
            cause.prechange_json, cause.postchange_json, cause.request_id, cause.change_context, cause.capture_error,
        ]  # fmt: skip
    return sum(map(len, filter(None, texts)))


class Lanes:
    """Runs one behind another, per lane and, for singletons, per job.

    Heads are first in their lane and do not run yet; followers stand behind a head or a run that goes on. Behind the
    followers of a long lane is its shelf: ids of runs that are on record and not in memory.

    Args:
        ready: called with each ticket that may start, now that nothing stands before it.
        hungry: called when a lane's followers are to be fetched from its shelf.
    """

    def __init__(self, ready: Callable[[Ticket], None], hungry: Callable[[], None]) -> None:
        self._ready = ready
        self._hungry = hungry
        self._following = 0
        self._shelves: dict[Lane, deque[int]] = {}
        self._short: dict[Lane, None] = {}
        self._idle: set[Lane] = set()
        self._heads: dict[Ticket, None] = {}
        # A lane that is taken; what waits behind its first run. Hardly any lane has something there.
        self._followers: dict[Lane, deque[Ticket] | None] = {}
        self._turns: dict[int, deque[Ticket]] = {}
        self._closed = False

    def __len__(self) -> int:
        """Return how many wait in memory."""
        return len(self._heads) + self._following

    def __iter__(self) -> Iterator[Ticket]:
        """Go through what waits, heads before followers: a later run of a lane never comes before an earlier one."""
        yield from self._heads
        for followers in filter(None, self._followers.values()):
            yield from followers

    def parked(self) -> list[Ticket]:
        """Return what waits for its retry."""
        return [ticket for ticket in self._heads if ticket.due is not None]

    def add(self, ticket: Ticket) -> None:
        """Put a ticket at the end of its lane."""
        lane = ticket.lane
        if lane not in self._followers:
            self._followers[lane] = None
            self._advance(ticket)
        else:
            self._behind(lane).append(ticket)
            self._following += 1

    def is_long(self, lane: Lane) -> bool:
        """Say whether what comes now must go to the lane's shelf."""
        if not self._following and not self._shelves:
            return False
        return lane in self._shelves or len(self._followers.get(lane) or ()) >= LONGEST_LANE

    def shelve(self, lane: Lane, run_id: int) -> None:
        """Put a run that is on record, or will be before it is asked for, at the end of a long lane."""
        self._shelves.setdefault(lane, deque()).append(run_id)

    def unshelve(self, limit: int) -> dict[Lane, list[int]]:
        """Return what is next on the shelves of lanes that are to be refilled, about `limit` ids; see `refill`."""
        taken: dict[Lane, list[int]] = {}
        while self._short and limit > 0:
            lane = next(iter(self._short))
            del self._short[lane]
            shelf = self._shelves[lane]
            taken[lane] = [shelf.popleft() for _ in range(min(len(shelf), LONGEST_LANE - REFILL_BELOW))]
            limit -= len(taken[lane])
        return taken

    def refill(self, lane: Lane, tickets: list[Ticket]) -> None:
        """Put tickets of what was on a lane's shelf behind its followers; those that were revoked are missing."""
        if self._closed:
            return
        # It was a long lane all the time: nothing has been put behind the followers meanwhile.
        self._behind(lane).extend(tickets)
        self._following += len(tickets)
        if not self._shelves[lane]:
            del self._shelves[lane]
        if lane in self._idle:
            self._idle.discard(lane)
            self._next(lane)
        else:
            self._ask_for_more(lane)

    def begin(self, ticket: Ticket) -> None:
        """Note that a run goes on; its lane stays taken. It may have been noted before."""
        self._heads.pop(ticket, None)

    def park(self, ticket: Ticket) -> None:
        """Let a run wait until it is due, at the head of its lane and without its job's turn."""
        self._give_up_turn(ticket)
        if not self._closed:
            self._advance(ticket)

    def leave(self, ticket: Ticket) -> None:
        """Take a ticket out that was ready or went on."""
        self._heads.pop(ticket, None)
        self._give_up_turn(ticket)
        self._next(ticket.lane)

    def drop(self, ticket: Ticket) -> None:
        """Take a parked ticket out."""
        del self._heads[ticket]
        ticket.due = None
        self._next(ticket.lane)

    def close(self) -> None:
        """Forget what waits; nothing becomes ready any more."""
        self._closed = True
        self._heads.clear()
        self._followers.clear()
        self._following = 0
        self._turns.clear()
        self._shelves.clear()
        self._short.clear()
        self._idle.clear()

    def _advance(self, ticket: Ticket) -> None:
        self._heads[ticket] = None
        if ticket.due is not None and ticket.due > now():
            delay = (ticket.due - now()).total_seconds()
            asyncio.get_running_loop().call_later(delay, self._unpark, ticket)
            return
        ticket.due = None
        if ticket.options.is_singleton:
            turns = self._turns.get(ticket.run.job.id)
            if turns is not None:
                turns.append(ticket)
                return
            self._turns[ticket.run.job.id] = deque()
        self._ready(ticket)

    def _unpark(self, ticket: Ticket) -> None:
        if ticket in self._heads and ticket.due is not None:
            ticket.due = None
            self._advance(ticket)

    def _give_up_turn(self, ticket: Ticket) -> None:
        if not ticket.options.is_singleton or self._closed:
            return
        turns = self._turns[ticket.run.job.id]
        if turns:
            self._ready(turns.popleft())
        else:
            del self._turns[ticket.run.job.id]

    def _next(self, lane: Lane) -> None:
        followers = self._followers.get(lane)
        if followers:
            self._following -= 1
            self._advance(followers.popleft())
        elif lane in self._shelves:
            self._idle.add(lane)
        else:
            self._followers.pop(lane, None)
        if self._shelves:
            self._ask_for_more(lane)

    def _behind(self, lane: Lane) -> deque[Ticket]:
        followers = self._followers[lane]
        if followers is None:
            followers = self._followers[lane] = deque()
        return followers

    def _ask_for_more(self, lane: Lane) -> None:
        if self._shelves.get(lane) and len(self._followers[lane] or ()) < REFILL_BELOW and lane not in self._short:
            self._short[lane] = None
            self._hungry()
