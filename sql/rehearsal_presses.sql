-- How a rehearsal lists the presses of receivers, where rowhooks need not be installed. It follows rehearsal.sql.

-- The presses of receivers. No run comes of them.
create table pg_temp.rowhooks_listed_press (
  id bigint generated always as identity,
  button text not null,
  -- The oid, as in rowhooks_change.
  tracked_table bigint not null,
  object_id jsonb not null,
  object_repr text not null,
  idempotency_key text,
  inputs jsonb,
  user_name text
);

-- Purpose: write a press into the list. SECURITY DEFINER, because a receiver may have set another role.
-- Parameters: given  the press; its id is not used
-- Returns: its id; the earlier one's for an idempotency key that was used before
create function pg_temp.rowhooks_note_press(given pg_temp.rowhooks_listed_press) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  its_id pg_catalog.int8;
begin
  select p.id into its_id
  from pg_temp.rowhooks_listed_press as p
  where p.button = given.button and p.idempotency_key = given.idempotency_key;
  if its_id is null then
    insert into pg_temp.rowhooks_listed_press (
      button, tracked_table, object_id, object_repr, idempotency_key, inputs, user_name
    )
    values (
      given.button, given.tracked_table, given.object_id, given.object_repr, given.idempotency_key, given.inputs,
      nullif(pg_catalog.current_setting('rowhooks.user', true), '')
    )
    returning id into its_id;
  end if;
  return its_id;
end
$$;

-- Purpose: press a button on a row, as rowhooks.press does, where nothing is known of the button. The row must be there.
-- Parameters: as rowhooks.press has them; its_key  the key as jsonb, whatever form it was given in
-- Returns: the press, as it was listed
create function pg_temp.rowhooks_press_row(
  button text, object_table regclass, its_key jsonb, idempotency_key text, inputs jsonb
) returns pg_temp.rowhooks_listed_press
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  target constant pg_catalog.regclass := coalesce(pg_catalog.pg_partition_root(object_table), object_table);
  names constant pg_catalog.text[] := pg_temp.rowhooks_key(target);
  pressed pg_temp.rowhooks_listed_press;
