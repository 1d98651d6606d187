-- name: logins
-- The login of the last leader. Before there was one: those that have the daemon's role or the receivers'.
with login as (
  select
    l.oid, l.rolname, (l.rolname is not distinct from f.rows_login) as is_it,
    case
      when exists (select from pg_roles as g where g.rolname = i.daemon_role and pg_has_role(l.oid, g.oid, 'usage'))
        then quote_ident(i.daemon_role)
      else quote_ident(l.rolname)
    end as grantee
  from rowhooks.installation as i
  cross join rowhooks.feed as f
  join pg_roles as l on l.rolcanlogin
  where exists (
    select from pg_roles as g
    where g.rolname in (i.daemon_role, i.receiver_role) and pg_has_role(l.oid, g.oid, 'member')
  ) and (not l.rolsuper or l.rolname is not distinct from f.rows_login)
)
select
  l.oid::bigint as oid, quote_ident(l.rolname) as name, l.grantee, f.rows_by_policy,
  case when l.is_it then format('login %I', l.rolname)
    else format('no login of role %I', (select i.daemon_role from rowhooks.installation as i))
  end as subject
from login as l
cross join rowhooks.feed as f
where l.is_it or not exists (select from login as x where x.is_it)
order by l.rolname;

-- name: tables
-- A row is loaded for hooks on what is created and updated, and for buttons.
select
  quote_ident(n.nspname) as schema, format('%I.%I', n.nspname, c.relname) as name,
  t.identity <> 'full' and (
    exists (
      select from rowhooks.table_meant as x
      join rowhooks.job_hook as h on h.id = x.owner_id and h.enabled and (h.type_create or h.type_update)
      where x.kind = 'hook' and x.id = t.id and x.is_present
    ) or exists (
      select from rowhooks.table_meant as x
      join rowhooks.job_button as b on b.id = x.owner_id and b.enabled
      where x.kind = 'button' and x.id = t.id and x.is_present
    )
  ) as is_needed,
  l.oid as login,
  not has_schema_privilege(l.oid::oid, n.oid, 'usage') as no_usage,
  not has_any_column_privilege(l.oid::oid, c.oid, 'select') as no_select,
  array(
    select quote_ident(a.attname) from pg_attribute as a
    where not has_table_privilege(l.oid::oid, c.oid, 'select')
      and a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      and not has_column_privilege(l.oid::oid, c.oid, a.attnum, 'select')
    order by a.attnum
  ) as columns,
  case
    when c.relrowsecurity and r.is_bound and (c.relforcerowsecurity or not pg_has_role(l.oid::oid, c.relowner, 'usage'))
      then coalesce(
        (
          select string_agg(p.polname, ', ' order by p.polname) from pg_policy as p
          where p.polrelid = c.oid and (0::oid = any(p.polroles) or exists (
            select from unnest(p.polroles) as r (oid) where pg_has_role(l.oid::oid, r.oid, 'usage')
          ))
        ), 'none, so that it sees no row'
      )
  end as policies
from rowhooks.tracked_table as t
join pg_class as c on c.oid = t.relation
join pg_namespace as n on n.oid = c.relnamespace
cross join unnest($1::bigint[]) as l (oid)
cross join lateral (
  select not x.rolsuper and not x.rolbypassrls as is_bound from pg_roles as x where x.oid = l.oid::oid
) as r
where t.untracked_at is null
order by t.schema_name, t.table_name;

-- name: refusals
-- By the index of the runs whose changes are kept.
select r.exception_message as message, count(*) as runs
from rowhooks.job_result as r
where r.status = 'FAILURE' and r.finished_at > clock_timestamp() - interval '1 hour'
  and r.exception_type = 'sqlalchemy.exc.ProgrammingError' and starts_with(r.exception_message, $1)
group by r.exception_message
order by r.exception_message;

-- name: still_lacks
-- Columns that are named in the privilege are those that were missing.
select case $2
  when 'schema' then (
    select not has_schema_privilege(l.oid, n.oid, 'usage') from pg_namespace as n
    where quote_ident(n.nspname) = $3
  )
  when 'function' then (
    select not has_function_privilege(l.oid, p.oid, 'execute') from pg_proc as p
    where p.oid::regprocedure::text = $3
  )
  else (
    select bool_or(case
      when c.relkind = 'S' then not has_sequence_privilege(l.oid, c.oid, 'usage')
      when w.privilege in ('DELETE', 'TRUNCATE') then not has_table_privilege(l.oid, c.oid, w.privilege)
      else not has_table_privilege(l.oid, c.oid, w.privilege) and exists (
        select from pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
          and not has_column_privilege(l.oid, c.oid, a.attnum, w.privilege)
          and (strpos($4, '(') = 0 or strpos($4, quote_ident(a.attname)) > 0)
      )
    end)
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'USAGE']) as w (privilege)
    where format('%I.%I', n.nspname, c.relname) = $3
      and $4 ~ concat('(^|, )', w.privilege, '( |,|$)')
  )
end as is_so
from pg_roles as l
where quote_ident(l.rolname) = $1;
