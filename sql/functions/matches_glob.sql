-- Purpose: say whether a table's name matches a glob, as the command line reads it: * any text, ? one character,
--          [abc] and [!abc] one of or none of these.
-- Parameters: name     schema.table, as stored
--             pattern  the glob
-- Returns: true when it is
create or replace function rowhooks.matches_glob(name text, pattern text) returns boolean
language sql immutable
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
  select name ~ pg_catalog.concat(
    '^',
    pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
      pg_catalog.regexp_replace(pattern, '([.+^$(){}|\\])', '\\\1', 'g'), '*', '.*'
    ), '?', '.'), '[!', '[^'),
    '$'
  )
$$;
