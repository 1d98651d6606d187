"""The report of a run, for a test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.computed import computed
from rowhooks.domain.run import LogEntry, Outcome
from rowhooks.postgres.rehearsal.presses import ListedPress


@dataclass(frozen=True)
class LogLine:
    """One line that the receiver logged.

    Args:
        level: `debug`, `info`, `success`, `warning`, `failure`, `error` or `critical`.
        message: its text, with the arguments filled in.
        grouping: the value of `extra={"grouping": ...}`.
        object: what people call the row given as `extra={"object": ...}`; None without a row.
        object_type: the `schema.table` of that row.
        time: when it was logged.
    """

    level: str
    message: str
    grouping: str
    object: str | None
    object_type: str | None
    time: datetime = field(repr=False, compare=False)

    @classmethod
    def of(cls, entry: LogEntry) -> LogLine:
        """Return a line as rowhooks.job_log_entry would have it."""
        return cls(entry.level, entry.message, entry.grouping, entry.object_repr, entry.object_type, entry.time)


@dataclass(frozen=True)
class RaisedException:
    """What a receiver has raised, or noted with fail().

    Args:
        type: its class, `module.Class`, as it would be recorded.
        message: as it would be recorded.
        traceback: as it would be recorded.
        error: the exception itself.
    """

    type: str
    message: str
    traceback: str = field(repr=False)
    error: BaseException = field(repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.type}: {self.message}"


@dataclass(frozen=True)
class Write:
    """One row that the run has changed, by itself or through cascades and triggers.

    Args:
        change: the write as an object change, with `before`, `after`, `changed()` ...
    """

    change: ObjectChange = field(repr=False)

    @property
    def table(self) -> str:
        """The table, as `schema.table`."""
        return self.change.changed_object_type

    @property
    def action(self) -> str:
        """`create`, `update` or `delete`; or `truncate`, which has no rows."""
        return self.change.action

    @property
    def pk(self) -> Any:
        """The key: its value where it is one column, else key columns to values; None without a key."""
        key = self.change.changed_object_id
        return next(iter(key.values())) if len(key) == 1 else key or None

    @property
    def prechange(self) -> dict[str, Any] | None:
        """The row before with JSON values; None for a create."""
        return self.change.prechange

    @property
    def postchange(self) -> dict[str, Any] | None:
        """The row after with JSON values; None for a delete."""
        return self.change.postchange

    @property
    def differences(self) -> dict[str, Any]:
        """`removed` and `added`, as in `change.get_snapshots()`."""
        found: dict[str, Any] = self.change.get_snapshots()["differences"]
        return found

    def __repr__(self) -> str:
        return f"<{self.action} {self.table} {self.pk} {self.differences['added'] or self.differences['removed']}>"


@dataclass(frozen=True)
class Press:
    """One press of a button that the run has made. It starts no run.

    Args:
        button: the button's name.
        table: the table, as `schema.table`.
        pk: the row's key: its value where it is one column, else key columns to values.
        object: what people call the row.
        inputs: what the press carries; None without.
        user: the user for whom the run acts that pressed; None where only the login is known.
        idempotency_key: the key that was given; None without.
    """

    button: str
    table: str
    pk: Any
    object: str = field(compare=False)
    inputs: Mapping[str, Any] | None = None
    user: str | None = field(default=None, compare=False)
    idempotency_key: str | None = field(default=None, compare=False)

    @classmethod
    def of(cls, press: ListedPress) -> Press:
        """Return what a test sees of a press."""
        key = press.object_id
        return cls(
            press.button, press.table, next(iter(key.values())) if len(key) == 1 else key, press.object_repr,
            press.inputs, press.user_name, press.idempotency_key,
        )  # fmt: skip


@dataclass(frozen=True)
class Attempt:
    """One attempt of a run.

    Args:
        status: SUCCESS, FAILURE, or RETRY where the daemon would retry.
        exception: what the receiver raised, or noted with fail(); None without.
    """

    status: str
    exception: RaisedException | None

    @classmethod
    def of(cls, outcome: Outcome, error: BaseException | None) -> Attempt:
        """Return the attempt that has this outcome; `error` is what it raised."""
        raised = None
        if outcome.exception_type is not None:
            assert error is not None
            raised = RaisedException(
                outcome.exception_type, outcome.exception_message or "", outcome.traceback or "", error
            )
        return cls(outcome.status, raised)


@dataclass(frozen=True)
class RunReport:
    """What became of a run.

    Args:
        matched: whether the given hook matches the change; True without a hook.
        why_not: why it does not match, as `rowhooks hooks test` says; None if it does.
        change: the object change of the run; None for a button, and for an update that changed nothing.
        attempts: the attempts, in order; empty where the hook does not match.
        logs: the lines that were logged, of all attempts.
        writes: the writes of the run, in order, without those that were rolled back.
        presses: the presses of the run, in order, without those that were rolled back.
        result_json: what the receiver returned, as it would be recorded.
    """

    matched: bool = True
    why_not: str | None = None
    change: ObjectChange | None = field(default=None, repr=False)
    attempts: tuple[Attempt, ...] = ()
    logs: tuple[LogLine, ...] = ()
    writes: tuple[Write, ...] = ()
    presses: tuple[Press, ...] = ()
    result_json: str | None = None

    @property
    def status(self) -> str | None:
        """SUCCESS, FAILURE, or RETRY where the daemon would retry; None where nothing ran."""
        return self.attempts[-1].status if self.attempts else None

    @property
    def exception(self) -> RaisedException | None:
        """What the last attempt has raised, or noted with fail(); None without."""
        return self.attempts[-1].exception if self.attempts else None

    @computed
    def result(self) -> Any:
        """What the receiver returned, as JSON has it: tuples are lists, and a value that JSON cannot hold is None."""
        return None if self.result_json is None else json.loads(self.result_json)
