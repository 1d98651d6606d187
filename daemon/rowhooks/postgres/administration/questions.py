"""Questions of checks: a check says what it asks and is given the rows, so that many checks are asked in one statement.

A check is a generator. It yields a list of questions, is sent the rows of each, and returns what it has found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from rowhooks.postgres.statements import Statements

T = TypeVar("T")
Name = TypeVar("Name")
Rows = list[tuple[Any, ...]]

_SQL = Statements(__file__)
_PLACEHOLDER = re.compile(r"\$(\d+)")


@dataclass(frozen=True)
class Question:
    """A query whose columns JSON can carry: texts, numbers, booleans and arrays of these.

    Args:
        query: its placeholders are $1, $2 ..., where it has values.
        values: texts, numbers and lists of these.
    """

    query: str
    values: tuple[Any, ...] = ()

    def written(self, conn: psycopg.Connection[Any]) -> str:
        """Return the query with its values in it, as the server reads literals."""
        if not self.values:
            return self.query
        return _PLACEHOLDER.sub(lambda found: sql.Literal(self.values[int(found[1]) - 1]).as_string(conn), self.query)


Steps = Generator[list[Question], list[Rows], T]


@dataclass(frozen=True)
class NotAnswered:
    """Why the questions of a check have no answer."""

    why: str


def ask(query: str, *values: Any) -> Generator[list[Question], list[Rows], Rows]:
    """Ask one question within a check; return its rows."""
    [rows] = yield [Question(query, values)]
    return rows


def answer(conn: psycopg.Connection[Any], steps: Steps[T]) -> T:
    """Answer the questions of one check, each by a statement of its own; return what the check has found."""
    try:
        questions = next(steps)
        while True:
            questions = steps.send([conn.execute(one.written(conn).encode()).fetchall() for one in questions])
    except StopIteration as end:
        found: T = end.value
        return found


def answer_together(
    conn: psycopg.Connection[Any], checks: Mapping[Name, Steps[T]], *, is_tolerant: bool = False
) -> dict[Name, T | NotAnswered]:
    """Answer the questions of many checks: what they ask first in one statement, what they ask next in another.

    Args:
        conn: a connection in a transaction; the role needs USAGE on the language plpgsql, as everybody has it unless it
            was revoked.
        checks: the checks, by their names.
        is_tolerant: whether a check goes without answer where the role lacks a right, or an answer takes too long.
    """
    found: dict[Name, T | NotAnswered] = {}
    asked: dict[Name, list[Question]] = {}

    def go_on(name: Name, rows: list[Rows] | None) -> None:
        try:
            asked[name] = next(checks[name]) if rows is None else checks[name].send(rows)
        except StopIteration as end:
            found[name] = end.value

    for name in checks:
        go_on(name, None)
    while asked:
        questions = {name: [one.written(conn) for one in wanted] for name, wanted in asked.items()}
        asked.clear()
        answers = iter(_asked(conn, [one for wanted in questions.values() for one in wanted], is_tolerant))
        for name, wanted in questions.items():
            rows = [next(answers) for _ in wanted]
            if errors := [one for one in rows if isinstance(one, NotAnswered)]:
                checks[name].close()
                found[name] = errors[0]
            else:
                go_on(name, [one for one in rows if not isinstance(one, NotAnswered)])
    return {name: found[name] for name in checks}


def _asked(conn: psycopg.Connection[Any], queries: list[str], is_tolerant: bool) -> list[Rows | NotAnswered]:
    statement = sql.SQL("; ").join((
        sql.SQL(
            "select set_config('rowhooks.questions', {}, true), set_config('rowhooks.is_tolerant', {}, true)"
        ).format(json.dumps(queries, ensure_ascii=False), "on" if is_tolerant else "off"),
        sql.SQL(_SQL["together"]),
        sql.SQL("select current_setting('rowhooks.answers')"),
    ))  # fmt: skip
    with conn.cursor() as cursor:
        cursor.execute(statement)
        while cursor.nextset():
            pass
        [(answers,)] = cursor.fetchall()
    # Two columns may have the same name.
    return [
        NotAnswered(one["error"]) if "error" in one else [tuple(value for _, value in row) for row in one["rows"]]
        for one in map(dict, json.loads(answers, object_pairs_hook=list))
    ]
