"""Trials: what a hook would do with past changes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from rowhooks.domain import exact
from rowhooks.domain.change import ObjectChange
from rowhooks.web.acts.trials import Trial, Verdict
from rowhooks.web.api.models.base import Given, Json, Told
from rowhooks.web.api.models.hooks import Action, Names, OnUndecided


class HookTried(Given):
    """A hook that is tried and not saved."""

    tables: Names = Field(min_length=1, max_length=500)
    actions: list[Action] = Field(min_length=1, max_length=3)
    columns: Names = Field(default=[], max_length=500)
    ignored_columns: Names = Field(default=[], max_length=500)
    conditions: Json = None
    on_undecided: OnUndecided = "run"


class ChangeTried(Told):
    """A past change, and why it would not start the hook, or why that cannot be decided."""

    id: int
    time: datetime
    action: str
    object_type: str = Field(description="The table.")
    object_id: Json = Field(description="The row's key: columns to values.")
    object_repr: str
    db_user: str
    user_name: str | None
    reason: str | None

    @classmethod
    def of(cls, verdict: Verdict) -> ChangeTried:
        """Return what the API tells of a change."""
        change: ObjectChange = verdict.change
        return cls(
            id=change.id, time=change.time, action=change.action, object_type=str(change.changed_object_type),
            object_id=exact.read_exactly(change.object_id_json), object_repr=change.object_repr,
            db_user=change.db_user, user_name=change.user_name, reason=verdict.reason or None,
        )  # fmt: skip


class TrialTold(Told):
    """What a hook would do with the newest changes of its tables."""

    looked_at: int = Field(description="How many changes were looked at.")
    left_out: int = Field(description="How many were not, because their rows are too large.")
    is_cut: bool = Field(description="Whether the time was over before all were looked at.")
    starts: int = Field(description="How many would start it, with the undecided ones if they do.")
    undecided: int = Field(description="For how many the conditions cannot be decided.")
    starting: list[ChangeTried] = Field(description="The newest of those that would start it.")
    not_starting: list[ChangeTried] = Field(description="The newest of those that would not.")
    cannot_tell: list[ChangeTried] = Field(description="The newest of those that are undecided.")

    @classmethod
    def of(cls, trial: Trial) -> TrialTold:
        """Return what the API tells of a trial."""
        lists: dict[str, Any] = {
            name: [ChangeTried.of(one) for one in getattr(trial, name)]
            for name in ("starting", "not_starting", "cannot_tell")
        }
        return cls(
            looked_at=trial.looked_at, left_out=trial.left_out, is_cut=trial.is_cut, starts=trial.starts,
            undecided=trial.undecided, **lists,
        )  # fmt: skip
