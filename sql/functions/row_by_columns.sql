-- Purpose: say beyond which size, as jsonb, a row is recorded without its largest columns: written out as JSON, an
--          update's two rows must stay below the 1 GB that PostgreSQL can send, and a byte may become six ("\u0001").
-- Returns: bytes
create or replace function rowhooks.largest_row() returns integer
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select 80000000
$$;

-- Purpose: turn a row into JSON column by column, whatever its table has become: what cannot be captured costs its column
--          and not the row. The capture functions call it where the fast way is not possible, with their rights.
-- Parameters: target_id  rowhooks.tracked_table.id
--             carrier    the table that the row is of
--             row_data   the row
-- Returns: data     the columns that could be captured; null where none could
--          problem  why others could not, each with its name; null where all could
create or replace function rowhooks.row_by_columns(
  target_id integer, carrier oid, row_data record, out data jsonb, out problem text
)
language plpgsql
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
declare
  part record;
  one jsonb;
begin
  data := '{}';
  for part in select c.* from rowhooks.captured_columns(target_id, carrier) as c loop
    begin
      if part.form = 'refused' then
        raise exception 'it is computed by operators that are not PostgreSQL''s own' using errcode = 'feature_not_supported';
      end if;
      execute pg_catalog.format(
        'select pg_catalog.to_jsonb(v.*) from (select %s) as v',
        rowhooks.captured_as_json('($1)', '$2', part.name, part.form, part.computed)
      )
      into one
      using row_data, carrier;
      if pg_catalog.pg_column_size(data) + pg_catalog.pg_column_size(one) > rowhooks.largest_row() then
        raise exception 'too large to be recorded (% bytes)', pg_catalog.pg_column_size(one)
          using errcode = 'program_limit_exceeded';
      end if;
      data := data || one;
    exception when others then
      problem := pg_catalog.left(pg_catalog.concat_ws('; ', problem, pg_catalog.format('%s: %s', part.name, sqlerrm)), 1000);
    end;
  end loop;
  if problem is not null and data = '{}' then
    data := null;
  end if;
exception when others then
  data := null;
  problem := pg_catalog.left(sqlerrm, 1000);
end
$$;

-- Purpose: turn a row into JSON as the log has it, whatever the settings of the session that writes.
-- Parameters: row_data  the row, of types that are all trusted
-- Returns: the row
create or replace function rowhooks.json_as_recorded(row_data record) returns jsonb
language plpgsql stable
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
begin
  return pg_catalog.to_jsonb(row_data);
end
$$;
