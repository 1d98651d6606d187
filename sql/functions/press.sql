-- Purpose: the door for presses. It has no rows; an insert becomes a run that waits for the daemon, in the inserting
--          transaction. Everybody may knock: the two triggers decide, and both always fire.
-- Columns: button, object_table, idempotency_key  as in the function rowhooks.press
--          object_id                              key columns to values, or the value of a key of one column
--          object_text                            instead of object_id: the key as text
--          presser, object_repr, id               written by the triggers, whatever was given
create or replace view rowhooks.press as
select
  null::bigint as id,
  null::pg_catalog.text as button,
  null::pg_catalog.regclass as object_table,
  null::pg_catalog.jsonb as object_id,
  null::pg_catalog.text as object_text,
  null::pg_catalog.text as idempotency_key,
  null::pg_catalog.name as presser,
  null::pg_catalog.text as object_repr
where false;

-- Purpose: say whether making a value of a type runs what its owner has written: the check of a domain inside of it.
-- Parameters: type_id  the type, which is no domain itself: see rowhooks.base_type
-- Returns: true for an array, a composite type or a range with a domain somewhere in it that belongs to no superuser, or
--          where that cannot be told
create or replace function rowhooks.is_checked_inside(type_id oid) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  with recursive part (id) as (
    select type_id
    union
    select n.id
    from part as p
    join pg_catalog.pg_type as t on t.oid = p.id
    cross join lateral (
      select t.typbasetype
      union all
      select t.typelem
      union all
      select a.atttypid
      from pg_catalog.pg_attribute as a
      where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
      union all
      select r.rngsubtype from pg_catalog.pg_range as r where t.oid in (r.rngtypid, r.rngmultitypid)
    ) as n (id)
    where n.id <> 0
  )
  select exists (
    select
    from part as p
    join pg_catalog.pg_type as t on t.oid = p.id
    left join pg_catalog.pg_class as c on c.oid = t.typrelid
    where not exists (select from pg_catalog.pg_roles as r where r.oid = t.typowner and r.rolsuper)
      -- Or it has an attribute more than the transaction's snapshot shows.
      and (t.typtype = 'd' or pg_catalog.has_column_privilege(c.oid, (c.relnatts + 1)::smallint, 'select') is not null)
  )
$$;

-- Purpose: find the row that a button is pressed on, with the presser's own rights: his privileges and row security
--          decide whether there is such a row. The presser may be a superuser, and the table somebody else's: so no cast
--          of a type's owner is called, and no check of a domain. What PostgreSQL itself runs for whoever reads a table
--          runs as the presser, as when he selects from it: row security's policies, above all.
-- Returns: the press with the table's root, the key and the name as they stand in the row, and who presses
--          (INSTEAD OF INSERT row-level trigger function of rowhooks.press, the first of two)
-- Reads:   the table, rowhooks.buttons
-- A policy's functions meet a search_path without their schemas here, as they do when a dump is restored.
create or replace function rowhooks.find_pressed_row() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
-- An array's text is compared as an array.
set array_nulls = 'on'
as $$
declare
  target constant pg_catalog.regclass := coalesce(pg_catalog.pg_partition_root(new.object_table), new.object_table);
  target_name constant pg_catalog.text := target::pg_catalog.text;
  relation pg_catalog.pg_class;
  key_names pg_catalog.text[];
  definitions pg_catalog.text;
  comparisons pg_catalog.text;
  key_of_row pg_catalog.text;
  types_of_key pg_catalog.oid[];
  typeof_key pg_catalog.text;
  repr_of_row pg_catalog.text;
  type_of_repr pg_catalog.oid;
  typeof_repr pg_catalog.text;
  types_found pg_catalog.oid[];
  key pg_catalog.jsonb := new.object_id;