begin
  if button is null or its_key is null then
    raise exception 'a press needs a button and the key of a row' using errcode = 'null_value_not_allowed';
  elsif names is null then
    raise exception '% has no primary key, so that no row of it can be named', target
      using errcode = 'object_not_in_prerequisite_state';
  end if;
  if pg_catalog.cardinality(names) > 1 and pg_catalog.jsonb_typeof(its_key) = 'string' then
    its_key := (its_key #>> '{}')::pg_catalog.jsonb;
  elsif pg_catalog.cardinality(names) = 1 and pg_catalog.jsonb_typeof(its_key) <> 'object' then
    its_key := pg_catalog.jsonb_build_object(names[1], its_key);
  end if;
  pressed.button := button;
  pressed.tracked_table := target::pg_catalog.oid::pg_catalog.int8;
  pressed.idempotency_key := idempotency_key;
  pressed.inputs := inputs;
  execute (
    select pg_catalog.format(
      'select pg_temp.rowhooks_object_id(%1$L, pg_catalog.to_jsonb(t)), pg_temp.rowhooks_object_repr(%1$L, pg_catalog.to_jsonb(t)) '
      'from %2$s as t join pg_catalog.jsonb_to_record($1) as k (%3$s) on %4$s limit 1',
      target::pg_catalog.oid, target,
      pg_catalog.string_agg(pg_catalog.format('%I %s', a.attname, pg_catalog.format_type(a.atttypid, -1)), ', '),
      pg_catalog.string_agg(pg_catalog.format('t.%1$I = k.%1$I', a.attname), ' and ')
    )
    from pg_catalog.pg_attribute as a
    where a.attrelid = target and a.attname = any (names) and not a.attisdropped
  )
  into pressed.object_id, pressed.object_repr
  using its_key;
  if pressed.object_id is null then
    raise exception 'there is no row % in %', its_key, target using errcode = 'no_data_found';
  end if;
  pressed.id := pg_temp.rowhooks_note_press(pressed);
  return pressed;
end
$$;

-- Purpose: stand for the view of the schema rowhooks into which presses are inserted.
create view pg_temp.rowhooks_press as
select
  null::pg_catalog.int8 as id,
  null::pg_catalog.text as button,
  null::pg_catalog.regclass as object_table,
  null::pg_catalog.jsonb as object_id,
  null::pg_catalog.text as object_text,
  null::pg_catalog.text as idempotency_key,
  null::pg_catalog.name as presser,
  null::pg_catalog.text as object_repr,
  null::pg_catalog.jsonb as object_ids,
  null::pg_catalog.jsonb as object_reprs,
  null::pg_catalog.jsonb as inputs
where false;

-- Purpose: list what is inserted into the view: each row of a press of several rows as a press of its own.
-- Returns: the press with what rowhooks.press would fill in; for several rows, the id of the first
create function pg_temp.rowhooks_list_press() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  its_key pg_catalog.jsonb;
  pressed pg_temp.rowhooks_listed_press;
  rows_found pg_catalog.jsonb[] := '{}';
begin
  new.presser := current_user;
  if new.object_ids is null then
    pressed := pg_temp.rowhooks_press_row(
      new.button, new.object_table, coalesce(new.object_id, pg_catalog.to_jsonb(new.object_text)), new.idempotency_key, new.inputs
    );
    new.id := pressed.id;
    new.object_id := pressed.object_id;
    new.object_repr := pressed.object_repr;
    return new;
  elsif new.object_ids = '[]' then
    raise exception 'no row was named to press button % on', new.button using errcode = 'invalid_parameter_value';
  end if;
  for its_key in select k.key from pg_catalog.jsonb_array_elements(new.object_ids) as k (key)
  loop
    pressed := pg_temp.rowhooks_press_row(
      new.button, new.object_table, its_key,
      -- An idempotency key is for the whole.
      new.idempotency_key || ' ' || pg_catalog.cardinality(rows_found) + 1, new.inputs
    );
    if pressed.object_id = any (rows_found) then
      raise exception 'row % of % is named twice', pressed.object_id, new.object_table
        using errcode = 'invalid_parameter_value', hint = 'Name each row once.';
    end if;
    rows_found := rows_found || pressed.object_id;
    new.id := coalesce(new.id, pressed.id);
  end loop;
  new.object_ids := pg_catalog.to_jsonb(rows_found);
  return new;
end
$$;

create trigger rowhooks_list_press instead of insert on pg_temp.rowhooks_press
for each row execute function pg_temp.rowhooks_list_press();

-- Purpose: stand for the functions of the schema rowhooks that press: what receivers execute is diverted to them.
create function pg_temp.rowhooks_press(
  button text, object_table regclass, object_id jsonb, idempotency_key text default null, inputs jsonb default null
) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into pg_temp.rowhooks_press (button, object_table, object_id, idempotency_key, inputs)
  values (button, object_table, object_id, idempotency_key, inputs)
  returning id
$$;

create function pg_temp.rowhooks_press(
  button text, object_table regclass, object_text text, idempotency_key text default null, inputs jsonb default null
) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into pg_temp.rowhooks_press (button, object_table, object_text, idempotency_key, inputs)
  values (button, object_table, object_text, idempotency_key, inputs)
  returning id
$$;

create function pg_temp.rowhooks_press_many(
  button text, object_table regclass, keys text[], idempotency_key text default null, inputs jsonb default null
) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into pg_temp.rowhooks_press (button, object_table, object_ids, idempotency_key, inputs)
  values (button, object_table, pg_catalog.to_jsonb(keys), idempotency_key, inputs)
  returning id
$$;
