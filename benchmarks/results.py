"""Results: what the measurements return, as frozen values. Pure, no I/O."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Series:
    """One figure, measured once a round."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        """The lowest round."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The highest round."""
        return max(self.values)

    def times(self, factor: float) -> Series:
        """Return this series in another unit."""
        return Series(tuple(value * factor for value in self.values))

    def over(self, other: Series) -> Series:
        """Return this series divided by another, round by round: what disturbs a round disturbs both."""
        return Series(tuple(ours / theirs for ours, theirs in zip(self.values, other.values, strict=True)))


@dataclass(frozen=True)
class Cost:
    """What tracking a table costs one bulk statement.

    Args:
        name: the statement.
        untracked: its seconds on a table without triggers.
        tracked: its seconds on an equal table with triggers.
        wal_untracked: bytes of write-ahead log for each row, without triggers.
        wal_tracked: the same with triggers.
    """

    name: str
    untracked: Series
    tracked: Series
    wal_untracked: Series
    wal_tracked: Series

    @property
    def ratio(self) -> Series:
        """Tracked / untracked, of the same round."""
        return self.tracked.over(self.untracked)


@dataclass(frozen=True)
class Writing:
    """What single-row transactions reach while a daemon deals with what they write.

    Args:
        tps: transactions, of one change each, a second.
        handled: changes a second whose results were on record when the writers stopped.
        backlog: changes written and not dealt with at that moment.
        share: handled of those written, 1 for all.
    """

    tps: Series
    handled: Series
    backlog: Series
    share: Series


@dataclass(frozen=True)
class Single:
    """What tracking a table costs transactions of one UPDATE of one row, in transactions a second.

    Args:
        clients: how many write at once.
        untracked: on a table without triggers.
        stopped: on a tracked table, while no daemon runs.
        running: on a tracked table, while a daemon runs a receiver that does nothing.
        notifying: the same, with a NOTIFY in every transaction besides.
    """

    clients: int
    untracked: Series
    stopped: Series
    running: Writing
    notifying: Writing

    @property
    def ratio(self) -> Series:
        """Tracked without a daemon / untracked, of the same round."""
        return self.stopped.over(self.untracked)

    @property
    def bell_gain(self) -> Series:
        """Tracked with a daemon / the same with a NOTIFY in every transaction, of the same round."""
        return self.running.tps.over(self.notifying.tps)


@dataclass(frozen=True)
class Drain:
    """How fast a backlog is dealt with.

    Args:
        receiver: class name of the receiver that the changes start.
        description: what it does.
        changes: length of the backlog.
        rate: changes a second, from the daemon's being ready to the position's being behind the last change.
    """

    receiver: str
    description: str
    changes: int
    rate: Series


@dataclass(frozen=True)
class ProcessorTime:
    """Seconds of processor time that a run takes.

    Args:
        daemon: of the daemon's process.
        workers: of worker processes.
        server: of the server's processes.
    """

    daemon: Series
    workers: Series
    server: Series

    @property
    def most(self) -> float:
        """How many runs a second one core of a daemon has time for."""
        return 1 / self.daemon.median


@dataclass(frozen=True)
class Executed:
    """How fast runs of one receiver are executed by workers.

    Args:
        receiver: its class name.
        description: what it does.
        rates: changes a second, by the number of worker processes; with 0 the daemon executes them itself.
        here: processor time of a run that the daemon executes itself.
        there: the same with one worker process.
    """

    receiver: str
    description: str
    rates: tuple[tuple[int, Series], ...]
    here: ProcessorTime
    there: ProcessorTime


@dataclass(frozen=True)
class Tasks:
    """How fast processes of Celery's execute a task for each change.

    Args:
        receiver: class name of the receiver whose work a task does.
        rates: tasks a second, by the number of processes.
    """

    receiver: str
    rates: tuple[tuple[int, Series], ...]


@dataclass(frozen=True)
class WorkersFound:
    """How fast workers are.

    Args:
        changes: length of each backlog.
        executed: by receiver.
        tasks: Celery's, in the same rounds; by receiver.
        latency_here: seconds from COMMIT to a receiver in the daemon.
        latency_there: the same in a worker.
    """

    changes: int
    executed: tuple[Executed, ...]
    tasks: tuple[Tasks, ...]
    latency_here: Percentiles
    latency_there: Percentiles


