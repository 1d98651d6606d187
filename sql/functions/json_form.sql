-- Purpose: say whether to_jsonb calls a cast to json for a type that a superuser has made. Such a cast may need rights that
--          the capture role does not have, and may leave out a part of the value: PostGIS's casts do both, their GeoJSON has
--          no M. The cast of hstore does neither.
-- Parameters: type_id  the type
-- Returns: true when there is such a cast
create or replace function rowhooks.has_lossy_cast(type_id oid) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select exists (
    select from pg_catalog.pg_cast as c
    where c.castsource = type_id and c.casttarget = 'pg_catalog.json'::pg_catalog.regtype and c.castmethod = 'f'
      and not exists (
        select from pg_catalog.pg_depend as d
        join pg_catalog.pg_extension as e on e.oid = d.refobjid
        where d.classid = 'pg_catalog.pg_cast'::pg_catalog.regclass and d.objid = c.oid
          and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass and d.deptype = 'e' and e.extname = 'hstore'
      )
  )
$$;

-- Purpose: say how a value of a type may be turned into JSON. to_jsonb calls a cast to json that the owner of a type has
--          made, with the rights of the capture function. So a type is trusted by its owner, and by nothing else: the
--          owner can make a cast, or add an attribute with one, at any time.
-- Parameters: type_id  the type
-- Returns: plain  to_jsonb never leaves the code of PostgreSQL and of superusers, and the value is there whole
--          text   by its text: an enum, a range, a composite type, a table's row
--          texts  an array of such, by the texts of its elements
create or replace function rowhooks.json_form(type_id oid) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  found_type pg_catalog.pg_type;
begin
  select t.* into strict found_type from pg_catalog.pg_type as t where t.oid = type_id;
  if found_type.oid < 16384 then
    return 'plain';
  elsif found_type.typtype = 'd' then
    return rowhooks.json_form(found_type.typbasetype);
  elsif found_type.typcategory = 'A' and found_type.typelem <> 0 then
    return case
      when rowhooks.json_form(found_type.typelem) = 'plain' then 'plain'
      when (select e.typtype from pg_catalog.pg_type as e where e.oid = found_type.typelem) = 'c' then 'text'
      else 'texts'
    end;
  elsif not exists (select from pg_catalog.pg_roles as r where r.oid = found_type.typowner and r.rolsuper)
    or rowhooks.has_lossy_cast(type_id)
  then
    return 'text';
  elsif found_type.typtype = 'c' and exists (
    select from pg_catalog.pg_attribute as a
    where a.attrelid = found_type.typrelid and a.attnum > 0 and not a.attisdropped
      and rowhooks.json_form(a.atttypid) <> 'plain'
  ) then
    return 'text';
  end if;
  return 'plain';
end
$$;

-- Purpose: find what a domain is made of.
-- Parameters: type_id  the type
-- Returns: the base type, which is no domain; another type as it is
create or replace function rowhooks.base_type(type_id oid) returns oid
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  with recursive step (id, base) as (
    select t.oid, t.typbasetype from pg_catalog.pg_type as t where t.oid = type_id
    union all
    select t.oid, t.typbasetype from step as s join pg_catalog.pg_type as t on t.oid = s.base
  )
  select s.id from step as s where s.base = 0
$$;
