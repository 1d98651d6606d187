"""Statements that may write are told from those that only read; in doubt they write."""

from __future__ import annotations

import pytest

from rowhooks.integrations.marking import Kind, kind_of


@pytest.mark.parametrize(
    "statement",
    [
        'SELECT "a"."id", "a"."name" FROM "a" WHERE "a"."id" IN (%s, %s) LIMIT 21',
        '(SELECT "a"."id" FROM "a") UNION (SELECT "b"."id" FROM "b")',
        'SELECT COUNT(*) AS "__count" FROM "a" INNER JOIN "b" ON ("a"."b_id" = "b"."id")',
        'SELECT 1 AS "a" FROM "t" WHERE EXISTS(SELECT 1 FROM "u" U0 WHERE U0."t_id" = ("t"."id"))',
        "select a.id from a where a.updated_at > now() /* from: f */",
        "/* tag */ -- and\n select 1",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "SAVEPOINT s1", "ROLLBACK TO SAVEPOINT s1", "set transaction isolation level serializable", "show search_path",
        "create index concurrently on a (b)", "vacuum", "",
        "select pg_catalog.count(*) from a;",
    ],
)  # fmt: skip
def test_it_reads(statement: str) -> None:
    assert kind_of(statement) is Kind.READS


@pytest.mark.parametrize(
    "statement",
    [
        'INSERT INTO "a" VALUES (%s)', "update a set b = 1", "/* tag */ DELETE FROM a", "truncate a", "merge into a",
        "select rowhooks.press('Reboot', 'dcim.device', '42')", 'select "my function"(1)', "select app.count(1)",
        "select f /* x */ (1)", "select 1; delete from a", "copy a from stdin",
        "with d as (delete from a returning id) select * from d",
        "select a.id from a for update",
    ],
)  # fmt: skip
def test_it_writes(statement: object) -> None:
    assert kind_of(statement) is Kind.WRITES


@pytest.mark.parametrize(
    "statement", ["call f()", "DO $$ begin end $$", "explain analyze delete from a", "set a = 1; x", b"x", object()]
)
def test_it_may_be_refused_inside_of_a_transaction(statement: object) -> None:
    assert kind_of(statement) is Kind.UNKNOWN


def test_a_statement_with_a_long_literal_is_told_quickly() -> None:
    for literal in ("x" * 200_000, " " * 200_000, "/*" * 100_000, ") " * 100_000):
        assert kind_of(f"select '{literal}' from a") is Kind.READS
    assert kind_of("/*" * 100_000) is Kind.READS
    assert kind_of("(" * 200_000 + "insert") is Kind.WRITES
