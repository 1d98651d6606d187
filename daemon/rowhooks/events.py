"""Events: what the daemons of this process do, for code that wants to be told.

A receivers' module subscribes when it is imported:

    from rowhooks.events import RunEnded, subscribe

    def report(event: RunEnded) -> None:
        ...

    subscribe(RunEnded, report)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from rowhooks.domain.events import (
    PROCESS,
    AttemptEnded,
    AttemptStarted,
    BacklogCounted,
    BellRung,
    ConfigurationLoaded,
    DaemonState,
    DeadlineMet,
    DeadlinesDropped,
    DeadlineSet,
    Event,
    FeedRead,
    InternalErrorOccurred,
    LeadershipChanged,
    RunEnded,
    RunExecuted,
    RunFailed,
    RunLost,
    RunRetried,
    RunStarted,
    RunSubmitted,
)

__all__ = [
    "AttemptEnded",
    "AttemptStarted",
    "BacklogCounted",
    "BellRung",
    "ConfigurationLoaded",
    "DaemonState",
    "DeadlineMet",
    "DeadlineSet",
    "DeadlinesDropped",
    "Event",
    "FeedRead",
    "InternalErrorOccurred",
    "LeadershipChanged",
    "RunEnded",
    "RunExecuted",
    "RunFailed",
    "RunLost",
    "RunRetried",
    "RunStarted",
    "RunSubmitted",
    "subscribe",
]

E = TypeVar("E", bound=Event)


def subscribe(kind: type[E], function: Callable[[E], object]) -> Callable[[], None]:
    """Call a function with each event of a kind, from now on and until the process ends.

    It is called in the thread that publishes, which waits for it; so it must be quick. What it raises is logged.

    Args:
        kind: the class of the events; its subclasses are not included.
        function: is called with the event. If it has subscribed to this kind already, nothing changes.

    Returns:
        A function that ends the subscription.
    """
    return PROCESS.subscribe(kind, function)
