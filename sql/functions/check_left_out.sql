-- Purpose: refuse to exclude or ignore a column that does not exist, that identifies the rows, or that a hook needs.
-- Parameters: target       the table
--             target_id    its rowhooks.tracked_table.id
--             target_keys  the columns that tell its rows apart
--             left_out     the columns
--             is_ignored   they do not count: an update of nothing else is not recorded; otherwise they are excluded: their
--                          values are kept out of the log
-- Returns: nothing
-- Reads:   rowhooks.job_hook
create or replace function rowhooks.check_left_out(
  target regclass, target_id integer, target_keys name[], left_out name[], is_ignored boolean
) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  deed constant text := case when is_ignored then 'ignore column %s of %s' else 'keep column %s of %s out of the log' end;
  stray name;
  hook_name text;
begin
  select x.name into stray
  from pg_catalog.unnest(left_out) as x (name)
  where not exists (
    select from pg_catalog.pg_attribute as a
    where a.attrelid = target and a.attname = x.name and a.attnum > 0 and not a.attisdropped
  )
  limit 1;
  if found then
    raise exception 'rowhooks cannot %: there is no such column', pg_catalog.format(deed, stray, target)
      using errcode = 'undefined_column', hint = 'Name columns as they are stored, without quotes.';
  end if;
  select x.name into stray from pg_catalog.unnest(left_out) as x (name) where x.name = any (target_keys) limit 1;
  if found then
    raise exception 'rowhooks cannot %: it tells the rows apart', pg_catalog.format(deed, stray, target)
      using
        errcode = 'invalid_parameter_value',
        hint = 'Name other columns' || case when is_ignored then '.' else ' that do, or record the table without a key.' end;
  end if;
  if is_ignored and left_out <> '{}' and not exists (
    select from pg_catalog.pg_attribute as a
    where a.attrelid = target and a.attnum > 0 and not a.attisdropped and a.attname <> all (left_out)
  ) then
    raise exception 'rowhooks cannot ignore all columns of %: no update of it would be recorded', target
      using errcode = 'invalid_parameter_value', hint = 'Leave out of the list what counts.';
  end if;
  select x.name, h.name into stray, hook_name
  from pg_catalog.unnest(left_out) as x (name)
  cross join lateral rowhooks.column_to_hooks(target_id, x.name) as c
  join rowhooks.job_hook as h on h.id = c.job_hook_id
  where case when is_ignored then c.called = any (h.columns) else rowhooks.asks_for(h.columns, h.conditions, c.called) end
  limit 1;
  if found then
    raise exception 'rowhooks cannot %: hook % %', pg_catalog.format(deed, stray, target), hook_name,
      case when is_ignored then 'waits for it to change' else 'asks for it' end
      using
        errcode = 'object_in_use',
        hint = pg_catalog.format(
          'Give the hook other columns%s first, or remove it.', case when is_ignored then '' else ' or conditions' end
        );
  end if;
end
$$;
