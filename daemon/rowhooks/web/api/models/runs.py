"""Runs: executions of jobs for a change or a press."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from rowhooks.postgres.console.run import LONGEST_MESSAGE, ShownRun
from rowhooks.postgres.console.runs import RunFilter
from rowhooks.web.api.models.base import Asked, Cursor, Id, Json, Moment, Name, Page, Paged, PageOfSeen, Told

LONGEST_TRACEBACK = 100_000
"""How many characters of a traceback are told."""
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


class RunPage(PageOfSeen[RunSummary]):
    """Runs, the newest first."""


class RunRepeat(Told):
    """Another run of a run's history: the one that it repeats, or one that repeats the same."""

    id: int
    status: Status
    created_at: datetime


class WrittenChange(Told):
    """A change that a run has made."""

    id: int
    time: datetime
    action: str
    object_type: str | None = Field(description="The table.")
    object_id: Json = Field(description="The row's key: columns to values.")
    object_repr: str | None
    prechange: Json = Field(description="The row before; null: there was none, or it is too large.")
    postchange: Json = Field(description="The row after; null: there is none, or it is too large.")
    is_large: bool | None = Field(description="Whether a row was left out because it is too large.")
    is_own: bool = Field(description="Whether it is this run's; else another run in the same transaction made it.")


class Run(RunSummary):
    """A run, with its result and what its transaction wrote."""

    retries: int = Field(description="How many of the job's own retries have been used up.")
    login: str | None = Field(description="Of a press: the login beside the role that pressed.")
    key: str = Field(description="Its idempotency key for other systems; the same for each attempt and repeat.")
    log_counts: dict[str, int] = Field(description="Levels to numbers of log lines.")
    traceback: str | None = Field(description="The middle of a long one is left out.")
    result: Json = Field(description="What the receiver returned; null if it is too large.")
    result_size: int | None = Field(description="How many bytes that takes.")
    inputs: Json = Field(description="What a press gave.")
    are_inputs_hidden: bool = Field(description="Whether its inputs are not shown, because they are sensitive.")
    history: list[RunRepeat] = Field(description="The run that it repeats, and others that repeat the same.")
    written: list[WrittenChange] = Field(description="The last changes that its transaction has made, in order.")
    has_more_written: bool = Field(description="Whether it has made earlier changes.")

    @classmethod
    def of(cls, found: ShownRun) -> Run:
        """Return what the API tells of a run."""
        head, tail, size = (found.run[name] for name in ("traceback_head", "traceback_tail", "traceback_size"))
        traceback = head
        if tail is not None:
            half = LONGEST_TRACEBACK // 2
            traceback = f"{head[:half]}\n... ({size - 2 * half:,} characters left out)\n{tail[-half:]}"
        return cls.model_validate({
            **found.run, "traceback": traceback, "history": found.history, "written": found.written,
            "has_more_written": found.has_more_written,
        })  # fmt: skip


class LogWanted(Paged):
    """Which part of a log is listed."""


class LogLine(Told):
    """A line of a run's log."""

    id: int
    time: datetime
    level: str
    grouping: str
    message: str = Field(description="Its first 2000 characters.")
    size: int = Field(description="How many characters it has.")
    object_type: str | None = Field(description="The table of the row that it is about.")
    object_repr: str | None

    @classmethod
    def of(cls, line: Mapping[str, Any]) -> LogLine:
        """Return what the API tells of a line."""
        return cls.model_validate({**line, "message": line["message"][:LONGEST_MESSAGE]})


class LogPage(Page[LogLine]):
    """Lines of a log, in the order of their times."""


class RunState(Told):
    """How a run stands."""

    id: int
    status: Status
    attempt: int
    retries: int
    retry_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class EventsWanted(Asked):
    """Where a stream of events begins."""

    cursor: Cursor | None = None
