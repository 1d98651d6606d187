-- A press is checked against the JSON schema of its job's inputs, by the keywords that pydantic writes. Another keyword, a
-- format, and a part of the schema that cannot be read refuse nothing: pydantic checks all of it when the job runs.

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

-- Purpose: find the part of a schema that a $ref names.
-- Parameters: ref   as in #/$defs/Size
--             root  the whole schema
-- Returns: the part; null where it is not there
create or replace function rowhooks.schema_of_ref(ref text, root jsonb) returns jsonb
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select root #> array(
    select pg_catalog.replace(pg_catalog.replace(p.part, '~1', '/'), '~0', '~')
    from pg_catalog.unnest(pg_catalog.string_to_array(pg_catalog.substr(ref, 3), '/')) with ordinality as p (part, position)
    order by p.position
  )
  where ref = '#' or ref like '#/%'
$$;

-- Purpose: say whether a value has a type of JSON schema.
-- Parameters: value      the value
--             type_name  the type
-- Returns: true or false; true for a type that is not known
create or replace function rowhooks.has_json_type(value jsonb, type_name text) returns boolean
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when type_name = 'integer' then
      case pg_catalog.jsonb_typeof(value)
        when 'number' then pg_catalog.trunc((value #>> '{}')::pg_catalog.numeric) = (value #>> '{}')::pg_catalog.numeric
        else false
      end
    when type_name in ('string', 'number', 'boolean', 'null', 'array', 'object')
      then pg_catalog.jsonb_typeof(value) = type_name
    else true
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

-- Purpose: list the values inside an object, each with a schema that holds for it.
-- Parameters: value   the object
--             schema  its schema, an object
-- Returns: place   the name
--          part    the value; the name itself for propertyNames
--          wanted  the schema
create or replace function rowhooks.parts_of_object(value jsonb, schema jsonb)
returns table (place text, part jsonb, wanted jsonb)
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select v.name, r.part, r.wanted
  from pg_catalog.jsonb_each(value) as v (name, part)
  cross join (
    select case pg_catalog.jsonb_typeof(schema -> 'patternProperties')
      when 'object' then schema -> 'patternProperties'
      else '{}'
    end as patterns
  ) as s
  cross join lateral (
    select
      schema #> array['properties', v.name] as own,
      pg_catalog.bool_or(rowhooks.matches_pattern(v.name, p.pattern)) as by_pattern,
      pg_catalog.bool_or(rowhooks.matches_pattern(v.name, p.pattern) is null) as is_undecided
    from pg_catalog.jsonb_object_keys(s.patterns) as p (pattern)
  ) as k
  cross join lateral (
    select v.part, k.own as wanted
    union all
    select v.part, p.wanted
    from pg_catalog.jsonb_each(s.patterns) as p (pattern, wanted)
    where rowhooks.matches_pattern(v.name, p.pattern)
    union all
    select v.part, schema -> 'additionalProperties'
    where k.own is null and k.by_pattern is not true and k.is_undecided is not true
    union all
    select pg_catalog.to_jsonb(v.name), schema -> 'propertyNames'
  ) as r
  where r.wanted is not null
$$;

-- Purpose: list the values inside an array, each with a schema that holds for it.
-- Parameters: value   the array
--             schema  its schema, an object
-- Returns: as rowhooks.parts_of_object; place is the index in brackets
create or replace function rowhooks.parts_of_array(value jsonb, schema jsonb)
returns table (place text, part jsonb, wanted jsonb)
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.format('[%s]', e.position - 1), e.part, w.wanted
  from pg_catalog.jsonb_array_elements(value) with ordinality as e (part, position)
  cross join lateral (
    select case
      when pg_catalog.jsonb_typeof(schema -> 'prefixItems') = 'array'
        and e.position <= pg_catalog.jsonb_array_length(schema -> 'prefixItems')
        then schema -> 'prefixItems' -> (e.position - 1)::pg_catalog.int4
      else schema -> 'items'
    end as wanted
  ) as w
  where w.wanted is not null
$$;

-- Purpose: say what is wrong with a value, apart from what its schema says by other schemas.
-- Parameters: value   the value
--             schema  its schema, an object
-- Returns: the problem; null for none
create or replace function rowhooks.problem_of_value(value jsonb, schema jsonb) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(
    rowhooks.problem_of_kind(value, schema),
    case pg_catalog.jsonb_typeof(value)
      when 'number' then rowhooks.problem_of_number((value #>> '{}')::pg_catalog.numeric, schema)
      when 'string' then rowhooks.problem_of_text(value #>> '{}', schema)
      else rowhooks.problem_of_collection(value, schema)
    end
  )
$$;

-- Purpose: say what is wrong with a value that must fit one of several schemas.
-- Parameters: value    the value
--             choices  the schemas, an array
--             tag      of OpenAPI: propertyName, and mapping from its values to the schemas
--             root     the whole schema
--             place    where the value is
--             depth    how deep it is nested
-- Returns: the problem: that of the tag, or of the first schema whose type fits; null for none
-- That no other schema fits too is not asked: pydantic goes by its discriminator.
create or replace function rowhooks.problem_of_choice(
  value jsonb, choices jsonb, tag jsonb, root jsonb, place text, depth integer
) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  misfit constant pg_catalog.text := pg_catalog.concat_ws(': ', place, 'expected ');
  tagged constant pg_catalog.jsonb := rowhooks.schema_of_ref(tag -> 'mapping' ->> (value ->> (tag ->> 'propertyName')), root);
  choice pg_catalog.jsonb;
  problem pg_catalog.text;
  other pg_catalog.text;
  misfits pg_catalog.text[];
begin
  for choice in select c.choice from pg_catalog.jsonb_array_elements(choices) with ordinality as c (choice, position) order by c.position
  loop
    problem := rowhooks.problem_of_input(value, choice, root, place, depth);
    if problem is null then
      return null;
    elsif pg_catalog.starts_with(problem, misfit) then
      misfits := misfits || problem;
    else
      other := coalesce(other, problem);
    end if;
  end loop;
  return coalesce(
    rowhooks.problem_of_input(value, tagged, root, place, depth),
    pg_catalog.concat_ws('.', place, tag ->> 'propertyName') || ': must be one of ' || (
      select pg_catalog.string_agg(m.name, ', ' order by m.name)
      from pg_catalog.jsonb_object_keys(
        case when pg_catalog.jsonb_typeof(tag -> 'mapping') = 'object' and tagged is null then tag -> 'mapping' else '{}' end
      ) as m (name)
      where pg_catalog.jsonb_typeof(value) = 'object'
    ),
    other,
    (
      select misfit || pg_catalog.string_agg(distinct pg_catalog.split_part(pg_catalog.substr(m.one, pg_catalog.length(misfit) + 1), ', not ', 1), ' or ')
      from pg_catalog.unnest(misfits) as m (one)
    ) || ', not ' || pg_catalog.jsonb_typeof(value)
  );
end
$$;

-- Purpose: say what is wrong with a value by the schemas that its schema combines.
-- Parameters: as rowhooks.problem_of_input
-- Returns: the problem; null for none
create or replace function rowhooks.problem_of_combination(
  value jsonb, schema jsonb, root jsonb, place text, depth integer
) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  keyword pg_catalog.text;
  part pg_catalog.jsonb;
  problem pg_catalog.text;
begin
  problem := rowhooks.problem_of_input(value, rowhooks.schema_of_ref(schema ->> '$ref', root), root, place, depth);
  if problem is null and pg_catalog.jsonb_typeof(schema -> 'allOf') = 'array' then
    for part in select a.part from pg_catalog.jsonb_array_elements(schema -> 'allOf') as a (part)
    loop
      problem := coalesce(problem, rowhooks.problem_of_input(value, part, root, place, depth));
    end loop;
  end if;
  foreach keyword in array array['anyOf', 'oneOf']
  loop
    if problem is null and pg_catalog.jsonb_typeof(schema -> keyword) = 'array' then
      problem := rowhooks.problem_of_choice(value, schema -> keyword, schema -> 'discriminator', root, place, depth);
    end if;
  end loop;
  if
    problem is null
    -- What is not known in it might make it false.
    and pg_catalog.jsonb_typeof(schema -> 'not') = 'object'
    and (schema -> 'not') - array['type', 'const', 'enum', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum',
      'minLength', 'maxLength', 'minItems', 'maxItems', 'title', 'description'] = '{}'
    and rowhooks.problem_of_value(value, schema -> 'not') is null
  then
    problem := pg_catalog.concat_ws(': ', place, pg_catalog.format('must not fit %s', schema -> 'not'));
  end if;
  return problem;
end
$$;

-- Purpose: say what is wrong with a value by a JSON schema.
-- Parameters: value   the value
--             schema  the schema
--             root    the whole schema, for $ref
--             place   where the value is, as in racks[2].height; null for the whole
--             depth   how deep it is nested; beyond 100 pydantic alone checks it
-- Returns: the first problem, with its place; null for none
create or replace function rowhooks.problem_of_input(
  value jsonb, schema jsonb, root jsonb, place text, depth integer
) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  part pg_catalog.record;
  problem pg_catalog.text;
begin
  if schema = 'false' then
    return pg_catalog.concat_ws(': ', place, 'is not allowed');
  elsif pg_catalog.jsonb_typeof(schema) is distinct from 'object' or depth > 100 then
    return null;
  end if;
  problem := rowhooks.problem_of_value(value, schema);
  if problem is not null then
    return pg_catalog.concat_ws(': ', place, problem);
  end if;
  if pg_catalog.jsonb_typeof(value) = 'object' then
    for part in select p.* from rowhooks.parts_of_object(value, schema) as p
    loop
      problem := rowhooks.problem_of_input(part.part, part.wanted, root, pg_catalog.concat_ws('.', place, part.place), depth + 1);
      exit when problem is not null;
    end loop;
  elsif pg_catalog.jsonb_typeof(value) = 'array' then
    for part in select p.* from rowhooks.parts_of_array(value, schema) as p
    loop
      problem := rowhooks.problem_of_input(part.part, part.wanted, root, pg_catalog.concat(place, part.place), depth + 1);
      exit when problem is not null;
    end loop;
  end if;
  return coalesce(problem, rowhooks.problem_of_combination(value, schema, root, place, depth + 1));
end
$$;

-- Purpose: check the inputs of a press against what its job takes.
-- Parameters: given    the inputs; null for none
--             button   the button's name
--             its_job  its job
-- Returns: the inputs, as they are recorded; null for none
create or replace function rowhooks.checked_inputs(given jsonb, button text, its_job rowhooks.job) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  inputs constant pg_catalog.jsonb := coalesce(given, '{}');
  problem pg_catalog.text;
begin
  if its_job.inputs_schema is null and inputs <> '{}' then
    raise exception 'button % takes no inputs: its job % declares none', button, its_job.class_path
      using errcode = 'invalid_parameter_value', hint = 'Press it without inputs.';
  elsif pg_catalog.octet_length(inputs::pg_catalog.text) > 65536 then
    raise exception 'the inputs of a press of button % have more than 64 kB', button
      using errcode = 'program_limit_exceeded', hint = 'Put what is larger into a table, and give its key.';
  end if;
  problem := coalesce(
    'expected object, not ' || nullif(pg_catalog.jsonb_typeof(inputs), 'object'),
    rowhooks.problem_of_input(inputs, its_job.inputs_schema, its_job.inputs_schema, null, 1)
  );
  if problem is not null then
    raise exception 'button % does not take these inputs: %', button, problem
      using
        errcode = 'invalid_parameter_value',
        hint = 'See: select name, inputs_schema from rowhooks.buttons';
  end if;
  return nullif(inputs, '{}');
end
$$;
