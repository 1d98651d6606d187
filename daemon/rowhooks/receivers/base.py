"""The classes that users subclass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from rowhooks.domain.change import ObjectChange

if TYPE_CHECKING:
    from rowhooks.receivers.logger import RunLogger


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


class JobHookReceiver:
    """Base of receivers that run when a row of a tracked table has changed (Nautobot's JobHookReceiver).

    Subclasses define `receive_job_hook`, plain or `async def`. A fresh instance is made for each run.
    """

    logger: RunLogger
    job_result: JobResult
    _open_session: Any

    class Meta:
        """`name`, `grouping` and `description` of the job, as people see them."""

        name: ClassVar[str] = ""
        grouping: ClassVar[str] = ""
        description: ClassVar[str] = ""

    @property
    def session(self) -> Any:
        """The run's SQLAlchemy `Session`, opened when it is first used; an `AsyncSession` in `async def` receivers.

        Its transaction belongs to the run: it commits together with the run's result when the receiver returns, and
        is rolled back when it raises. `commit()` on it only flushes.
        """
        return self._open_session()

    def run(self, object_change: ObjectChange) -> Any:
        """Call `receive_job_hook`; this is what the daemon calls."""
        return self.receive_job_hook(
            change=object_change, action=object_change.action, changed_object=self._changed_object
        )

    _changed_object: Any = None

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
