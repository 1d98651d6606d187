"""Events: what the engine says of itself. They are frozen values, published in one place.

The engine calls no subscriber by name, and no class of the engine is subclassed to listen to it (as in Oban's telemetry
and stamina's instrumentation). An event that comes with every run is made only if its kind has a subscriber:
see `Events.wanted`.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from rowhooks.domain.backlog import Backlog
from rowhooks.domain.run import Outcome, Run

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """What all events are."""


@dataclass(frozen=True, slots=True)
class RunSubmitted(Event):
    """A run was handed to the scheduler."""

    run: Run


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """A run begins to be executed; published once, before its receiver is called.

    This and all events up to `RunExecuted` carry the same object as `run`. A retry that `Meta` asks for begins with
    another object and with a RunStarted of its own. A batch is one run here.
    """

    run: Run


@dataclass(frozen=True, slots=True)
class AttemptStarted(Event):
    """The receiver is about to be called; published in the thread and in the context in which its code then runs.

    Args:
        run: the run.
        number: 1 for the first attempt since RunStarted, and one more after each transient retry.
    """

    run: Run
    number: int


@dataclass(frozen=True, slots=True)
class AttemptEnded(Event):
    """The receiver was called; published where `AttemptStarted` was, also for a run that was abandoned meanwhile."""

    run: Run


@dataclass(frozen=True, slots=True)
class RunExecuted(Event):
    """A run is executed no more; published once after `RunStarted`, before the outcome is on record, from any thread.

    A receiver that is left behind when the daemon stops ends without it.

    Args:
        run: the run.
        outcome: what became of it; None where the leadership or the connection was lost, or the run was cancelled.
        error: what the receiver raised or fail() noted, or what ended the run without an outcome.
    """

    run: Run
    outcome: Outcome | None
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class RunFailed(Event):
    """The receiver of a run raised, or the run was ended at its time limit; published before this is on record.

    Args:
        outcome: `FAILURE`; `RETRY`, where there is to be another attempt because `Meta` asks for it; `REVOKED`, where
            the run was revoked before that was recorded.
    """

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class RunRetried(Event):
    """An attempt failed, and there is to be another one.

    Args:
        run: the run; a batch is one.
        error: what the attempt raised.
        pause: seconds until the next attempt.
        is_transient: whether the error passes by itself, so that the retry counts against no limit of `Meta`.
    """

    run: Run
    error: BaseException
    pause: float
    is_transient: bool


@dataclass(frozen=True, slots=True)
class RunLost(Event):
    """The worker that executed a run has ended in the middle of it, or was not heard of.

    Args:
        run: the run; a batch is one.
        reason: what became of the worker.
        is_last: the run is not executed again, because it may be what ends workers.
    """

    run: Run
    reason: str
    is_last: bool


@dataclass(frozen=True, slots=True)
class RunEnded(Event):
    """A run has come to an end, and its outcome is on record.

    Args:
        outcome: as it stands on record, also where this daemon has not written it, for example by a revocation.
    """

    outcome: Outcome


class DaemonState(StrEnum):
    """What a daemon is doing; or a worker, of which WORKING says that it takes runs."""

    STARTING = "starting"
    STANDBY = "standing by"
    LEADING = "leading"
    WORKING = "working"
    WAITING = "waiting for the database"
    STOPPING = "stopping"
    RELOADING = "reloading"


@dataclass(frozen=True, slots=True)
class LeadershipChanged(Event):
    """The daemon is in another state now.

    Args:
        state: the new state. WAITING means that a leadership, or the wait for one, has ended by an error.
        reason: the error, in one line with its secrets blanked; empty where there is none.
    """

    state: DaemonState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FeedRead(Event):
    """The leader has read changes from the log, and matched them.

    Args:
        changes: how many; 0 where only the position moves.
    """

    changes: int


@dataclass(frozen=True, slots=True)
class BellRung(Event):
    """The leader has received a notification."""


@dataclass(frozen=True, slots=True)
class ConfigurationLoaded(Event):
    """The leader has read the tracked tables, jobs, hooks and buttons anew.

    Args:
        version: of the configuration.
        tables: how many tables are tracked.
        hooks: how many hooks are enabled.
    """

    version: int
    tables: int
    hooks: int


@dataclass(frozen=True, slots=True)
class BacklogCounted(Event):
    """The leader has counted what waits in the database.

    The leader counts only where there is a subscriber, every 5 seconds or less often.

    Args:
        backlog: what it has counted; None where counting failed.
    """

    backlog: Backlog | None


@dataclass(frozen=True, slots=True)
class InternalErrorOccurred(Event):
    """An error of rowhooks itself has ended a run or a leadership. It is in the log."""


@dataclass(frozen=True, slots=True)
class DeadlineSet(Event):
    """The daemon has begun something. If it takes longer than this, the daemon is wedged.

    Args:
        what: names it. A later event of the same name replaces the deadline.
        seconds: from now on.
    """

    what: str
    seconds: float


@dataclass(frozen=True, slots=True)
class DeadlineMet(Event):
    """What had a deadline is done.

    Args:
        what: as in `DeadlineSet`.
    """

    what: str


@dataclass(frozen=True, slots=True)
class DeadlinesDropped(Event):
    """None of the deadlines counts any more, because all that had one has ended."""


E_ = TypeVar("E_", bound=Event)
_subscribing = threading.Lock()


class Events:
    """Where events are published and subscribed to.

    Subscribers are called one after another, in the thread and in the context of the code that publishes. What a
    subscriber raises is logged; it ends neither the run nor the daemon.

    Args:
        parent: its own subscribers hear of these events too.
    """

    def __init__(self, parent: Events | None = None) -> None:
        # Each tuple is replaced and never changed: other threads may be reading it.
        self.subscribers: dict[type[Event], tuple[Callable[..., object], ...]] = {}
        self._parents = {} if parent is None else parent.subscribers
        self._children: weakref.WeakSet[Events] = weakref.WeakSet()
        self.wanted: frozenset[type[Event]] = frozenset()
        """The kinds that have a subscriber. Code that publishes often looks here before it makes an event."""
        with _subscribing:
            if parent is not None:
                parent._children.add(self)  # noqa: SLF001  (of this class)
            self._note_wanted()

    def subscribe(self, kind: type[E_], function: Callable[[E_], object]) -> Callable[[], None]:
        """Call a function with each event of a kind from now on.

        Args:
            kind: the class of the events; its subclasses are not included.
            function: is called with the event. If it has subscribed to this kind already, nothing changes.

        Returns:
            A function that ends the subscription.
        """
        with _subscribing:
            subscribers = self.subscribers.get(kind, ())
            if function not in subscribers:
                self.subscribers[kind] = (*subscribers, function)
                self._note_wanted()

        def unsubscribe() -> None:
            with _subscribing:
                left = tuple(one for one in self.subscribers.get(kind, ()) if one != function)
                if left:
                    self.subscribers[kind] = left
                else:
                    self.subscribers.pop(kind, None)
                self._note_wanted()

        return unsubscribe

    def _note_wanted(self) -> None:
        self.wanted = frozenset((*self.subscribers, *self._parents))
        for child in self._children:
            child._note_wanted()  # noqa: SLF001  (of this class)

    def publish(self, event: Event) -> None:
        """Hand an event to the subscribers of its kind."""
        kind = type(event)
        for subscriber in self.subscribers.get(kind, ()) + self._parents.get(kind, ()):
            try:
                subscriber(event)
            except KeyboardInterrupt:
                raise
            except BaseException:  # a subscriber's SystemExit, or a cancelled future that it asks, is its own affair
                logger.exception("a subscriber of %s failed", kind.__name__)


PROCESS = Events()
"""Those that have subscribed to the events of all daemons of this process, by `rowhooks.events.subscribe`."""
