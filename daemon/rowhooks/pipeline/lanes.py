"""Lanes: which run may start next. Pure bookkeeping; the scheduler says when runs begin and end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rowhooks.domain.job import JobOptions
from rowhooks.domain.run import Run, now
from rowhooks.pipeline.progress import Step
from rowhooks.pipeline.runner import Execution

Lane = tuple[Any, ...]


@dataclass(slots=True, eq=False)
class Ticket:
    """A run on its way through the scheduler.

    Args:
        step: what of the feed waits for the run to be on record; None once it is.
        on_record: it stands in the table, unstarted, and may have been revoked there.
        due: when a run that waits for its retry may start.
    """

    run: Run
    step: Step | None
    options: JobOptions
    asynchronous: bool
    on_record: bool
    due: datetime | None
    submitted_at: datetime = field(default_factory=now)
    started_on_record: bool = False
    interrupted: bool = False
    execution: Execution | None = None
    task: asyncio.Task[Any] | None = None

    @property
    def lane(self) -> Lane:
        """What it must not overtake."""
        return self.run.lane if self.options.ordered else (self.run.id,)


class Lanes:
    """Runs one behind another, per lane and, for singletons, per job.

    Heads are first in their lane and do not run yet; followers stand behind a head or a run that goes on.

    Args:
        ready: called with each ticket that may start, now that nothing stands before it.
    """

    def __init__(self, ready: Callable[[Ticket], None]) -> None:
        self._ready = ready
        self._heads: dict[Ticket, None] = {}
        self._followers: dict[Lane, deque[Ticket]] = {}
        self._turns: dict[int, deque[Ticket]] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._heads) + sum(map(len, self._followers.values()))

    def __iter__(self) -> Iterator[Ticket]:
        """Go through what waits, heads before followers: a later run of a lane never comes before an earlier one."""
        yield from self._heads
        for followers in self._followers.values():
            yield from followers

    def parked(self) -> list[Ticket]:
        """Return what waits for its retry."""
        return [ticket for ticket in self._heads if ticket.due is not None]

    def add(self, ticket: Ticket) -> None:
        """Put a ticket at the end of its lane."""
        followers = self._followers.get(ticket.lane)
        if followers is None:
            self._followers[ticket.lane] = deque()
            self._advance(ticket)
        else:
            followers.append(ticket)

    def begin(self, ticket: Ticket) -> None:
        """Note that a run goes on; its lane stays taken."""
        del self._heads[ticket]

    def park(self, ticket: Ticket) -> None:
        """Let a run wait until it is due, at the head of its lane and without its job's turn."""
        self._give_up_turn(ticket)
        if not self._closed:
            self._advance(ticket)

    def leave(self, ticket: Ticket) -> None:
        """Take a ticket out that was ready or went on."""
        self._heads.pop(ticket, None)
        self._give_up_turn(ticket)
        self._next(ticket)

    def drop(self, ticket: Ticket) -> None:
        """Take a parked ticket out."""
        del self._heads[ticket]
        ticket.due = None
        self._next(ticket)

    def close(self) -> None:
        """Forget what waits; nothing becomes ready any more."""
        self._closed = True
        self._heads.clear()
        self._followers.clear()
        self._turns.clear()

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

    def _next(self, ticket: Ticket) -> None:
        followers = self._followers.get(ticket.lane)
        if followers:
            self._advance(followers.popleft())
        else:
            self._followers.pop(ticket.lane, None)
