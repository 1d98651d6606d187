-- Purpose: list the columns of what holds a row of a tracked table.
-- Parameters: tracked   the table's entry
--             row_name  what holds the row
-- Returns: a list of expressions
create or replace function rowhooks.columns_of_row(tracked rowhooks.tracked_table, row_name text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.string_agg(pg_catalog.concat(row_name, '.', rowhooks.always_quoted(a.attname)), ', ' order by a.attnum)
  from pg_catalog.pg_attribute as a
  where a.attrelid = tracked.relation and a.attnum > 0 and not a.attisdropped
$$;

-- Purpose: write the part of a query that reads a statement's rows which its trigger captures, by position: PostgreSQL adds
--          a row before an update and the row after it to their transition tables together. Changed keys are left to a row
--          trigger: another part of the statement may have used a key before, or may use it afterwards.
-- Parameters: tracked  the table's entry
--             action   INSERT or UPDATE
-- Returns: FROM and WHERE, of !new.!place, of the rows !new and, for an update, !old
-- A join other than FULL JOIN may be planned as a nested loop for a statement of one row, and kept for one of a million.
create or replace function rowhooks.rows_of_statement(tracked rowhooks.tracked_table, action text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case action
    when 'INSERT' then pg_catalog.format(
      'from (%s) as "!after" cross join lateral (select %s) as "!new" where true',
      r.after, rowhooks.columns_of_row(tracked, '"!after"')
    )
    else pg_catalog.format(
      'from (%s) as "!before" full join (%s) as "!after" on "!before"."!place" operator(pg_catalog.=) "!after"."!place" '
      'cross join lateral (select %s) as "!old" cross join lateral (select %s) as "!new" '
      'where "!old" operator(pg_catalog.*<>) "!new" and not %s',
      r.before, r.after, rowhooks.columns_of_row(tracked, '"!before"'), rowhooks.columns_of_row(tracked, '"!after"'),
      rowhooks.is_key_changed(tracked, '"!old"', '"!new"')
    )
  end
  from (
    select
      pg_catalog.format(
        'select pg_catalog.row_number() over () as "!place", %s from "!old rows" as "!row"', c.listed
      ) as before,
      pg_catalog.format(
        'select pg_catalog.row_number() over () as "!place", %s from "!new rows" as "!row"', c.listed
      ) as after
    from rowhooks.columns_of_row(tracked, '"!row"') as c (listed)
  ) as r
$$;

-- Purpose: the same for a statement of one row, and for inserts, which need no pairing.
-- Returns: FROM and WHERE, of the rows !new and, for an update, !old
create or replace function rowhooks.only_row_of_statement(tracked rowhooks.tracked_table, action text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case action
    when 'INSERT' then pg_catalog.format('from (select %s from "!new rows" as "!row") as "!new"', c.listed)
    else pg_catalog.format(
      'from (select %1$s from "!old rows" as "!row") as "!old" cross join (select %1$s from "!new rows" as "!row") as "!new" '
      'where "!old" operator(pg_catalog.*<>) "!new" and not %2$s',
      c.listed, rowhooks.is_key_changed(tracked, '"!old"', '"!new"')
    )
  end
  from rowhooks.columns_of_row(tracked, '"!row"') as c (listed)
$$;

-- Purpose: write the condition that an update has changed a column that counts.
-- Parameters: tracked   the table's entry
--             action    INSERT or UPDATE
--             old_name  what holds the row before
--             new_name  what holds the row after
-- Returns: an expression; true where no column is ignored or excluded
create or replace function rowhooks.is_counted(
  tracked rowhooks.tracked_table, action text, old_name text, new_name text
) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when action = 'INSERT' or c.former is null then 'true'
    else pg_catalog.format('not pg_catalog.record_image_eq(%s, %s)', c.former, c.present)
  end
  from (select) as one
  left join rowhooks.counted_columns(tracked, old_name, new_name) as c on true
$$;
