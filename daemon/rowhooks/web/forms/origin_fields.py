"""The fields that the forms of hooks and of buttons have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Self

from starlette.datastructures import FormData

from rowhooks.postgres.administration.common import Row
from rowhooks.web.forms.origins import Problems, lines_of, text_of, texts_of


@dataclass(frozen=True)
class OriginFields(ABC):
    """The fields of a form, as they are shown.

    Args:
        name: the name of the hook or button.
        job: the class path of its job.
        tables: tables that are ticked, as the server quotes them.
        more_tables: tables that are named by hand, one a line.
        no_tables: tables that are gone, and ticked to be removed.
        queue: the queue of its runs; empty: that of its job.
        enabled: whether a new one is enabled.
        seen: the fingerprint of the definition that the person has seen; empty for a new one.
    """

    name: str = ""
    job: str = ""
    tables: tuple[str, ...] = ()
    more_tables: str = ""
    no_tables: tuple[str, ...] = ()
    queue: str = ""
    enabled: bool = True
    seen: str = ""

    @classmethod
    def of(cls, origin: Row, tables: tuple[str, ...]) -> Self:
        """Return the fields for what is there; `tables` are those that it is on, as the server quotes them."""
        common = {name: origin[name] for name in ("name", "job", "enabled")}
        return cls(**common, tables=tables, queue=origin["queue"] or "", **cls._own_of(origin))

    @classmethod
    def sent(cls, form: FormData) -> Self:
        """Return the fields as a person has sent them."""
        return cls(
            name=text_of(form, "name").strip(),
            job=text_of(form, "job"),
            tables=texts_of(form, "tables"),
            more_tables=text_of(form, "more_tables"),
            no_tables=texts_of(form, "no_tables"),
            queue=text_of(form, "queue").strip(),
            enabled="enabled" in form,
            seen=text_of(form, "seen"),
            **cls._own_sent(form),
        )

    @property
    def all_tables(self) -> tuple[str, ...]:
        """The tables that are ticked or named by hand."""
        return tuple(dict.fromkeys((*self.tables, *lines_of(self.more_tables))))

    @abstractmethod
    def problems(self, *, trying: bool = False) -> Problems:
        """Return what is wrong before the database is asked, by field.

        Args:
            trying: whether it is only to be tried, for which it needs less than to be there.
        """

    @abstractmethod
    def wanted(self) -> Any:
        """Return what the form says, once it has no problems."""

    @classmethod
    @abstractmethod
    def _own_of(cls, origin: Row) -> dict[str, Any]:
        """Return its other fields, and `seen`, for what is there."""

    @classmethod
    @abstractmethod
    def _own_sent(cls, form: FormData) -> dict[str, Any]:
        """Return its other fields as a person has sent them."""
