"""Batches: gathers the runs of a hook whose receiver takes many changes in one call."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime

from rowhooks.domain.job import JobOptions
from rowhooks.domain.run import PENDING, Batch, Outcome, Run
from rowhooks.pipeline.recorder import Recorder
from rowhooks.pipeline.scheduling.tickets import Member, Ticket


class _Line:
    """What waits of one hook."""

    def __init__(self, options: JobOptions, asynchronous: bool) -> None:
        self.options = options
        self.asynchronous = asynchronous
        self.members: deque[Member] = deque()
        self.is_busy = False
        self.timer: asyncio.TimerHandle | None = None


class Batches:
    """Makes tickets of runs that wait: when there are enough of them, or the first has waited long enough.

    One batch of a hook runs at a time. What comes meanwhile is gathered for the next: batches grow with the load.

    Args:
        add: takes a ticket.
    """

    def __init__(self, add: Callable[[Ticket], None]) -> None:
        self._add = add
        self._lines: dict[int, _Line] = {}
        self._count = 0

    def __len__(self) -> int:
        """Return how many runs wait for a batch to be made of them."""
        return self._count

    def __iter__(self) -> Iterator[Member]:
        """Go through what waits."""
        for line in self._lines.values():
            yield from line.members

    def submit(self, member: Member, options: JobOptions, asynchronous: bool) -> None:
        """Take a run; those of one hook in the order of their changes."""
        line = self._lines.get(member.run.origin.id)
        if line is None:
            line = self._lines[member.run.origin.id] = _Line(options, asynchronous)
        line.options = options
        line.members.append(member)
        self._count += 1
        if not line.is_busy:
            self._look(line)

    def ended(self, ticket: Ticket) -> None:
        """Note that a batch has ended."""
        line = self._lines[ticket.run.origin.id]
        line.is_busy = False
        if line.members:
            self._look(line)

    def close(self) -> None:
        """Forget what waits."""
        for line in self._lines.values():
            if line.timer is not None:
                line.timer.cancel()
        self._lines.clear()
        self._count = 0

    def _look(self, line: _Line) -> None:
        if len(line.members) >= (line.options.batch_size or 1):
            self._form(line)
        elif line.timer is None:
            waited = time.monotonic() - line.members[0].submitted_at
            line.timer = asyncio.get_running_loop().call_later(
                max(0.0, line.options.batch_wait - waited), self._form, line
            )

    def _form(self, line: _Line) -> None:
        if line.timer is not None:
            line.timer.cancel()
            line.timer = None
        if line.is_busy or not line.members:
            return
        size = min(len(line.members), line.options.batch_size or 1)
        members = [line.members.popleft() for _ in range(size)]
        self._count -= size
        line.is_busy = True
        # What waits for its retry holds back what comes after it.
        due = max((member.due for member in members if member.due is not None), default=None)
        self._add(_ticket(members, line, due))


def _ticket(members: list[Member], line: _Line, due: datetime | None) -> Ticket:
    run: Run = Batch.of([member.run for member in members])
    return Ticket(run, None, line.options, line.asynchronous, on_record=False, due=due, members=members)


def put_on_record(recorder: Recorder, ticket: Ticket, outcome: Outcome) -> None:
    """Hand what became of a ticket to the recorder, run by run; nothing of the feed waits for it from then on."""
    if ticket.members is None:
        recorder.submit(outcome, ticket.step)
        ticket.step = None
        return
    for member, one in zip(ticket.members, outcome.each(), strict=True):
        recorder.submit(one, member.step)
        member.step = None


def put_off(recorder: Recorder, waiting: Ticket | Member) -> bool:
    """Put a run that waits for long on record as PENDING; False where it is there already."""
    if waiting.step is None:
        return False
    recorder.submit(Outcome(waiting.run, PENDING, None), waiting.step)
    waiting.on_record, waiting.step = True, None
    return True
