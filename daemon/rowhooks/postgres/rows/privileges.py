"""Privileges: what a statement was refused for, whose it is to have, and the GRANT that gives it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy.exc import DBAPIError

from rowhooks.domain import shell
from rowhooks.domain.names import join_name
from rowhooks.postgres.connections.search_path import PINNED
from rowhooks.postgres.rows.row_security import Binding, find_binding

REFUSED = "(psycopg.errors.InsufficientPrivilege) "
"""What the message of a refused statement of a receiver's begins with."""
SAID = re.compile(
    r".*: login (?P<login>.+?) lacks (?P<privileges>.+?) on (?P<kind>table|sequence|schema|function) (?P<name>.+?)"
    r" \(its owner runs: psql -c "
)
"""How what came of a `Refusal` is read again, at its last place in a line."""

# In the login's own path, as the statement was read that was refused.
_PATH = sqlalchemy.text("select pg_catalog.current_schemas(true)::pg_catalog.text[]")

# The server names what is refused without its schema, at the end of a sentence in the language of its own, and never
# says which privilege is missing: that follows from the words of the statement.
_REFUSAL = sqlalchemy.text(r"""
with said as (
  select
    rtrim(cast(:message as text), '"') as message, lower(cast(:statement as text)) as statement,
    cast(:path as text[]) as path
),
named as (
  select
    case c.relkind when 'S' then 'sequence' else 'table' end as kind, c.oid, c.relname as short, n.nspname as schema,
    format('%I.%I', n.nspname, c.relname) as name
  from said as s
  join pg_class as c on c.relkind in ('r', 'p', 'f', 'v', 'm', 'S') and strpos(s.message, c.relname) > 0
  join pg_namespace as n on n.oid = c.relnamespace
  union all
  select 'schema', n.oid, n.nspname, n.nspname, quote_ident(n.nspname)
  from said as s
  join pg_namespace as n on strpos(s.message, n.nspname) > 0
  union all
  select 'function', p.oid, p.proname, n.nspname, p.oid::regprocedure::text
  from said as s
  join pg_proc as p on strpos(s.message, p.proname) > 0
  join pg_namespace as n on n.oid = p.pronamespace
),
wanted (privilege, place, words, by_column) as (
  values
  ('SELECT', 1, '\m(select|where|returning)\M', true),
  ('INSERT', 2, '\minsert\M', true),
  ('UPDATE', 3, '\mupdate\M', true),
  ('DELETE', 4, '\mdelete\M', false),
  ('TRUNCATE', 5, '\mtruncate\M', false)
),
lacking as (
  select
    o.*,
    case o.kind
      when 'sequence' then case when not has_sequence_privilege(o.oid, 'usage') then 'USAGE' end
      when 'schema' then case when not has_schema_privilege(o.oid, 'usage') then 'USAGE' end
      when 'function' then case when not has_function_privilege(o.oid, 'execute') then 'EXECUTE' end
      else coalesce(w.wholly, w.partly)
    end as privileges
  from named as o
  cross join said as s
  left join lateral (
    select
      string_agg(p.privilege, ', ' order by p.place) filter (where not p.is_partly) as wholly,
      string_agg(format('%s (%s)', p.privilege, p.columns), ', ' order by p.place)
      filter (where p.is_partly and p.columns is not null) as partly
    from (
      select
        k.privilege, k.place, k.by_column and has_any_column_privilege(o.oid, k.privilege) as is_partly,
        (
          select string_agg(quote_ident(a.attname), ', ' order by a.attnum)
          from pg_attribute as a
          where
            k.by_column and a.attrelid = o.oid and a.attnum > 0 and not a.attisdropped
            and not has_column_privilege(o.oid, a.attnum, k.privilege)
            and (strpos(s.statement, lower(a.attname)) > 0 or s.statement ~ '[*]')
        ) as columns
      from wanted as k
      where s.statement ~ k.words and not has_table_privilege(o.oid, k.privilege)
    ) as p
  ) as w on o.kind = 'table'
)
select
  quote_ident(current_user), l.kind, l.name, l.privileges, l.schema, l.short,
  coalesce(
    (
      -- Beside its owner it is the daemon's role that may read this table.
      select a.grantee::regrole::text
      from pg_class as c
      join pg_namespace as n on n.oid = c.relnamespace
      cross join lateral aclexplode(c.relacl) as a
      where n.nspname = 'rowhooks' and c.relname = 'installation' and a.grantee not in (0, c.relowner)
        and pg_has_role(a.grantee, 'usage')
      order by 1
      limit 1
    ),
    quote_ident(current_user)
  )
from lacking as l
cross join said as s
where l.privileges is not null or l.kind = 'table' and row_security_active(l.oid)
order by
  right(s.message, length(l.short)) = l.short desc, length(l.short) desc,
  strpos(s.statement, lower(concat(l.schema, '.', l.short))) > 0 desc, array_position(s.path, l.schema::text),
  l.privileges is null, l.kind, l.name
limit 1
""")


@dataclass(frozen=True)
class Refusal:
    """What a login lacks.

    Args:
        login: whose session was refused, as SQL wants it written.
        privileges: as GRANT wants them written.
        kind: table, sequence, schema or function.
        name: of what, as SQL wants it written.
        grantee: the role through which the login is to have it: the daemon's, or the login itself.
    """

    login: str
    privileges: str
    kind: str
    name: str
    grantee: str

    @property
    def what(self) -> str:
        """The login and what it lacks."""
        return f"login {self.login} lacks {self.privileges} on {self.kind} {self.name}"

    @property
    def mend(self) -> list[str]:
        """The words of the command that gives it."""
        kind = "" if self.kind == "table" else f"{self.kind} "
        return ["psql", "-c", f"grant {self.privileges} on {kind}{self.name} to {self.grantee}"]

    @property
    def way_out(self) -> str:
        """Who runs which command."""
        return f"its owner runs: {shell.command(*self.mend)}"


def is_refused(error: BaseException) -> bool:
    """Say whether the server refused a statement for want of a privilege, or by row security."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, psycopg.errors.InsufficientPrivilege)


def find_refusal(connection: sqlalchemy.Connection, error: BaseException, statement: str) -> Refusal | Binding | None:
    """Return why the connection's login was refused a statement; None where it cannot be told.

    Args:
        connection: of the same login, outside a transaction, and it is left so.
        error: what came of the statement.
        statement: its text.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    message = cause.diag.message_primary if isinstance(cause, psycopg.Error) else None
    path = connection.execute(_PATH).scalar_one()
    connection.execute(sqlalchemy.text(PINNED))
    row: Any = connection.execute(
        _REFUSAL, {"message": message or str(cause), "statement": statement, "path": path}
    ).first()
    connection.rollback()
    if row is None:
        return None
    login, kind, name, privileges, schema, short, grantee = row
    if privileges is None:
        return find_binding(connection, join_name(schema, short))
    return Refusal(login, privileges, kind, name, grantee)


def explain(connection: sqlalchemy.Connection, error: DBAPIError) -> None:
    """Say in the message of a refused statement of a receiver's why it was, and the way out.

    The receiver's own methods and whoever reads the result see it there; its class stays what it is.

    Args:
        connection: see find_refusal.
        error: what SQLAlchemy raised.
    """
    found = find_refusal(connection, error, error.statement or "")
    if found is not None:
        first, *rest = str(error.args[0]).splitlines()
        error.args = ("\n".join([f"{first}: {found.what} ({found.way_out})", *rest]), *error.args[1:])
