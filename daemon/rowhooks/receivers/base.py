"""The classes that users subclass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.computed import computed
from rowhooks.domain.errors import JobFailed
from rowhooks.receivers.session_type import SessionOfRun

if TYPE_CHECKING:
    from rowhooks.receivers.logger import RunLogger
    from rowhooks.receivers.user import User


@dataclass(frozen=True)
class JobResult:
    """What a receiver may know about its own run.

    Args:
        id: the id of its row in rowhooks.job_result.
        key: its idempotency key, to be handed to outside systems. It is the same for every attempt.
        attempt: 1 for the first attempt, one more for each retry.
        find_user: answers `user`.
    """

    id: int
    key: str
    attempt: int
    find_user: Callable[[], User] = field(repr=False, compare=False)

    @property
    def user(self) -> User:
        """The same as the receiver's `self.user`."""
        return self.find_user()


class Surroundings(Protocol):
    """What a receiver finds around it. Each part is made when the receiver first asks for it: most ask for little."""

    def logger(self) -> RunLogger:
        """Return the run's logger."""
        ...

    def user(self) -> User:
        """Return the user for whom the run is."""
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

    The daemon makes a new instance for each attempt of a run. The life-cycle methods (`before_start`, `on_success`,
    `on_retry`, `on_failure`, `after_return`) have Celery's arguments, as in Nautobot: `task_id` is the run's key,
    `args` is empty, `kwargs` is what `run` is called with, `einfo` has the exception, its type and its traceback. In a
    plain receiver they are plain methods; in an `async def` receiver they may be plain or `async def`.
    """

    _surroundings: Surroundings
    _changed_object: Any = None
    _failure: JobFailed | None = None

    class Meta:
        """How the job is shown and run; times are in seconds. docs/receivers.md describes each attribute."""

        name: ClassVar[str] = ""
        grouping: ClassVar[str] = ""
        description: ClassVar[str] = ""

    @computed
    def logger(self) -> RunLogger:
        """The run's logger: the standard logging API with two more levels, `success` and `failure`."""
        return self._surroundings.logger()

    @computed
    def user(self) -> User:
        """The user for whom the run is: the author of the change, or the user who pressed the button.

        Raises:
            ReceiverError: the run is a batch, which may have several authors.
        """
        return self._surroundings.user()

    @computed
    def job_result(self) -> JobResult:
        """What the receiver may know about its own run."""
        return self._surroundings.job_result()

    @computed
    def job_results(self) -> tuple[JobResult, ...]:
        """The same for each change of a batch, in the order of the changes; `job_result` is the first of them."""
        return self._surroundings.job_results()

    @SessionOfRun
    def session(self) -> Any:
        """The run's SQLAlchemy `Session`, opened when it is first used; in `async def` receivers an `AsyncSession`.

        Its transaction belongs to the run. It commits together with the run's result when the receiver returns, and it
        is rolled back when the receiver raises. `commit()` only flushes.

        Raises:
            ReceiverError: the run has ended.
            TimeLimitExceeded: the run was ended at its time limit.
        """
        return self._surroundings.session

    def fail(self, message: object, *args: object, **kwargs: Any) -> None:
        """Mark the run as failed and go on (Nautobot's `fail`): its status is FAILURE, and its writes are kept.

        Called in `before_start`, it keeps the receiver from being called.

        Args:
            message: what is logged with level `failure`. The first message becomes the exception message of the result.
            args: the values for the `%` placeholders of the message.
            kwargs: as for the logger, for example `extra`.
        """
        self.logger.failure(message, *args, **{"stacklevel": 2, **kwargs})
        if self._failure is None:
            self._failure = JobFailed(str(message) % args if args else str(message))

    def before_start(self, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Prepare the run; called before the receiver, in its transaction."""

    def on_success(self, retval: Any, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """React to a success; called when the receiver has returned, in its transaction."""

    def on_retry(self, exc: Any, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any], einfo: Any) -> Any:
        """React to an error that is retried; called when the receiver has raised, in a transaction of its own."""

    def on_failure(self, exc: Any, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any], einfo: Any) -> Any:
        """React to a failure.

        It is called when the receiver has raised, in a transaction of its own; or when the receiver has called `fail`
        and returned, in the run's transaction.
        """

    def after_return(
        self, status: str, retval: Any, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any], einfo: Any
    ) -> Any:
        """Clean up; called last.

        Args:
            status: SUCCESS, FAILURE or RETRY.
            retval: what the receiver returned, or the exception that it raised.
            task_id: the run's key.
            args: empty.
            kwargs: what `run` is called with.
            einfo: the exception with its traceback; None after a success.
        """


class JobHookReceiver(Receiver):
    """Base of receivers that run when a row of a tracked table has changed (Nautobot's JobHookReceiver).

    Subclasses define `receive_job_hook`, or its batch form `receive_job_hooks`, plain or `async def`.
    """

    def run(self, object_change: ObjectChange) -> Any:
        """Call `receive_job_hook`; the daemon calls this method.

        Args:
            object_change: the object change.
        """
        return self.receive_job_hook(
            change=object_change, action=object_change.action, changed_object=self._changed_object
        )

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        """React to a change.

        Args:
            change: the object change.
            action: `create`, `update` or `delete`, as a string.
            changed_object: the row as it is now, with an attribute for each column. None if it no longer exists, and
                with `Meta.loads_object = False`.

        Returns:
            Anything. It becomes the run's result if JSON can hold it.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must define receive_job_hook")

    def receive_job_hooks(self, changes: list[ObjectChange]) -> Any:
        """React to several changes in one call: the batch form, for targets that take many rows. Rowhooks' own.

        A receiver that defines it gets the changes of one hook in their order, at most `Meta.batch_size` in one call.
        Each call has one transaction, so all of its changes are dealt with or none of them.

        Args:
            changes: the object changes, at least one.

        Returns:
            Anything. It becomes the result of the first change's run if JSON can hold it.
        """
        raise NotImplementedError(f"{type(self).__qualname__} does not define receive_job_hooks")


class JobButtonReceiver(Receiver):
    """Base of receivers that run when a user presses a button on a row (Nautobot's JobButtonReceiver).

    Subclasses define `receive_job_button`, plain or `async def`. `self.user` is the user who pressed. What the receiver
    writes is captured and starts hooks, like other changes.

    A subclass may declare what a press has to give it: `class Inputs(pydantic.BaseModel)`.
    """

    inputs: Any = None
    """The inputs of the press, an instance of the class `Inputs`; None where the receiver declares none.

    `inputs: Inputs` in the subclass tells type checkers which class that is.
    """

    def run(self, object_pk: Any, object_model_name: str) -> Any:
        """Call `receive_job_button` with the row; the daemon calls this method.

        Args:
            object_pk: the row's key: its value where it is one column, else a mapping of key columns to values.
            object_model_name: the table, as `schema.table`.
        """
        return self.receive_job_button(obj=self._changed_object)

    def receive_job_button(self, obj: Any) -> Any:
        """React to a press.

        Args:
            obj: the row as it is now, with an attribute for each column.

        Returns:
            Anything. It becomes the run's result if JSON can hold it.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must define receive_job_button")
