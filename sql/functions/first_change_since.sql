-- Purpose: find out where in the log the changes of a time span begin, without reading what lies before: ids are drawn one by
--          one, in the order of the times, as long as nobody sets the server's clock.
-- Parameters: since  the time
-- Returns: an id of rowhooks.object_change that no change from this time on is below; a multiple of 1000, so that nobody
--          learns when one change was made that he may not see. 0 where the log is empty
-- Reads:   rowhooks.object_change
-- It runs with the owner's rights: people who look on may not read the log itself.
create or replace function rowhooks.first_change_since(since timestamptz) returns bigint
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  low pg_catalog.int8 := (select c.id from rowhooks.object_change as c order by c.id limit 1);
  high pg_catalog.int8 := (select c.id + 1 from rowhooks.object_change as c order by c.id desc limit 1);
  middle pg_catalog.int8;
  found_id pg_catalog.int8;
  found_time pg_catalog.timestamptz;
begin
  -- All below `low` are from before; none below `high` is left out. By the primary key: about 30 rows are read.
  while low < high loop
    middle := low + (high - low) / 2;
    select c.id, c.time into found_id, found_time
    from rowhooks.object_change as c
    where c.id >= middle
    order by c.id
    limit 1;
    if found_time < since then
      low := found_id + 1;
    else
      high := middle;
    end if;
  end loop;
  return coalesce(low / 1000 * 1000, 0);
end
$$;
