"""A receiver, ready to be run once: the arguments that its methods are called with."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Any

from rowhooks.domain.errors import JobFailed
from rowhooks.receivers.base import Receiver


@dataclass(frozen=True)
class ExceptionInfo:
    """The argument `einfo` of life-cycle methods, with the most used attributes of Celery's class of this name."""

    exception: BaseException

    @property
    def type(self) -> type[BaseException]:
        """The exception's class."""
        return type(self.exception)

    @property
    def traceback(self) -> str:
        """The traceback as text."""
        return "".join(traceback.format_exception(self.exception))

    def __str__(self) -> str:
        return self.traceback


class ReceiverCall:
    """One receiver with its arguments.

    Args:
        receiver: a new instance.
        defines: the life-cycle methods that its class defines itself.
        task_id: the run's key.
        kwargs: what the method is called with.
        method: `run`, or the batch form.
    """

    def __init__(
        self,
        receiver: Receiver,
        defines: frozenset[str],
        task_id: str,
        kwargs: dict[str, Any],
        method: str = "run",
    ) -> None:
        self._method = method
        self._receiver: Any = receiver
        self.defines = defines
        self._task_id = task_id
        self._kwargs = kwargs

    @property
    def failure(self) -> JobFailed | None:
        """The error that fail() has noted; None if it was not called."""
        failure: JobFailed | None = self._receiver._failure  # noqa: SLF001
        return failure

    def run(self) -> Any:
        """Call the receiver."""
        return getattr(self._receiver, self._method)(**self._kwargs)

    def before_start(self) -> Any:
        """Call the life-cycle method."""
        return self._receiver.before_start(self._task_id, (), self._kwargs)

    def on_success(self, value: Any) -> Any:
        """Call the life-cycle method with what the receiver returned."""
        return self._receiver.on_success(value, self._task_id, (), self._kwargs)

    def on_retry(self, error: BaseException) -> Any:
        """Call the life-cycle method with what the receiver raised."""
        return self._receiver.on_retry(error, self._task_id, (), self._kwargs, ExceptionInfo(error))

    def on_failure(self, error: BaseException) -> Any:
        """Call the life-cycle method with what the receiver raised, or with what fail() has noted."""
        return self._receiver.on_failure(error, self._task_id, (), self._kwargs, ExceptionInfo(error))

    def after_return(self, status: str, value: Any, error: BaseException | None) -> Any:
        """Call the life-cycle method with the status and what the receiver returned or raised."""
        info = None if error is None else ExceptionInfo(error)
        return self._receiver.after_return(status, value, self._task_id, (), self._kwargs, info)
