"""What is wrong with an installation, and the command that repairs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import psycopg

from rowhooks.domain import shell
from rowhooks.domain.errors import PermissionDenied, TookTooLong
from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.administration.drift import drifted_functions
from rowhooks.postgres.administration.grants import lacking_grants
from rowhooks.postgres.administration.ownership import former_owners, members_of_the_owner, shared_roles
from rowhooks.postgres.administration.restores import stray_triggers
from rowhooks.postgres.administration.status import LEADS
from rowhooks.postgres.administration.trust import distrusted
from rowhooks.postgres.backlog import WAITING
from rowhooks.postgres.bindings import find_faults
from rowhooks.postgres.connections.errors import first_line
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
_PROBLEMS = {
    "dropped_table": "tables that were dropped",
    "triggers": "triggers on tracked tables",
    "tracked_twice": "partitions that are tracked twice",
    "lost_primary_key": "primary keys that were lost",
    "altered_table": "tables that were altered or renamed",
    "untracked_child": "children of tracked tables",
    "untracked_by_rule": "tables that match a rule and are not tracked",
    "disabled_job": "hooks and buttons of disabled jobs",
    "missing_job": "jobs that the leader does not have",
    "missed_changes": "changes that were not kept",
    "standby_with_other_receivers": "receivers of the standbys",
    "no_partition": "the log's partitions",
    "default_partition": "the size of the log's default partition",
    "capture_function": "functions that capture changes",
    "key_types": "types of keys",
    "dead_leader": "runs of a former leader",
    "unread": "changes that wait to be dealt with",
}
_NOTES = {
    "no_event_trigger": "event triggers",
    "unreadable_change": "changes that could not be read",
}

LARGEST_SKEW = 5.0
"""Seconds by which the clocks of this machine and the server may differ."""


@dataclass(frozen=True)
class Check:
    """One thing that is looked at.

    Args:
        what: what it is.
        find: returns what is wrong with it.
        sees_sessions: whether a role that may not see the sessions of others (pg_read_all_stats) may miss something.
    """

    what: str
    find: Callable[[Connection], Iterable[Finding]]
    sees_sessions: bool = False


@dataclass(frozen=True)
class Unseen:
    """Something that could not be looked at, or not at all of it, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Examination:
    """What a role has found that may not look at everything.

    Args:
        findings: what is wrong, problems first.
        seen: what was looked at.
        unseen: what was not.
    """

    findings: tuple[Finding, ...]
    seen: tuple[str, ...]
    unseen: tuple[Unseen, ...]


def examine(conn: Connection) -> list[Finding]:
    """Return what is wrong with the installation, problems first; change nothing."""
    # These come first, because the other checks use these functions.
    if drifted := list(_DRIFT.find(conn)):
        return drifted
    return _problems_first(found for check in _CHECKS for found in check.find(conn))


def examine_what_is_seen(conn: Connection) -> Examination:
    """Do the same with the rights of a role that may not look at everything; name what it has not looked at.

    Args:
        conn: a connection in a transaction.
    """
    findings, seen, unseen = [], [], []
    [(sees_sessions,)] = conn.execute("select pg_has_role('pg_read_all_stats', 'USAGE')")
    for check in (_DRIFT, *_CHECKS):
        try:
            with conn.transaction():
                found = list(check.find(conn))
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.QueryCanceled) as error:
            unseen.append(Unseen(check.what, first_line(error)))
            continue
        except (PermissionDenied, TookTooLong) as error:
            unseen.append(Unseen(check.what, error.message))
            continue
        findings += found
        if check.sees_sessions and not sees_sessions:
            unseen.append(Unseen(check.what, "the sessions of other roles are seen by members of pg_read_all_stats"))
        else:
            seen.append(check.what)
        if check is _DRIFT and found:
            unseen += [Unseen(other.what, "it is looked at with functions that have been altered") for other in _CHECKS]
            break
    return Examination(tuple(_problems_first(findings)), tuple(seen), tuple(unseen))


def _problems_first(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: finding.level != "problem")


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


def _sentences(level: str, find: Callable[[Connection], Iterable[tuple[str, str]]]) -> Any:
    return lambda conn: [Finding(level, what, way_out) for what, way_out in find(conn)]


def _words(level: str, find: Callable[[Connection], Iterable[Any]]) -> Any:
    return lambda conn: [Finding.of(level, what, *way_out) for what, *way_out in find(conn)]


def _levelled(find: Callable[[Connection], Iterable[Any]]) -> Any:
    return lambda conn: [Finding.of(level, what, *way_out) for level, what, *way_out in find(conn)]


def _query(level: str, name: str) -> Any:
    return _words(level, lambda conn: conn.execute(_SQL[name]))


def _faults(conn: Connection) -> list[Finding]:
    return [Finding.of(fault.level, fault.what, *fault.way_out) for fault in find_faults(conn)]


_DRIFT = Check("the functions of schema rowhooks", _words("problem", drifted_functions))
_CHECKS = (
    Check("the clocks of the server and of this machine", _sentences("problem", _skew)),
    Check("sessions that hold up the leader and the bell", _sentences("problem", hindrances), sees_sessions=True),
    Check("tables that are locked", _sentences("problem", locked_tables), sees_sessions=True),
    Check("who may replace what runs", _words("problem", distrusted)),
    Check("the rights of the daemon's login", _levelled(lacking_grants)),
    Check("owners of tables", _levelled(former_owners)),
    Check("members of the owner's role", _levelled(members_of_the_owner)),
    Check("roles that other databases have too", _levelled(shared_roles)),
    Check("triggers that a restore has left", _levelled(stray_triggers)),
    Check("tables and columns that hooks and buttons mean", _faults),
    *(Check(what, _query("problem", name)) for name, what in _PROBLEMS.items()),
    *(Check(what, _query("note", name)) for name, what in _NOTES.items()),
    Check("long transactions", _sentences("note", long_transactions), sees_sessions=True),
)
