"""A job, and what its class says of itself in `Meta`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rowhooks.domain.feed import Snapshot


@dataclass(frozen=True)
class Job:
    """A registered receiver class, as the database knows it.

    Args:
        installed: the code of the daemon that leads, or led last, has it; what it is to run waits otherwise.
        sensitive: `Meta.has_sensitive_variables`, which holds also while the class is missing.
    """

    id: int
    class_path: str
    name: str
    enabled: bool
    installed: bool
    enabled_since: Snapshot | None = None
    sensitive: bool = False


@dataclass(frozen=True)
class JobEntry:
    """A receiver class as the code has it, to be made known to the database.

    Args:
        class_path: `module.Class`.
        kind: `hook` or `button`.
        hidden: left out of listings unless they are asked for it.
        meta: what else its Meta says, in values that JSON can hold.
    """

    class_path: str
    kind: str
    name: str
    grouping: str = ""
    description: str = ""
    hidden: bool = False
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class JobOptions:
    """What a receiver's `Meta` says of how it is run. Names as in Nautobot and Celery; times in seconds.

    Args:
        soft_time_limit: when SoftTimeLimitExceeded is raised inside the receiver; None: never.
        time_limit: when the run is ended; None: never.
        is_singleton: one run of the job at a time.
        has_sensitive_variables: keep the row's values, the return value and exceptions' texts out of what is stored.
        max_retries: how often a run that raised one of `autoretry_for` is tried again.
        autoretry_for: exception classes.
        retry_backoff: seconds before the first retry, doubled for each further one; 0: at once.
        retry_backoff_max: the longest pause.
        retry_jitter: pause for a random part of that time.
        ordered: runs for one row happen one after another, in the order of the changes.
        batch_size: how many changes one call takes at the most; None: one, the receiver has no batch form.
        batch_wait: how long a change waits for others to be taken with it.
        loads_object: whether the receiver is called with the row, which is loaded for it.
    """

    soft_time_limit: float | None = None
    time_limit: float | None = None
    is_singleton: bool = False
    has_sensitive_variables: bool = False
    max_retries: int = 0
    autoretry_for: tuple[type[BaseException], ...] = ()
    retry_backoff: float = 1.0
    retry_backoff_max: float = 600.0
    retry_jitter: bool = True
    ordered: bool = True
    batch_size: int | None = None
    batch_wait: float = 0.0
    loads_object: bool = True

    def retries(self, error: BaseException, retries: int) -> bool:
        """Say whether a run that has been retried so often is tried again after this error."""
        return retries < self.max_retries and isinstance(error, self.autoretry_for)

    def pause(self, retries: int, uniform: Callable[[float, float], float]) -> float:
        """Return the seconds before the next retry (Celery's get_exponential_backoff_interval).

        Args:
            retries: how many there were before.
            uniform: random.uniform.
        """
        # The exponent is bounded: 2.0 ** 1024 overflows.
        longest = min(self.retry_backoff_max, self.retry_backoff * 2.0 ** min(retries, 64))
        return uniform(0, longest) if self.retry_jitter else longest
