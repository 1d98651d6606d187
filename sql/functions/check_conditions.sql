-- Purpose: list the conditions that a job hook's conditions consist of, the whole first.
-- Parameters: conditions  rowhooks.job_hook.conditions
-- Returns: place      where it is, as in and[1].not; null for the whole
--          condition  the condition
--          depth      how deep it is nested, from 1; no deeper than 21
create or replace function rowhooks.parts_of_conditions(conditions jsonb)
returns table (place text, condition jsonb, depth integer)
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
  )
  select n.place, n.condition, n.depth from node as n
$$;

-- Purpose: say what is wrong with a condition, apart from the conditions inside of it.
-- Parameters: condition  the condition
-- Returns: the problem; null for none
create or replace function rowhooks.problem_of_condition(condition jsonb) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when pg_catalog.jsonb_typeof(condition) <> 'object'
      then pg_catalog.format('expected an object, not %s', pg_catalog.jsonb_typeof(condition))
    when condition ?| array['and', 'or', 'not'] then
      case
        when (select pg_catalog.count(*) from pg_catalog.jsonb_object_keys(condition)) > 1
          then 'and, or and not each stand alone in their object'
        when not condition ? 'not'
          and pg_catalog.jsonb_typeof(coalesce(condition -> 'and', condition -> 'or')) <> 'array'
          or '[]' in (condition -> 'and', condition -> 'or')
          then 'expected a list of at least one condition'
      end
    when condition - array['attr', 'op', 'value', 'negate'] <> '{}' then
      pg_catalog.format(
        'unknown key ''%s''; known: and, or, not, attr, op, value, negate',
        (
          select pg_catalog.min(k)
          from pg_catalog.jsonb_object_keys(condition - array['attr', 'op', 'value', 'negate']) as k
        )
      )
    when pg_catalog.jsonb_typeof(condition -> 'attr') is distinct from 'string' then '''attr'' must name a column'
    when c.op not in ('eq', 'gt', 'gte', 'lt', 'lte', 'in', 'contains', 'regex', 'changed') or c.op is null then
      pg_catalog.format(
        'unknown op ''%s''; known: eq, gt, gte, lt, lte, in, contains, regex, changed', coalesce(c.op, 'null')
      )
    when pg_catalog.jsonb_typeof(condition -> 'negate') <> 'boolean' then '''negate'' must be true or false'
    when c.op = 'changed' and condition ? 'value' then '''changed'' takes no value'
    when c.op <> 'changed' and not condition ? 'value' then pg_catalog.format('''%s'' needs a value', c.op)
    when c.op in ('gt', 'gte', 'lt', 'lte') and c.value_kind not in ('number', 'string')
      then pg_catalog.format('''%s'' needs a number or a string', c.op)
    when c.op = 'in' and c.value_kind <> 'array' then '''in'' needs a list'
    when c.op = 'regex' and c.value_kind <> 'string' then '''regex'' needs a string'
    when c.attr in ('new', 'old') or '' = any (pg_catalog.string_to_array(c.attr, '.')) or c.attr = ''
      then pg_catalog.format('attr ''%s'' names no column', c.attr)
  end
  from (
    select
      condition ->> 'attr' as attr,
      case when condition ? 'op' then condition ->> 'op' else 'eq' end as op,
      pg_catalog.jsonb_typeof(condition -> 'value') as value_kind
  ) as c
$$;

-- Purpose: say what is wrong with the form of a job hook's conditions. The same is refused in Python by
--          rowhooks.pipeline.conditions, which compiles them, and for a declaration before there is a database. Here it is
--          refused whoever writes the row. A test holds the two equal, with examples that it makes up. Regular expressions and values that are nested too deep are checked in Python alone.
-- Parameters: conditions  rowhooks.job_hook.conditions
-- Returns: the first problem, with its place; null for none, or for no conditions
create or replace function rowhooks.check_conditions(conditions jsonb) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.concat_ws(': ', 'conditions', p.place, w.problem)
  from rowhooks.parts_of_conditions($1) as p
  cross join lateral (
    select case
      when (select pg_catalog.count(*) from rowhooks.parts_of_conditions($1)) > 500 then 'more than 500 conditions'
      when p.depth > 20 then 'nested more than 20 deep'
      else rowhooks.problem_of_condition(p.condition)
    end as problem
  ) as w
  where w.problem is not null
  order by p.depth, p.place collate "C"
  limit 1
$$;
