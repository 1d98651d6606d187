"""Row security: which policies stand between a login and the rows that it loads or saves, and what is said of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy

from rowhooks.domain import shell
from rowhooks.domain.errors import PermissionDenied
from rowhooks.domain.names import split_name

OFF = {"row_security": "off"}
"""With it off, PostgreSQL refuses a query that policies would alter, and runs none of their code."""
NO_VIEWS = """
select pg_catalog.set_config(s.name, 'view', {is_local})
from pg_catalog.pg_settings as s
where s.name operator(pg_catalog.=) 'restrict_nonsystem_relation_kind'
"""
"""PostgreSQL then refuses a query of a view, which may have taken a table's name: a view's code is its owner's. Servers
before 14.13, 15.8 and 16.4 do not know it."""

# A receiver may have set any search_path, so that every name is qualified. row_security_active says of the present
# role what check_enable_rls does in PostgreSQL's source.
_BINDING = sqlalchemy.text("""
select
  current_user,
  array(
    select p.polname::pg_catalog.text
    from pg_catalog.pg_policy as p
    where
      p.polrelid operator(pg_catalog.=) c.oid
      and (
        0::pg_catalog.oid operator(pg_catalog.=) any (p.polroles)
        or exists (
          select from pg_catalog.unnest(p.polroles) as r (oid) where pg_catalog.pg_has_role(r.oid, 'usage')
        )
      )
    order by p.polname
  )
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) c.relnamespace
where
  n.nspname operator(pg_catalog.=) cast(:schema as pg_catalog.text)
  and c.relname operator(pg_catalog.=) cast(:table as pg_catalog.text)
  and pg_catalog.row_security_active(c.oid)
  and pg_catalog.has_any_column_privilege(c.oid, 'SELECT')
""")


@dataclass(frozen=True)
class Binding:
    """Row security that binds a login on a table.

    Args:
        table: `schema.table`.
        login: whom it binds.
        policies: those that are for it; none lets it see no row.
    """

    table: str
    login: str
    policies: tuple[str, ...]

    @property
    def what(self) -> str:
        """Whom which policies of which table bind."""
        policies = ", ".join(self.policies) or "none, so that it sees no row"
        return f"row security of {self.table} binds {self.login} (policies: {policies})"

    @property
    def way_out(self) -> str:
        """What lets it see and write the rows."""
        bypass = f"alter role {psycopg.sql.Identifier(self.login).as_string()} bypassrls"
        return (
            f"let a superuser run: {shell.command('psql', '-c', bypass)}; where the owner of the table is trusted, "
            "row_security = true in the settings lets the policies decide"
        )

    def error(self, what: str) -> PermissionDenied:
        """Return the error that names all of it, after `what` happened."""
        return PermissionDenied(f"{what}: {self.what}", hint=self.way_out)


def find_binding(connection: sqlalchemy.Connection, table: str) -> Binding | None:
    """Return what of row security binds the connection's role on a table; None where nothing does.

    Args:
        connection: any; where no transaction goes on, none does afterwards.
        table: `schema.table`.
    """
    parts = split_name(table)
    assert parts is not None, table
    schema, name = parts
    was_in_transaction = connection.in_transaction()
    row: Any = connection.execute(_BINDING, {"schema": schema, "table": name}).first()
    if not was_in_transaction:
        connection.rollback()
    return None if row is None else Binding(table, row[0], tuple(row[1]))
