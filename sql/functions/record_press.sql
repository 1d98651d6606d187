-- Purpose: find the button that is pressed, and refuse a press by a role that may not, or on a table that the button is not
--          on.
-- Parameters: given  what rowhooks.find_pressed_row has made of the press
-- Returns: the button, and the rowhooks.tracked_table.id of the table
-- Reads:   rowhooks.job_button, rowhooks.tracked_table, rowhooks.table_meant, rowhooks.installation
create or replace function rowhooks.pressed_button(
  given rowhooks.press, out button rowhooks.job_button, out table_id integer
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  select b.* into button from rowhooks.job_button as b where b.name = given.button;
  if not found then
    raise exception 'there is no button %', given.button
      using errcode = 'undefined_object', hint = 'See: select name, object_type from rowhooks.buttons';
  end if;
  if not rowhooks.may_press(given.presser, button.roles, (select i.daemon_role from rowhooks.installation as i)) then
    raise exception 'role % may not press button %', given.presser, button.name
      using
        errcode = 'insufficient_privilege',
        hint = 'It is for members of the roles that the button names; one is added by: rowhooks buttons edit ... --role ...';
  end if;

  select t.id into table_id from rowhooks.tracked_table as t where t.relation = given.object_table and t.untracked_at is null;
  if not found then
    raise exception 'button % cannot be pressed: table % is not tracked', button.name, given.object_table
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('Let its owner run: select rowhooks.track(%L)', given.object_table::pg_catalog.text);
  end if;
  if not exists (
    select from rowhooks.table_meant as x
    where x.kind = 'button' and x.owner_id = button.id and x.id = table_id and x.is_present
  ) then
    raise exception 'button % is not on table %', button.name, given.object_table
      using errcode = 'object_not_in_prerequisite_state', hint = 'See: select name, object_type from rowhooks.buttons';
  end if;
end
$$;

-- Purpose: refuse a press of a button that is disabled, or whose job cannot be started by it.
-- Parameters: wanted   the button
--             its_job  its job
-- Returns: nothing
create or replace function rowhooks.check_pressed_job(wanted rowhooks.job_button, its_job rowhooks.job) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
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
end
$$;

-- Purpose: put the press of one row on record.
-- Parameters: given     the press
--             wanted    the button
--             its_job   its job
--             table_id  rowhooks.tracked_table.id
-- Returns: rowhooks.job_result.id
-- Writes:  rowhooks.job_result
create or replace function rowhooks.record_one(
  given rowhooks.press, wanted rowhooks.job_button, its_job rowhooks.job, table_id integer
) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  new_id pg_catalog.int8;
  earlier rowhooks.job_result;
begin
  loop
    -- The insert waits for another transaction that presses with this key.
    insert into rowhooks.job_result (
      trigger, status, leader_epoch, job_button_id, button_name, job_id, class_path, tracked_table, object_id,
      object_repr, action, db_user, login, user_name, idempotency_key, inputs, key
    )
    values (
      'press', 'PENDING', rowhooks.epoch_of_press(wanted.name, its_job, 1), wanted.id, wanted.name, its_job.id,
      its_job.class_path, table_id, given.object_id,
      case when its_job.meta -> 'has_sensitive_variables' is distinct from 'true' then pg_catalog.left(given.object_repr, 200) end,
      'press', given.presser, session_user,
      nullif(pg_catalog.left(pg_catalog.current_setting('rowhooks.user', true), 255), ''),
      given.idempotency_key, given.inputs, pg_catalog.gen_random_uuid()::text
    )
    on conflict (job_button_id, db_user, idempotency_key) where idempotency_key is not null do nothing
    returning id into new_id;
    exit when new_id is not null;
    select r.* into earlier
    from rowhooks.job_result as r
    where r.job_button_id = wanted.id and r.db_user = given.presser and r.idempotency_key = given.idempotency_key;
    -- It may have been deleted since. Then it is no earlier press.
    continue when not found;
    perform rowhooks.check_same_press(
      given, wanted.name, (earlier.tracked_table, earlier.object_id) is not distinct from (table_id, given.object_id), earlier.inputs
    );
    return earlier.id;
  end loop;
  return new_id;
end
$$;

-- Purpose: put the press of several rows on record, and a run for each of them.
-- Parameters: as rowhooks.record_one
-- Returns: rowhooks.press_batch.id
-- Writes:  rowhooks.press_batch, rowhooks.job_result
create or replace function rowhooks.record_many(
  given rowhooks.press, wanted rowhooks.job_button, its_job rowhooks.job, table_id integer
) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  row_count constant pg_catalog.int4 := pg_catalog.jsonb_array_length(given.object_ids);
  batch rowhooks.press_batch;
begin
  loop
    insert into rowhooks.press_batch (
      job_button_id, button_name, class_path, tracked_table, row_count, user_name, db_user, login, idempotency_key
    )
    values (
      wanted.id, wanted.name, its_job.class_path, table_id, row_count,
      nullif(pg_catalog.left(pg_catalog.current_setting('rowhooks.user', true), 255), ''), given.presser, session_user,
      given.idempotency_key
    )
    on conflict (job_button_id, db_user, idempotency_key) where idempotency_key is not null do nothing
    returning * into batch;
    exit when batch.id is not null;
    select b.* into batch
    from rowhooks.press_batch as b
    where b.job_button_id = wanted.id and b.db_user = given.presser and b.idempotency_key = given.idempotency_key;
    continue when not found;
    perform rowhooks.check_same_press(
      given, wanted.name, rowhooks.is_batch_of(batch, table_id, given.object_ids),
      (select r.inputs from rowhooks.job_result as r where r.batch_id = batch.id limit 1)
    );
    return batch.id;
  end loop;
  insert into rowhooks.job_result (
    trigger, status, leader_epoch, job_button_id, button_name, job_id, class_path, tracked_table, object_id, object_repr,
    action, db_user, login, user_name, inputs, batch_id
  )
  select
    'press', 'PENDING', e.epoch, wanted.id, wanted.name, its_job.id, its_job.class_path, table_id, o.object_id,
    case when its_job.meta -> 'has_sensitive_variables' is distinct from 'true' then pg_catalog.left(n.name #>> '{}', 200) end,
    'press', batch.db_user, batch.login, batch.user_name, given.inputs, batch.id
  from (select rowhooks.epoch_of_press(wanted.name, its_job, row_count)) as e (epoch)
  cross join pg_catalog.jsonb_array_elements(given.object_ids) with ordinality as o (object_id, position)
  join pg_catalog.jsonb_array_elements(given.object_reprs) with ordinality as n (name, position) on n.position = o.position
  order by o.position;
  return batch.id;
end
$$;

-- Purpose: say whether a press with an idempotency key that was used before is the earlier press of several rows once more.
-- Parameters: batch       the earlier one
--             table_id    rowhooks.tracked_table.id
--             object_ids  the rows
-- Returns: true or false
-- Reads:   rowhooks.job_result
create or replace function rowhooks.is_batch_of(batch rowhooks.press_batch, table_id integer, object_ids jsonb) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select batch.tracked_table = table_id
    and array(
      select r.object_id from rowhooks.job_result as r where r.batch_id = batch.id and r.original_id is null order by 1
    ) = array(select o.object_id from pg_catalog.jsonb_array_elements(object_ids) as o (object_id) order by 1)
$$;

-- Purpose: refuse a press with an idempotency key that was used for another press.
-- Parameters: given        the press
--             button       the button's name
--             is_same_row  whether the earlier press was on the same row or rows
--             inputs       the earlier press'; JSON's null: they were not kept, and are not compared
-- Returns: nothing
create or replace function rowhooks.check_same_press(given rowhooks.press, button text, is_same_row boolean, inputs jsonb)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  difference constant pg_catalog.text := case
    when not is_same_row then 'on another row'
    when inputs is distinct from given.inputs and inputs is distinct from 'null' then 'with other inputs'
  end;
begin
  if difference is not null then
    raise exception 'idempotency key % has been used for a press of button % %', given.idempotency_key, button, difference
      using errcode = 'unique_violation', hint = 'Give each press a key of its own.';
  end if;
end
$$;

-- Purpose: decide whether the button may be pressed, and put the run or runs on record.
-- Returns: the press with the id of its rowhooks.job_result or rowhooks.press_batch
--          (INSTEAD OF INSERT row-level trigger function of rowhooks.press, the second of two)
-- Reads:   rowhooks.job_button, rowhooks.job, rowhooks.tracked_table
-- Writes:  rowhooks.job_result, rowhooks.press_batch
-- It reads no user's table and no value of a user's type: the first trigger has made jsonb and text of them.
create or replace function rowhooks.record_press() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  pressed record;
  its_job rowhooks.job;
begin
  select p.* into pressed from rowhooks.pressed_button(new) as p;
  select j.* into strict its_job from rowhooks.job as j where j.id = (pressed.button).job_id;
  perform rowhooks.check_pressed_job(pressed.button, its_job);
  new.inputs := rowhooks.checked_inputs(new.inputs, (pressed.button).name, its_job);
  if new.object_ids is null then
    new.id := rowhooks.record_one(new, pressed.button, its_job, pressed.table_id);
  else
    new.id := rowhooks.record_many(new, pressed.button, its_job, pressed.table_id);
  end if;
  return new;
end
$$;
