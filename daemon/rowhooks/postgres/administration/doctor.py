"""What is wrong with an installation, and the command that repairs it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rowhooks.domain import shell
from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.administration.drift import drifted_functions
from rowhooks.postgres.administration.grants import lacking_grants
from rowhooks.postgres.administration.ownership import former_owners, members_of_the_owner, shared_roles
from rowhooks.postgres.administration.restores import stray_triggers
from rowhooks.postgres.administration.status import LEADS
from rowhooks.postgres.administration.trust import distrusted
from rowhooks.postgres.backlog import WAITING
from rowhooks.postgres.bindings import find_faults
from rowhooks.postgres.leadership.blocking_sessions import hindrances, locked_tables, long_transactions
from rowhooks.postgres.missing_jobs import IS_KEPT, MISSING_JOBS, OTHER_RECEIVERS
from rowhooks.postgres.statements import Statements
from rowhooks.postgres.track_options import MARKS, OPTIONS, columns_left_out, named


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Args:
        level: `problem`, or `note` for a limitation.
        what: what is wrong, in one sentence.
        way_out: what repairs it; its commands are quoted for sh.
    """

    level: str
    what: str
    way_out: str

    @classmethod
    def of(cls, level: str, what: str, *way_out: str | list[str] | None) -> Finding:
        """Return a finding whose way out consists of texts and of words of commands (`shell.sentence`)."""
        return cls(level, what, shell.sentence(way_out))


_SQL = Statements(
    __file__,
    {
        "waiting": WAITING,
        "leads": LEADS,
        "is_kept": IS_KEPT,
        "missing_jobs": MISSING_JOBS,
        "other_receivers": OTHER_RECEIVERS,
        "marks": MARKS,
        "options": OPTIONS,
        "left_out": columns_left_out("c.oid"),
        "left_out_of_namesake": columns_left_out("s.namesake"),
        "named": named("t.schema_name", "t.table_name"),
    },
)
_PROBLEMS = (
    _SQL["dropped_table"],
    _SQL["triggers"],
    _SQL["tracked_twice"],
    _SQL["lost_primary_key"],
    _SQL["altered_table"],
    _SQL["untracked_child"],
    _SQL["untracked_by_rule"],
    _SQL["disabled_job"],
    _SQL["missing_job"],
    _SQL["missed_changes"],
    _SQL["standby_with_other_receivers"],
    _SQL["no_partition"],
    _SQL["default_partition"],
    _SQL["capture_function"],
    _SQL["key_types"],
    _SQL["dead_leader"],
    _SQL["unread"],
)
_NOTES = (_SQL["no_event_trigger"], _SQL["unreadable_change"])

LARGEST_SKEW = 5.0
"""Seconds by which the clocks of this machine and the server may differ."""


def examine(conn: Connection) -> list[Finding]:
    """Return what is wrong with the installation, problems first; change nothing."""
    # These come first, because the other checks use these functions.
    if drifted := drifted_functions(conn):
        return [Finding.of("problem", what, *way_out) for what, *way_out in drifted]
    apart = (lacking_grants, former_owners, members_of_the_owner, shared_roles, stray_triggers)
    others = [Finding.of(level, what, *way_out) for found in apart for level, what, *way_out in found(conn)]
    others += [Finding.of(fault.level, fault.what, *fault.way_out) for fault in find_faults(conn)]
    return [
        *(Finding("problem", what, way_out) for what, way_out in _skew(conn)),
        *(Finding("problem", what, way_out) for what, way_out in hindrances(conn)),
        *(Finding("problem", what, way_out) for what, way_out in locked_tables(conn)),
        *(Finding.of("problem", what, *way_out) for what, *way_out in distrusted(conn)),
        *(finding for finding in others if finding.level == "problem"),
        *(
            Finding.of(level, what, *way_out)
            for level, checks in (("problem", _PROBLEMS), ("note", _NOTES))
            for check in checks
            for what, *way_out in conn.execute(check)
        ),
        *(finding for finding in others if finding.level == "note"),
        *(Finding("note", what, way_out) for what, way_out in long_transactions(conn)),
    ]


def _skew(conn: Connection) -> list[tuple[str, str]]:
    before = time.time()
    row = conn.execute("select extract(epoch from clock_timestamp())::float8").fetchone()
    after = time.time()
    assert row is not None
    skew = row[0] - (before + after) / 2
    # The server answered at some time between the two.
    if abs(skew) - (after - before) / 2 <= LARGEST_SKEW:
        return []
    return [(
        f"the server's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's: retries are"
        " due, and history is kept, by both",
        "set both by NTP (chronyc tracking, timedatectl)",
    )]  # fmt: skip
