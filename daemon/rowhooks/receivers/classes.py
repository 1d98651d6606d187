"""What a receiver class has to look like, and what it says of itself."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rowhooks.domain.errors import ReceiverError
from rowhooks.domain.job import JobEntry
from rowhooks.receivers.base import JobButtonReceiver, JobHookReceiver, Receiver
from rowhooks.receivers.inputs import inputs_of, schema_of
from rowhooks.receivers.meta import Meta

if TYPE_CHECKING:
    from pydantic import BaseModel

ReceiverClass = type[JobHookReceiver] | type[JobButtonReceiver]


@dataclass(frozen=True)
class _Form:
    """A form that a receiver class may have.

    Args:
        kind: `hook` or `button`.
        base: the base class.
        method: the method that a class of this form defines.
        arguments: its arguments, which it is called with by keyword.
        run_arguments: those of `run`, which calls the method; none where the daemon calls the method itself.
    """

    kind: str
    base: Any
    method: str
    arguments: tuple[str, ...]
    run_arguments: tuple[str, ...] = ()


_HOOK = _Form("hook", JobHookReceiver, "receive_job_hook", ("change", "action", "changed_object"), ("object_change",))
_BATCH = _Form("hook", JobHookReceiver, "receive_job_hooks", ("changes",))
_BUTTON = _Form("button", JobButtonReceiver, "receive_job_button", ("obj",), ("object_pk", "object_model_name"))

_LIFE_CYCLE = ("before_start", "on_success", "on_retry", "on_failure", "after_return")


def class_path(cls: type) -> str:
    """Return `module.Class`, the name that identifies a job."""
    return f"{cls.__module__}.{cls.__qualname__}"


def is_plain(cls: object) -> bool:
    """Say whether something is a class and no receiver class."""
    return isinstance(cls, type) and not issubclass(cls, JobHookReceiver | JobButtonReceiver)


def check(cls: Any) -> None:
    """Check that a class can be run as a receiver.

    Raises:
        ReceiverError: as `register_jobs`.
    """
    form = _form(cls)
    overrides_run = cls.run is not form.base.run
    if overrides_run and form is _BATCH:
        raise _wrong(
            cls, f" defines both run and {form.method}", hint=f"leave run out: {form.method} is called by itself"
        )
    if getattr(cls, form.method) is getattr(form.base, form.method) and not overrides_run:
        raise _wrong(cls, f" does not define {form.method}", hint=_signature(form.method, form.arguments))
    name, arguments = ("run", form.run_arguments) if overrides_run else (form.method, form.arguments)
    try:
        inspect.signature(getattr(cls, name)).bind(None, **dict.fromkeys(arguments))
    except TypeError as error:
        raise _wrong(cls, f" cannot be called as it is: {error}", hint=_signature(name, arguments)) from error
    for name in _defined(cls):
        _check_life_cycle(cls, name, form)
    _meta(cls, form)
    _inputs(cls, form)


def _check_life_cycle(cls: Any, name: str, form: _Form) -> None:
    arguments = tuple(inspect.signature(getattr(Receiver, name)).parameters)[1:]
    try:
        inspect.signature(getattr(cls, name)).bind(None, *arguments)
    except TypeError as error:
        raise _wrong(cls, f": {name} cannot be called as it is: {error}", hint=_signature(name, arguments)) from error
    if inspect.iscoroutinefunction(getattr(cls, name)) and not _is_asynchronous(cls, form):
        raise _wrong(
            cls,
            f": {name} is `async def`, but the receiver is plain",
            hint=f"declare {form.method} with `async def`, or {name} without",
        )


@dataclass(frozen=True)
class RegisteredJob:
    """A receiver class, with what the database is told of it and what is needed to run it.

    Args:
        entry: what the database is told.
        cls: the class.
        meta: its Meta.
        method: the method that the daemon calls.
        asynchronous: whether its method is `async def`.
        defines: the life-cycle methods that it defines itself.
        takes_batches: whether it defines the batch form.
        inputs: its class `Inputs`.
    """

    entry: JobEntry
    cls: ReceiverClass = field(compare=False)
    meta: Meta = field(compare=False)
    method: str
    asynchronous: bool
    defines: frozenset[str]
    takes_batches: bool
    inputs: type[BaseModel] | None = field(compare=False)

    @property
    def class_path(self) -> str:
        """`module.Class`."""
        return self.entry.class_path


def describe(cls: ReceiverClass) -> RegisteredJob:
    """Describe a class that `check` has passed."""
    form = _form(cls)
    meta = _meta(cls, form)
    inputs, inputs_schema = _inputs(cls, form)
    return RegisteredJob(
        entry=JobEntry(
            class_path=class_path(cls),
            kind=form.kind,
            name=meta.name,
            grouping=meta.grouping,
            description=meta.description,
            hidden=meta.hidden,
            meta=meta.as_json(),
            inputs_schema=inputs_schema,
        ),
        cls=cls,
        meta=meta,
        method=form.method if form is _BATCH else "run",
        asynchronous=_is_asynchronous(cls, form),
        defines=frozenset(_defined(cls)),
        takes_batches=form is _BATCH,
        inputs=inputs,
    )


def _form(cls: Any) -> _Form:
    is_hook, is_button = (isinstance(cls, type) and issubclass(cls, one.base) for one in (_HOOK, _BUTTON))
    if not (is_hook or is_button):
        raise ReceiverError(f"register_jobs({cls!r}): not a JobHookReceiver or JobButtonReceiver class")
    if is_hook and is_button:
        raise _wrong(
            cls,
            " is both a hook receiver and a button receiver",
            hint="make two classes; what they share may stand in a base of both",
        )
    if is_button:
        return _BUTTON
    return _HOOK if cls.receive_job_hooks is JobHookReceiver.receive_job_hooks else _BATCH


def _meta(cls: Any, form: _Form) -> Meta:
    return Meta(
        cls, is_button=form is _BUTTON, takes_batches=form is _BATCH, is_asynchronous=_is_asynchronous(cls, form)
    )


def _inputs(cls: Any, form: _Form) -> tuple[type[BaseModel] | None, dict[str, Any] | None]:
    model = inputs_of(cls, is_button=form is _BUTTON)
    return model, None if model is None else schema_of(cls, model)


def _defined(cls: type) -> list[str]:
    return [name for name in _LIFE_CYCLE if getattr(cls, name) is not getattr(Receiver, name)]


def _is_asynchronous(cls: Any, form: _Form) -> bool:
    return inspect.iscoroutinefunction(getattr(cls, form.method)) or inspect.iscoroutinefunction(cls.run)


def _wrong(cls: type, what: str, *, hint: str) -> ReceiverError:
    try:
        place = f"{inspect.getsourcefile(cls)}, line {inspect.getsourcelines(cls)[1]}"
    except (OSError, TypeError):
        place = "source unknown"
    return ReceiverError(f"{class_path(cls)} ({place}){what}", hint=hint)


def _signature(name: str, arguments: tuple[str, ...]) -> str:
    return f"def {name}({', '.join(('self', *arguments))}): ..."
