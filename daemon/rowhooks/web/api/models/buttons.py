"""Job buttons."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from rowhooks.web.api.models.base import Asked, Given, Name, Page, Told, number_of_json
from rowhooks.web.api.models.hooks import Names, Queue

ButtonClass = Literal["default", "primary", "success", "info", "warning", "danger", "link"]


class ButtonNamed(Asked):
    """A button in a path."""

    name: Name = Field(description="The button's name; a slash in it is sent as %2F.")


class Button(Told):
    """A job button: a button on the rows of some tables that starts a job."""

    name: str
    job: str = Field(description="The class path of its job.")
    enabled: bool
    job_enabled: bool
    text: str = Field(description="Its label, a Jinja2 template.")
    group_name: str
    weight: int = Field(description="Lower weights come first.")
    button_class: ButtonClass
    confirmation: bool = Field(description="Whether a person is asked before a press.")
    roles: list[str] = Field(description="Whose members may press it; public means every role.")
    queue: str | None = Field(description="The queue of its runs; null: that of its job.")
    tables: list[str]
    waits_for: list[str] = Field(description="Tables that it names and that do not exist or are not tracked.")


class ButtonPage(Page[Button]):
    """The buttons."""


class ButtonChanged(Given):
    """What a button is to be, as a whole; what is left out has the default."""

    job: Name = Field(description="A job of a button receiver: its class path, or a name that only one job has.")
    tables: Names = Field(min_length=1, max_length=500)
    text: Annotated[str, Field(max_length=500)]
    group_name: Annotated[str, Field(max_length=255)] = ""
    weight: Annotated[int, Field(ge=0, le=2**31 - 1), BeforeValidator(number_of_json)] = 100
    button_class: ButtonClass = "default"
    confirmation: bool = True
    roles: Names = Field(default=[], max_length=500)
    queue: Queue = None
    enabled: bool = True


class ButtonAdded(ButtonChanged):
    """A new button."""

    name: Name = Field(description="Its name, unique.")
