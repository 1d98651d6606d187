"""The errors that rowhooks raises. They have one base, so that a caller can catch them all.

RowhooksError
├── UsageError               the command or setting is wrong (exit code 2)
│   ├── SettingsError
│   │   └── OptionsRefused   libpq would not connect with what DSN, environment and service file say
│   └── ConditionsError      a hook's conditions are malformed
├── EmbeddedServerError      the embedded PostgreSQL cannot be had or started
├── DatabaseError            Postgres refused or could not be reached
│   ├── ConnectionFailed
│   │   ├── LoginRefused     no server lets this login in: a wrong password, no entry in pg_hba.conf
│   │   └── ConnectionsEnded  a person's connections have ended, and only a new log-in can open others
│   ├── PermissionDenied
│   ├── TookTooLong          PostgreSQL gave a statement up: its time was over, or it was canceled
│   ├── TableLocked          another session keeps a table locked for longer than rowhooks waits
│   └── SchemaMismatch       rowhooks' schema is missing, older or newer than the code
├── NotFound                 a table, job, hook, change or result of that name does not exist
├── Conflict                 the thing exists already, or its state forbids the request
├── ReceiverError            a receiver class or module cannot be used
│   ├── InvalidInputs        a receiver's Inputs do not take what a press gave
│   └── TransactionEnded     a receiver has ended its run's transaction by a statement of its own
├── ConditionFailed          a hook's conditions cannot be decided for a change
├── Interruption             raised inside a receiver from outside
│   ├── SoftTimeLimitExceeded  it has used up its soft time limit
│   ├── TimeLimitExceeded    its run was ended at its time limit
│   ├── RunTaken             its run was taken from the worker that executes it
│   └── RunRevoked           its run was revoked while it went on
├── ExecutorLost             the worker processes that executed a run have ended in the middle of it, again and again
├── JobFailed                a receiver has called fail()
├── ObjectGone               a row that a receiver wants to save or refresh no longer exists
├── WriteSuppressed          a trigger or a rule kept the server from writing a row that is there
└── LeadershipLost           the connection that held the leader lock has ended
"""

from __future__ import annotations


class RowhooksError(Exception):
    """Base of all errors of rowhooks.

    Args:
        message: what is wrong, naming the thing.
        hint: what to do about it, as a command where there is one.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(RowhooksError):
    """The command or one of its arguments is wrong."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting is malformed or unknown."""


class OptionsRefused(SettingsError):
    """libpq would not connect with what the DSN, the environment and the service file say."""


class ConditionsError(UsageError):
    """A hook's conditions are malformed."""


class EmbeddedServerError(RowhooksError):
    """The embedded PostgreSQL server cannot be had or does not start."""


class DatabaseError(RowhooksError):
    """PostgreSQL refused a statement."""


class ConnectionFailed(DatabaseError):
    """The server cannot be reached, or does not let the login in."""


class LoginRefused(ConnectionFailed):
    """No server lets this login in: a wrong password, no such role, no entry in pg_hba.conf."""


class ConnectionsEnded(ConnectionFailed):
    """The connections that a person's password has opened have ended. Only a new log-in can open others."""

    def __init__(
        self, message: str = "the connections of this session have ended", *, hint: str | None = "log in again"
    ) -> None:
        super().__init__(message, hint=hint)


class PermissionDenied(DatabaseError):
    """The connected role lacks a privilege."""


class TookTooLong(DatabaseError):
    """PostgreSQL gave a statement up: it took longer than statement_timeout, or somebody has canceled it."""


class TableLocked(DatabaseError):
    """Another session keeps a table locked for longer than rowhooks waits."""


class SchemaMismatch(DatabaseError):
    """Schema rowhooks is missing, or older or newer than this code."""


class NotFound(RowhooksError):
    """A named thing does not exist."""


class Conflict(RowhooksError):
    """A thing exists already, or its state forbids the request."""


class ReceiverError(RowhooksError):
    """A receiver class or module cannot be used."""


class InvalidInputs(ReceiverError):
    """The receiver's class `Inputs` does not take what a press gave. No retry helps, and none is made."""


class TransactionEnded(ReceiverError):
    """A receiver has ended its run's transaction by a statement of its own.

    No retry is made: it would write twice what the statement has committed.
    """

    def __init__(
        self,
        message: str = "the receiver has ended its run's transaction by a statement of its own (COMMIT, ROLLBACK or"
        " PREPARE TRANSACTION): what it committed stays without a result",
        *,
        hint: str | None = "leave the statement out: the run commits when the receiver returns; for a savepoint, use"
        " self.session.begin_nested()",
    ) -> None:
        super().__init__(message, hint=hint)


class ConditionFailed(RowhooksError):
    """A hook's conditions cannot be decided for a change: a missing path, unlike types, a regex that takes too long."""


class Interruption(RowhooksError):
    """Raised inside a receiver from outside. Python makes one of its class alone, so it needs no arguments."""

    def __init__(self, message: str = "the run was interrupted", *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)


class SoftTimeLimitExceeded(Interruption):
    """The receiver has used up its soft time limit; it may clean up and return (Celery's exception of this name)."""

    def __init__(self, message: str = "the soft time limit was used up", *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)


class TimeLimitExceeded(Interruption):
    """The run was ended at its time limit."""

    def __init__(self, message: str = "the run was ended at its time limit", *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)


class RunTaken(Interruption):
    """The run was taken from the worker that executes it; it is executed again, and nothing is recorded of this."""

    def __init__(self, message: str = "the run was taken from this worker", *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)


class ExecutorLost(RowhooksError):
    """The worker processes that executed a run have ended in the middle of it, again and again."""


class JobFailed(RowhooksError):
    """The receiver has called fail()."""


class RunRevoked(Interruption):
    """The run was revoked while it went on."""

    def __init__(self, message: str = "the run was revoked", *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)


class ObjectGone(RowhooksError):
    """The row no longer exists."""


class WriteSuppressed(RowhooksError):
    """A trigger or a rule of the table kept PostgreSQL from writing the row, which is there."""


class LeadershipLost(RowhooksError):
    """The leader lock is no longer held by this daemon."""
