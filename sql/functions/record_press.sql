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

-- Purpose: decide whether the button may be pressed, and put the run on record.
-- Returns: the press with the id of its rowhooks.job_result
--          (INSTEAD OF INSERT row-level trigger function of rowhooks.press, the second of two)
-- Reads:   rowhooks.job_button, rowhooks.job, rowhooks.tracked_table
-- Writes:  rowhooks.job_result
-- It reads no user's table and no value of a user's type: the first trigger has made jsonb and text of them.
create or replace function rowhooks.record_press() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  pressed record;
  wanted rowhooks.job_button;
  its_job rowhooks.job;
  earlier rowhooks.job_result;
begin
  select p.* into pressed from rowhooks.pressed_button(new) as p;
  wanted := pressed.button;
  select j.* into strict its_job from rowhooks.job as j where j.id = wanted.job_id;
  perform rowhooks.check_pressed_job(wanted, its_job);

  loop
    -- The insert waits for another transaction that presses with this key.
    insert into rowhooks.job_result (
      trigger, status, leader_epoch, job_button_id, button_name, job_id, class_path, tracked_table, object_id,
      object_repr, action, db_user, login, user_name, idempotency_key, key
    )
    values (
      'press', 'PENDING', rowhooks.epoch_of_press(wanted.name, its_job), wanted.id, wanted.name, its_job.id,
      its_job.class_path, pressed.table_id, new.object_id,
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
    -- It may have been deleted since. Then it is no earlier press.
    continue when not found;
    if (earlier.tracked_table, earlier.object_id) is distinct from (pressed.table_id, new.object_id) then
      raise exception 'idempotency key % has been used for a press of button % on another row', new.idempotency_key, wanted.name
        using errcode = 'unique_violation', hint = 'Give each press a key of its own.';
    end if;
    new.id := earlier.id;
    exit;
  end loop;
  return new;
end
$$;
