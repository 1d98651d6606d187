"""Events: what the engine says of itself. Frozen values, published in one place; whoever wants to know subscribes.

The engine never calls a subscriber by name, and no class of the engine is subclassed to listen to it (as in Oban's
telemetry and stamina's instrumentation). An event that nobody has subscribed to is not even made: see `Events.wants`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

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
class RunEnded(Event):
    """A run has come to an end, and its outcome is on record."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class LeadershipChanged(Event):
    """The daemon does something else now.

    Args:
        state: one of the states of `rowhooks.observability.health`.
        reason: what went wrong, in one line; empty where nothing did.
    """

    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FeedRead(Event):
    """Changes were read from the log and matched."""

    changes: int


@dataclass(frozen=True, slots=True)
class BellRung(Event):
    """A notification was received."""


@dataclass(frozen=True, slots=True)
class ConfigurationLoaded(Event):
    """Tracked tables, jobs, hooks and buttons were read anew.

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
    """The leader has counted what waits in the database; None where it could not."""

    backlog: Backlog | None


@dataclass(frozen=True, slots=True)
class InternalErrorOccurred(Event):
    """An error of rowhooks' own ended a run or a leadership."""


@dataclass(frozen=True, slots=True)
class DeadlineSet(Event):
    """Something is to be done, or its deadline set anew, within so many seconds; otherwise the daemon is wedged."""

    what: str
    seconds: float


@dataclass(frozen=True, slots=True)
class DeadlineMet(Event):
    """It is done."""

    what: str


Subscriber: TypeAlias = Callable[[Event], None]
E_ = TypeVar("E_", bound=Event)


class Events:
    """Where events are published and subscribed to.

    Subscribers are called in the thread and in the context of whoever publishes, one after another. What one of them
    raises is logged; it ends neither the run nor the daemon.
    """

    def __init__(self) -> None:
        self._subscribers: dict[type[Event], list[Callable[..., None]]] = {}

    def subscribe(self, kind: type[E_], subscriber: Callable[[E_], None]) -> Callable[[], None]:
        """Call a function with each event of a kind from now on; return what ends that."""
        self._subscribers[kind] = [*self._subscribers.get(kind, ()), subscriber]

        def unsubscribe() -> None:
            left = [one for one in self._subscribers.get(kind, ()) if one is not subscriber]
            if left:
                self._subscribers[kind] = left
            else:
                self._subscribers.pop(kind, None)

        return unsubscribe

    def wants(self, kind: type[Event]) -> bool:
        """Say whether anybody has subscribed to a kind; who publishes often asks before the event is made."""
        return kind in self._subscribers

    def publish(self, event: Event) -> None:
        """Hand an event to those who have subscribed to its kind."""
        for subscriber in self._subscribers.get(type(event), ()):
            try:
                subscriber(event)
            except Exception:
                logger.exception("a subscriber of %s failed", type(event).__name__)
