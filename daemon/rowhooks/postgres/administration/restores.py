"""What a restored dump leaves beside an installation: triggers of another one."""

from __future__ import annotations

from collections import defaultdict

from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.administration.grants import Found
from rowhooks.postgres.administration.leftovers import IS_OURS

# A capture function does nothing for a table other than its own and its partitions. A trigger with the name that the
# table's own has, and which calls something else, is named as one that was altered.
_STRAY = f"""
select
  format('%I.%I', n.nspname, c.relname), format('drop trigger %I on %I.%I', g.tgname, n.nspname, c.relname),
  exists (
    select from rowhooks.tracked_table as t where t.relation = c.oid and t.untracked_at is null
  ) as is_tracked
from pg_trigger as g
join pg_class as c on c.oid = g.tgrelid
join pg_namespace as n on n.oid = c.relnamespace
where {IS_OURS.format("g")}
  and not exists (
    select from rowhooks.tracked_table as t
    where t.untracked_at is null and g.tgname ~ concat('_', t.id, '$')
      and (
        t.relation = c.oid
        or exists (select from pg_partition_ancestors(c.oid) as a where a.relid = t.relation)
      )
  )
order by 1, 2
"""  # noqa: S608  (constants)


def stray_triggers(conn: Connection) -> list[Found]:
    """Return the tables that carry triggers of another installation, with the statements that take them away."""
    statements: dict[tuple[str, bool], list[str]] = defaultdict(list)
    for table, statement, is_tracked in conn.execute(_STRAY):
        statements[table, is_tracked].append(statement)
    return [
        (
            "problem",
            f"{table} carries triggers of another installation of rowhooks, as a dump without its schema has them:"
            " they record nothing",
            ["psql", "-c", "; ".join(dropping)],
            None if is_tracked else "; then, if it is to be tracked: ",
            None if is_tracked else ["rowhooks", "track", table],
        )
        for (table, is_tracked), dropping in statements.items()
    ]
