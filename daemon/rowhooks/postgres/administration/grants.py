"""What the login that loads rows and runs receivers lacks: missing grants, and row security policies that bind it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rowhooks.postgres.administration.common import Row
from rowhooks.postgres.administration.questions import Question, Rows, Steps, ask
from rowhooks.postgres.rows.privileges import REFUSED, SAID, Refusal
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__)

Found = tuple[str, str, *tuple[str | list[str] | None, ...]]
"""The level, what is wrong, and the parts of the way out."""

_TABLE = ("schema", "name", "is_needed", "login", "no_usage", "no_select", "columns", "policies")

MOST_NAMES = 5
"""The number of tables that a sentence names; the command names all."""


@dataclass(frozen=True)
class _Login:
    oid: int
    name: str
    grantee: str
    rows_by_policy: bool
    subject: str


def lacking_grants() -> Steps[list[Found]]:
    """Return what prevents rows from being loaded and receivers from writing; one finding for many tables."""
    logins = [_Login(*row) for row in (yield from ask(_SQL["logins"]))]
    if not logins:
        return []
    found, failed = yield [
        Question(_SQL["tables"], ([login.oid for login in logins],)), Question(_SQL["refusals"], (REFUSED,)),
    ]  # fmt: skip
    tables = [dict(zip(_TABLE, row, strict=True)) for row in found]
    refused = yield from _refused(failed, {login.name: login for login in logins})
    return [*_unreadable(logins, tables), *_bound(logins, tables), *refused]


def _unreadable(logins: Sequence[_Login], tables: Sequence[Row]) -> Iterator[Found]:
    # Before a daemon has led, one login that may read the table is enough: it may be the daemon's.
    readable = {row["name"] for row in tables if not (row["no_usage"] or row["no_select"] or row["columns"])}
    login = next((one for one in logins if one.grantee != one.name), logins[0])
    lacking = [row for row in tables if row["login"] == login.oid and row["name"] not in readable]
    for (schema, is_needed), rows in _grouped(lacking, "no_usage", "schema"):
        what = f"{login.subject} may not use schema {schema}: rows of {_named(rows)} are not loaded"
        yield _level(is_needed), what, _grant(f"usage on schema {schema}", login)
    for (_, is_needed), rows in _grouped(lacking, "no_select", "schema"):
        what = f"{login.subject} may not read {_named(rows)}: no row is loaded"
        yield _level(is_needed), what, _grant(f"select on {', '.join(row['name'] for row in rows)}", login)
    for row in lacking:
        if row["columns"] and not row["no_select"]:
            columns = ", ".join(row["columns"])
            what = f"{login.subject} may not read {columns} of {row['name']}: no row is loaded"
            yield _level(row["is_needed"]), what, _grant(f"select ({columns}) on {row['name']}", login)


def _bound(logins: Sequence[_Login], tables: Sequence[Row]) -> Iterator[Found]:
    seen = {row["name"] for row in tables if not row["policies"]}
    for login in logins:
        bound = [row for row in tables if row["login"] == login.oid and row["name"] not in seen]
        for (_, is_needed), rows in _grouped(bound, "policies", "login"):
            consequence = "what they hide is not found" if login.rows_by_policy else "no row is loaded"
            named = "; ".join(f"{row['name']} (policies: {row['policies']})" for row in rows[:MOST_NAMES])
            what = f"row security binds login {login.name}, {consequence}: {named}{_more(rows, '; ')}"
            bypass = ["psql", "-c", f"alter role {login.name} bypassrls"]
            if login.rows_by_policy:
                yield (
                    "note",
                    what,
                    "row_security = true in the settings; to see every row, let a superuser run: ",
                    bypass,
                )
            else:
                yield (
                    _level(is_needed), what, "let a superuser run: ", bypass,
                    "; or, where the owner of the table is trusted: row_security = true in the settings",
                )  # fmt: skip


def _refused(failed: Rows, logins: Mapping[str, _Login]) -> Steps[list[Found]]:
    runs: dict[Refusal, int] = defaultdict(int)
    for message, count in failed:
        said = SAID.match(message)
        if said is not None and (login := logins.get(said["login"])) is not None:
            runs[Refusal(**said.groupdict(), grantee=login.grantee)] += count
    if not runs:
        return []
    answers = yield [
        Question(_SQL["still_lacks"], (refusal.login, refusal.kind, refusal.name, refusal.privileges))
        for refusal in runs
    ]
    return [
        ("problem", f"{refusal.what}, for which runs of the last hour have failed: {count}", refusal.mend)
        for (refusal, count), rows in zip(runs.items(), answers, strict=True)
        if any(is_so for (is_so,) in rows)
    ]


def _grouped(rows: Sequence[Row], lacking: str, by: str) -> list[tuple[tuple[Any, bool], list[Row]]]:
    """Return the rows with a true `lacking`, grouped by `by` and by whether they are needed."""
    groups: dict[tuple[Any, bool], list[Row]] = defaultdict(list)
    for row in rows:
        if row[lacking]:
            groups[row[by], row["is_needed"]].append(row)
    return sorted(groups.items(), key=lambda group: group[0][0])


def _named(rows: Sequence[Row]) -> str:
    return ", ".join(row["name"] for row in rows[:MOST_NAMES]) + _more(rows, ", ")


def _more(rows: Sequence[Row], separator: str) -> str:
    return f"{separator}and {len(rows) - MOST_NAMES} more" if len(rows) > MOST_NAMES else ""


def _level(is_needed: bool) -> str:
    return "problem" if is_needed else "note"


def _grant(what: str, login: _Login) -> list[str]:
    return ["psql", "-c", f"grant {what} to {login.grantee}"]
