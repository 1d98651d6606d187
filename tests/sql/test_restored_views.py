"""The definition of a view is the same after a dump and a restore; otherwise the schema is not what was approved."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

Connection = psycopg.Connection[Any]

VIEWS = """
select c.relname, coalesce(array_to_string(c.reloptions, ', '), ''), pg_get_viewdef(c.oid)
from pg_class as c
where c.relnamespace = 'rowhooks'::regnamespace and c.relkind = 'v'
order by c.relname
"""


def test_each_view_that_is_made_of_its_definition_has_the_same_definition(db: Connection) -> None:
    changed = []
    with db.transaction():
        # As in a dump: names are written out.
        db.execute("set local search_path = pg_catalog, pg_temp")
        for name, options, definition in db.execute(VIEWS).fetchall():
            made = sql.SQL("create view public.made_again{} as ").format(
                sql.SQL(f" with ({options})" if options else "")
            )
            db.execute(made.as_string(db).encode() + definition.encode())
            if db.execute("select pg_get_viewdef('public.made_again'::regclass)").fetchone() != (definition,):
                changed.append(name)
            db.execute("drop view public.made_again")
    assert changed == []
