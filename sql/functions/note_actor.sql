-- Purpose: note who does something, and what it may see of the object, with its own rights.
-- Returns: the act with the actor, and with what is noted: for a run, whether the actor may see it; for a replay, the changes
--          that it may see
--          (INSTEAD OF INSERT row-level trigger function of rowhooks.act, the first of two)
-- Reads:   rowhooks.visible_results, rowhooks.visible_changes
create or replace function rowhooks.note_actor() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  new.actor := current_user;
  new.noted := null;
  new.result := null;
  -- Who may not read the views is refused by the second trigger.
  if
    new.act in ('retry', 'revoke')
    and pg_catalog.has_table_privilege('rowhooks.visible_results'::pg_catalog.regclass, 'SELECT')
  then
    new.noted := pg_catalog.to_jsonb(
      exists (select from rowhooks.visible_results as r where r.id = new.object::pg_catalog.int8)
    );
  elsif
    new.act = 'replay' and pg_catalog.has_table_privilege('rowhooks.visible_changes'::pg_catalog.regclass, 'SELECT')
  then
    new.noted := (
      select pg_catalog.jsonb_agg(c.id)
      from rowhooks.visible_changes as c
      where c.id = any (
        array(select x.id::pg_catalog.int8 from pg_catalog.jsonb_array_elements_text(new.arguments -> 'changes') as x (id))
      )
    );
  end if;
  return new;
end
$$;
