"""SQLSTATEs: which of PostgreSQL's errors pass by themselves, and are therefore followed by a transient retry.

The classes are those of PostgreSQL's manual, Appendix A. docs/guarantees.md has the same table.
"""

from __future__ import annotations

from dataclasses import dataclass

CACHED_PLAN = "0A000 cached plan"
"""This is no code of PostgreSQL's. It stands for 0A000 as RevalidateCachedQuery(), and nothing else, raises it."""
CACHED_PLAN_ROUTINE = "RevalidateCachedQuery"


@dataclass(frozen=True)
class Verdict:
    """What rowhooks does when PostgreSQL answers with an error.

    Args:
        code: a class (two characters) or one condition (five characters).
        name: its name in Appendix A.
        run: whether a run is retried, from its beginning and in a new transaction.
        daemon: whether the daemon retries a statement of its own, on a new connection.
        why: the reason, in a few words.
    """

    code: str
    name: str
    run: bool
    daemon: bool
    why: str


def _both(code: str, name: str, why: str) -> Verdict:
    return Verdict(code, name, run=True, daemon=True, why=why)


def _neither(code: str, name: str, why: str) -> Verdict:
    return Verdict(code, name, run=False, daemon=False, why=why)


_SAME_AGAIN = "the same statement would end in the same way"
_VALUES = "the values would be the same again"
_WORK = "what is asked for would be the same again"
_TRANSACTION = "the receiver's own order of statements"

TABLE: tuple[Verdict, ...] = (
    _neither("03", "SQL statement not yet complete", _SAME_AGAIN),
    _both("08", "connection exception", "the connection was lost"),
    _neither("09", "triggered action exception", _SAME_AGAIN),
    _neither("0A", "feature not supported", _SAME_AGAIN),
    _both(
        CACHED_PLAN, "cached plan must not change result type", "a table was altered; the statement is planned again"
    ),
    _neither("0B", "invalid transaction initiation", _TRANSACTION),
    _neither("0F", "locator exception", _SAME_AGAIN),
    _neither("0L", "invalid grantor", _SAME_AGAIN),
    _neither("0P", "invalid role specification", _SAME_AGAIN),
    _neither("0Z", "diagnostics exception", _SAME_AGAIN),
    _neither("10", "XQuery error", _SAME_AGAIN),
    _neither("20", "case not found", _VALUES),
    _neither("21", "cardinality violation", _VALUES),
    _neither("22", "data exception", _VALUES),
    _neither("23", "integrity constraint violation", _VALUES),
    _neither("24", "invalid cursor state", _TRANSACTION),
    _neither("25", "invalid transaction state", _TRANSACTION),
    _both("25006", "read only SQL transaction", "a standby after a failover; a new connection finds the primary"),
    _neither("25P03", "idle in transaction session timeout", "the receiver would be idle for as long again"),
    _neither("25P04", "transaction timeout", "the receiver would take as long again"),
    _both("26", "invalid SQL statement name", "a pooler has changed the server connection"),
    _neither("27", "triggered data change violation", _VALUES),
    _neither("28", "invalid authorization specification", "an administrator has to let the login in"),
    _neither("2B", "dependent privilege descriptors still exist", _SAME_AGAIN),
    _neither("2D", "invalid transaction termination", _TRANSACTION),
    _neither("2F", "SQL routine exception", _SAME_AGAIN),
    _neither("34", "invalid cursor name", _SAME_AGAIN),
    _neither("38", "external routine exception", _SAME_AGAIN),
    _neither("39", "external routine invocation exception", _SAME_AGAIN),
    _neither("3B", "savepoint exception", _TRANSACTION),
    _neither("3D", "invalid catalog name", _SAME_AGAIN),
    _neither("3F", "invalid schema name", _SAME_AGAIN),
    _both("40", "transaction rollback", "a deadlock, or a conflict with another transaction"),
    _neither("40002", "transaction integrity constraint violation", _VALUES),
    _neither("42", "syntax error or access rule violation", "the statement, the table or the privileges are wrong"),
    _both("42P05", "duplicate prepared statement", "a pooler has changed the server connection"),
    _neither("44", "WITH CHECK OPTION violation", _VALUES),
    _both("53", "insufficient resources", "disk, memory or connections are freed again"),
    _both("53200", "out of memory", "other sessions free theirs; rows are then loaded in smaller portions"),
    Verdict("53400", "configuration limit exceeded", run=False, daemon=True, why=_WORK),
    _neither("54", "program limit exceeded", _WORK),
    _neither("55", "object not in prerequisite state", _SAME_AGAIN),
    _both("55P03", "lock not available", "another session frees its lock"),
    _both("57", "operator intervention", "the server is stopped, started or recovering"),
    Verdict(
        "57014", "query canceled", run=False, daemon=True,
        why="a time-out would come again, and a person who cancels a run's statement means the run",
    ),
    _neither("58", "system error", "a file of the server is missing or in its way"),
    _both("58030", "I/O error", "a disk that comes back; it is for the server to give up"),
    _both("72", "snapshot failure", "the next transaction has a new snapshot"),
    _neither("F0", "configuration file error", "an administrator has to repair the server"),
    _neither("HV", "foreign data wrapper error", _SAME_AGAIN),
    _both("HV00N", "FDW unable to establish connection", "the foreign server comes back"),
    _neither("P0", "PL/pgSQL error", "the function decides so"),
    _neither("XX", "internal error", "a defect, or damaged data"),
)  # fmt: skip

_BY_CODE = {one.code: one for one in TABLE}
_UNKNOWN = _neither("", "not in Appendix A", "nothing is known of it")
"""The verdict on codes that an extension or a function has made up, too."""


def verdict(sqlstate: str, routine: str | None = None) -> Verdict:
    """Return what is done about an error.

    Args:
        sqlstate: five characters.
        routine: the server's own function that raised it, where known.
    """
    if sqlstate == "0A000" and routine == CACHED_PLAN_ROUTINE:
        return _BY_CODE[CACHED_PLAN]
    return _BY_CODE.get(sqlstate) or _BY_CODE.get(sqlstate[:2]) or _UNKNOWN
