"""The form of a button: what a person enters, checked as `rowhooks buttons add` checks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData

from rowhooks.domain.errors import UsageError
from rowhooks.postgres.administration.buttons import BUTTON_CLASSES
from rowhooks.postgres.administration.common import Row
from rowhooks.postgres.console.buttons import ButtonWanted, fingerprint
from rowhooks.postgres.labels import check_text
from rowhooks.web.forms.origin_fields import OriginFields
from rowhooks.web.forms.origins import Problems, lines_of, text_of

FIELDS = ("name", "job", "tables", "text", "group_name", "weight", "button_class", "roles", "queue")
HEAVIEST = 2**31 - 1


@dataclass(frozen=True)
class ButtonFields(OriginFields):
    """The fields of the form, as they are shown.

    Args:
        text: a Jinja2 template for the label.
        group_name: the group in which pages show it.
        weight: a number; lower ones come first.
        button_class: its style.
        confirmation: whether a page asks before a press.
        roles: one a line.
        preview_table: the table of the row on which it is previewed.
        preview_key: the key of that row.
    """

    text: str = ""
    group_name: str = ""
    weight: str = "100"
    button_class: str = "default"
    confirmation: bool = True
    roles: str = ""
    preview_table: str = ""
    preview_key: str = ""

    @classmethod
    def _own_of(cls, origin: Row) -> dict[str, Any]:
        return {
            "text": origin["text"],
            "group_name": origin["group_name"],
            "weight": str(origin["weight"]),
            "button_class": origin["button_class"],
            "confirmation": origin["confirmation"],
            "roles": "\n".join(origin["roles"]),
            "seen": fingerprint(origin),
        }

    @classmethod
    def _own_sent(cls, form: FormData) -> dict[str, Any]:
        return {
            "text": text_of(form, "text"),
            "group_name": text_of(form, "group_name").strip(),
            "weight": text_of(form, "weight").strip(),
            "button_class": text_of(form, "button_class") or "default",
            "confirmation": "confirmation" in form,
            "roles": text_of(form, "roles"),
            "preview_table": text_of(form, "preview_table"),
            "preview_key": text_of(form, "preview_key"),
        }

    def problems(self, *, trying: bool = False) -> Problems:
        """Return what is wrong before the database is asked, by field.

        Args:
            trying: whether the button is to be shown on a row, for which it needs no more than its text.
        """
        found: Problems = {}
        if not trying:
            found |= self._problems_of_all()
        elif not (self.preview_table and self.preview_key):
            found["preview_key"] = "Name the table and the key of a row."
        try:
            check_text(self.text)
        except UsageError as error:
            found["text"] = str(error)
        if not self.text.strip():
            found["text"] = "Enter a label: without one the button is not shown."
        if self.button_class not in BUTTON_CLASSES:
            found["button_class"] = f"Choose from: {', '.join(BUTTON_CLASSES)}."
        return found

    def _problems_of_all(self) -> Problems:
        found: Problems = {}
        if not self.name:
            found["name"] = "Name the button."
        if not self.job:
            found["job"] = "Choose the job that it starts."
        if not self.all_tables and not self.seen:
            found["tables"] = "Choose at least one table."
        if not (self.weight.isascii() and self.weight.isdecimal() and int(self.weight[:20]) <= HEAVIEST):
            found["weight"] = f"Enter a whole number from 0 to {HEAVIEST:,}."
        return found

    def wanted(self) -> ButtonWanted:
        """Return what the form says, once it has no problems."""
        return ButtonWanted(
            name=self.name,
            job=self.job,
            tables=self.all_tables,
            text=self.text,
            group_name=self.group_name,
            weight=int(self.weight),
            button_class=self.button_class,
            confirmation=self.confirmation,
            roles=lines_of(self.roles),
            queue=self.queue or None,
            enabled=self.enabled,
            no_tables=self.no_tables,
        )
