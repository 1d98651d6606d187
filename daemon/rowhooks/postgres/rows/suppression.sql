-- Every name is qualified, and every operator: the search_path is the receivers' own. The linter would put a space into
-- operator(pg_catalog.=).
-- noqa: disable=LT01,LT06

-- name: suppressors
-- The triggers and rules of a table that may keep the server from writing a row.
-- A rule replaces a statement where it says INSTEAD. A trigger that is disabled, or is for replicas, does nothing.
select pg_catalog.format('trigger %I', t.tgname)
from pg_catalog.pg_trigger as t
where
  t.tgrelid operator(pg_catalog.=) cast(:relation as pg_catalog.regclass)
  and not t.tgisinternal
  and t.tgenabled operator(pg_catalog.=) any ('{O,A}'::pg_catalog."char"[])
  and (t.tgtype operator(pg_catalog.&) 3::pg_catalog.int2) operator(pg_catalog.=) 3
  and (t.tgtype operator(pg_catalog.&) cast(:bit as pg_catalog.int2)) operator(pg_catalog.<>) 0
union all
select pg_catalog.format('rule %I', r.rulename)
from pg_catalog.pg_rewrite as r
where
  r.ev_class operator(pg_catalog.=) cast(:relation as pg_catalog.regclass)
  and r.is_instead
  and r.ev_type operator(pg_catalog.=) cast(:rule as pg_catalog."char")
order by 1;
