"""What the pages of buttons ask of the database, and what they do in it."""

from __future__ import annotations

from dataclasses import dataclass

from rowhooks.domain.errors import NotFound
from rowhooks.postgres.administration import buttons as administration
from rowhooks.postgres.administration.common import Connection, Row, fetch, only
from rowhooks.postgres.console.origins import (
    Choices,
    RunsOfDay,
    check_unchanged,
    choices,
    fingerprint_of,
    moved_tables,
    runs_of_day,
    unfinished_runs,
)
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__, {"buttons": administration.BUTTONS})
PAGE = 50
"""How many buttons a page lists."""
_DEFINITION = ("name", "job", "tables", "waits_for", "text", "group_name", "weight", "button_class", "confirmation",
               "roles", "queue")  # fmt: skip


@dataclass(frozen=True)
class ButtonWanted:
    """What a form says of a button.

    Args:
        name: its name.
        job: the class path of its job.
        tables: the tables to be on, as PostgreSQL reads names.
        text: a Jinja2 template for its label.
        group_name: the group in which pages show it; empty: none.
        weight: lower ones come first.
        button_class: one of administration.BUTTON_CLASSES.
        confirmation: whether a page asks before a press.
        roles: members of these may press it; `public` means every role.
        queue: the queue of its runs; None: that of its job.
        enabled: whether a new one is enabled.
        no_tables: tables that are gone, on which it is no longer to be.
    """

    name: str
    job: str
    tables: tuple[str, ...]
    text: str
    group_name: str = ""
    weight: int = 100
    button_class: str = "default"
    confirmation: bool = True
    roles: tuple[str, ...] = ()
    queue: str | None = None
    enabled: bool = True
    no_tables: tuple[str, ...] = ()


def list_buttons(conn: Connection, after: int | None) -> tuple[list[Row], RunsOfDay]:
    """Return the buttons behind one, by its id, one more than a page has if there are more; and the runs of the day."""
    return buttons_behind(conn, after, PAGE + 1), runs_of_day(conn)


def buttons_behind(conn: Connection, after: int | None, limit: int) -> list[Row]:
    """Return so many buttons in the order of a page, at most, behind one, by its id; None: from the first.

    Raises:
        NotFound: that button is gone, and with it the place.
    """
    found = fetch(conn, _SQL["list"], after, limit)
    if after is not None and not found and not fetch(conn, _SQL["is_there"], after):
        raise NotFound("the button behind which the list was to go on is gone", hint="begin with the first page")
    return found


def show_button(conn: Connection, name: str) -> tuple[Row, RunsOfDay, int]:
    """Return a button, the runs of the last day, and how many of its runs have not ended, MOST_UNFINISHED at most.

    Raises:
        NotFound: there is none.
    """
    button = _find(conn, name)
    return button, runs_of_day(conn), unfinished_runs(conn, button=button["id"])


def button_to_edit(conn: Connection, name: str | None) -> tuple[Row | None, Choices]:
    """Return a button (None for one that is to be added), and what its form offers.

    Raises:
        NotFound: there is none.
    """
    button = None if name is None else _find(conn, name)
    return button, choices(conn, "button", button["id"] if button else None)


def add_button(conn: Connection, wanted: ButtonWanted) -> Row:
    """Add a button; errors as in `administration.buttons.add_button`."""
    return administration.add_button(
        conn, wanted.name, job=wanted.job, tables=wanted.tables, text=wanted.text, group_name=wanted.group_name,
        weight=wanted.weight, button_class=wanted.button_class, confirmation=wanted.confirmation,
        roles=list(wanted.roles), queue=wanted.queue, enabled=wanted.enabled,
    )  # fmt: skip


def edit_button(conn: Connection, name: str, seen: str, wanted: ButtonWanted) -> Row:
    """Change what differs of a button; return it.

    Args:
        conn: in a transaction that is to be committed.
        name: its name.
        seen: the fingerprint of the definition that the person has seen.
        wanted: what it is to be; its name stays.

    Raises:
        Conflict: it was changed since.
        RowhooksError: as in `administration.buttons.edit_button`.
    """
    button, offered = button_to_edit(conn, name)
    assert button is not None, "it is found, or NotFound is raised"
    check_unchanged(f"button {name}", fingerprint(button), seen)
    more, fewer = moved_tables(offered.chosen, wanted.tables, wanted.no_tables)
    fields = ("job", "text", "group_name", "weight", "button_class", "confirmation", "queue")
    changed = {field: getattr(wanted, field) for field in fields if getattr(wanted, field) != button[field]}
    if set(wanted.roles) != set(button["roles"]):
        changed["roles"] = list(wanted.roles)
    return administration.edit_button(
        conn,
        name,
        more_tables=more,
        no_tables=fewer,
        no_queue=wanted.queue is None and button["queue"] is not None,
        **changed,
    )


def fingerprint(button: Row) -> str:
    """Return a text that is another one when the button's definition is."""
    return fingerprint_of([button[name] for name in _DEFINITION])


def _find(conn: Connection, name: str) -> Row:
    return only(fetch(conn, _SQL["find"], name), "button", name, "see: rowhooks buttons list")
