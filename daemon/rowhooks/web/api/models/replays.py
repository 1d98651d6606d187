"""Replays: runs of a hook for past changes."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from rowhooks.web.acts.replays import Progress
from rowhooks.web.api.models.base import Asked, Given, Moment, Name, Told


class ReplayBegun(Given):
    """A replay of a hook."""

    hook: Name
    table: Name | None = Field(default=None, description="One of its tables; else all.")
    since: Moment = Field(description="From this time on.")
    until: Moment | None = Field(default=None, description="Before this time; else until now.")
    dry_run: bool = Field(description="Only say what matches; request no runs.")


class ReplayContinued(Given):
    """A replay that goes on."""

    cursor: str = Field(min_length=1, max_length=20_000, description="From the answer before.")


class ReplayNamed(Asked):
    """A replay."""

    hook: Name
    begun: Moment = Field(description="Its `begun`.")


class Sample(Told):
    """A change that matches."""

    id: int
    time: datetime
    action: str
    table: str
    row: str = Field(description="How the row is called; shortened.")


class Replay(Told):
    """How far a replay has come."""

    hook: str
    table: str | None
    since: datetime
    until: datetime
    begun: datetime = Field(description="When it was begun; its runs are known by that.")
    dry_run: bool
    percent: int = Field(description="How much of the time span was looked at.")
    looked_at: int = Field(description="How many changes were looked at.")
    matching: int = Field(description="How many of them match.")
    asked: int = Field(description="How many runs were requested.")
    known: int = Field(description="For how many of them runs had been requested since its beginning.")
    samples: list[Sample] = Field(description="The first that match.")
    cursor: str | None = Field(description="Where it goes on; null: it is done.")

    @classmethod
    def of(cls, progress: Progress, cursor: str | None, *, dry_run: bool) -> Replay:
        """Return what the API tells of a replay."""
        wanted = progress.wanted
        return cls(
            hook=wanted.hook, table=wanted.table, since=wanted.since, until=wanted.until, begun=wanted.begun,
            dry_run=dry_run, percent=progress.percent, looked_at=progress.looked_at, matching=progress.matching,
            asked=progress.asked, known=progress.known,
            samples=[Sample.model_validate(vars(one)) for one in progress.samples], cursor=cursor,
        )  # fmt: skip


class ReplayRuns(Told):
    """The runs of a replay."""

    states: dict[str, int] = Field(description="Status to number of runs.")
    are_all: bool = Field(description="Whether all were counted: there may be very many.")