@dataclass(frozen=True)
class Parked:
    """How fast runs go that wait on record for their row's turn.

    Args:
        rows: how many rows they are about.
        runs: how many there are.
        fresh: runs a second that were never put on record before their end.
        parked: runs a second that stood there as PENDING.
    """

    rows: int
    runs: int
    fresh: Series
    parked: Series

    @property
    def ratio(self) -> Series:
        """Parked / fresh, of the same round."""
        return self.parked.over(self.fresh)


@dataclass(frozen=True)
class Percentiles:
    """A distribution of times, in seconds."""

    p50: float
    p95: float
    p99: float
    slowest: float

    @classmethod
    def of(cls, values: list[float]) -> Self:
        """Return the percentiles of at least two values (linear interpolation between neighbours)."""
        cuts = statistics.quantiles(values, n=100, method="inclusive")
        return cls(cuts[49], cuts[94], cuts[98], max(values))


@dataclass(frozen=True)
class Latency:
    """How soon something hears of a COMMIT.

    Args:
        name: what was written, and who heard of it.
        changes: how many were measured, in all rounds.
        sent: from the moment the writer sent its COMMIT; holds the server's flush of its log.
        returned: from the moment the writer knew of its COMMIT; below zero where it was told later than the listener.
        p50: the median of `sent`, round by round.
    """

    name: str
    changes: int
    sent: Percentiles
    returned: Percentiles
    p50: Series


@dataclass(frozen=True)
class Latencies:
    """Latencies of one run.

    Args:
        notify: asyncpg's listener, of a NOTIFY and nothing else.
        trigger: asyncpg's listener, of an UPDATE with a trigger that does nothing but NOTIFY.
        idle: a receiver, of an UPDATE of a tracked table that nobody else writes to.
        busy: a receiver, of an UPDATE of a tracked table that others write to at a moderate rate.
    """

    notify: Latency
    trigger: Latency
    idle: Latency
    busy: Latency

    @property
    def over_trigger(self) -> Series:
        """Median of a receiver on an idle system / median of the raw NOTIFY trigger, of the same round."""
        return self.idle.p50.over(self.trigger.p50)


@dataclass(frozen=True)
class Grown:
    """The drain rate beside something that grows.

    Args:
        amount: how large it was.
        rate: changes a second.
        ratio: the rate / the rate at the first amount, of the same round.
    """

    amount: int
    rate: Series
    ratio: Series


@dataclass(frozen=True)
class Memory:
    """The daemon's largest resident memory.

    Args:
        backlog: changes that waited for it.
        watched: how many of them it had dealt with when the memory was read.
        peak: bytes.
    """

    backlog: int
    watched: int
    peak: int


@dataclass(frozen=True)
class CommandTime:
    """Seconds of processor time, user and system, that a command takes.

    Args:
        name: the command.
        taken: by it.
        nothing: by a process of Python that does nothing, in the same round.
        is_listing: whether it asks the database.
    """

    name: str
    taken: Series
    nothing: Series
    is_listing: bool

    @property
    def ratio(self) -> Series:
        """The command / the process that does nothing, of the same round."""
        return self.taken.over(self.nothing)


@dataclass(frozen=True)
class Starting:
    """Seconds from the start of a process of Python.

    Args:
        nothing: to the end of one that does nothing.
        libraries: to the end of one that imports the libraries which a daemon uses, and does nothing.
        version: to the end of `rowhooks --version`.
        ready: to the moment when a daemon is on record as the leader.
        first_run: to the result of a change that waited for it.
        commands: processor time of commands that end.
    """

    nothing: Series
    libraries: Series
    version: Series
    ready: Series
    first_run: Series
    commands: tuple[CommandTime, ...] = ()


@dataclass(frozen=True)
class PageTime:
    """How soon the console answers with a page.

    Args:
        name: what is on it.
        size: bytes.
        taken: the median of a round, in seconds, from the request to the last byte.
        trivial: that of a page that asks the database nothing.
    """

    name: str
    size: int
    taken: Series
    trivial: Series

    @property
    def ratio(self) -> Series:
        """The page / the trivial page, of the same round."""
        return self.taken.over(self.trivial)
