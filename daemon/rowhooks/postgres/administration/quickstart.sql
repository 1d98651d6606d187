-- name: login
-- A login by its name, and whether it has what the daemon's role has. The daemon's role may not exist yet.
select
  l.rolcanlogin as can_log_in,
  coalesce((select pg_has_role(l.oid, d.oid, 'usage') from pg_roles as d where d.rolname = $2), l.rolsuper) as is_member
from pg_roles as l
where l.rolname = $1;

-- name: lacking
-- What a role, which may not exist yet, lacks on a table; the privileges are asked for by their names.
select
  coalesce(not has_schema_privilege(d.oid, c.relnamespace, 'usage'), true) as lacks_usage,
  array(
    select w.privilege
    from unnest($3::text[]) with ordinality as w (privilege, place)
    where coalesce(not has_table_privilege(d.oid, c.oid, w.privilege), true)
    order by w.place
  ) as privileges,
  format('%I', n.nspname) as schema
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
left join pg_roles as d on d.rolname = $2
where c.oid = $1::regclass;

-- name: is_tracked
select exists(
  select from rowhooks.tracked_table as k where k.untracked_at is null and k.relation = $1::regclass
) as is_so;

-- name: has_hook
select exists(select from rowhooks.job_hook as h where h.name = $1) as is_so;
