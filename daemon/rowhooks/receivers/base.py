"""The classes that users subclass."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.errors import JobFailed

if TYPE_CHECKING:
    from rowhooks.receivers.logger import RunLogger
    from rowhooks.receivers.user import User


@dataclass(frozen=True)
class JobResult:
    """What a receiver may know about its own run.

    Args:
        id: rowhooks.job_result.id.
        key: stable idempotency key, to be handed to outside systems: the same for every attempt of this run.
        attempt: 1 for the first.
    """

    id: int
    key: str
    attempt: int


class Surroundings(Protocol):
    """What a receiver finds around it; made when it asks, because most ask for little of it."""

    def logger(self) -> RunLogger:
        """Return the run's logger."""
        ...

    def user(self) -> User:
        """Return for whom the run is."""
        ...

    def job_result(self) -> JobResult:
        """Return what the receiver may know about its own run."""
        ...

    def job_results(self) -> tuple[JobResult, ...]:
        """Return the same for each change of a batch."""
        ...

    @property
    def session(self) -> Any:
        """The run's SQLAlchemy session."""
        ...


class Receiver:
    """What hook receivers and button receivers have in common (Nautobot's BaseJob).

    A fresh instance is made for each attempt of a run. The life-cycle methods have Celery's arguments, as in Nautobot:
    `task_id` is the run's key, `args` is empty, `kwargs` is what `run` is called with. In a plain receiver they are
    plain methods, in an `async def` receiver they may be either.
    """

    _surroundings: Surroundings
    _changed_object: Any = None
    _failure: JobFailed | None = None

    class Meta:
        """How the job is shown and run; times in seconds. See docs/receivers.md for each."""

        name: ClassVar[str] = ""
        grouping: ClassVar[str] = ""
        description: ClassVar[str] = ""

    @cached_property
    def logger(self) -> RunLogger:
        """The run's logger: the standard logging API, and the levels `success` and `failure`."""
        return self._surroundings.logger()

    @cached_property
    def user(self) -> User:
        """For whom the run is: the author of the change, or who pressed the button."""
        return self._surroundings.user()

    @cached_property
    def job_result(self) -> JobResult:
        """What the receiver may know about its own run."""
        return self._surroundings.job_result()

    @cached_property
    def job_results(self) -> tuple[JobResult, ...]:
        """The same for each change of a batch, in their order; `job_result` is the first one's."""
        return self._surroundings.job_results()

    @property
    def session(self) -> Any:
        """The run's SQLAlchemy `Session`, opened when it is first used; an `AsyncSession` in `async def` receivers.

        Its transaction belongs to the run: it commits together with the run's result when the receiver returns, and
        is rolled back when it raises. `commit()` on it only flushes.
        """
        return self._surroundings.session

    def fail(self, message: object, *args: object, **kwargs: Any) -> None:
        """Note that the run has failed, and go on (Nautobot's `fail`): its writes are kept, its status is FAILURE.

        In `before_start` it keeps the receiver from being called.

        Args:
            message: logged with level `failure`; the first one becomes the result's exception message.
            args: what a message with `%` is filled with.
            kwargs: as for the logger.
        """
        self.logger.failure(message, *args, **kwargs)
        if self._failure is None:
            self._failure = JobFailed(str(message) % args if args else str(message))

    def before_start(self, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Be called before the receiver."""

    def on_success(self, retval: Any, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Be called when the receiver has returned, in its transaction."""

    def on_retry(self, exc: Any, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any], einfo: Any) -> Any:
        """Be called when the receiver has raised and is to be run again; in a transaction of its own."""

    def on_failure(self, exc: Any, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any], einfo: Any) -> Any:
        """Be called when the receiver has raised, in a transaction of its own, or has called `fail`, in the run's."""

    def after_return(
        self, status: str, retval: Any, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any], einfo: Any
    ) -> Any:
        """Be called last, with the status and what the receiver returned or raised."""


class JobHookReceiver(Receiver):
    """Base of receivers that run when a row of a tracked table has changed (Nautobot's JobHookReceiver).

    Subclasses define `receive_job_hook`, or its batch form `receive_job_hooks`, plain or `async def`.
    """

    def run(self, object_change: ObjectChange) -> Any:
        """Call `receive_job_hook`; this is what the daemon calls."""
        return self.receive_job_hook(
            change=object_change, action=object_change.action, changed_object=self._changed_object
        )

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        """React to a change.

        Args:
            change: the object change.
            action: `create`, `update` or `delete`.
            changed_object: the row as it is now; None if it is gone.

        Returns:
            Anything; kept in the result where JSON can hold it.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must define receive_job_hook")

    def receive_job_hooks(self, changes: list[ObjectChange]) -> Any:
        """React to many changes at once: the batch form, for sinks that take many rows. Rowhooks' own.

        Whoever defines it gets the changes of each hook in their order, `Meta.batch_size` at the most, in one call and
        one transaction: either all of them are dealt with, or none.

        Args:
            changes: at least one.

        Returns:
            Anything; kept in the result of the first change's run where JSON can hold it.
        """
        raise NotImplementedError(f"{type(self).__qualname__} does not define receive_job_hooks")


class JobButtonReceiver(Receiver):
    """Base of receivers that run when somebody presses a button on a row (Nautobot's JobButtonReceiver).

    Subclasses define `receive_job_button`, plain or `async def`. `self.user` is who pressed. What it writes is captured
    and starts hooks, like anybody's changes.
    """

    def run(self, object_pk: Any, object_model_name: str) -> Any:
        """Call `receive_job_button` with the row; this is what the daemon calls.

        Args:
            object_pk: the value of the row's key; key columns to values where there are several.
            object_model_name: `schema.table`.
        """
        return self.receive_job_button(obj=self._changed_object)

    def receive_job_button(self, obj: Any) -> Any:
        """React to a press.

        Args:
            obj: the row as it is now.

        Returns:
            Anything; kept in the result where JSON can hold it.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must define receive_job_button")
