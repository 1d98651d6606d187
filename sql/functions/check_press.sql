-- Purpose: refuse a press that lacks a button, a table or a row, or has an idempotency key that cannot be stored.
-- Parameters: given  what was inserted into rowhooks.press
-- Returns: nothing
create or replace function rowhooks.check_press(given rowhooks.press) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if given.button is null then
    raise exception 'rowhooks: no button was named' using errcode = 'invalid_parameter_value';
  elsif given.object_table is null then
    raise exception 'rowhooks: no table was named to press button % on', given.button
      using errcode = 'invalid_parameter_value';
  elsif coalesce(given.object_id, pg_catalog.to_jsonb(given.object_text), given.object_ids, '[]') = '[]' then
    raise exception 'rowhooks: no row was named to press button % on', given.button
      using errcode = 'invalid_parameter_value', hint = 'Give the row''s key.';
  elsif pg_catalog.num_nonnulls(given.object_id, given.object_text, given.object_ids) > 1 then
    raise exception 'rowhooks: the row to press button % on is named in more than one way', given.button
      using errcode = 'invalid_parameter_value', hint = 'Give object_id, object_text or object_ids.';
  elsif pg_catalog.jsonb_typeof(given.object_ids) <> 'array' then
    raise exception 'rowhooks: object_ids is no array of keys' using errcode = 'invalid_parameter_value';
  elsif given.idempotency_key = '' then
    raise exception 'rowhooks: the idempotency key is empty'
      using errcode = 'invalid_parameter_value', hint = 'Give null where every press counts.';
  elsif pg_catalog.length(given.idempotency_key) > 255 then
    raise exception 'rowhooks: the idempotency key is longer than 255 characters'
      using errcode = 'invalid_parameter_value', hint = 'Give its hash, for example: encode(sha256(...), ''hex'')';
  end if;
end
$$;

-- Purpose: refuse a table that the presser may not read, or whose rows cannot be pressed on.
-- Parameters: target  the table
-- Returns: nothing
-- It runs with the presser's rights and asks for them.
create or replace function rowhooks.check_pressed_table(target regclass) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  relation pg_catalog.pg_class;
begin
  select c.* into relation from pg_catalog.pg_class as c where c.oid = target;
  if not found then
    raise exception 'rowhooks: there is no table %', target using errcode = 'undefined_table';
  end if;
  if not (
    pg_catalog.has_schema_privilege(relation.relnamespace, 'USAGE') and pg_catalog.has_table_privilege(target, 'SELECT')
  ) then
    raise exception 'role % may not press a button on a row of %: it may not read that table', current_user, target
      using
        errcode = 'insufficient_privilege',
        hint = pg_catalog.format('Let its owner run: grant select on %s to %I', target, current_user);
  end if;
  if relation.relkind not in ('r', 'p', 'f') then
    raise exception 'rowhooks: % is no table', target
      using errcode = 'wrong_object_type', hint = 'Press on a row of the table itself.';
  end if;
end
$$;
