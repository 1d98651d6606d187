-- Purpose: say what schema rowhooks consists of: all that a superuser's event trigger may run, and the roles that may change it.
-- Returns: the word rowhooks and a hash
-- It reads the catalogue alone: reading a table of the schema would run what a role has attached to it. The functions of the
-- event triggers, this one among them, are not part of it: they belong to a superuser, so that no weaker role can have
-- changed them. `rowhooks upgrade` and all commands of a superuser run the same query from this file.
create or replace function rowhooks.fingerprint() returns text
language sql stable
set search_path = pg_catalog, pg_temp
-- Definitions are written as they were when the schema was installed.
set quote_all_identifiers = off
set standard_conforming_strings = on
as $$
  select pg_catalog.concat('rowhooks ', pg_catalog.md5(pg_catalog.string_agg(o.what, e'\n' order by o.what collate "C")))
  from (
    with ours as (
      select
        c.oid, c.relname, c.relkind, c.relpersistence, c.relispartition, c.relowner, c.relrowsecurity, c.relforcerowsecurity,
        c.reloptions, c.relacl
      from pg_catalog.pg_class as c
      where c.relnamespace = 'rowhooks'::pg_catalog.regnamespace
    )
    select pg_catalog.concat_ws(
      ' ', 'function', p.oid::pg_catalog.regprocedure, p.proowner::pg_catalog.regrole, p.prosecdef, p.provolatile, l.lanname,
      p.proconfig, p.prosrc, p.prosqlbody
    ) as what
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_language as l on l.oid = p.prolang
    where p.pronamespace = 'rowhooks'::pg_catalog.regnamespace and p.proname !~ '^(capture_[0-9]+(_statement|_mark)?|after_ddl|is_approved|fingerprint|follow_ddl|tables_to_follow|altered_relations|forget_dropped)$'
    union all
    select pg_catalog.concat_ws(
      ' ', 'relation', o.relname, o.relkind, o.relpersistence, o.relowner::pg_catalog.regrole, o.relrowsecurity,
      o.relforcerowsecurity, o.reloptions, case when o.relkind = 'v' then pg_catalog.pg_get_viewdef(o.oid) end
    )
    from ours as o
    where not o.relispartition and o.relkind not in ('i', 'I')
    union all
    select pg_catalog.concat_ws(' ', 'grant', o.relname, a.grantee::pg_catalog.regrole, a.privilege_type, a.is_grantable)
    from ours as o
    cross join lateral pg_catalog.aclexplode(o.relacl) as a
    where a.grantee <> o.relowner and (a.privilege_type <> 'SELECT' or o.relispartition)
    union all
    select pg_catalog.concat_ws(' ', 'grant', o.relname, t.attname, a.grantee::pg_catalog.regrole, a.privilege_type)
    from ours as o
    join pg_catalog.pg_attribute as t on t.attrelid = o.oid
    cross join lateral pg_catalog.aclexplode(t.attacl) as a
    where a.privilege_type <> 'SELECT' or o.relispartition
    union all
    select pg_catalog.concat_ws(' ', 'schema', n.nspowner::pg_catalog.regrole, a.grantee::pg_catalog.regrole)
    from pg_catalog.pg_namespace as n
    left join lateral pg_catalog.aclexplode(n.nspacl) as a on a.privilege_type = 'CREATE'
    where n.nspname = 'rowhooks'
    union all
    select pg_catalog.concat_ws(' ', 'default privileges', d.defaclrole::pg_catalog.regrole, d.defaclobjtype, d.defaclacl)
    from pg_catalog.pg_default_acl as d
    join pg_catalog.pg_namespace as n on n.nspname = 'rowhooks' and (d.defaclnamespace = n.oid or d.defaclrole = n.nspowner)
    union all
    select pg_catalog.concat_ws(
      ' ', 'column', o.relname, t.attnum, t.attname, pg_catalog.format_type(t.atttypid, t.atttypmod), t.attnotnull,
      t.attidentity, t.attgenerated, t.attcollation::pg_catalog.regcollation
    )
    from ours as o
    join pg_catalog.pg_attribute as t on t.attrelid = o.oid and t.attnum > 0 and not t.attisdropped
    where not o.relispartition and o.relkind not in ('i', 'I')
    union all
    select pg_catalog.concat_ws(' ', 'index', pg_catalog.pg_get_indexdef(i.indexrelid))
    from ours as o
    join pg_catalog.pg_index as i on i.indrelid = o.oid
    join pg_catalog.pg_class as c on c.oid = i.indexrelid
    -- Those of partitions are the log's own.
    where not c.relispartition
    union all
    select pg_catalog.concat_ws(' ', 'trigger', t.tgenabled, pg_catalog.pg_get_triggerdef(t.oid))
    from ours as o
    join pg_catalog.pg_trigger as t on t.tgrelid = o.oid and not t.tgisinternal
    union all
    select pg_catalog.concat_ws(' ', 'rule', o.relname, r.rulename, r.ev_enabled)
    from ours as o
    join pg_catalog.pg_rewrite as r on r.ev_class = o.oid
    union all
    select pg_catalog.concat_ws(' ', 'default', o.relname, d.adnum, pg_catalog.pg_get_expr(d.adbin, d.adrelid))
    from ours as o
    join pg_catalog.pg_attrdef as d on d.adrelid = o.oid
    where not o.relispartition
      or not exists (
        select from pg_catalog.pg_attrdef as e
        where e.adrelid = pg_catalog.to_regclass('rowhooks.object_change') and e.adnum = d.adnum
          and pg_catalog.pg_get_expr(e.adbin, e.adrelid) = pg_catalog.pg_get_expr(d.adbin, d.adrelid)
      )
    union all
    select pg_catalog.concat_ws(' ', 'constraint', o.relname, k.conname, pg_catalog.pg_get_constraintdef(k.oid))
    from ours as o
    join pg_catalog.pg_constraint as k on k.conrelid = o.oid
    -- PostgreSQL 18 has one for each column that is not null too.
    where k.contype <> 'n' and (not o.relispartition or k.conparentid = 0)
    union all
    select pg_catalog.concat_ws(' ', 'policy', o.relname, k.polname)
    from ours as o
    join pg_catalog.pg_policy as k on k.polrelid = o.oid
    union all
    select pg_catalog.concat_ws(' ', 'type', t.typname, t.typtype, t.typowner::pg_catalog.regrole)
    from pg_catalog.pg_type as t
    where t.typnamespace = 'rowhooks'::pg_catalog.regnamespace and t.typrelid = 0 and t.typelem = 0
    union all
    select pg_catalog.concat_ws(' ', 'operator', k.oid::pg_catalog.regoperator)
    from pg_catalog.pg_operator as k where k.oprnamespace = 'rowhooks'::pg_catalog.regnamespace
    union all
    select pg_catalog.concat_ws(' ', 'collation', k.collname)
    from pg_catalog.pg_collation as k where k.collnamespace = 'rowhooks'::pg_catalog.regnamespace
    union all
    select pg_catalog.concat_ws(' ', 'cast', k.castsource::pg_catalog.regtype, k.casttarget::pg_catalog.regtype)
    from pg_catalog.pg_cast as k
    cross join (
      select array(select t.oid from pg_catalog.pg_type as t where t.typnamespace = 'rowhooks'::pg_catalog.regnamespace)
    ) as t (ours)
    where k.castsource = any (t.ours) or k.casttarget = any (t.ours)
  ) as o
$$;
