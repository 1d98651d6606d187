-- name: refusal
-- What the current role lacks for a statement that the server has refused.
-- The server names the object without its schema, at the end of a sentence in the server's language. It never says which
-- privilege is missing: that follows from the words of the statement.
with said as (
  select
    rtrim(cast(:message as text), '"') as message,
    lower(cast(:statement as text)) as statement,
    cast(:path as text[]) as path
),

named as (
  select
    case c.relkind when 'S' then 'sequence' else 'table' end as kind,
    c.oid,
    c.relname as short,
    n.nspname as schema,
    format('%I.%I', n.nspname, c.relname) as name
  from said as s
  inner join pg_class as c on c.relkind in ('r', 'p', 'f', 'v', 'm', 'S') and strpos(s.message, c.relname) > 0
  inner join pg_namespace as n on c.relnamespace = n.oid
  union all
  select
    'schema' as kind,
    n.oid,
    n.nspname as short,
    n.nspname as schema,
    quote_ident(n.nspname) as name
  from said as s
  inner join pg_namespace as n on strpos(s.message, n.nspname) > 0
  union all
  select
    'function' as kind,
    p.oid,
    p.proname as short,
    n.nspname as schema,
    p.oid::regprocedure::text as name
  from said as s
  inner join pg_proc as p on strpos(s.message, p.proname) > 0
  inner join pg_namespace as n on p.pronamespace = n.oid
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
        k.privilege,
        k.place,
        k.by_column and has_any_column_privilege(o.oid, k.privilege) as is_partly,
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
  quote_ident(current_user) as login,
  l.kind,
  l.name,
  l.privileges,
  l.schema,
  l.short,
  coalesce(
    (
      -- Only its owner and the daemon's role may read this table.
      select a.grantee::regrole::text
      from pg_class as c
      inner join pg_namespace as n on c.relnamespace = n.oid
      cross join lateral aclexplode(c.relacl) as a
      where n.nspname = 'rowhooks' and c.relname = 'installation' and a.grantee not in (0, c.relowner)
        and pg_has_role(a.grantee, 'usage')
      order by a.grantee::regrole::text
      limit 1
    ),
    quote_ident(current_user)
  ) as grantee
from lacking as l
cross join said as s
where l.privileges is not null or l.kind = 'table' and row_security_active(l.oid)
order by
  right(s.message, length(l.short)) = l.short desc,
  length(l.short) desc,
  strpos(s.statement, lower(concat(l.schema, '.', l.short))) > 0 desc,
  array_position(s.path, l.schema::text) asc,
  l.privileges is null asc,
  l.kind asc,
  l.name asc
limit 1;