begin
  new.presser := current_user;
  if new.button is null then
    raise exception 'rowhooks: no button was named' using errcode = 'invalid_parameter_value';
  elsif new.object_table is null then
    raise exception 'rowhooks: no table was named to press button % on', new.button
      using errcode = 'invalid_parameter_value';
  elsif new.object_id is null and new.object_text is null then
    raise exception 'rowhooks: no row was named to press button % on', new.button
      using errcode = 'invalid_parameter_value', hint = 'Give the row''s key.';
  elsif new.idempotency_key = '' then
    raise exception 'rowhooks: the idempotency key is empty'
      using errcode = 'invalid_parameter_value', hint = 'Give null where every press counts.';
  elsif pg_catalog.length(new.idempotency_key) > 255 then
    raise exception 'rowhooks: the idempotency key is longer than 255 characters'
      using errcode = 'invalid_parameter_value', hint = 'Give its hash, for example: encode(sha256(...), ''hex'')';
  end if;

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

  -- Compared by the equality of the primary key's own index, whichever schema it is in, and as the type that a domain is
  -- over: nothing becomes a value of the domain, and its check is not asked. That a domain is made its base type, and a
  -- value its text, is no cast that anybody could make.
  select
    pg_catalog.array_agg(a.attname::pg_catalog.text order by k.position),
    pg_catalog.string_agg(
      pg_catalog.format(
        '%I %s',
        a.attname,
        case
          when not b.is_by_text then b.name
          when b.is_array then 'pg_catalog.text[]'
          else 'pg_catalog.text'
        end
      ),
      ', ' order by k.position
    ),
    pg_catalog.string_agg(
      pg_catalog.format(
        case
          when not b.is_by_text then '(t.%1$I)::%4$s operator(%2$I.%3$s) k.%1$I'
          when b.is_array then 'pg_catalog.concat(t.%1$I)::pg_catalog.text[] operator(pg_catalog.=) k.%1$I'
          else 'pg_catalog.concat(t.%1$I) operator(pg_catalog.=) k.%1$I'
        end,
        a.attname, coalesce(n.nspname, 'pg_catalog'), coalesce(o.oprname, '='), b.name
      ),
      ' and ' order by k.position
    ),
    pg_catalog.string_agg(
      rowhooks.recorded_item('t', a.attname, rowhooks.json_form(a.atttypid)), ', ' order by k.position
    ),
    pg_catalog.array_agg(a.atttypid order by k.position),
    pg_catalog.string_agg(pg_catalog.format('pg_catalog.pg_typeof(t.%I)', a.attname), ', ' order by k.position)
  into key_names, definitions, comparisons, key_of_row, types_of_key, typeof_key
  from pg_catalog.pg_index as i
  cross join lateral pg_catalog.unnest(i.indkey::smallint[]) with ordinality as k (attnum, position)
  join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
  cross join lateral (
    select
      -- Without its modifier: a varchar(3) would cut a longer key off, and find another row.
      pg_catalog.format_type(y.oid, -1) as name,
      y.typcategory = 'A' and y.typelem <> 0 as is_array,
      rowhooks.is_checked_inside(y.oid) as is_by_text
    from pg_catalog.pg_type as y
    where y.oid = rowhooks.base_type(a.atttypid)
  ) as b
  left join pg_catalog.pg_opclass as c
    on c.oid = i.indclass[k.position - 1]
    and c.opcmethod = (select m.oid from pg_catalog.pg_am as m where m.amname = 'btree')
  left join pg_catalog.pg_amop as e
    on e.amopfamily = c.opcfamily and e.amopstrategy = 3 and e.amoplefttype = c.opcintype and e.amoprighttype = c.opcintype
  left join pg_catalog.pg_operator as o on o.oid = e.amopopr
  left join pg_catalog.pg_namespace as n on n.oid = o.oprnamespace
  where i.indrelid = target and i.indisprimary and k.position <= i.indnkeyatts;
  if key_names is null then
    raise exception 'rowhooks: % has no primary key, so that no row of it can be named', target
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('Let its owner run: alter table %s add primary key (...)', target);
  end if;

  select
    pg_catalog.format(
      '(select pg_catalog.to_jsonb(v.*) from (select %s) as v) operator(pg_catalog.->>) %L',
      rowhooks.recorded_item('t', a.attname, rowhooks.json_form(a.atttypid)), a.attname
    ),
    a.atttypid,
    pg_catalog.format('pg_catalog.pg_typeof(t.%I)', a.attname)
  into repr_of_row, type_of_repr, typeof_repr
  from rowhooks.buttons as b
  join pg_catalog.pg_attribute as a on a.attrelid = b.relation and a.attname = b.repr_column and not a.attisdropped
  where b.relation = target
  limit 1;
  -- Holds the table as it is until the transaction ends. It may have become another since it was looked at, in a
  -- transaction with an older snapshot above all.
  execute pg_catalog.format(
    'select array[%s]::pg_catalog.oid[] from (select) as one left join %s as t on false',
    pg_catalog.concat_ws(', ', typeof_key, typeof_repr), target_name
  )
  into types_found;
  if
    types_found is distinct from pg_catalog.array_remove(types_of_key || type_of_repr, null)
    or pg_catalog.to_regclass(target_name) is distinct from target
  then
    raise exception 'rowhooks: % is being altered', target
      using errcode = 'serialization_failure', hint = 'Press again, in a new transaction.';
  end if;

  begin
    if key is null then
      key := case
        when pg_catalog.cardinality(key_names) = 1 then pg_catalog.to_jsonb(new.object_text)
        else new.object_text::pg_catalog.jsonb
      end;
    end if;
    if pg_catalog.cardinality(key_names) = 1 and pg_catalog.jsonb_typeof(key) <> 'object' then
      key := pg_catalog.jsonb_build_object(key_names[1], key);
    end if;
    if pg_catalog.jsonb_typeof(key) <> 'object' then
      raise exception 'it is no JSON object' using errcode = 'invalid_parameter_value';
    end if;
    if
      (select pg_catalog.count(*) from pg_catalog.jsonb_object_keys(key)) <> pg_catalog.cardinality(key_names)
      or not key operator(pg_catalog.?&) key_names
    then
      raise exception 'it does not name the columns of the key' using errcode = 'invalid_parameter_value';
    end if;
    if exists (select from pg_catalog.jsonb_each(key) as v where pg_catalog.jsonb_typeof(v.value) = 'null') then
      raise exception 'a value is missing' using errcode = 'invalid_parameter_value';
    end if;
    -- By itself, so that the complaint of a type is told from that of a policy.
    execute pg_catalog.format('select from pg_catalog.jsonb_to_record($1) as k (%s)', definitions) using key;
  exception when data_exception or integrity_constraint_violation then
    raise exception '% is no key of %: %', coalesce(new.object_id::pg_catalog.text, new.object_text), target, sqlerrm
      using
        errcode = 'invalid_parameter_value',
        hint = pg_catalog.format('Its key is (%s).', definitions);
  end;

  -- Made into JSON as in the log, so that a row is called the same there and here.
  execute pg_catalog.format(
    'select (select pg_catalog.to_jsonb(v.*) from (select %s) as v), %s '
    'from %s as t join pg_catalog.jsonb_to_record($1) as k (%s) on %s limit 1',
    key_of_row, coalesce(repr_of_row, 'null::pg_catalog.text'), target_name, definitions, comparisons
  )
  into new.object_id, new.object_repr
  using key;
  if new.object_id is null then
    raise exception 'there is no row % in %, or role % may not see it', key, target, new.presser
      using errcode = 'no_data_found', hint = 'See that the key is right, and what row security lets the role see.';
  end if;
  -- As in the log: the key stands for a row that has no better name.
  new.object_repr := coalesce(
    new.object_repr,
    (
      select pg_catalog.string_agg(new.object_id ->> k.name, ', ' order by k.position)
      from pg_catalog.unnest(key_names) with ordinality as k (name, position)
    )
  );
  new.object_table := target;
  return new;
