"""The form of a hook: what a person enters, checked as `rowhooks hooks add` checks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData

from rowhooks.domain import exact
from rowhooks.domain.configuration import ON_UNDECIDED
from rowhooks.domain.errors import ConditionsError
from rowhooks.pipeline.conditions import parse_json
from rowhooks.postgres.administration.common import Row
from rowhooks.postgres.console.hooks import HookWanted, fingerprint
from rowhooks.web.forms.origin_fields import OriginFields
from rowhooks.web.forms.origins import Problems, lines_of, text_of, texts_of

ACTIONS = ("create", "update", "delete")
FIELDS = ("name", "job", "tables", "actions", "columns", "ignored_columns", "conditions", "on_undecided", "queue")
LONGEST_CONDITIONS = 60_000
"""Characters of conditions that can be edited on a page."""


@dataclass(frozen=True)
class HookFields(OriginFields):
    """The fields of the form, as they are shown.

    Args:
        actions: of create, update, delete.
        columns: one a line.
        ignored_columns: one a line.
        conditions: JSON.
        on_undecided: `run` or `skip`.
    """

    actions: tuple[str, ...] = ()
    columns: str = ""
    ignored_columns: str = ""
    conditions: str = ""
    on_undecided: str = "run"

    @classmethod
    def _own_of(cls, origin: Row) -> dict[str, Any]:
        conditions = origin["conditions"]
        return {
            "actions": tuple(origin["actions"]),
            "columns": "\n".join(origin["columns"]),
            "ignored_columns": "\n".join(origin["ignored_columns"]),
            "conditions": "" if conditions is None else exact.write(conditions, indent=2),
            "on_undecided": origin["on_undecided"],
            "seen": fingerprint(origin),
        }

    @classmethod
    def _own_sent(cls, form: FormData) -> dict[str, Any]:
        return {
            "actions": texts_of(form, "actions"),
            "columns": text_of(form, "columns"),
            "ignored_columns": text_of(form, "ignored_columns"),
            "conditions": text_of(form, "conditions"),
            "on_undecided": text_of(form, "on_undecided") or "run",
        }

    def problems(self, *, trying: bool = False) -> Problems:
        """Return what is wrong before the database is asked, by field.

        Args:
            trying: whether conditions are to be tried, for which a hook needs neither name nor job.
        """
        found: Problems = {}
        if not self.name and not trying:
            found["name"] = "Name the hook."
        if not self.job and not trying:
            found["job"] = "Choose the job that it starts."
        if not self.all_tables and not (self.seen and not trying):
            found["tables"] = "Choose at least one table."
        if not self.actions:
            found["actions"] = "You must select at least one type: create, update, and/or delete."
        elif unknown := sorted(set(self.actions) - set(ACTIONS)):
            found["actions"] = f"There is no action {', '.join(unknown)}; choose from: {', '.join(ACTIONS)}."
        if self.on_undecided not in ON_UNDECIDED:
            found["on_undecided"] = f"Choose from: {', '.join(ON_UNDECIDED)}."
        if problem := self._problem_of_conditions():
            found["conditions"] = problem
        return found

    def _problem_of_conditions(self) -> str | None:
        if len(self.conditions) > LONGEST_CONDITIONS:
            return f"The conditions have more than {LONGEST_CONDITIONS:,} characters: use rowhooks hooks edit."
        try:
            if self.conditions_json is not None:
                parse_json(self.conditions_json)
        except ConditionsError as error:
            return str(error)
        return None

    @property
    def conditions_json(self) -> str | None:
        """The conditions as JSON; None for none."""
        text = self.conditions.strip()
        return None if text in ("", "null") else text

    def wanted(self) -> HookWanted:
        """Return what the form says, once it has no problems."""
        text = self.conditions_json
        conditions: Any = None if text is None else exact.read_exactly(text)
        return HookWanted(
            name=self.name,
            job=self.job,
            tables=self.all_tables,
            actions=self.actions,
            columns=lines_of(self.columns),
            ignored_columns=lines_of(self.ignored_columns),
            conditions=conditions,
            on_undecided=self.on_undecided,
            queue=self.queue or None,
            enabled=self.enabled,
            no_tables=self.no_tables,
        )
