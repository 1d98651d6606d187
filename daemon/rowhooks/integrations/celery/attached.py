"""What an app of Celery's gets: the task, and a worker of rowhooks' in each process that executes tasks."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from celery import signals

from rowhooks.cli.run import loaded_classes, loaded_models
from rowhooks.domain.errors import RowhooksError, SettingsError
from rowhooks.domain.queues import DEFAULT, is_allowed
from rowhooks.integrations.celery.worker_thread import WorkerThread
from rowhooks.runtime.context import queues_of
from rowhooks.runtime.doorbell import TASK
from rowhooks.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rowhooks.postgres.rows.models import Models
    from rowhooks.receivers.classes import ReceiverClass

logger = logging.getLogger(__name__)

NEVER = 10**8
"""Seconds. Celery's time limits would end a group of many runs, where rowhooks' are those of each run."""
OPTIONS = {
    "ignore_result": True, "acks_late": False, "reject_on_worker_lost": False, "max_retries": 0, "rate_limit": 0,
    "time_limit": NEVER, "soft_time_limit": NEVER, "track_started": False, "serializer": "json",
}  # fmt: skip
"""Set for the task itself, so that an application's own defaults do not count for it."""
POOLS = ("prefork", "threads", "solo")


def add_to(app: Any, config: Path | None = None) -> None:
    """Let the workers of a Celery app execute runs of rowhooks: those in the queues that they consume.

    Args:
        app: the application's.
        config: rowhooks' settings file; None: `rowhooks.toml` in the working directory, if it exists.
    """
    Attached(app, config, exits=False).attach()


@dataclass(frozen=True)
class _Prepared:
    """What was read before Celery forked, and by which process."""

    settings: Settings
    classes: Sequence[ReceiverClass]
    models: Models
    queues: Sequence[str]
    pid: int


class Attached:
    """What one app has of rowhooks.

    Nothing is connected and no thread is started before Celery has forked.

    Args:
        app: Celery's.
        config: the file of rowhooks' settings.
        exits: whether Celery's worker ends where rowhooks cannot work; an application's has other tasks too.
    """

    def __init__(self, app: Any, config: Path | None, *, exits: bool) -> None:
        self._app = app
        self._config = config
        self._exits = exits
        self._prepared: _Prepared | None = None
        self._worker: WorkerThread | None = None
        self._worker_pid = 0
        self._starting = threading.Lock()

    def attach(self) -> None:
        """Add the task, and follow the life of Celery's worker and of its processes."""

        def execute(dispatch_id: str) -> dict[str, int]:
            """Execute a group of runs, rowhooks.dispatch.id, unless another worker has it or it is done."""
            return {"runs": self._worker_here().execute(UUID(dispatch_id))}

        self._app.task(name=TASK, shared=False, **OPTIONS)(execute)
        for signal, receiver in (
            (signals.celeryd_after_setup, self._set_up),
            (signals.worker_process_init, self._process_began),
            (signals.worker_process_shutdown, self._process_ends),
            (signals.worker_shutdown, self._process_ends),
        ):
            # Not held weakly: nothing else holds this object. An app that is added to twice is followed once.
            signal.connect(receiver, weak=False, dispatch_uid=f"rowhooks {id(self._app)} {receiver.__name__}")

    # In Celery's own process, before it forks.

    def _set_up(self, instance: Any, **_: Any) -> None:
        if instance.app != self._app:
            return
        try:
            self._prepared = self._prepare()
            if not self._forks(instance):
                self._worker_here()
        except RowhooksError as error:
            self._prepared = None
            logger.critical("rowhooks: this Celery worker executes no runs: %s", error)
            if self._exits:
                raise SystemExit(error.exit_code) from error

    @staticmethod
    def _forks(instance: Any) -> bool:
        """Say whether a worker of Celery's executes tasks in processes that it forks."""
        from celery.concurrency import prefork, solo, thread

        pool = instance.pool_cls
        if issubclass(pool, prefork.TaskPool):
            return True
        if not issubclass(pool, solo.TaskPool | thread.TaskPool):
            raise SettingsError(
                f"Celery's pool {pool.__module__} is none of {', '.join(POOLS)}", hint=f"start it with -P {POOLS[0]}"
            )
        return False

    def _prepare(self) -> _Prepared:
        settings = load_settings(self._config)
        consumed = list(self._app.amqp.queues.consume_from)
        queues = [queue for queue in consumed if is_allowed(queue, settings.queues)]
        if not queues:
            raise SettingsError(
                f"it consumes {', '.join(consumed)}, and none of rowhooks' queues: {', '.join(settings.queues)}",
                hint="name them: celery worker -Q, and the setting queues",
            )
        if DEFAULT in queues and DEFAULT in queues_of(settings).own:
            logger.warning("the daemon executes queue %s itself, where it has no processes for it", DEFAULT)
        classes = loaded_classes(settings)
        if not classes:
            raise SettingsError(
                "it has no receiver: it could execute nothing",
                hint="name modules that can be imported: receivers = [...] in rowhooks.toml, or ROWHOOKS_RECEIVERS",
            )
        models = loaded_models(settings)
        settings.redactor()
        return _Prepared(settings, classes, models, queues, os.getpid())

    # In each process that executes tasks.

    def _process_began(self, **_: Any) -> None:
        # The pool `solo` says so too, of Celery's own process.
        if self._prepared is not None and self._prepared.pid != os.getpid():
            self._worker_here()

    def _process_ends(self, **_: Any) -> None:
        if self._worker is not None and self._worker_pid == os.getpid():
            self._worker.stop()

    def _worker_here(self) -> WorkerThread:
        """Return the worker of this process; start it with the first call."""
        with self._starting:
            if self._worker is None or self._worker_pid != os.getpid():
                # Where Celery was started without its command, this is the first that is heard of it.
                one = self._prepared or self._prepare()
                self._prepared = one
                self._worker = WorkerThread(one.settings, one.classes, one.queues, one.models)
                self._worker_pid = os.getpid()
                self._worker.start()
            return self._worker
