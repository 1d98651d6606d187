"""Acts on all runs that match."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rowhooks.postgres.console.bulk import Chosen
from rowhooks.web.acts.bulk import BulkAct
from rowhooks.web.api.models.base import Asked, Cursor, Told
from rowhooks.web.api.models.runs import RunsMatched, RunSummary


class RunsChosen(RunsMatched):
    """Which runs an act is for. At least one filter is given."""

    newest: Cursor | None = Field(
        default=None, description="No newer run is meant: `newest` of the answer that told which they are."
    )


class ActNumbered(Asked):
    """An act in a path."""

    act: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{16,64}$", description="Its id.")]


class RunsMeant(Told):
    """Which runs an act would be for."""

    total: int
    statuses: dict[str, int] = Field(description="How many of them have which status.")
    unfit: dict[str, int] = Field(description="How many others match, by why it is not for them.")
    has_more: bool = Field(description="Whether more match than one act is for; then these are among the newest.")
    newest: str | None = Field(description="Send it with the act, so that it is for no newer run.")
    sample: list[RunSummary] = Field(description="Some of them, the newest first.")

    @classmethod
    def of(cls, chosen: Chosen) -> RunsMeant:
        """Return what the API tells of them."""
        return cls(
            total=len(chosen.ids), statuses=chosen.statuses, unfit=chosen.unfit, has_more=chosen.has_more,
            newest=None if chosen.until is None else str(chosen.until),
            sample=[RunSummary.model_validate(one) for one in chosen.sample],
        )  # fmt: skip


class Act(Told):
    """An act on many runs, which goes on by itself."""

    id: str
    act: Literal["retry", "revoke"]
    state: Literal["running", "finished", "interrupted"]
    total: int = Field(description="For how many runs it is.")
    done: int = Field(description="To how many it was done.")
    refused: dict[str, int] = Field(description="How many were refused, by the reason.")
    problem: str = Field(description="Why it was interrupted.")

    @classmethod
    def of(cls, id_: str, act: BulkAct) -> Act:
        """Return what the API tells of an act."""
        return cls.model_validate({**vars(act), "id": id_, "refused": dict(act.refused)})
