-- Purpose: turn a value into JSON as the log has it, whatever the settings of the session that presses. Values that the
--          presser writes, above all a key, are read by the settings of its session.
-- Parameters: value  what is found in the row
--             form   see rowhooks.json_form
-- Returns: the value
create or replace function rowhooks.value_as_recorded(value anyelement, form text) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO'
set intervalstyle = 'postgres'
set bytea_output = 'hex'
set extra_float_digits = '1'
set lc_monetary = 'C'
set quote_all_identifiers = 'off'
set array_nulls = 'on'
as $$
  select case $2
    when 'plain' then pg_catalog.to_jsonb($1)
    when 'text' then pg_catalog.to_jsonb(pg_catalog.concat($1))
    else pg_catalog.to_jsonb(pg_catalog.concat($1)::pg_catalog.text[])
  end
$$;

-- Purpose: write the expression that makes one column of a row a value for JSON, under its name.
-- Parameters: row_name     what holds the row
--             column_name  the column
--             form         see rowhooks.json_form
-- Returns: an item of a list of SELECT
create or replace function rowhooks.recorded_item(row_name text, column_name name, form text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.format(
    'case when %1$s.%2$s is not distinct from null then null else rowhooks.value_as_recorded(%1$s.%2$s, %3$L) end as %2$s',
    row_name, rowhooks.always_quoted(column_name), form
  )
$$;
