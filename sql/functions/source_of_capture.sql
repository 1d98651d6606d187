-- Purpose: write the body of one tracked table's capture function: static SQL, so that its plans are cached and the
--          catalogue is not read for each row.
-- Parameters: target_id  rowhooks.tracked_table.id
-- Returns: the function's source
-- Reads:   rowhooks.tracked_table
--
-- The capture function is SECURITY DEFINER, so that the writing role needs no privilege. Its owner may append to the log
-- and nothing else. It does not pin search_path, which would cost about a tenth of it. Instead, every name, type and
-- operator in it is qualified, and constructs that look an operator up by its bare name (=, in, nullif, case x when,
-- is distinct from) do not appear in it. It pins search_path where it computes columns: see rowhooks.settings_of_capture.
-- It never raises: a value that cannot be captured is left out, and the reason is recorded. It does nothing for a table
-- other than its own.
create or replace function rowhooks.source_of_capture(target_id integer) returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.concat(
    rowhooks.source_of_beginning(t.*), rowhooks.source_of_counting(t.*), rowhooks.source_of_rows(t.*),
    rowhooks.source_of_record(t.*)
  )
  from rowhooks.tracked_table as t
  where t.id = target_id
$$;
