"""Queues: each run is in one, by which the workers are chosen that may execute it. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from rowhooks.domain.errors import UsageError

if TYPE_CHECKING:
    from rowhooks.domain.configuration import Configuration, JobButton, JobHook
    from rowhooks.domain.job import JobOptions

    OriginT = TypeVar("OriginT", JobHook, JobButton)

DEFAULT = "default"
"""The queue of jobs that name none, unless the settings name another one."""
QUEUE_RULE = "1 to 63 letters, digits, _, - and ."
"""What the name of a queue has. The constraints of rowhooks.job_hook and rowhooks.job_button say the same."""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,63}")


@dataclass(frozen=True)
class Queues:
    """The queues of a leader.

    Args:
        allowed: those that its settings have.
        default: that of jobs that name none.
        own: those whose runs the leader executes itself; runs in the others need workers.
    """

    allowed: tuple[str, ...] = (DEFAULT,)
    default: str = DEFAULT
    own: frozenset[str] = frozenset({DEFAULT})


def is_queue_name(name: object) -> bool:
    """Say whether something can be the name of a queue."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def check_queue(name: str | None) -> None:
    """Make sure that the queue that is given for a hook or button has a name; None: none is given.

    Raises:
        UsageError: it cannot be one.
    """
    if name is not None and not is_queue_name(name):
        raise UsageError(f"queue {name!r} is no name of a queue", hint=f"a name has {QUEUE_RULE}")


def queue_of(origin: JobHook | JobButton, options: JobOptions, default: str) -> str:
    """Return the queue of the runs of a hook or button.

    Args:
        origin: the hook or button; its own queue comes first.
        options: those of its job; `Meta.queue` comes next.
        default: the setting `default_queue`.
    """
    return origin.queue or options.queue or default


def is_allowed(queue: str, allowed: Collection[str]) -> bool:
    """Say whether a queue is among those that the leader's setting `queues` allows; runs in another one wait."""
    return queue in allowed


def with_stray_queues_kept(
    configuration: Configuration, has_queue: Callable[[JobHook | JobButton], bool]
) -> Configuration:
    """Return the configuration in which runs that are in no queue of the leader wait, as those of a missing job do.

    Args:
        configuration: as the database has it.
        has_queue: whether the queue of a hook's or button's runs is allowed.
    """

    def kept(origin: OriginT) -> OriginT:
        return origin if has_queue(origin) else replace(origin, job=replace(origin.job, installed=False))

    return replace(
        configuration,
        hooks=tuple(map(kept, configuration.hooks)),
        buttons=tuple(map(kept, configuration.buttons)),
    )
