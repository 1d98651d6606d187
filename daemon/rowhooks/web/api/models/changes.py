"""Changes: what happened to rows of tracked tables, and which hooks that starts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from rowhooks.postgres.console.changes import ChangeFilter
from rowhooks.postgres.console.why import ShownChange
from rowhooks.postgres.console.why import Verdict as Known
from rowhooks.web.api.models.base import Asked, Id, Json, Moment, Name, Paged, PageOfSeen, Told
from rowhooks.web.api.models.runs import Status, Trigger
from rowhooks.web.linking.asked_changes import key_of

Happened = Literal["create", "update", "delete", "truncate"]


class ChangeNumbered(Asked):
    """A change in a path."""

    id: Id


class ChangesWanted(Paged):
    """Which changes are listed. What is left out stands for any."""

    table: Name | None = Field(default=None, description="The table, as schema.table.")
    action: Happened | None = None
    user: Name | None = Field(default=None, description="The login, or the user whom the application named.")
    since: Moment | None = Field(default=None, description="Made from this time on.")
    until: Moment | None = Field(default=None, description="Made before this time.")
    key: Annotated[
        str | None,
        Field(min_length=1, max_length=2000, description="The row's key as a JSON object, or the value of one column."),
    ] = None
    request_id: Name | None = Field(default=None, description="The request that the application named.")
    run: Id | None = Field(default=None, description="The run that wrote them.")

    def filter(self) -> ChangeFilter:
        """Return the filter of the console's questions."""
        key, value = key_of(self.key)
        return ChangeFilter(
            table=self.table, action=self.action, user=self.user, since=self.since, until=self.until, key=key,
            key_value=value, request_id=self.request_id, run=self.run,
        )  # fmt: skip


class ChangeSummary(Told):
    """A change, as it is listed."""

    id: int
    time: datetime
    action: Happened
    object_type: str | None = Field(description="The table.")
    object_id: Json = Field(description="The row's key: columns to values.")
    object_repr: str | None = Field(description="How the row is called; shortened.")
    user_name: str | None = Field(description="The user whom the application named; shortened.")
    db_user: str = Field(description="The login.")
    request_id: str | None = Field(description="The request that the application named; shortened.")
    change_context: str | None = Field(description="Where the application says that it was made; shortened.")
    by_receiver: bool = Field(description="Whether a hook receiver made it; then it starts no hook.")
    capture_error: str | None = Field(description="What of it could not be recorded; shortened.")


class ChangePage(PageOfSeen[ChangeSummary]):
    """Changes, the newest first."""


class StartedRun(Told):
    """A run for a change."""

    id: int
    status: Status
    trigger: Trigger
    hook_name: str | None
    original_id: int | None = Field(description="The run that it repeats.")
    created_at: datetime


class HookVerdict(Told):
    """What a change is to a hook of its table, as the hook is now."""

    hook: str
    job: str = Field(description="The class path of its job.")
    state: Literal["started", "will start", "no run", "not started", "not known"] = Field(
        description="`no run`: it would start, and no run is on record. `not known`: you may not see what it asks for."
    )
    reasons: list[str] = Field(description="Why it does not start, or what else there is to know.")
    run: int | None = Field(description="The run that it started.")

    @classmethod
    def of(cls, verdict: Known) -> HookVerdict:
        """Return what the API tells of a verdict."""
        return cls.model_validate({
            "hook": verdict.hook.name, "job": verdict.hook.job.class_path, "state": verdict.state,
            "reasons": verdict.reasons, "run": None if verdict.run is None else verdict.run["id"],
        })  # fmt: skip


class Change(ChangeSummary):
    """A change, with the rows before and after it, and the hooks that it starts."""

    prechange: Json = Field(description="The row before it; null: there was none, or it is not known.")
    postchange: Json = Field(description="The row after it; null: there is none, or it is not known.")
    hidden_columns: list[str] = Field(description="Columns of the table that you may not read.")
    is_large: bool = Field(description="Whether the rows are too large to be shown.")
    hooks: list[HookVerdict] = Field(description="What it is to each hook of its table.")
    starts_none: str | None = Field(description="Why it starts no hook at all.")
    runs: list[StartedRun] = Field(description="Its runs, with replays and repeats.")
    writer: int | None = Field(description="The run that made it.")

    @classmethod
    def of(cls, found: ShownChange) -> Change:
        """Return what the API tells of a change."""
        row = found.change
        return cls.model_validate({
            **row, "by_receiver": row["receiver"] is not None, "prechange": found.before, "postchange": found.after,
            "is_large": bool(row["is_large"]), "hooks": list(map(HookVerdict.of, found.verdicts)),
            "starts_none": found.general, "runs": found.runs,
            "writer": None if found.writer is None else found.writer["id"],
        })  # fmt: skip
