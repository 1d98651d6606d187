"""`register_jobs`, and the catalogue of what was registered."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.computed import computed
from rowhooks.domain.errors import ObjectGone, ReceiverError
from rowhooks.domain.job import JobOptions
from rowhooks.domain.permissions import PermissionBackend
from rowhooks.domain.run import Run
from rowhooks.pipeline.execution.run_log import RunLog
from rowhooks.pipeline.ports import Workspace
from rowhooks.receivers.base import JobResult
from rowhooks.receivers.call import ReceiverCall
from rowhooks.receivers.classes import ReceiverClass, RegisteredJob, check, class_path, describe, is_plain
from rowhooks.receivers.inputs import validated_inputs
from rowhooks.receivers.logger import RunLogger
from rowhooks.receivers.meta import Meta
from rowhooks.receivers.user import User

logger = logging.getLogger(__name__)

_registered: list[ReceiverClass] = []


def register_jobs(*classes: ReceiverClass) -> None:
    """Register receiver classes with the daemon; called at the end of a module of receivers.

    Args:
        classes: subclasses of JobHookReceiver or JobButtonReceiver. Any other class is left out, with a warning.

    Raises:
        ReceiverError: one of them is no class, does not define its method, cannot be called with the method's arguments
            (by keyword), or has an attribute in its Meta that is wrong. The message names the class with file and line,
            and none of the classes is registered.
    """
    receivers = []
    for cls in classes:
        if is_plain(cls):
            logger.warning(
                "register_jobs leaves %s out: it is neither a JobHookReceiver nor a JobButtonReceiver",
                class_path(cls),
            )
            continue
        check(cls)
        receivers.append(cls)
    _registered.extend(receivers)


def take_registered() -> list[ReceiverClass]:
    """Return the classes registered since the last call."""
    taken = list(_registered)
    _registered.clear()
    return taken


class Catalog:
    """The receiver classes of this daemon, by class path.

    Args:
        classes: what was registered.
        permissions: answers what users may do.
        soft_time_limit: seconds, for classes whose Meta does not say; None: no limit.
        time_limit: the same for the hard limit.
    """

    def __init__(
        self,
        classes: Sequence[ReceiverClass],
        *,
        permissions: PermissionBackend | None = None,
        soft_time_limit: float | None = None,
        time_limit: float | None = None,
    ) -> None:
        self._jobs = {job.class_path: job for job in map(describe, classes)}
        self._options = {path: job.meta.options(soft_time_limit, time_limit) for path, job in self._jobs.items()}
        self.permissions = permissions or PermissionBackend()
        for path, job in self._jobs.items():
            _warn(path, job.meta, self._options[path])

    @property
    def modules(self) -> frozenset[str]:
        """The modules in which the classes are."""
        return frozenset(job.cls.__module__ for job in self._jobs.values())

    def __iter__(self) -> Iterator[RegisteredJob]:
        return iter(self._jobs.values())

    def __len__(self) -> int:
        return len(self._jobs)

    def is_asynchronous(self, class_path: str) -> bool:
        """Say whether a class's receiver method is `async def`."""
        job = self._jobs.get(class_path)
        return job is not None and job.asynchronous

    def options(self, class_path: str) -> JobOptions:
        """Return how a class's runs are to be run."""
        return self._options.get(class_path, _NO_OPTIONS)

    def prepare(self, run: Run, user: str, workspace: Workspace, changed_object: Any, log: RunLog) -> ReceiverCall:
        """Make a new instance of a run's receiver.

        Args:
            run: the run.
            user: for whom it is.
            workspace: gives the receiver its session.
            changed_object: the row; None if it no longer exists or was not loaded.
            log: where the lines go that the receiver logs.

        Raises:
            ReceiverError: the class is not installed here.
            ObjectGone: the row on which the button was pressed no longer exists.
            InvalidInputs: the class does not take what the press gave.
        """
        path = run.job.class_path
        job = self._jobs.get(path)
        if job is None:
            raise ReceiverError(f"{path} is not installed in this daemon", hint="add its module to rowhooks.toml")
        kwargs: dict[str, Any]
        inputs = None
        if job.takes_batches:
            kwargs = {"changes": [one.cause.copy() for one in run.singles if isinstance(one.cause, ObjectChange)]}
        elif isinstance(run.cause, ObjectChange):
            change = run.cause.copy()
            if self._options[path].loads_object:
                # In the place of a value that is found when it is first asked for.
                vars(change)["changed_object"] = changed_object
            kwargs = {"object_change": change}
        elif changed_object is None:
            raise ObjectGone(f"{run.cause.changed_object_type} {run.cause.object_id_json} no longer exists")
        else:
            kwargs = {"object_pk": run.cause.object_pk, "object_model_name": run.cause.changed_object_type}
            inputs = validated_inputs(job.inputs, job.entry.inputs_schema, run.cause.inputs_json)
        receiver = job.cls()
        receiver._surroundings = _Surroundings(run, user, workspace, log, self.permissions, job.asynchronous)  # noqa: SLF001
        receiver._changed_object = changed_object  # noqa: SLF001
        if inputs is not None:
            receiver.inputs = inputs  # type: ignore[union-attr]
        return ReceiverCall(receiver, job.defines, run.key, kwargs, job.method)


class _Surroundings:
    def __init__(
        self, run: Run, user: str, workspace: Workspace, log: RunLog, permissions: PermissionBackend, asynchronous: bool
    ) -> None:
        self._run = run
        self._user = user
        self._workspace = workspace
        self._log = log
        self._permissions = permissions
        self._asynchronous = asynchronous

    def logger(self) -> RunLogger:
        return RunLogger(self._run.job.class_path, self._run.log_fields(), self._log)

    def user(self) -> User:
        if self._run.batch:
            raise ReceiverError(
                "a batch has no one user", hint="each change says who made it: change.user_name, change.db_user"
            )
        return self._found_user

    @computed
    def _found_user(self) -> User:
        return User(self._user, self._permissions, self._workspace.with_session, asynchronous=self._asynchronous)

    def job_result(self) -> JobResult:
        return self._job_result(self._run)

    def job_results(self) -> tuple[JobResult, ...]:
        return tuple(map(self._job_result, self._run.singles))

    def _job_result(self, run: Run) -> JobResult:
        return JobResult(run.id, run.key, run.attempt, self.user)

    @property
    def session(self) -> Any:
        return self._workspace.session


_NO_OPTIONS = JobOptions(loads_object=False)


def _warn(path: str, meta: Meta, options: JobOptions) -> None:
    if meta.approval_required:
        logger.warning("%s: Meta.approval_required is ignored: hooks and buttons start without approval", path)
    soft, hard = options.soft_time_limit, options.time_limit
    if soft is not None and hard is not None and hard <= soft:
        logger.warning(
            "%s: the time limit of %s s is not above the soft one of %s s: the run ends without warning",
            path,
            hard,
            soft,
        )
