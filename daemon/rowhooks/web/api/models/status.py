"""The state of rowhooks: what leads, what waits, what failed, and what doctor says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from rowhooks.postgres.administration.common import Row
from rowhooks.postgres.administration.doctor import Examination
from rowhooks.postgres.console.status import Activity
from rowhooks.web.api.models.base import Asked, Told


class Standby(Told):
    """A daemon that waits to lead."""

    name: str
    announced_at: datetime
    receivers: int = Field(description="How many receivers it has.")


class ConnectedWorker(Told):
    """A process that executes runs for the leader."""

    name: str = Field(description="HOST:PID.")
    queues: list[str]
    threads: int = Field(description="How many plain receivers it executes at the same time.")
    tasks: int = Field(description="How many that are `async def`.")
    code_version: str = Field(description="Tells its code from that of others.")
    since: datetime
    silent_for: float = Field(description="Seconds since it was last heard of.")
    is_stopping: bool
    runs: int = Field(description="How many runs it has in hand.")


class QueueInHand(Told):
    """What is handed to the workers of a queue."""

    queue: str
    groups: int = Field(description="How many groups of runs.")
    unclaimed: int = Field(description="How many of them no worker has taken yet.")
    runs: int


class WaitingRuns(Told):
    """Runs of a job that have not ended."""

    job: str = Field(description="The class path of the job.")
    status: str
    runs: int
    oldest: datetime


class FailedJob(Told):
    """The failures of a job."""

    job: str = Field(description="The class path of the job.")
    failures: int = Field(description="How many of its runs failed, of all tables.")
    seen: int = Field(description="How many of the newest failures you may see; what follows is of these.")
    kinds: int | None = Field(description="How many errors differ.")
    type: str | None = Field(description="The commonest error.")
    message: str | None
    runs: int | None = Field(description="How many runs had it.")
    example: int | None = Field(description="One of them.")


class Failures(Told):
    """The failures of the last day among the newest runs."""

    looked_at: int = Field(description="How many runs were looked at.")
    oldest: datetime | None = Field(description="When the oldest of them was put on record.")
    jobs: list[FailedJob]


class Status(Told):
    """How rowhooks is doing. Numbers are counted up to a limit."""

    database: str
    now: datetime = Field(description="The server's time.")
    schema_revision: str
    is_led: bool | None = Field(description="Whether a daemon leads; null on a standby server, which does not know.")
    leader: str | None = Field(description="The present or last leader.")
    leader_since: datetime | None
    standbys: list[Standby]
    workers: list[ConnectedWorker] | None = Field(
        description="The workers that are connected; null on a standby server, which does not know."
    )
    queues: list[QueueInHand] | None = Field(description="What is handed to workers, by queue; null there too.")
    backlog: int = Field(description="How many changes have not been dealt with.")
    oldest_change: datetime | None = Field(description="When the first of them was made.")
    requested: int = Field(description="How many runs that were requested by hand wait for a leader.")
    waiting: list[WaitingRuns] = Field(description="The runs that have not ended, by job and status.")
    missing_jobs: list[str] = Field(description="Enabled jobs that the present or last leader does not have.")
    notify: bool = Field(description="Whether the daemon is woken by NOTIFY; otherwise it polls.")
    notification_queue_usage: float = Field(description="How full the server's queue of notifications is, from 0 to 1.")
    log_bytes: int
    tables: int = Field(description="How many tables are tracked.")
    jobs: int = Field(description="How many jobs are enabled and installed.")
    hooks: int = Field(description="How many hooks are enabled.")
    buttons: int = Field(description="How many buttons are enabled.")
    failures: Failures

    @classmethod
    def of(cls, status: Row, failures: Mapping[str, Any]) -> Status:
        """Return what the API tells of the state."""
        numbers = status["numbers"]
        told = {
            **status, **status["dispatch"],
            **{name: numbers[name] for name in ("is_led", "backlog", "requested", "waiting", "log_bytes")},
            "oldest_change": numbers["oldest"], "failures": failures,
        }  # fmt: skip
        return cls.model_validate(told)


class ActivityWanted(Asked):
    """Which time is shown."""

    span: Literal["hour", "day"] = Field(default="hour", description="The last hour in minutes, or the last day.")


class Counted(Told):
    """How much came in one part of the time."""

    begun: datetime
    changes: int
    runs: dict[str, int] = Field(description="Status to number of runs that were put on record.")


class ActivityTold(Told):
    """Changes and runs over time."""

    step: float = Field(description="How long a part is, in seconds.")
    parts: list[Counted]
    changes_since: datetime | None = Field(description="Since when changes were counted, if not the whole time.")
    runs_since: datetime | None = Field(description="Since when runs were counted, if not the whole time.")

    @classmethod
    def of(cls, activity: Activity) -> ActivityTold:
        """Return what the API tells of it."""
        changes = activity.numbers.get("change", (0,) * len(activity.begun))
        parts = [
            Counted(
                begun=begun,
                changes=changes[place],
                runs={what: of[place] for what, of in activity.numbers.items() if what != "change" and of[place]},
            )
            for place, begun in enumerate(activity.begun)
        ]
        return cls(
            step=activity.step.total_seconds(), parts=parts, changes_since=activity.changes_since,
            runs_since=activity.runs_since,
        )  # fmt: skip


class Finding(Told):
    """Something that is wrong."""

    level: Literal["problem", "note"]
    what: str
    way_out: str = Field(description="What repairs it.")


class Unseen(Told):
    """Something that was not looked at, or not at all of it."""

    what: str
    why: str


class Diagnosis(Told):
    """What doctor says, as far as your rights let it look."""

    findings: list[Finding] = Field(description="Problems first.")
    seen: list[str] = Field(description="What was looked at.")
    unseen: list[Unseen] = Field(description="What was not: it may be wrong as well.")

    @classmethod
    def of(cls, examination: Examination) -> Diagnosis:
        """Return what the API tells of an examination."""
        return cls(
            findings=[Finding.model_validate(one) for one in examination.findings], seen=list(examination.seen),
            unseen=[Unseen.model_validate(one) for one in examination.unseen],
        )  # fmt: skip
