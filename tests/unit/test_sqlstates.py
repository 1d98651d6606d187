"""SQLSTATEs: the table that decides is the one in the documentation, and it has every class of PostgreSQL's."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import psycopg
import pytest

from rowhooks.domain.sqlstates import CACHED_PLAN, TABLE, Verdict, verdict
from rowhooks.postgres.connections.asyncpg_errors import is_transient
from rowhooks.postgres.connections.errors import verdict_of

GUARANTEES = Path(__file__).parents[2] / "docs" / "guarantees.md"


def documented() -> list[Verdict]:
    rows = []
    text = GUARANTEES.read_text().partition("## Errors that pass by themselves")[2].partition("\n## ")[0]
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            code, name, run, daemon, why = cells
            rows.append(Verdict(code.strip("`"), name, run == "again", daemon == "again", why))
    return rows


def test_the_documentation_has_the_table_that_decides() -> None:
    assert documented() == list(TABLE)


def test_every_class_of_errors_that_the_drivers_know_is_decided() -> None:
    codes = {cls.sqlstate for cls in vars(psycopg.errors).values() if isinstance(getattr(cls, "sqlstate", None), str)}
    codes |= {cls.sqlstate for cls in vars(asyncpg).values() if isinstance(getattr(cls, "sqlstate", None), str)}
    # 00, 01 and 02 are no errors.
    classes = {code[:2] for code in codes if len(code) == 5} - {"00", "01", "02"}
    assert len(classes) > 35
    assert classes - {one.code for one in TABLE} == set()


def test_a_condition_goes_before_its_class() -> None:
    assert [verdict(code).code for code in ("40P01", "40002", "57014", "57P01")] == ["40", "40002", "57014", "57"]


def test_codes_of_ones_own_are_not_tried_again() -> None:
    assert not verdict("ZZ999").run


def test_a_cached_plan_is_told_by_the_servers_routine_and_not_by_its_language() -> None:
    assert verdict("0A000", "RevalidateCachedQuery").code == CACHED_PLAN
    assert verdict("0A000", "transformStmt").code == "0A"
    error = asyncpg.PostgresError.new({"C": "0A000", "M": "zwischengespeicherter Plan", "R": "RevalidateCachedQuery"})
    assert is_transient(error)
    assert not is_transient(asyncpg.PostgresError.new({"C": "0A000", "M": "no", "R": "transformStmt"}))


@pytest.mark.parametrize("error", [ValueError("x"), psycopg.OperationalError("the connection was lost")])
def test_where_no_server_has_said_what_is_wrong_nothing_is_decided_by_a_code(error: Exception) -> None:
    assert verdict_of(error) is None
