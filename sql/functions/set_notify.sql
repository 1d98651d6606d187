-- Purpose: choose whether the bell is a NOTIFY. PostgreSQL refuses to prepare a transaction for two-phase commit that has
--          executed NOTIFY; without it tracked tables can be written in such transactions, and the daemon polls instead.
-- Parameters: wanted  true for NOTIFY
-- Returns: nothing
-- Writes:  rowhooks.installation, and rowhooks.ring_bell itself: asking at each row would cost each row
-- Runs with the caller's rights: he must own schema rowhooks.
create or replace function rowhooks.set_notify(wanted boolean) returns void
language plpgsql
set search_path = ''
as $$
begin
  execute pg_catalog.format(
    'create or replace function rowhooks.ring_bell() returns void '
    'language sql security definer set search_path = '''' as %L',
    case when wanted then 'select pg_catalog.pg_notify(''rowhooks'', '''')' else 'select' end
  );
  update rowhooks.installation set notify = wanted where notify <> wanted;
  if found then
    update rowhooks.configuration set version = version + 1;
    -- In either case, so that a daemon that waits for the bell hears of it.
    perform pg_catalog.pg_notify('rowhooks', '');
  end if;
end
$$;
