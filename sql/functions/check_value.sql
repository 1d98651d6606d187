-- What rowhooks.problem_of_input asks of a value as such, apart from what is inside it and from combined schemas.

-- Purpose: read a number of a schema.
-- Parameters: schema   a JSON schema
--             keyword  the keyword
-- Returns: the number; null where there is none
create or replace function rowhooks.number_in(schema jsonb, keyword text) returns numeric
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select case when pg_catalog.jsonb_typeof(schema -> keyword) = 'number' then (schema ->> keyword)::pg_catalog.numeric end
$$;

-- Purpose: say whether a value has a type of JSON schema.
-- Parameters: value      the value
--             type_name  the type
-- Returns: true or false; true for a type that is not known
create or replace function rowhooks.has_json_type(value jsonb, type_name text) returns boolean
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return case
    when type_name = 'integer' then
      case pg_catalog.jsonb_typeof(value)
        when 'number' then pg_catalog.trunc((value #>> '{}')::pg_catalog.numeric) = (value #>> '{}')::pg_catalog.numeric
        else false
      end
    when type_name in ('string', 'number', 'boolean', 'null', 'array', 'object')
      then pg_catalog.jsonb_typeof(value) = type_name
    else true
  end;
end
$$;

-- Purpose: say what is wrong with the type of a value, or with the value itself where the schema lists what it may be.
-- Parameters: value   the value
--             schema  its schema, an object
-- Returns: the problem; null for none
create or replace function rowhooks.problem_of_kind(value jsonb, schema jsonb) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when t.names is not null and not t.is_one
      then pg_catalog.format('expected %s, not %s', t.names, pg_catalog.jsonb_typeof(value))
    when schema ? 'const' and schema -> 'const' <> value then pg_catalog.format('must be %s', schema -> 'const')
    when pg_catalog.jsonb_typeof(schema -> 'enum') = 'array'
      and not exists (select from pg_catalog.jsonb_array_elements(schema -> 'enum') as e (one) where e.one = value)
      then pg_catalog.format('must be one of %s', pg_catalog.left((schema -> 'enum')::pg_catalog.text, 500))
  end
  from (
    select
      pg_catalog.string_agg(n.one #>> '{}', ' or ') as names,
      pg_catalog.bool_or(rowhooks.has_json_type(value, n.one #>> '{}')) as is_one
    from pg_catalog.jsonb_array_elements(
      case pg_catalog.jsonb_typeof(schema -> 'type')
        when 'string' then pg_catalog.jsonb_build_array(schema -> 'type')
        when 'array' then schema -> 'type'
        else '[]'
      end
    ) as n (one)
  ) as t
$$;

-- Purpose: say what is wrong with a number.
-- Parameters: value   the number
--             schema  its schema, an object
-- Returns: the problem; null for none
create or replace function rowhooks.problem_of_number(value numeric, schema jsonb) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when value < rowhooks.number_in(schema, 'minimum')
      then pg_catalog.format('must be at least %s', schema -> 'minimum')
    when value > rowhooks.number_in(schema, 'maximum')
      then pg_catalog.format('must be at most %s', schema -> 'maximum')
    when value <= rowhooks.number_in(schema, 'exclusiveMinimum')
      then pg_catalog.format('must be greater than %s', schema -> 'exclusiveMinimum')
    when value >= rowhooks.number_in(schema, 'exclusiveMaximum')
      then pg_catalog.format('must be less than %s', schema -> 'exclusiveMaximum')
    when rowhooks.number_in(schema, 'multipleOf') > 0 and (
      -- A float may be this far away from the number that was meant, in pydantic too.
      select least(r.rest, m.step - r.rest) > pg_catalog.abs(value) / 1e9
      from (select rowhooks.number_in(schema, 'multipleOf') as step) as m
      cross join lateral (select pg_catalog.mod(pg_catalog.abs(value), m.step) as rest) as r
    )
      then pg_catalog.format('must be a multiple of %s', schema -> 'multipleOf')
  end
$$;

-- Purpose: say what is wrong with a text.
-- Parameters: value   the text
--             schema  its schema, an object
-- Returns: the problem; null for none
create or replace function rowhooks.problem_of_text(value text, schema jsonb) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when l.length < rowhooks.number_in(schema, 'minLength')
      then pg_catalog.format('must have at least %s characters', schema -> 'minLength')
    when l.length > rowhooks.number_in(schema, 'maxLength')
      then pg_catalog.format('must have at most %s characters', schema -> 'maxLength')
    when pg_catalog.jsonb_typeof(schema -> 'pattern') = 'string' and not rowhooks.matches_pattern(value, schema ->> 'pattern')
      then pg_catalog.format('must match %s', schema ->> 'pattern')
  end
  from (
    -- A database that knows no encoding counts bytes.
    select case
      when pg_catalog.getdatabaseencoding() <> 'SQL_ASCII' or pg_catalog.octet_length(value) = 0
        or value ~ '^[\x01-\x7f]*$' collate "C" then pg_catalog.length(value)
    end as length
  ) as l
$$;

-- Purpose: say what is wrong with an array or an object as such.
-- Parameters: value   the array or object
--             schema  its schema, an object
-- Returns: the problem; null for none
create or replace function rowhooks.problem_of_collection(value jsonb, schema jsonb) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select case pg_catalog.jsonb_typeof(value)
    when 'array' then case
      when pg_catalog.jsonb_array_length(value) < rowhooks.number_in(schema, 'minItems')
        then pg_catalog.format('must have at least %s items', schema -> 'minItems')
      when pg_catalog.jsonb_array_length(value) > rowhooks.number_in(schema, 'maxItems')
        then pg_catalog.format('must have at most %s items', schema -> 'maxItems')
      when schema -> 'uniqueItems' = 'true' and (
        select pg_catalog.count(*) > pg_catalog.count(distinct e.one) from pg_catalog.jsonb_array_elements(value) as e (one)
      )
        then 'must have no item twice'
    end
    when 'object' then coalesce(
      (
        select pg_catalog.format('%s is missing', r.name #>> '{}')
        from pg_catalog.jsonb_array_elements(
          case pg_catalog.jsonb_typeof(schema -> 'required') when 'array' then schema -> 'required' else '[]' end
        ) with ordinality as r (name, position)
        where not value ? (r.name #>> '{}')
        order by r.position
        limit 1
      ),
      case
        when n.names < rowhooks.number_in(schema, 'minProperties')
          then pg_catalog.format('must have at least %s names', schema -> 'minProperties')
        when n.names > rowhooks.number_in(schema, 'maxProperties')
          then pg_catalog.format('must have at most %s names', schema -> 'maxProperties')
      end
    )
  end
  from (
    select pg_catalog.count(*) as names
    from pg_catalog.jsonb_object_keys(case pg_catalog.jsonb_typeof(value) when 'object' then value else '{}' end)
  ) as n
$$;

-- Purpose: say what is wrong with a value, apart from what its schema says by other schemas.
-- Parameters: value   the value
--             schema  its schema, an object
-- Returns: the problem; null for none
-- It asks nothing that the schema does not say: a list may have thousands of items.
create or replace function rowhooks.problem_of_value(value jsonb, schema jsonb) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  kind constant pg_catalog.text := pg_catalog.jsonb_typeof(value);
  problem pg_catalog.text;
begin
  if
    schema ?| array['const', 'enum']
    or pg_catalog.jsonb_typeof(schema -> 'type') = 'array'
    or not rowhooks.has_json_type(value, schema ->> 'type')
  then
    problem := rowhooks.problem_of_kind(value, schema);
  end if;
  if problem is not null then
    return problem;
  elsif kind = 'number' then
    if schema ?| array['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'] then
      return rowhooks.problem_of_number((value #>> '{}')::pg_catalog.numeric, schema);
    end if;
  elsif kind = 'string' then
    if schema ?| array['minLength', 'maxLength', 'pattern'] then
      return rowhooks.problem_of_text(value #>> '{}', schema);
    end if;
  elsif schema ?| array['minItems', 'maxItems', 'uniqueItems', 'required', 'minProperties', 'maxProperties'] then
    return rowhooks.problem_of_collection(value, schema);
  end if;
  return null;
end
$$;
