-- Every name is qualified, and every operator: the search_path is the receivers' own. The linter would put a space into
-- operator(pg_catalog.=).
-- noqa: disable=LT01,LT06

-- name: binding
-- What of row security binds the current role on a table; no row where nothing does.
-- row_security_active() says of the current role
-- what check_enable_rls() does in PostgreSQL's source.
select
  current_user as login,
  array(
    select p.polname::pg_catalog.text
    from pg_catalog.pg_policy as p
    where
      p.polrelid operator(pg_catalog.=) c.oid
      and (
        0::pg_catalog.oid operator(pg_catalog.=) any (p.polroles)
        or exists (
          select from pg_catalog.unnest(p.polroles) as r (oid)
          where pg_catalog.pg_has_role(r.oid, 'usage')
        )
      )
    order by p.polname
  ) as policies
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) c.relnamespace
where
  n.nspname operator(pg_catalog.=) cast(:schema as pg_catalog.text)
  and c.relname operator(pg_catalog.=) cast(:table as pg_catalog.text)
  and pg_catalog.row_security_active(c.oid)
  and pg_catalog.has_any_column_privilege(c.oid, 'SELECT');
