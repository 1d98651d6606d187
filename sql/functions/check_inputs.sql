-- A press is checked against the JSON schema of its job's inputs, by the keywords that pydantic writes. Another keyword, a
-- format, and a part of the schema that cannot be read refuse nothing: pydantic checks all of it when the job runs.

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
  if tagged is not null then
    return rowhooks.problem_of_input(value, tagged, root, place, depth);
  end if;
  for choice in select c.choice from pg_catalog.jsonb_array_elements(choices) with ordinality as c (choice, position) order by c.position
  loop
    -- A value may be looked through once for each choice, and what is inside it again. So further choices count as deeper.
    problem := rowhooks.problem_of_input(value, choice, root, place, depth + case when other is null then 0 else 20 end);
    if problem is null then
      return null;
    elsif pg_catalog.starts_with(problem, misfit) then
      misfits := misfits || problem;
    else
      other := coalesce(other, problem);
    end if;
  end loop;
  return coalesce(
    pg_catalog.concat_ws('.', place, tag ->> 'propertyName') || ': must be one of ' || (
      select pg_catalog.string_agg(m.name, ', ' order by m.name)
      from pg_catalog.jsonb_object_keys(
        case when pg_catalog.jsonb_typeof(tag -> 'mapping') = 'object' then tag -> 'mapping' else '{}' end
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
  if problem is null and schema ?| array['$ref', 'allOf', 'anyOf', 'oneOf', 'not'] then
    return rowhooks.problem_of_combination(value, schema, root, place, depth + 1);
  end if;
  return problem;
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
