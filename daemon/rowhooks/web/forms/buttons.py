"""The form of a button: what a person enters, checked as `rowhooks buttons add` checks it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import FormData

from rowhooks.domain.errors import UsageError
from rowhooks.postgres.administration.buttons import BUTTON_CLASSES
from rowhooks.postgres.administration.common import Row
from rowhooks.postgres.console.buttons import ButtonWanted, fingerprint
from rowhooks.postgres.labels import check_text
from rowhooks.web.forms.origins import Problems, lines_of, text_of, texts_of

FIELDS = ("name", "job", "tables", "text", "group_name", "weight", "button_class", "roles")
HEAVIEST = 2**31 - 1


@dataclass(frozen=True)
class ButtonFields:
    """The fields of the form, as they are shown.

    Args:
        name: the button's name.
        job: the class path of its job.
        tables: tables that are ticked, as the server quotes them.
        more_tables: tables that are named by hand, one a line.
        no_tables: tables that are gone, and ticked to be removed.
        text: a Jinja2 template for the label.
        group_name: the group in which pages show it.
        weight: a number; lower ones come first.
        button_class: its style.
        confirmation: whether a page asks before a press.
        roles: one a line.
        enabled: whether a new button is enabled.
        seen: the fingerprint of the definition that the person has seen; empty for a new button.
        preview_table: the table of the row on which it is previewed.
        preview_key: the key of that row.
    """

    name: str = ""
    job: str = ""
    tables: tuple[str, ...] = ()
    more_tables: str = ""
    no_tables: tuple[str, ...] = ()
    text: str = ""
    group_name: str = ""
    weight: str = "100"
    button_class: str = "default"
    confirmation: bool = True
    roles: str = ""
    enabled: bool = True
    seen: str = ""
    preview_table: str = ""
    preview_key: str = ""

    @classmethod
    def of(cls, button: Row, tables: tuple[str, ...]) -> ButtonFields:
        """Return the fields for a button as it is; `tables` are those that it is on, as the server quotes them."""
        return cls(
            name=button["name"],
            job=button["job"],
            tables=tables,
            text=button["text"],
            group_name=button["group_name"],
            weight=str(button["weight"]),
            button_class=button["button_class"],
            confirmation=button["confirmation"],
            roles="\n".join(button["roles"]),
            enabled=button["enabled"],
            seen=fingerprint(button),
        )

    @classmethod
    def sent(cls, form: FormData, name: str | None = None) -> ButtonFields:
        """Return the fields as a person has sent them; `name` is that of a button that exists, which it keeps."""
        return cls(
            name=text_of(form, "name").strip() if name is None else name,
            job=text_of(form, "job"),
            tables=texts_of(form, "tables"),
            more_tables=text_of(form, "more_tables"),
            no_tables=texts_of(form, "no_tables"),
            text=text_of(form, "text"),
            group_name=text_of(form, "group_name").strip(),
            weight=text_of(form, "weight").strip(),
            button_class=text_of(form, "button_class") or "default",
            confirmation="confirmation" in form,
            roles=text_of(form, "roles"),
            enabled="enabled" in form,
            seen=text_of(form, "seen"),
            preview_table=text_of(form, "preview_table"),
            preview_key=text_of(form, "preview_key"),
        )

    @property
    def all_tables(self) -> tuple[str, ...]:
        """The tables that are ticked or named by hand."""
        return tuple(dict.fromkeys((*self.tables, *lines_of(self.more_tables))))

    def problems(self, *, previewing: bool = False) -> Problems:
        """Return what is wrong before the database is asked, by field.

        Args:
            previewing: whether the button is to be shown on a row, for which it needs no more than its text.
        """
        found: Problems = {}
        if not previewing:
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
            enabled=self.enabled,
            no_tables=self.no_tables,
        )
