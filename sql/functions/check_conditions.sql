-- Purpose: say what is wrong with the form of a job hook's conditions, as rowhooks.pipeline.conditions does, which reads
--          them: place and problem. Only regular expressions and values nested too deep are left to Python.
-- Parameters: conditions  rowhooks.job_hook.conditions
-- Returns: the first problem; null: none, or no conditions
create or replace function rowhooks.check_conditions(conditions jsonb) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  with recursive node (place, condition, depth) as (
    select null::pg_catalog.text, $1, 1
    where $1 is not null
    union all
    select pg_catalog.concat_ws('.', n.place, part.place), part.condition, n.depth + 1
    from node as n
    cross join lateral (
      select pg_catalog.format('%s[%s]', logic.name, item.number - 1) as place, item.value as condition
      from (values ('and'), ('or')) as logic (name)
      cross join lateral pg_catalog.jsonb_array_elements(
        case pg_catalog.jsonb_typeof(n.condition -> logic.name) when 'array' then n.condition -> logic.name else '[]' end
      ) with ordinality as item (value, number)
      where pg_catalog.jsonb_typeof(n.condition) = 'object'
      union all
      select 'not', n.condition -> 'not'
      where pg_catalog.jsonb_typeof(n.condition) = 'object' and n.condition ? 'not'
    ) as part
    where n.depth <= 20
  ),
  -- What is used below, by name: null where the key is not there.
  part as (
    select
      n.*,
      pg_catalog.jsonb_typeof(n.condition) as kind,
      case when pg_catalog.jsonb_typeof(n.condition) = 'object' then n.condition else '{}' end as keys,
      case when pg_catalog.jsonb_typeof(n.condition -> 'attr') = 'string' then n.condition ->> 'attr' end as attr,
      case when n.condition ? 'op' then n.condition ->> 'op' else 'eq' end as op,
      pg_catalog.jsonb_typeof(n.condition -> 'value') as value_kind
    from node as n
  ),
  problem as (
    select
      p.place,
      p.depth,
      case
        when (select pg_catalog.count(*) from node) > 500 then 'more than 500 conditions'
        when p.depth > 20 then 'nested more than 20 deep'
        when p.kind <> 'object' then pg_catalog.format('expected an object, not %s', p.kind)
        when p.keys ?| array['and', 'or', 'not'] then
          case
            when (select pg_catalog.count(*) from pg_catalog.jsonb_object_keys(p.keys)) > 1
              then 'and, or and not each stand alone in their object'
            when not p.keys ? 'not' and pg_catalog.jsonb_typeof(coalesce(p.keys -> 'and', p.keys -> 'or')) <> 'array'
              or '[]' in (p.keys -> 'and', p.keys -> 'or')
              then 'expected a list of at least one condition'
          end
        when p.keys - array['attr', 'op', 'value', 'negate'] <> '{}' then
          pg_catalog.format(
            'unknown key ''%s''; known: and, or, not, attr, op, value, negate',
            (select pg_catalog.min(k) from pg_catalog.jsonb_object_keys(p.keys - array['attr', 'op', 'value', 'negate']) as k)
          )
        when p.attr is null then '''attr'' must name a column'
        when p.op not in ('eq', 'gt', 'gte', 'lt', 'lte', 'in', 'contains', 'regex', 'changed') or p.op is null then
          pg_catalog.format(
            'unknown op ''%s''; known: eq, gt, gte, lt, lte, in, contains, regex, changed', coalesce(p.op, 'null')
          )
        when pg_catalog.jsonb_typeof(p.keys -> 'negate') <> 'boolean' then '''negate'' must be true or false'
        when p.op = 'changed' and p.keys ? 'value' then '''changed'' takes no value'
        when p.op <> 'changed' and not p.keys ? 'value' then pg_catalog.format('''%s'' needs a value', p.op)
        when p.op in ('gt', 'gte', 'lt', 'lte') and p.value_kind not in ('number', 'string')
          then pg_catalog.format('''%s'' needs a number or a string', p.op)
        when p.op = 'in' and p.value_kind <> 'array' then '''in'' needs a list'
        when p.op = 'regex' and p.value_kind <> 'string' then '''regex'' needs a string'
        when p.attr in ('new', 'old') or '' = any (pg_catalog.string_to_array(p.attr, '.')) or p.attr = ''
          then pg_catalog.format('attr ''%s'' names no column', p.attr)
      end as what
    from part as p
  )
  select pg_catalog.concat_ws(': ', 'conditions', p.place, p.what)
  from problem as p
  where p.what is not null
  order by p.depth, p.place collate "C"
  limit 1
$$;
