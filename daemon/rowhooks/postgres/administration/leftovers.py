"""What of rowhooks stands in a database in which it is not installed: what dumps without its schema or its rows leave.

The catalogue alone is read: whoever made what is found may have made it for a superuser to run.
"""

from __future__ import annotations

from typing import Any

import psycopg

from rowhooks.domain import shell
from rowhooks.domain.errors import SchemaMismatch

MOST_NAMES = 5
"""Tables that a sentence names."""

# A table that ever had a row has a page; what is no table is for `vet` to judge.
_STATE = """
select
  n.oid is not null as is_there, c.oid is not null as is_ours,
  c.relkind is not distinct from 'r' and pg_catalog.pg_relation_size(c.oid) = 0 as is_hollow
from (select 1) as one
left join pg_catalog.pg_namespace as n on n.nspname = 'rowhooks'
left join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = 'alembic_version'
"""

IS_OURS = "{0}.tgname ~ '^!rowhooks_(row|update|truncate)_[0-9]+$' and not {0}.tgisinternal and {0}.tgparentid = 0"
"""Whether a trigger is one of ours, by its name, for what it calls may be anywhere; those of partitions left out."""

_TRIGGERS = f"""
select pg_catalog.format('%I.%I', n.nspname, c.relname), pg_catalog.format(
  'drop trigger %I on %I.%I', t.tgname, n.nspname, c.relname
)
from pg_catalog.pg_trigger as t
join pg_catalog.pg_class as c on c.oid = t.tgrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where {IS_OURS.format("t")}
order by 1, 2
"""  # noqa: S608  (constants)
_EVENT_TRIGGERS = """
select pg_catalog.format('drop event trigger %I', e.evtname)
from pg_catalog.pg_event_trigger as e where e.evtname in ('rowhooks_after_ddl', 'rowhooks_after_drop')
order by 1
"""


def refuse_leftovers(conn: psycopg.Connection[Any]) -> None:
    """See that rowhooks is installed as a whole, or nothing of it is there.

    To be called before anything of the schema is read.

    Raises:
        SchemaMismatch: something is there; the message names it and the hint the command that takes it away.
    """
    row = conn.execute(_STATE).fetchone()
    assert row is not None, "one row was made up"
    is_there, is_ours, is_hollow = row
    if is_ours and not is_hollow:
        return
    triggers = conn.execute(_TRIGGERS).fetchall()
    event_triggers = [statement for (statement,) in conn.execute(_EVENT_TRIGGERS)]
    carriers = list(dict.fromkeys(table for table, _ in triggers))
    if is_hollow:
        raise SchemaMismatch(
            "schema rowhooks stands in this database without its rows, as a dump of the structure alone leaves it"
            f" (pg_dump --schema-only){_carried(carriers)}: they record what nobody will read",
            hint=f"drop it, with its triggers: {shell.command('psql', '-c', 'drop schema rowhooks cascade')}; then, if"
            " rowhooks is to run here: rowhooks init, rowhooks track",
        )
    if triggers or event_triggers:
        where = "schema rowhooks is none that rowhooks made" if is_there else "there is no schema rowhooks"
        dropping = "; ".join([statement for _, statement in triggers] + event_triggers)
        raise SchemaMismatch(
            f"rowhooks is not installed in this database: {where}{_carried(carriers)}, which record nothing",
            hint=f"drop them: {shell.command('psql', '-c', dropping)}; then, if rowhooks is to run here: rowhooks init",
        )


def _carried(carriers: list[str]) -> str:
    if not carriers:
        return ", and its event triggers are there"
    more = f" and {len(carriers) - MOST_NAMES} more" if len(carriers) > MOST_NAMES else ""
    return f", and its triggers are on {', '.join(carriers[:MOST_NAMES])}{more}"
