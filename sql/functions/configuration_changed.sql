-- Purpose: raise the configuration's version in the transaction that changes a job, a hook or a tracked table, and
--          wake the leader up.
-- Returns: null (statement-level trigger function)
-- Writes:  rowhooks.configuration
create or replace function rowhooks.configuration_changed() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  update rowhooks.configuration set version = version + 1;
  perform rowhooks.ring_bell();
  return null;
end
$$;
