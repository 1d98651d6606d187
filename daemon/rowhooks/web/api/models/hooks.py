"""Job hooks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rowhooks.web.api.models.base import Asked, Given, Json, Name, Page, Told

Action = Literal["create", "update", "delete"]
OnUndecided = Literal["run", "skip"]
Names = list[Name]
Queue = Annotated[
    str | None,
    Field(min_length=1, max_length=63, description="Letters, digits, _, - and .; null: the queue of its job."),
]


class HookNamed(Asked):
    """A hook in a path."""

    name: Name = Field(description="The hook's name; a slash in it is sent as %2F.")


class Hook(Told):
    """A job hook: which changes of which tables start which job."""

    name: str
    job: str = Field(description="The class path of its job.")
    enabled: bool
    job_enabled: bool
    declared: bool = Field(description="Whether it stands in its job's code; then it can only be enabled or disabled.")
    tables: list[str]
    waits_for: list[str] = Field(description="Tables that it names and that do not exist or are not tracked.")
    actions: list[Action]
    columns: list[str] = Field(description="An update that changes none of these starts nothing; empty: all count.")
    ignored_columns: list[str] = Field(description="An update that changes only such columns starts nothing.")
    conditions: Json = Field(description="What the rows before and after the change must be; null: anything.")
    on_undecided: OnUndecided = Field(description="What becomes of a change for which they cannot be decided.")
    queue: str | None = Field(description="The queue of its runs; null: that of its job.")


class HookPage(Page[Hook]):
    """The hooks."""


class HookChanged(Given):
    """What a hook is to be, as a whole; what is left out has the default."""

    job: Name = Field(description="A job: its class path, or a name that only one job has.")
    tables: Names = Field(max_length=500)
    actions: list[Action] = Field(min_length=1, max_length=3)
    columns: Names = Field(default=[], max_length=500)
    ignored_columns: Names = Field(default=[], max_length=500)
    conditions: Json = None
    on_undecided: OnUndecided = "run"
    queue: Queue = None
    enabled: bool = True


class HookAdded(HookChanged):
    """A new hook."""

    name: Name = Field(description="Its name, unique.")
