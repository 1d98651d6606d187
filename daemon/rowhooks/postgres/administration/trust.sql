-- Whose code a superuser would run. The catalogue alone is read.

-- name: weaker_roles
-- Roles without superuser that may act as the schema's owner, as in rowhooks.after_ddl. A role that may grant itself a
-- membership counts as a member.
with recursive owner as (
  select n.nspowner as role from pg_catalog.pg_namespace as n where n.nspname = 'rowhooks'
),
member (role) as (
  select o.role from owner as o
  union
  select m.member from member join pg_catalog.pg_auth_members as m on m.roleid = member.role
)
select r.rolname::pg_catalog.text as name
from member
join pg_catalog.pg_roles as r on r.oid = member.role
where not r.rolsuper and (r.rolcanlogin or r.oid <> (select o.role from owner as o))
order by name;

-- name: is_installed
-- Where this has no row, nothing of the schema is read. A plain table of that column can be read: nobody's code runs.
select c.relkind = 'r' and a.atttypid = 'pg_catalog.varchar'::pg_catalog.regtype as is_plain
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attname = 'version_num'
where n.nspname = 'rowhooks' and c.relname = 'alembic_version';

-- name: present_objects
-- What schema rowhooks has in it, or what is attached to its tables, with the kind and the name that it has in the scripts.
select
  'function' as kind,
  p.proname::pg_catalog.text as name,
  p.oid::pg_catalog.regprocedure::pg_catalog.text as description
from pg_catalog.pg_proc as p
where p.pronamespace = 'rowhooks'::pg_catalog.regnamespace
union all
select
  'trigger' as kind,
  t.tgname::pg_catalog.text as name,
  pg_catalog.format('%I on %s', t.tgname, t.tgrelid::pg_catalog.regclass) as description
from pg_catalog.pg_trigger as t
join pg_catalog.pg_class as c on c.oid = t.tgrelid
where c.relnamespace = 'rowhooks'::pg_catalog.regnamespace and not t.tgisinternal
union all
select
  'rule' as kind,
  null as name,
  pg_catalog.format('%I on %s', r.rulename, r.ev_class::pg_catalog.regclass) as description
from pg_catalog.pg_rewrite as r
join pg_catalog.pg_class as c on c.oid = r.ev_class
where c.relnamespace = 'rowhooks'::pg_catalog.regnamespace and r.rulename <> '_RETURN'
union all
select
  'policy' as kind,
  null as name,
  pg_catalog.format('%I on %s', o.polname, o.polrelid::pg_catalog.regclass) as description
from pg_catalog.pg_policy as o
join pg_catalog.pg_class as c on c.oid = o.polrelid
where c.relnamespace = 'rowhooks'::pg_catalog.regnamespace
union all
select
  'owner' as kind,
  null as name,
  pg_catalog.format('%s of function %s', p.proowner::pg_catalog.regrole, p.oid::pg_catalog.regprocedure) as description
from pg_catalog.pg_proc as p
join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
join pg_catalog.pg_roles as r on r.oid = p.proowner
where p.pronamespace = 'rowhooks'::pg_catalog.regnamespace and p.proowner <> n.nspowner and not r.rolsuper and p.proname !~ '^capture_[0-9]+(_statement)?$'
union all
-- A trigger, a default, a check, an index or a view that calls a function which is neither PostgreSQL's own (no
-- dependency on those is recorded) nor rowhooks'.
select
  'use' as kind,
  null as name,
  pg_catalog.format(
    '%s in %s', pg_catalog.pg_describe_object(d.refclassid, d.refobjid, 0),
    pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
  ) as description
from (
  select 'pg_catalog.pg_trigger'::pg_catalog.regclass as class, t.oid, t.tgrelid as relation from pg_catalog.pg_trigger as t
  union all
  select 'pg_catalog.pg_class'::pg_catalog.regclass, k.oid, k.oid from pg_catalog.pg_class as k
  union all
  select 'pg_catalog.pg_attrdef'::pg_catalog.regclass, a.oid, a.adrelid from pg_catalog.pg_attrdef as a
  union all
  select 'pg_catalog.pg_constraint'::pg_catalog.regclass, o.oid, o.conrelid from pg_catalog.pg_constraint as o
  union all
  select 'pg_catalog.pg_rewrite'::pg_catalog.regclass, r.oid, r.ev_class from pg_catalog.pg_rewrite as r
) as u
join pg_catalog.pg_class as c on c.oid = u.relation
join pg_catalog.pg_depend as d on d.classid = u.class and d.objid = u.oid
-- To describe an object takes long: it is done for those alone that are not found in the schema by their number.
left join pg_catalog.pg_class as s
  on d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and s.oid = d.refobjid and s.relnamespace = c.relnamespace
left join pg_catalog.pg_proc as p
  on d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass and p.oid = d.refobjid and p.pronamespace = c.relnamespace
cross join lateral (
  select f.*
  from pg_catalog.pg_identify_object(d.refclassid, d.refobjid, 0) as f
  where s.oid is null and p.oid is null
) as f
where c.relnamespace = 'rowhooks'::pg_catalog.regnamespace
  -- initdb makes nothing above that.
  and d.refobjid >= 16384
  and d.deptype in ('n', 'a')
  and f.schema is distinct from 'rowhooks' and not (f.type = 'schema' and f.name = 'rowhooks')
  and coalesce(f.identity, '') !~ ' on rowhooks[.]' and coalesce(f.identity, '') !~ '^rowhooks[.]'
order by kind, description;

-- name: approved
-- What a superuser has approved of: the fingerprint, and the roles that stand in the schema itself.
select pg_catalog.obj_description(e.oid, 'pg_event_trigger') as approved
from pg_catalog.pg_event_trigger as e
where e.evtname = 'rowhooks_after_ddl';

-- name: roles
select pg_catalog.concat_ws(' ', i.owner_role, i.capture_role) as roles
from rowhooks.installation as i;

-- name: settings_of_fingerprint
-- The settings under which the fingerprint is taken. A lock of another session does not stop it for ever.
select
  pg_catalog.set_config('quote_all_identifiers', 'off', true) as quoting,
  pg_catalog.set_config('standard_conforming_strings', 'on', true) as strings,
  pg_catalog.set_config('search_path', $1, true) as search_path,
  pg_catalog.set_config(
    'lock_timeout', coalesce(nullif(pg_catalog.current_setting('lock_timeout'), '0'), '3s'), true
  ) as lock_timeout;

-- name: owner_of_schema
select n.nspowner::pg_catalog.regrole::pg_catalog.text as owner
from pg_catalog.pg_namespace as n
where n.nspname = 'rowhooks';