end
$$;

-- Purpose: decide whether the button may be pressed, and put the run on record.
-- Returns: the press with the id of its rowhooks.job_result
--          (INSTEAD OF INSERT row-level trigger function of rowhooks.press, the second of two)
-- Reads:   rowhooks.job_button, rowhooks.job_button_table, rowhooks.job, rowhooks.tracked_table, rowhooks.installation
-- Writes:  rowhooks.job_result
-- It touches no user's table and no user's type: what it takes from the row was made into jsonb and text by the first.
create or replace function rowhooks.record_press() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  wanted rowhooks.job_button;
  its_job rowhooks.job;
  table_id integer;
  earlier rowhooks.job_result;
begin
  select b.* into wanted from rowhooks.job_button as b where b.name = new.button;
  if not found then
    raise exception 'there is no button %', new.button
      using errcode = 'undefined_object', hint = 'See: select name, object_type from rowhooks.buttons';
  end if;
  if not rowhooks.may_press(new.presser, wanted.roles, (select i.daemon_role from rowhooks.installation as i)) then
    raise exception 'role % may not press button %', new.presser, wanted.name
      using
        errcode = 'insufficient_privilege',
        hint = 'It is for members of the roles that the button names; one is added by: rowhooks buttons edit ... --role ...';
  end if;

  select t.id into table_id from rowhooks.tracked_table as t where t.relation = new.object_table and t.untracked_at is null;
  if not found then
    raise exception 'button % cannot be pressed: table % is not tracked', wanted.name, new.object_table
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('Let its owner run: select rowhooks.track(%L)', new.object_table::pg_catalog.text);
  end if;
  if not exists (
    select from rowhooks.table_meant as x
    where x.kind = 'button' and x.owner_id = wanted.id and x.id = table_id and x.is_present
  ) then
    raise exception 'button % is not on table %', wanted.name, new.object_table
      using errcode = 'object_not_in_prerequisite_state', hint = 'See: select name, object_type from rowhooks.buttons';
  end if;

  select j.* into strict its_job from rowhooks.job as j where j.id = wanted.job_id;
  if not wanted.enabled then
    raise exception 'button % is disabled', wanted.name
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('Let an administrator run: rowhooks buttons enable %s', rowhooks.shell_operand(wanted.name));
  elsif its_job.kind <> 'button' then
    raise exception 'button % cannot be pressed: its job % is a % receiver', wanted.name, its_job.class_path, its_job.kind
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('Let an administrator run: rowhooks buttons edit --job ... %s', rowhooks.shell_operand(wanted.name));
  elsif not its_job.enabled then
    raise exception 'button % cannot be pressed: its job % is disabled', wanted.name, its_job.class_path
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('Let an administrator run: rowhooks jobs enable %s', rowhooks.shell_operand(its_job.class_path));
  end if;

  loop
    -- Waits for another transaction that presses with this key.
    insert into rowhooks.job_result (
      trigger, status, leader_epoch, job_button_id, button_name, job_id, class_path, tracked_table, object_id, object_repr, action,
      db_user, login, user_name, idempotency_key, key
    )
    values (
      'press', 'PENDING', rowhooks.epoch_of_press(wanted.name, its_job), wanted.id, wanted.name, its_job.id, its_job.class_path, table_id, new.object_id,
      case when its_job.meta -> 'has_sensitive_variables' is distinct from 'true' then pg_catalog.left(new.object_repr, 200) end,
      'press', new.presser, session_user, nullif(pg_catalog.left(pg_catalog.current_setting('rowhooks.user', true), 255), ''),
      new.idempotency_key, pg_catalog.gen_random_uuid()::text
    )
    on conflict (job_button_id, db_user, idempotency_key) where idempotency_key is not null do nothing
    returning id into new.id;
    exit when new.id is not null;
    select r.* into earlier
    from rowhooks.job_result as r
    where r.job_button_id = wanted.id and r.db_user = new.presser and r.idempotency_key = new.idempotency_key;
    -- It may have been deleted since: then it is no earlier press.
    continue when not found;
    if (earlier.tracked_table, earlier.object_id) is distinct from (table_id, new.object_id) then
      raise exception 'idempotency key % has been used for a press of button % on another row', new.idempotency_key, wanted.name
        using errcode = 'unique_violation', hint = 'Give each press a key of its own.';
    end if;
    new.id := earlier.id;
    exit;
  end loop;
  return new;
