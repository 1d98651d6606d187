"""What the pages of hooks, buttons and jobs ask alike: the runs of the last day, and what a form offers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rowhooks.domain import exact
from rowhooks.domain.errors import Conflict
from rowhooks.postgres.administration.common import Connection, Row, fetch
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__)
COUNTED = 20_000
"""How many of the newest runs of the last day are counted."""
MOST_UNFINISHED = 10_000
"""How many runs that have not ended are counted."""


@dataclass(frozen=True)
class RunsOfDay:
    """How many of the newest runs of the last day have which status.

    Args:
        counted: how many were counted.
        oldest: when the oldest of them was created; None where there is none.
        by_hook: by the hook's id: status to number.
        by_button: the same by the button's id.
        by_job: the same by the job's class path.
    """

    counted: int = 0
    oldest: datetime | None = None
    by_hook: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    by_button: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    by_job: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether these are all runs of the last day."""
        return self.counted < COUNTED


def runs_of_day(conn: Connection) -> RunsOfDay:
    """Count the newest runs of the last day, of all tables, at most COUNTED of them."""
    rows = fetch(conn, _SQL["runs"], COUNTED)
    return RunsOfDay(
        counted=sum(row["runs"] for row in rows),
        oldest=min((row["oldest"] for row in rows), default=None),
        by_hook=_counts(rows, "job_hook_id"),
        by_button=_counts(rows, "job_button_id"),
        by_job=_counts(rows, "class_path"),
    )


def unfinished_runs(conn: Connection, *, hook: int | None = None, button: int | None = None) -> int:
    """Return how many runs of a hook or button, by its id, have not ended; MOST_UNFINISHED at most."""
    return int(fetch(conn, _SQL["unfinished"], hook, button, MOST_UNFINISHED)[0]["runs"])


@dataclass(frozen=True)
class Choices:
    """What the form of a hook or button offers.

    Args:
        jobs: the jobs of its kind: class_path, enabled, installed.
        tables: the tracked tables: quoted, name, is_chosen (whether it is on it), columns.
    """

    jobs: tuple[Row, ...]
    tables: tuple[Row, ...]

    @property
    def chosen(self) -> tuple[str, ...]:
        """The tables that it is on, as the server quotes them."""
        return tuple(table["quoted"] for table in self.tables if table["is_chosen"])


def choices(conn: Connection, kind: str, origin_id: int | None) -> Choices:
    """Return what the form of a hook or button offers.

    Args:
        conn: a connection of the person's.
        kind: `hook` or `button`.
        origin_id: its id; None for one that is to be added.
    """
    [row] = fetch(conn, _SQL["choices"], kind, origin_id)
    return Choices(tuple(row["jobs"]), tuple(row["tables"]))


def fingerprint_of(definition: Sequence[Any]) -> str:
    """Return a text that is another one when what defines a hook or button is."""
    return hashlib.sha256(exact.write(definition).encode()).hexdigest()[:32]


def check_unchanged(what: str, present: str, seen: str) -> None:
    """Refuse to change what somebody else has changed.

    Args:
        what: `hook NAME` or `button NAME`.
        present: the fingerprint of its definition.
        seen: the fingerprint of the definition that the person has seen.

    Raises:
        Conflict: they differ.
    """
    if present != seen:
        raise Conflict(f"{what} was changed meanwhile", hint="open it in another window; what you entered is here")


def moved_tables(present: Sequence[str], wanted: Sequence[str], gone: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the tables on which a hook or button is to be in addition, and those on which it is no longer to be.

    Args:
        present: the tables that it is on.
        wanted: those that it is to be on.
        gone: tables that do not exist, and for which it is no longer to wait.
    """
    more = [table for table in wanted if table not in present]
    return more, [*(table for table in present if table not in wanted), *gone]


def _counts(rows: Iterable[Row], key: str) -> dict[Any, dict[str, int]]:
    found: dict[Any, dict[str, int]] = {}
    for row in rows:
        if row[key] is not None:
            counts = found.setdefault(row[key], {})
            counts[row["status"]] = counts.get(row["status"], 0) + row["runs"]
    return found
