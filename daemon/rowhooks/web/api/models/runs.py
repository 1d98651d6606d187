"""Runs: executions of jobs for a change or a press."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from rowhooks.postgres.console.runs import RunFilter
from rowhooks.web.api.models.base import Asked, Id, Json, Moment, Name, Page, Paged, Told

Status = Literal["PENDING", "STARTED", "RETRY", "SUCCESS", "FAILURE", "REVOKED"]
Trigger = Literal["change", "press", "replay"]
Text = Annotated[str, Field(min_length=1, max_length=200)]


class RunNumbered(Asked):
    """A run in a path."""

    id: Id


class RunsMatched(Asked):
    """Which runs are meant. What is left out stands for any."""

    status: list[Status] = Field(default=[], max_length=6, description="Any of these; may be given several times.")
    job: Name | None = Field(default=None, description="The class path of the job.")
    hook: Name | None = Field(default=None, description="The name of the hook.")
    button: Name | None = Field(default=None, description="The name of the button.")
    table: Name | None = Field(default=None, description="The table, as schema.table.")
    trigger: Trigger | None = Field(default=None, description="What caused the run.")
    since: Moment | None = Field(default=None, description="Put on record from this time on.")
    until: Moment | None = Field(default=None, description="Put on record before this time.")
    text: Text | None = Field(default=None, description="A part of the exception's type or message, in any case.")
    user: Name | None = Field(default=None, description="The role, its login, or the user whom the application named.")
    batch: Id | None = Field(default=None, description="A press of several rows.")

    def filter(self) -> RunFilter:
        """Return the filter of the console's questions."""
        fields = {name: getattr(self, name) for name in RunsMatched.model_fields if name != "status"}
        return RunFilter(statuses=tuple(dict.fromkeys(self.status)), **fields)


class RunsWanted(RunsMatched, Paged):
    """Which runs are listed."""


class RunSummary(Told):
    """A run, as it is listed."""

    id: int
    status: Status
    trigger: Trigger
    class_path: str = Field(description="The job.")
    hook_name: str | None
    button_name: str | None
    action: str | None = Field(description="What happened to the row: create, update or delete; press for a press.")
    object_type: str | None = Field(description="The table.")
    object_id: Json = Field(description="The row's key: columns to values.")
    object_repr: str | None = Field(description="How the row is called; shortened.")
    object_change_id: int | None = Field(description="The change that caused it.")
    db_user: str = Field(description="The role that changed the row or pressed.")
    user_name: str | None = Field(description="The user whom the application named.")
    attempt: int
    retry_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    exception_type: str | None
    exception_message: str | None = Field(description="Shortened.")
    original_id: int | None = Field(description="The run that it repeats.")
    batch_id: int | None = Field(description="The press of several rows that it belongs to.")


class RunPage(Page[RunSummary]):
    """Runs, the newest first."""
