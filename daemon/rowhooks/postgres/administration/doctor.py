"""What is wrong with an installation, and the command that repairs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from rowhooks.domain import shell
from rowhooks.postgres import bindings
from rowhooks.postgres.administration import activity, workers
from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.administration.drift import drifted_functions
from rowhooks.postgres.administration.grants import lacking_grants
from rowhooks.postgres.administration.ownership import former_owners, members_of_the_owner, shared_roles
from rowhooks.postgres.administration.questions import NotAnswered, Question, Steps, answer_together, ask
from rowhooks.postgres.administration.restores import stray_triggers
from rowhooks.postgres.administration.status import LEADS
from rowhooks.postgres.administration.trust import distrusted
from rowhooks.postgres.backlog import WAITING
from rowhooks.postgres.leadership import blocking_sessions
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
        # A standby does not know the locks of its primary.
        "leads": f"(pg_is_in_recovery() or {LEADS})",
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
    "stray_queue": "runs in queues that the leader does not have",
    "missed_changes": "changes that were not kept",
    "standby_with_other_receivers": "receivers of the standbys",
    "no_partition": "the log's partitions",
    "default_partition": "the size of the log's default partition",
    "capture_function": "functions that capture changes",
    "unsafe_statement_form": "statement triggers where they are not safe",
    "key_types": "types of keys",
    "dead_leader": "runs of a former leader",
    "unread": "changes that wait to be dealt with",
}
_NOTES = {
    "no_event_trigger": "event triggers",
    "left_statement_form": "tables that were captured by statement triggers",
    "unreadable_change": "changes that could not be read",
}
_ACTIVE_PROBLEMS = {
    "failures": "the failures of the last hour",
    "no_daemon": "whether a daemon runs",
    "full_connections": "connections",
    "replica_sessions": "sessions that fire no triggers",
}
_ACTIVE_NOTES = {
    "long_runs": "runs that take long",
    "endless_runs": "receivers that start themselves",
    "idle": "hooks, buttons and jobs that are idle",
}
_WORKER_PROBLEMS = {
    "queue_without_worker": "queues without workers",
    "silent_worker": "workers of which nothing is heard",
    "other_code": "the code of workers",
    "other_clock": "the clocks of workers",
}
_WORKER_NOTES = {"lacking_receivers": "the receivers of workers"}

LARGEST_SKEW = 5.0
"""Seconds by which the clocks of this machine and the server may differ."""


@dataclass(frozen=True)
class Check:
    """One thing that is looked at.

    Args:
        what: what it is.
        find: asks about it, and returns what is wrong with it.
        sees_sessions: whether a role that may not see the sessions of others (pg_read_all_stats) may miss something.
    """

    what: str
    find: Callable[[], Steps[list[Finding]]]
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
    found, _ = _examined(conn, is_tolerant=False)
    return _problems_first(finding for of_one in found.values() for finding in _answered(of_one))


def examine_what_is_seen(conn: Connection) -> Examination:
    """Do the same with the rights of a role that may not look at everything; name what it has not looked at.

    Args:
        conn: a connection in a transaction.
    """
    findings, seen, unseen = list[Finding](), list[str](), list[Unseen]()
    found, sees_sessions = _examined(conn, is_tolerant=True)
    for check in (_DRIFT, *_CHECKS):
        of_one = found.get(check)
        if of_one is None:
            unseen.append(Unseen(check.what, "it is looked at with functions that have been altered"))
        elif isinstance(of_one, NotAnswered):
            unseen.append(Unseen(check.what, of_one.why))
        elif check.sees_sessions and not sees_sessions:
            unseen.append(Unseen(check.what, "the sessions of other roles are seen by members of pg_read_all_stats"))
        else:
            seen.append(check.what)
        findings += _answered(of_one)
    return Examination(tuple(_problems_first(findings)), tuple(seen), tuple(unseen))


def _examined(conn: Connection, *, is_tolerant: bool) -> tuple[dict[Check, list[Finding] | NotAnswered], bool]:
    """Return what the checks have found, and whether the role sees the sessions of others.

    The other checks use the functions that the first one looks at. If these have been altered, the others are left out.
    """
    sessions = Check("", _sees_sessions)
    found = answer_together(conn, {one: one.find() for one in (sessions, _DRIFT, _CLOCKS)}, is_tolerant=is_tolerant)
    sees_sessions = _answered(found.pop(sessions)) != []
    if _answered(found[_DRIFT]):
        return {_DRIFT: found[_DRIFT]}, sees_sessions
    others = {one: one.find() for one in _CHECKS if one is not _CLOCKS}
    return {**found, **answer_together(conn, others, is_tolerant=is_tolerant)}, sees_sessions


def _answered(found: list[Finding] | NotAnswered | None) -> list[Finding]:
    return found if isinstance(found, list) else []


def _problems_first(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: finding.level != "problem")


def _sees_sessions() -> Steps[list[Any]]:
    [(sees_sessions,)] = yield from ask("select pg_has_role('pg_read_all_stats', 'USAGE')")
    return [sees_sessions] if sees_sessions else []


def _skew() -> Steps[list[Finding]]:
    before = time.time()
    [(now,)] = yield from ask("select extract(epoch from clock_timestamp())::float8")
    after = time.time()
    skew = now - (before + after) / 2
    # The server answered at some time between the two.
    if abs(skew) - (after - before) / 2 <= LARGEST_SKEW:
        return []
    return [Finding(
        "problem",
        f"the server's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's: retries are"
        " due, and history is kept, by both",
        "set both by NTP (chronyc tracking, timedatectl)",
    )]  # fmt: skip


def _sessions(level: str, *names: str) -> Callable[[], Steps[list[Finding]]]:
    def find() -> Steps[list[Finding]]:
        found = yield [Question(blocking_sessions.SQL[name]) for name in names]
        return [Finding.of(level, what, *way_out) for rows in found for what, *way_out in rows]

    return find


def _levelled(find: Callable[[], Steps[Iterable[Any]]]) -> Callable[[], Steps[list[Finding]]]:
    def levelled() -> Steps[list[Finding]]:
        return [Finding.of(level, what, *way_out) for level, what, *way_out in (yield from find())]

    return levelled


def _words(level: str, find: Callable[[], Steps[Any]]) -> Callable[[], Steps[list[Finding]]]:
    def words() -> Steps[list[Finding]]:
        return [Finding.of(level, what, *way_out) for what, *way_out in (yield from find())]

    return words


def _query(level: str, name: str) -> Callable[[], Steps[list[Finding]]]:
    return _words(level, lambda: ask(_SQL[name]))


def _activity(level: str, name: str) -> Callable[[], Steps[list[Finding]]]:
    return _words(level, lambda: ask(activity.SQL[name]))


def _workers(level: str, name: str) -> Callable[[], Steps[list[Finding]]]:
    def find() -> Steps[Any]:
        # A standby server does not have unlogged tables.
        [(is_standby,)] = yield from ask("select pg_is_in_recovery()")
        return [] if is_standby else (yield from ask(workers.SQL[name]))

    return _words(level, find)


def _faults() -> Steps[list[Finding]]:
    [(owners,)], detached = yield [Question(bindings.SQL["owners"]), Question(bindings.SQL["detached"])]
    return [Finding.of(fault.level, fault.what, *fault.way_out) for fault in bindings.faults(owners, detached)]


_DRIFT = Check("the functions of schema rowhooks", _words("problem", drifted_functions))
_CLOCKS = Check("the clocks of the server and of this machine", _skew)
_CHECKS = (
    _CLOCKS,
    Check(
        "sessions that hold up the leader and the bell", _sessions("problem", "leader_lock", "bell", "queue"),
        sees_sessions=True,
    ),
    Check("tables that are locked", _sessions("problem", "locked_tables"), sees_sessions=True),
    Check("who may replace what runs", _words("problem", distrusted)),
    Check("the rights of the daemon's login", _levelled(lacking_grants)),
    Check("owners of tables", _levelled(former_owners)),
    Check("members of the owner's role", _levelled(members_of_the_owner)),
    Check("roles that other databases have too", _levelled(shared_roles)),
    Check("triggers that a restore has left", _levelled(stray_triggers)),
    Check("tables and columns that hooks and buttons mean", _faults),
    *(Check(what, _query("problem", name)) for name, what in _PROBLEMS.items()),
    *(Check(what, _activity("problem", name)) for name, what in _ACTIVE_PROBLEMS.items()),
    *(Check(what, _workers("problem", name)) for name, what in _WORKER_PROBLEMS.items()),
    *(Check(what, _query("note", name)) for name, what in _NOTES.items()),
    *(Check(what, _activity("note", name)) for name, what in _ACTIVE_NOTES.items()),
    *(Check(what, _workers("note", name)) for name, what in _WORKER_NOTES.items()),
    Check("long transactions", _sessions("note", "long_transactions"), sees_sessions=True),
    Check("transactions of days", _activity("note", "old_transactions"), sees_sessions=True),
)  # fmt: skip
