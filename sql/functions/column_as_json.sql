-- Purpose: write the expression that makes one column of a row a value for JSON, under its name.
-- Parameters: row_name     what holds the row
--             column_name  the column
--             form         see rowhooks.json_form
-- Returns: an item of a list of SELECT
create or replace function rowhooks.column_as_json(row_name text, column_name name, form text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.format(
    case form
      when 'plain' then '%1$s.%2$s as %2$s'
      -- concat() uses the type's output function, never a cast; and IS NOT DISTINCT FROM NULL no operator.
      when 'text' then 'case when %1$s.%2$s is not distinct from null then null else pg_catalog.concat(%1$s.%2$s) end as %2$s'
      else
        'case when %1$s.%2$s is not distinct from null then null '
        'else pg_catalog.concat(%1$s.%2$s)::pg_catalog.text[] end as %2$s'
    end,
    row_name, rowhooks.always_quoted(column_name)
  )
$$;

-- Purpose: the same for a column as rowhooks.captured_columns describes it.
-- Parameters: row_name     what holds the row
--             row_table    what holds the oid of its table
--             column_name  the column
--             form         see rowhooks.json_form
--             computed     see rowhooks.computed_column; null: it is stored
-- Returns: an item of a list of SELECT
create or replace function rowhooks.captured_as_json(
  row_name text, row_table text, column_name name, form text, computed text
) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select case
    -- The type of such a column is always a built-in one.
    when computed is not null
      then pg_catalog.concat(pg_catalog.format(computed, row_name, row_table), ' as ', rowhooks.always_quoted(column_name))
    else rowhooks.column_as_json(row_name, column_name, form)
  end
$$;