end
$$;

-- Triggers fire in the order of their names.
create or replace trigger press_1_find_row instead of insert on rowhooks.press
for each row execute function rowhooks.find_pressed_row();

create or replace trigger press_2_record instead of insert on rowhooks.press
for each row execute function rowhooks.record_press();

-- Purpose: press a button on a row, in this transaction: rolled back, it was not pressed.
-- Parameters: button           its name
--             object_table     the table, tracked and among the button's; a partition counts as the table it belongs to
--             object_id        key columns to values; the value alone will do for a key of one column
--             idempotency_key  two presses of a button by one role with one key are one press; 255 characters at most
-- Returns: rowhooks.job_result.id of the run; the earlier one's for a key that was used before
-- Writes:  rowhooks.press
create or replace function rowhooks.press(
  button text, object_table regclass, object_id jsonb, idempotency_key text default null
) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into rowhooks.press (button, object_table, object_id, idempotency_key)
  values (button, object_table, object_id, idempotency_key)
  returning id
$$;

-- Purpose: the same with the key as text: the value of a key of one column, or a JSON object for a longer one.
create or replace function rowhooks.press(
  button text, object_table regclass, object_id text, idempotency_key text default null
) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into rowhooks.press (button, object_table, object_text, idempotency_key)
  values (button, object_table, object_id, idempotency_key)
  returning id
$$;
