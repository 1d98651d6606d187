-- Purpose: say what a form has to ask for the inputs of a job, so that no page needs to understand a JSON schema.
-- Parameters: schema  rowhooks.job.inputs_schema; null: the job takes nothing
-- Returns: an array of {"name", "title", "description", "kind", "options", "value", "is_required", "empty"}, in the order of
--          the schema's `x-order`, which is the class's, then of its `required`, then the others:
--          kind         choice (of options), text, password, date, number, or json: whatever else, and what may be of several kinds
--          options      the values to choose from, true and false among them; null where it is no choice
--          value        the default; null: none
--          is_required  something must be given
--          empty        JSON, as text, that is given where the field is left empty; null: the input is left out
-- What a schema refers to, and what it has a choice of, is followed a few steps. The database checks a press by the schema
-- itself (rowhooks.check_inputs).
create or replace function rowhooks.input_fields(schema jsonb) returns jsonb
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  with recursive properties as (
    select p.name, p.property
    from pg_catalog.jsonb_each(
      case pg_catalog.jsonb_typeof(schema -> 'properties') when 'object' then schema -> 'properties' end
    ) as p (name, property)
  ),
  parts as (
    select p.name, p.property as part, '{}'::pg_catalog.int8[] as path
    from properties as p
    where pg_catalog.jsonb_typeof(p.property) = 'object'
    union all
    select p.name, i.part, p.path || i.position
    from parts as p
    cross join lateral (
      select c.part, pg_catalog.row_number() over (order by c.kind, c.position) as position
      from (
        select 0 as kind, 0 as position, rowhooks.schema_of_ref(p.part ->> '$ref', schema) as part
        union all
        select k.kind, e.position, e.part
        from pg_catalog.unnest('{anyOf,oneOf,allOf}'::pg_catalog.text[]) with ordinality as k (name, kind)
        cross join lateral pg_catalog.jsonb_array_elements(
          case pg_catalog.jsonb_typeof(p.part -> k.name) when 'array' then p.part -> k.name end
        ) with ordinality as e (part, position)
      ) as c
      where pg_catalog.jsonb_typeof(c.part) = 'object'
    ) as i
    where pg_catalog.cardinality(p.path) < 4
  ),
  options as (
    select p.name, pg_catalog.jsonb_agg(o.value order by p.path, o.position) as options
    from parts as p
    cross join lateral (
      select e.value, e.position
      from pg_catalog.jsonb_array_elements(
        case pg_catalog.jsonb_typeof(p.part -> 'enum') when 'array' then p.part -> 'enum' end
      ) with ordinality as e (value, position)
      union all
      select p.part -> 'const', 1
      where p.part ? 'const'
      union all
      select e.value, e.position
      from pg_catalog.jsonb_array_elements('[true, false]') with ordinality as e (value, position)
      where p.part -> 'type' = '"boolean"'
    ) as o
    where o.value <> 'null'
    group by p.name
  ),
  found as (
    select
      p.name,
      pg_catalog.bool_or(p.part -> 'type' = '"string"') is true as is_text,
      pg_catalog.bool_or(p.part -> 'type' in ('"integer"', '"number"')) is true as is_number,
      pg_catalog.bool_or(p.part -> 'type' in ('"object"', '"array"')) is true as is_nested,
      pg_catalog.bool_or(
        p.part -> 'type' not in ('"null"', '"boolean"') and not (p.part ? 'enum' or p.part ? 'const')
      ) is true as is_free,
      pg_catalog.bool_or(p.part -> 'type' = '"null"') is true as is_nullable,
      (pg_catalog.array_agg(p.part ->> 'description' order by p.path) filter (where p.part ? 'description'))[1] as description,
      (pg_catalog.array_agg(p.part ->> 'format' order by p.path) filter (where p.part ->> 'format' in ('date', 'password')))[1] as format,
      (pg_catalog.array_agg(nullif(p.part -> 'default', 'null') order by p.path) filter (where p.part ? 'default'))[1] as value
    from parts as p
    group by p.name
  )
  select coalesce(
    pg_catalog.jsonb_agg(
      pg_catalog.jsonb_build_object(
        'name', f.name,
        'title', coalesce(p.property ->> 'title', f.name),
        'description', coalesce(f.description, ''),
        'kind', k.kind,
        'options', case when k.kind = 'choice' then o.options end,
        'value', f.value,
        'is_required', n.is_needed and not f.is_nullable and not k.is_text,
        'empty', case
          when not n.is_needed then null
          when f.is_nullable then 'null'
          when k.is_text then '""'
        end
      )
      order by a.position, r.position, f.name collate "C"
    ),
    '[]'
  )
  from found as f
  join properties as p on p.name = f.name
  left join options as o on o.name = f.name
  left join pg_catalog.jsonb_array_elements_text(
    case pg_catalog.jsonb_typeof(schema -> 'required') when 'array' then schema -> 'required' end
  ) with ordinality as r (name, position) on r.name = f.name
  left join (
    select e.name, pg_catalog.min(e.position) as position
    from pg_catalog.jsonb_array_elements_text(
      case pg_catalog.jsonb_typeof(schema -> 'x-order') when 'array' then schema -> 'x-order' end
    ) with ordinality as e (name, position)
    group by e.name
  ) as a on a.name = f.name
  cross join lateral (select r.name is not null or f.value is not null as is_needed) as n
  -- A value of several kinds is given as JSON, or else some of them could not be given.
  cross join lateral (
    select k.kind, k.kind not in ('choice', 'json', 'number') as is_text
    from (
      select case
        when o.options is not null and not f.is_free then 'choice'
        when o.options is not null or f.is_nested then 'json'
        when f.is_text then coalesce(f.format, 'text')
        when f.is_number then 'number'
        else 'json'
      end as kind
    ) as k
  ) as k
$$;
