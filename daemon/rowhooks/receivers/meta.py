"""What a receiver's `Meta` says, checked when the class is registered."""

from __future__ import annotations

import inspect
from typing import Any

from rowhooks.domain.errors import ReceiverError
from rowhooks.domain.job import JobOptions
from rowhooks.domain.queues import QUEUE_RULE, is_queue_name
from rowhooks.receivers.declaration import Hook

RETRIES = 3
"""Celery's max_retries where only autoretry_for is given."""

_TEXTS = ("name", "grouping", "description")
_FLAGS = (
    "hidden", "is_singleton", "has_sensitive_variables", "approval_required", "retry_jitter", "ordered",
)  # fmt: skip
_SECONDS = ("soft_time_limit", "time_limit", "retry_backoff_max")
LARGEST_GROUP = 1000
"""How many runs may share a transaction."""
BATCH_SIZE, BATCH_WAIT = 1000, 0.1
"""How many changes one call of a batch form gets at most, and for how many seconds a change waits for others."""
_FORM = 'see docs/receivers.md, "Meta"'


class Meta:
    """The `Meta` of a receiver class, checked.

    Args:
        cls: the receiver class.
        is_button: whether it is a button receiver.
        takes_batches: whether it defines receive_job_hooks.
        is_asynchronous: whether its method is `async def`.

    Raises:
        ReceiverError: an attribute has a wrong type or value. The message names class and attribute.
    """

    def __init__(
        self, cls: type, *, is_button: bool = False, takes_batches: bool = False, is_asynchronous: bool = False
    ) -> None:
        self._cls = cls
        self._is_button = is_button
        self._takes_batches = takes_batches
        self._is_asynchronous = is_asynchronous
        self._meta = getattr(cls, "Meta", None)
        texts = {name: self._typed(name, "", str, "a string") for name in _TEXTS}
        flags = {name: self._typed(name, name in ("retry_jitter", "ordered"), bool, "True or False") for name in _FLAGS}
        self.name: str = texts["name"] or cls.__name__
        self.grouping: str = texts["grouping"]
        self.description: str = texts["description"] or inspect.cleandoc(cls.__doc__ or "").partition("\n")[0]
        self.hidden: bool = flags["hidden"]
        self.approval_required: bool = flags["approval_required"]
        self._flags = flags
        self._seconds = {name: self._time(name) for name in _SECONDS}
        self._exceptions = self._exception_classes()
        self._max_retries = self._retries()
        self._backoff = self._first_pause()
        self._batch_size = self._size_of_batch()
        self._batch_wait = BATCH_WAIT if self._get("batch_wait", None) is None else self._time("batch_wait") or 0.0
        self._loads_object = self._row_is_loaded()
        self._load = self._relations()
        self._group_commit = self._size_of_group()
        self._max_concurrency = self._most_at_a_time()
        self._queue = self._queue_name()
        self.hooks: tuple[Hook, ...] = self._declared()

    def options(self, soft_time_limit: float | None, time_limit: float | None) -> JobOptions:
        """Return the options for the runs of the class.

        Args:
            soft_time_limit: seconds, where the class says 0 or nothing; None: no limit.
            time_limit: the same for the hard limit.
        """
        return JobOptions(
            soft_time_limit=self._limit("soft_time_limit", soft_time_limit),
            time_limit=self._limit("time_limit", time_limit),
            is_singleton=self._flags["is_singleton"],
            max_concurrency=self._max_concurrency,
            has_sensitive_variables=self._flags["has_sensitive_variables"],
            max_retries=self._max_retries,
            autoretry_for=self._exceptions,
            retry_backoff=self._backoff,
            retry_backoff_max=self._seconds["retry_backoff_max"] or 600.0,
            retry_jitter=self._flags["retry_jitter"],
            ordered=self._flags["ordered"],
            batch_size=self._batch_size,
            batch_wait=self._batch_wait if self._takes_batches else 0.0,
            loads_object=self._loads_object,
            load=self._load,
            group_commit=self._group_commit,
            queue=self._queue,
        )

    def _limit(self, name: str, default: float | None) -> float | None:
        # As in Nautobot, 0 stands for the limit in the settings. None is no limit; Nautobot does not have it.
        said = self._get(name, 0)
        return None if said is None else float(said) or default

    def _get(self, name: str, default: Any) -> Any:
        return getattr(self._meta, name, default)

    def _wrong(self, name: str, what: str) -> ReceiverError:
        path = f"{self._cls.__module__}.{self._cls.__qualname__}"
        return ReceiverError(f"{path}: Meta.{name} must be {what}, not {self._get(name, None)!r}", hint=_FORM)

    def _typed(self, name: str, default: Any, type_: type, what: str) -> Any:
        value = self._get(name, default)
        if not isinstance(value, type_):
            raise self._wrong(name, what)
        return value

    def _time(self, name: str) -> float | None:
        value = self._get(name, 0)
        if value is None and name not in ("retry_backoff_max", "batch_wait"):
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise self._wrong(name, "a number of seconds")
        return float(value)

    def _exception_classes(self) -> tuple[type[BaseException], ...]:
        value = self._get("autoretry_for", ())
        classes = (value,) if isinstance(value, type) else value
        if not isinstance(classes, tuple | list) or not all(
            isinstance(one, type) and issubclass(one, BaseException) for one in classes
        ):
            raise self._wrong("autoretry_for", "exception classes")
        if not classes and self._get("max_retries", 0):
            return (Exception,)
        return tuple(classes)

    def _retries(self) -> int:
        value = self._get("max_retries", RETRIES if self._exceptions else 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self._wrong("max_retries", "a whole number, 0 or more")
        return value

    def _first_pause(self) -> float:
        value = self._get("retry_backoff", 1)
        # As in Celery, True is one second, doubled each time; False is no pause.
        if not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise self._wrong("retry_backoff", "True, False or a number of seconds")
        return float(value)

    def _size_of_batch(self) -> int | None:
        for name in ("batch_size", "batch_wait"):
            if hasattr(self._meta, name) and not self._takes_batches:
                raise self._wrong(name, "left out, as the class does not define receive_job_hooks")
        if not self._takes_batches:
            return None
        value = self._get("batch_size", BATCH_SIZE)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self._wrong("batch_size", "a whole number, 1 or more")
        return value

    def _most_at_a_time(self) -> int | None:
        value = self._get("max_concurrency", None)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self._wrong("max_concurrency", "a whole number, 1 or more, or None (as many as can)")
        if self._flags["is_singleton"] and value != 1:
            raise self._wrong("max_concurrency", "left out, as Meta.is_singleton says that it is 1")
        return value

    def _size_of_group(self) -> int:
        if not hasattr(self._meta, "group_commit"):
            return 1
        if self._takes_batches:
            raise self._wrong(
                "group_commit", "left out, as the changes of one call of receive_job_hooks share a transaction already:"
                " Meta.batch_size says how many",
            )  # fmt: skip
        if self._is_asynchronous:
            raise self._wrong(
                "group_commit", "left out, as an `async def` receiver shares no transaction: declare it with plain"
                " `def`, or define receive_job_hooks",
            )  # fmt: skip
        value = self._get("group_commit", 1)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST_GROUP:
            raise self._wrong("group_commit", f"a whole number from 1 (no group) to {LARGEST_GROUP}")
        return value

    def _queue_name(self) -> str | None:
        value: str | None = self._get("queue", None)
        if value is not None and not is_queue_name(value):
            raise self._wrong("queue", f"None or the name of a queue ({QUEUE_RULE})")
        return value

    def _row_is_loaded(self) -> bool:
        loads = bool(self._typed("loads_object", not self._takes_batches, bool, "True or False"))
        if self._takes_batches and loads:
            raise self._wrong("loads_object", "left out, as receive_job_hooks gets changes and no rows")
        if self._is_button and not loads:
            raise self._wrong("loads_object", "left out, as receive_job_button always gets its row")
        return loads

    def _relations(self) -> tuple[str, ...]:
        value = self._get("load", ())
        if not isinstance(value, tuple | list) or not all(isinstance(path, str) and path for path in value):
            raise self._wrong("load", 'a list of relations, such as ["location", "location.parent"]')
        if value and not self._loads_object:
            raise self._wrong("load", "left out, as the receiver gets no row")
        return tuple(dict.fromkeys(value))

    def _declared(self) -> tuple[Hook, ...]:
        value = self._get("hooks", ())
        if not isinstance(value, tuple | list) or not all(isinstance(hook, Hook) for hook in value):
            raise self._wrong("hooks", "a list of rowhooks.Hook")
        return tuple(value)

    def as_json(self) -> dict[str, Any]:
        """Return what rowhooks.job.meta shows of it."""
        options = self.options(None, None)
        return {
            "soft_time_limit": options.soft_time_limit,
            "time_limit": options.time_limit,
            "is_singleton": options.is_singleton,
            "max_concurrency": options.max_concurrency,
            "has_sensitive_variables": options.has_sensitive_variables,
            "max_retries": options.max_retries,
            "autoretry_for": [one.__qualname__ for one in options.autoretry_for],
            "retry_backoff": options.retry_backoff,
            "retry_backoff_max": options.retry_backoff_max,
            "retry_jitter": options.retry_jitter,
            "ordered": options.ordered,
            "batch_size": options.batch_size,
            "batch_wait": options.batch_wait,
            "loads_object": options.loads_object,
            "load": list(options.load),
            "group_commit": options.group_commit,
            "queue": options.queue,
        }
