"""Starter: what a run needs before it can begin (whom it is for, its row, its mark on record), had for many at once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.errors import ConnectionFailed, NotFound, ReceiverError, TableLocked
from rowhooks.domain.run import Run
from rowhooks.pipeline.ports import ObjectLoader, ReceiverCatalog, UserResolver
from rowhooks.pipeline.recorder import Recorder
from rowhooks.pipeline.scheduling.loads import Locked, Locks, Portion, size_of_row
from rowhooks.pipeline.scheduling.tickets import Lane, Ticket

logger = logging.getLogger(__name__)

FRESH = 0.1
"""Seconds for which a row that was loaded ahead is good enough to begin with."""
FARTHEST = 1000
"""Rows loaded ahead of the workers, at the most."""
WIDEN_AFTER = 5.0
"""Seconds after a row was too old during which no more are loaded ahead than before."""


class Window:
    """How many of one kind are got ready ahead of the workers: more while these are idle, fewer while rows grow old.

    Args:
        limit: how many run at once.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = limit
        self._taken = 0
        self._narrowed_at = -WIDEN_AFTER

    def take(self, ticket: Ticket) -> bool:
        """Give a ticket a place; False where there is none."""
        if self._taken >= self._size:
            return False
        self._taken += 1
        ticket.place = self._give_back
        return True

    def widen(self) -> None:
        """The workers had nothing to do."""
        if time.monotonic() - self._narrowed_at > WIDEN_AFTER:
            self._size = min(2 * self._size, max(FARTHEST, self._limit))

    def narrow(self) -> None:
        """A row was not fresh any more when its run could begin."""
        self._size, self._narrowed_at = max(self._size // 2, self._limit), time.monotonic()

    def _give_back(self) -> None:
        self._taken -= 1


class Preparation:
    """Gets runs ready, each table in a task of its own: one that somebody has locked holds up its own runs alone.

    Those of a locked table are put aside, without a place among what is got ready, until it can be read again. Where
    rows are large, few are loaded at once, and no more while a table's rows that were loaded wait for their runs.

    Args:
        recorder: says what stands on record and was revoked there.
        loader: loads the rows of all runs that start together, one query a table.
        users: says whom runs are for.
        receivers: says which of them are called with the row.
        start: called with each ticket that is ready.
        leave: called with each that is not to be run any more.
        put_aside: called with each that gives back its place, and its row, until it is submitted again.
        submit_again: called with each that was put aside, once its table can be read.
        wake: called with the lanes of those that were left to the table meanwhile, see `put_back`, each with whether
            its receiver is asynchronous.
        fail: called with what ends the leadership.
    """

    def __init__(
        self,
        recorder: Recorder,
        loader: ObjectLoader,
        users: UserResolver,
        receivers: ReceiverCatalog,
        start: Callable[[Ticket], None],
        leave: Callable[[Ticket], None],
        put_aside: Callable[[Ticket], None],
        submit_again: Callable[[Ticket], None],
        wake: Callable[[Iterable[tuple[bool, Lane]]], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self._recorder = recorder
        self._loader = loader
        self._users = users
        self._receivers = receivers
        self._start = start
        self._leave = leave
        self._put_aside = put_aside
        self._submit_again = submit_again
        self._wake = wake
        self._fail = fail
        self._queues: dict[int, deque[Ticket]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._locks = Locks(self._can_be_read, self._goes_on, fail)
        self._portions: dict[int, Portion] = {}
        self._closed = False
        self.tables: Mapping[int, TrackedTable] = {}
        self.loaded = 0
        """Characters of the rows that were loaded for runs that have not ended."""

    def needs(self, ticket: Ticket) -> bool:
        """Say whether a ticket has to be got ready; notes for whom it is where that is known."""
        cause = ticket.run.cause
        if ticket.members is not None:
            # It has many authors.
            ticket.user = ""
        elif ticket.user is None:
            ticket.user = self._users.known(cause.user_name, cause.db_user)
        return ticket.on_record or ticket.user is None or self.needs_row(ticket.run)

    def needs_row(self, run: Run) -> bool:
        """Say whether a run's row has to be loaded."""
        return run.cause.action != "delete" and self._receivers.options(run.job.class_path).loads_object

    async def reload(self, run: Run) -> Any:
        """Load the row of one run; None when it is gone, or when the receiver is called without it."""
        if not self.needs_row(run):
            return None
        table_id, key = run.cause.table_id, run.cause.object_id_json
        while True:
            try:
                found = (await self._loader.load(self.table(table_id), [key])).get(key)
            except TableLocked as error:
                await self._lock(table_id, key, error).is_free.wait()
                continue
            if isinstance(found, Exception):
                raise found
            return found

    def submit(self, ticket: Ticket) -> None:
        """Get a ticket ready."""
        # What was loaded for it before is of no use any more, and must not keep its table's rows from being loaded.
        ticket.changed_object = None
        ticket.may_begin = False
        self.release(ticket)
        table_id = ticket.run.cause.table_id
        if table_id in self._queues:
            self._queues[table_id].append(ticket)
            return
        self._queues[table_id] = deque([ticket])
        task = asyncio.get_running_loop().create_task(self._prepare_table(table_id))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def release(self, ticket: Ticket) -> None:
        """Count the row of a ticket no more."""
        if ticket.loaded:
            self._count(ticket, 0)

    def put_back(self, work: Callable[[Ticket], bool]) -> None:
        """Take out of memory most of what waits for a locked table, see `Locks.put_back`."""
        self._locks.put_back(work)

    def _count(self, ticket: Ticket, size: int) -> None:
        more = size - ticket.loaded
        ticket.loaded = size
        self.loaded += more
        self._portion(ticket.run.cause.table_id).hold(more)

    def _portion(self, table_id: int) -> Portion:
        return self._portions.setdefault(table_id, Portion())

    def close(self) -> None:
        """Start nothing more."""
        self._closed = True
        self._locks.close()
        for portion in self._portions.values():
            portion.room.set()

    def table(self, table_id: int) -> TrackedTable:
        """Return a tracked table.

        Raises:
            NotFound: there is none of that id any more.
        """
        table = self.tables.get(table_id)
        if table is None:
            raise NotFound(f"tracked table {table_id} was dropped or untracked since the change was made")
        return table

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        problem = None if task.cancelled() else task.exception()
        if problem is not None:
            self._fail(problem)

    async def _prepare_table(self, table_id: int) -> None:
        queue, portion = self._queues[table_id], self._portion(table_id)
        try:
            # What became ready in this round of the event loop is got ready together.
            await asyncio.sleep(0)
            while queue and not self._closed:
                # Two hooks on one row must not share an object, so each round loads a row once.
                rounds: dict[tuple[int, str], Ticket] = {}
                rest: deque[Ticket] = deque()
                places = portion.places
                for ticket in queue:
                    needs_row = self.needs_row(ticket.run)
                    if (needs_row and not places) or rounds.setdefault(ticket.run.row, ticket) is not ticket:
                        rest.append(ticket)
                    else:
                        places -= needs_row
                if not rounds:
                    await portion.room.wait()
                    continue
                queue.clear()
                queue.extend(rest)
                await self._prepare(table_id, list(rounds.values()))
        finally:
            del self._queues[table_id]

    async def _prepare(self, table_id: int, tickets: list[Ticket]) -> None:
        if (lock := self._locks.get(table_id)) is not None:
            tickets = self._without_locked(lock, tickets)
        needing = [ticket for ticket in tickets if self.needs_row(ticket.run)]
        try:
            await self._load(table_id, needing)
        except TableLocked as error:
            key = needing[0].run.cause.object_id_json
            tickets = self._without_locked(self._lock(table_id, key, error), tickets)
        except ConnectionFailed:
            raise
        except Exception as error:
            # It costs the runs of this table that are loaded now, and not the leadership.
            for ticket in needing:
                ticket.refused = error
        await self._resolve([ticket for ticket in tickets if ticket.user is None])
        # The last thing before they begin. They are marked as STARTED when they have, by the sweep: a statement with a
        # COMMIT here would hold up all of them.
        on_record = {ticket: _on_record(ticket) for ticket in tickets if ticket.on_record}
        asked = [run.id for runs in on_record.values() for run in runs]
        ended = await self._recorder.ended(asked) if asked else set()
        asked_at = time.monotonic()
        if self._closed:
            return
        for ticket in tickets:
            if ticket in on_record:
                if not self._is_left(ticket, [run for run in on_record[ticket] if run.id in ended]):
                    self._leave(ticket)
                    continue
                ticket.may_begin = True
                if not self.needs_row(ticket.run):
                    # That it may begin is good for as long as a row is.
                    ticket.loaded_at = asked_at
            self._start(ticket)

    def _lock(self, table_id: int, key: str, error: TableLocked) -> Locked:
        # It may be tracked no more by now.
        table = self.tables.get(table_id)
        return self._locks.of(table_id, f"tracked table {table_id}" if table is None else table.name, key, error)

    def _without_locked(self, lock: Locked, tickets: list[Ticket]) -> list[Ticket]:
        """Put those aside that need a row of a locked table; return the others."""
        others = []
        for ticket in tickets:
            if self.needs_row(ticket.run):
                lock.tickets.append(ticket)
                self._put_aside(ticket)
            else:
                others.append(ticket)
        return others

    async def _can_be_read(self, table_id: int, key: str) -> bool:
        try:
            await self._loader.load(self.table(table_id), [key])
        except TableLocked:
            return False
        except ConnectionFailed:
            raise
        except Exception:
            # It is not the lock: each run's own loading says what it is.
            return True
        return True

    def _goes_on(self, lock: Locked) -> None:
        for ticket in lock.tickets:
            self._submit_again(ticket)
        self._wake(lock.lanes)

    def _is_left(self, ticket: Ticket, revoked: list[Run]) -> bool:
        """Say whether anything of a ticket is still to be run, of which these were revoked."""
        for run in revoked:
            logger.info("the run was revoked before it began", extra=run.log_fields())
        if ticket.members is None:
            if revoked:
                return False
        else:
            if len(revoked) == len(ticket.members):
                return False
            ticket.drop_members({run.id for run in revoked})
        return True

    async def _load(self, table_id: int, tickets: list[Ticket]) -> None:
        if not tickets:
            return
        problem: Exception | None = None
        found = {}
        try:
            found = await self._loader.load(
                self.table(table_id), [ticket.run.cause.object_id_json for ticket in tickets]
            )
        except (ConnectionFailed, TableLocked):
            raise
        except Exception as error:
            # A missing privilege or a dropped table costs the runs of this table, and only them.
            problem = error
        loaded_at = time.monotonic()
        for ticket in tickets:
            one = found.get(ticket.run.cause.object_id_json)
            # One that could not be loaded is not gone.
            is_refused = isinstance(one, Exception)
            ticket.changed_object = None if is_refused else one
            self._count(ticket, size_of_row(ticket.changed_object))
            ticket.refused, ticket.loaded_at = one if is_refused else problem, loaded_at
        if problem is None:
            self._portion(table_id).learn(len(tickets), sum(ticket.loaded for ticket in tickets))

    async def _resolve(self, tickets: list[Ticket]) -> None:
        if not tickets:
            return
        pairs = list({(ticket.run.cause.user_name, ticket.run.cause.db_user): None for ticket in tickets})
        try:
            users = await self._users.resolve(pairs)
            if len(users) != len(pairs):
                raise ReceiverError(f"the permission backend answered {len(users)} users for {len(pairs)} runs")
        except ConnectionFailed:
            raise
        except Exception as error:
            users = [error] * len(pairs)
        known = dict(zip(pairs, users, strict=True))
        for ticket in tickets:
            user = known[ticket.run.cause.user_name, ticket.run.cause.db_user]
            if isinstance(user, Exception):
                ticket.refused = user
            else:
                ticket.user = user


def _on_record(ticket: Ticket) -> list[Run]:
    """Return what of a ticket stands on record."""
    if ticket.members is None:
        return [ticket.run]
    return [member.run for member in ticket.members if member.on_record]
