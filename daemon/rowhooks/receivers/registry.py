"""`register_jobs`, and the catalogue of what was registered."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rowhooks.domain.errors import ReceiverError
from rowhooks.domain.run import LogEntry, Run
from rowhooks.pipeline.ports import Workspace
from rowhooks.receivers.base import JobHookReceiver, JobResult
from rowhooks.receivers.logger import RunLogger

_registered: list[type[JobHookReceiver]] = []
_SIGNATURE = "def receive_job_hook(self, change, action, changed_object): ..."


def register_jobs(*classes: type[JobHookReceiver]) -> None:
    """Make receiver classes known; called at the end of a receivers' module.

    Raises:
        ReceiverError: one of them is not a receiver class, does not define its method, or not with the arguments it
            is called with (by keyword); names file and line.
    """
    for cls in classes:
        _check(cls)
    _registered.extend(classes)


def take_registered() -> list[type[JobHookReceiver]]:
    """Return the classes registered since the last call."""
    taken = list(_registered)
    _registered.clear()
    return taken


def _check(cls: Any) -> None:
    if not (isinstance(cls, type) and issubclass(cls, JobHookReceiver)):
        raise ReceiverError(f"register_jobs({cls!r}): not a JobHookReceiver class")
    if cls.receive_job_hook is JobHookReceiver.receive_job_hook and cls.run is JobHookReceiver.run:
        raise ReceiverError(
            f"{class_path(cls)} ({_place(cls)}) does not define receive_job_hook",
            hint=_SIGNATURE,
        )
    try:
        if cls.run is JobHookReceiver.run:
            inspect.signature(cls.receive_job_hook).bind(None, change=None, action=None, changed_object=None)
        else:
            inspect.signature(cls.run).bind(None, object_change=None)
    except TypeError as error:
        raise ReceiverError(
            f"{class_path(cls)} ({_place(cls)}) cannot be called as it is: {error}",
            hint=_SIGNATURE if cls.run is JobHookReceiver.run else "def run(self, object_change): ...",
        ) from error


def _place(cls: type) -> str:
    try:
        return f"{inspect.getsourcefile(cls)}, line {inspect.getsourcelines(cls)[1]}"
    except (OSError, TypeError):
        return "source unknown"


def class_path(cls: type) -> str:
    """Return `module.Class`, the name under which a job is known."""
    return f"{cls.__module__}.{cls.__qualname__}"


@dataclass(frozen=True)
class RegisteredJob:
    """A receiver class as the database is to know it."""

    class_path: str
    name: str
    grouping: str
    description: str
    cls: type[JobHookReceiver] = field(compare=False)
    asynchronous: bool = False


def describe(cls: type[JobHookReceiver]) -> RegisteredJob:
    """Return what a class says of itself."""
    meta = getattr(cls, "Meta", None)

    def said(what: str) -> str:
        return str(getattr(meta, what, "") or "")

    return RegisteredJob(
        class_path=class_path(cls),
        name=said("name") or cls.__name__,
        grouping=said("grouping"),
        description=said("description") or inspect.cleandoc(cls.__doc__ or "").partition("\n")[0],
        cls=cls,
        asynchronous=inspect.iscoroutinefunction(cls.receive_job_hook) or inspect.iscoroutinefunction(cls.run),
    )


class Catalog:
    """The receiver classes of this daemon, by class path."""

    def __init__(self, classes: list[type[JobHookReceiver]]) -> None:
        self._jobs = {job.class_path: job for job in map(describe, classes)}

    def __iter__(self) -> Iterator[RegisteredJob]:
        return iter(self._jobs.values())

    def __len__(self) -> int:
        return len(self._jobs)

    def is_asynchronous(self, class_path: str) -> bool:
        """Say whether a class's receiver method is `async def`."""
        job = self._jobs.get(class_path)
        return job is not None and job.asynchronous

    def call(self, run: Run, workspace: Workspace, changed_object: Any, entries: list[LogEntry]) -> Any:
        """Run a fresh receiver; what it logs is appended to `entries`. An awaitable where it is asynchronous.

        Raises:
            ReceiverError: the class is not installed here.
        """
        job = self._jobs.get(run.hook.job.class_path)
        if job is None:
            raise ReceiverError(
                f"{run.hook.job.class_path} is not installed in this daemon", hint="add its module to rowhooks.toml"
            )
        receiver = job.cls()
        receiver.logger = RunLogger(job.class_path, run.log_fields(), entries)
        receiver.job_result = JobResult(run.id, run.key, run.attempt)
        receiver._open_session = lambda: workspace.session  # noqa: SLF001
        receiver._changed_object = changed_object  # noqa: SLF001
        return receiver.run(object_change=run.change.copy())
