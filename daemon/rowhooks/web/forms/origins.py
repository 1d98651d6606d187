"""What the forms of hooks and buttons have in common: fields that keep what was entered, and problems beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request

from rowhooks.domain.display import visible
from rowhooks.domain.errors import ConnectionFailed, PermissionDenied, RowhooksError
from rowhooks.postgres.administration.common import Row
from rowhooks.postgres.console.origins import Choices

Problems = dict[str, str]
"""What is wrong, by the name of the field; under the empty name what concerns the whole form."""

MOST_OFFERED = 100
"""How many tables are offered as boxes to tick; where there are more, the others are named by hand."""
MOST_DESCRIBED = 10
"""Of how many tables the columns are listed."""
_DONE = ("added", "changed", "enabled", "disabled", "removed", "moved")

_FIELDS = (
    ("exists already", "name"),
    ("has_a_name", "name"),
    ("there is no role", "roles"),
    ("cannot start job", "job"),
    ("there is no job", "job"),
    ("could be any of", "job"),
    ("is not tracked", "tables"),
    ("is on no table", "tables"),
    ("there is no table", "tables"),
    ("is not on table", "tables"),
    ("there is no column", "columns"),
    ("is kept out of the log", "columns"),
    ("is not recorded of", "columns"),
    ("ignores all columns", "ignored_columns"),
    ("conditions", "conditions"),
    ("Jinja2 template", "text"),
    ("the text has", "text"),
    ("button class", "button_class"),
    ("weight", "weight"),
    ("no name of a queue", "queue"),
)
"""The field that a message is about, by words in it; the first that fits."""


def text_of(form: FormData, name: str) -> str:
    """Return a field's text with the line ends of Unix; the empty text where it was not sent."""
    found = form.get(name, "")
    return found.replace("\r\n", "\n") if isinstance(found, str) else ""


def texts_of(form: FormData, name: str) -> tuple[str, ...]:
    """Return the texts of all fields of a name, without empty ones, each once."""
    return tuple(dict.fromkeys(found for found in form.getlist(name) if isinstance(found, str) and found))


def lines_of(text: str) -> tuple[str, ...]:
    """Return the lines of a text, without those that are empty, each once."""
    return tuple(dict.fromkeys(line.strip() for line in text.split("\n") if line.strip()))


def problem_of(error: RowhooksError, fields: Sequence[str], otherwise: str = "") -> Problems:
    """Return an error as the problem of the field that it is about.

    Args:
        error: what the database, or we, refused.
        fields: the names of the form's fields.
        otherwise: the field of an error of which the field is not known; empty: the whole form.

    Raises:
        ConnectionFailed: the error is one, which no other input mends.
    """
    if isinstance(error, ConnectionFailed):
        raise error
    # What is said to somebody at a command line helps nobody here.
    hint = None if error.hint is None or "--dsn" in error.hint else error.hint
    said = f"{error.message} ({hint})" if hint else error.message
    about = next((field for words, field in _FIELDS if words in error.message and field in fields), otherwise)
    return {about: said}


def status_of_problem(error: RowhooksError) -> int:
    """Return the HTTP status of a form that is shown again because of an error."""
    return 403 if isinstance(error, PermissionDenied) else 422


def done_by(request: Request) -> str | None:
    """Return what the form before this page has done: a word of a small set, whatever stands in the address."""
    done = request.query_params.get("done", "")
    return done if done in _DONE else None


def offer(choices: Choices, chosen: Sequence[str], gone: Sequence[str]) -> dict[str, Any]:
    """Return what the forms of hooks and buttons offer, as values of their templates.

    Args:
        choices: the jobs and tables that there are.
        chosen: the tables that are ticked, as the server quotes them.
        gone: names of tables that it waits for.
    """
    tables = choices.tables
    ticked = [table for table in tables if table["quoted"] in chosen]
    shown = tables if len(tables) <= MOST_OFFERED else ticked[:MOST_OFFERED]
    return {
        "job_options": [(job["class_path"], _called(job)) for job in choices.jobs],
        "table_options": [(table["quoted"], visible(table["name"])) for table in shown],
        "gone_options": [(name, visible(name)) for name in gone],
        "are_all": len(shown) == len(tables),
        "chosen_tables": ticked[:MOST_DESCRIBED],
    }


def _called(job: Row) -> str:
    notes = [] if job["enabled"] else ["disabled"]
    notes += [] if job["installed"] else ["class not installed"]
    return visible(job["class_path"]) + (f" ({', '.join(notes)})" if notes else "")
