"""A job, and what its class says of itself in `Meta`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rowhooks.domain.computed import computed
from rowhooks.domain.errors import InvalidInputs, TransactionEnded
from rowhooks.domain.feed import Snapshot


@dataclass(frozen=True)
class Job:
    """A registered receiver class, as the database knows it.

    Args:
        installed: whether the code of the present leader, or of the last one, has the class; otherwise its runs wait.
            In the leader it is also False for a hook or button whose queue the settings do not allow.
        sensitive: `Meta.has_sensitive_variables`, which also holds while the class is missing.
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
    """A receiver class as the code has it, for the database.

    Args:
        class_path: `module.Class`.
        kind: `hook` or `button`.
        hidden: whether listings leave it out by default.
        meta: what else its Meta says, with values that JSON can hold.
        inputs_schema: the JSON schema of what a press gives it; None: it takes no inputs.
    """

    class_path: str
    kind: str
    name: str
    grouping: str = ""
    description: str = ""
    hidden: bool = False
    meta: Mapping[str, Any] = field(default_factory=dict)
    inputs_schema: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class JobOptions:
    """What a receiver's `Meta` says of how it is run. Names as in Nautobot and Celery; times in seconds.

    Args:
        soft_time_limit: when SoftTimeLimitExceeded is raised inside the receiver; None: never.
        time_limit: when the run is ended; None: never.
        is_singleton: whether only one run of the job goes on at a time.
        max_concurrency: how many runs of the job go on at a time, over all workers; None: as many as can.
        has_sensitive_variables: whether the row's values, the return value and the texts of exceptions are not stored.
        max_retries: how often a run that raised one of `autoretry_for` is retried.
        autoretry_for: exception classes.
        retry_backoff: the pause before the first retry, doubled for each further one; 0: no pause.
        retry_backoff_max: the longest pause.
        retry_jitter: whether each pause is a random part of that time.
        ordered: whether runs for one row happen one after another, in the order of the changes.
        batch_size: how many changes one call takes at most; None: one, because the receiver has no batch form.
        batch_wait: how long a change waits for others that are taken in the same call.
        loads_object: whether the receiver is called with the row, which is loaded for it.
        group_commit: how many runs share a transaction at most; 1: each has its own.
        load: the relations that are loaded with the row, as paths such as `location.parent`.
        queue: the queue of its runs, where the hook or button names none; None: that of the settings.
    """

    soft_time_limit: float | None = None
    time_limit: float | None = None
    is_singleton: bool = False
    max_concurrency: int | None = None
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
    load: tuple[str, ...] = ()
    group_commit: int = 1
    queue: str | None = None

    @computed
    def turns(self) -> int | None:
        """How many runs of the job may go on at a time; None: as many as can."""
        return 1 if self.is_singleton else self.max_concurrency

    def retries(self, error: BaseException, retries: int) -> bool:
        """Say whether a run that has been retried so many times is retried after this error."""
        may_help = isinstance(error, self.autoretry_for) and not isinstance(error, (InvalidInputs, TransactionEnded))
        return may_help and retries < self.max_retries

    def pause(self, retries: int, uniform: Callable[[float, float], float]) -> float:
        """Return the seconds before the next retry (Celery's get_exponential_backoff_interval).

        Args:
            retries: the number of retries before it.
            uniform: random.uniform.
        """
        # The exponent is bounded: 2.0 ** 1024 overflows.
        longest = min(self.retry_backoff_max, self.retry_backoff * 2.0 ** min(retries, 64))
        return uniform(0, longest) if self.retry_jitter else longest
