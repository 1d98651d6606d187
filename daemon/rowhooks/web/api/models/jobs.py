"""Jobs: the receiver classes that the daemon has found."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rowhooks.web.api.models.base import Asked, Flag, Given, Json, Name, Object, Page, Paged, Told


class JobNamed(Asked):
    """A job in a path."""

    job: Name = Field(description="Its class path, or a name that only one job has.")


class JobsWanted(Paged):
    """Which jobs are listed."""

    hidden: Flag = Field(default=False, description="Whether hidden jobs are listed as well.")


class JobSummary(Told):
    """A job."""

    class_path: str = Field(description="Its module and class.")
    kind: Literal["hook", "button"] = Field(description="Whether hooks or buttons start it.")
    name: str
    grouping: str
    description: str
    hidden: bool
    enabled: bool
    installed: bool = Field(description="Whether the code of the present or last leader has it.")
    meta: Object = Field(description="Other values of its class Meta.")
    inputs_schema: Json = Field(description="The JSON schema of what a press gives to it; null: nothing.")


class Job(JobSummary):
    """A job, with what starts it."""

    hooks: list[str] = Field(description="The names of its hooks.")
    buttons: list[str] = Field(description="The names of its buttons.")


class JobPage(Page[JobSummary]):
    """The jobs."""


class JobMove(Given):
    """Where what a missing job has is moved to."""

    to: Name = Field(description="The class path of a job of the same kind that the leader has.")


class JobMoved(Told):
    """A job that has got the hooks, buttons and waiting runs of a missing one."""

    class_path: str
    enabled: bool = Field(description="Whether it is enabled now: it is if the missing one was.")
    waiting: int = Field(description="How many runs that wait it has got.")


class JobRemoved(Told):
    """A job that was removed, with its hooks and buttons."""

    class_path: str
    revoked: int = Field(description="How many runs that had not ended were revoked.")
