"""What hooks and buttons mean is found out without a look at the tables of others: a database may have thousands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.support.roles import Connection

COUNT = 12


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def test_each_table_is_looked_at_a_few_times_however_many_have_hooks(db: Connection) -> None:
    db.execute("create schema dcim")
    for number in range(COUNT):
        db.execute(f"create table dcim.t{number} (id integer primary key)".encode())
        db.execute("select rowhooks.track(%s::regclass)", (f"dcim.t{number}",))
    db.execute(
        "with job as (insert into rowhooks.job (class_path, kind, name) values ('a.B', 'hook', 'B') returning id),"
        " hook as (insert into rowhooks.job_hook (name, job_id, type_update)"
        " select 'B', id, true from job returning id)"
        " insert into rowhooks.job_hook_table (job_hook_id, tracked_table_id)"
        " select h.id, t.id from hook as h, rowhooks.tracked_table as t"
    )
    explain = "explain (analyze, costs off, timing off, format json)"
    ((found,),) = db.execute(f"{explain} select from rowhooks.table_meant as m where m.is_present").fetchall()
    plan = found[0]["Plan"]
    looked_at = sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in nodes(plan)
        if node.get("Relation Name") in ("tracked_table", "pg_class")
    )
    assert plan["Actual Rows"] == COUNT
    assert looked_at <= 5 * COUNT
