-- Purpose: list the columns of a table, by name.
-- Parameters: target  the table
--             former  names and numbers that were known before: those of columns that were renamed since stay
-- Returns: names to numbers
create or replace function rowhooks.column_numbers(target oid, former jsonb) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select former || coalesce(pg_catalog.jsonb_object_agg(a.attname, a.attnum), '{}')
  from pg_catalog.pg_attribute as a
  where a.attrelid = target and a.attnum > 0 and not a.attisdropped
$$;

-- Purpose: list the names under which the hooks of a tracked table know one of its columns: its name, and the name that it had
--          when the hook was put on the table.
-- Parameters: target_id    rowhooks.tracked_table.id
--             column_name  the column
-- Returns: the hooks that are on the table, and a name for each; two where it has been renamed
-- Reads:   rowhooks.job_hook_table, rowhooks.tracked_table
create or replace function rowhooks.column_to_hooks(target_id integer, column_name name)
returns table (job_hook_id integer, called name)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select x.job_hook_id, n.called
  from rowhooks.tracked_table as t
  join rowhooks.table_meant as m on m.kind = 'hook' and m.id = t.id and m.is_present
  join rowhooks.job_hook_table as x on x.job_hook_id = m.owner_id and x.tracked_table_id = m.named_id
  join rowhooks.tracked_table as k on k.id = m.named_id
  cross join lateral (
    select column_name
    union
    select o.name::pg_catalog.name
    from pg_catalog.jsonb_each_text(x.numbers) as o (name, number)
    join pg_catalog.pg_attribute as a on a.attrelid = t.relation and a.attname = column_name and a.attnum = o.number::smallint
    where k.relation = t.relation
  ) as n (called)
  where t.id = target_id
$$;

-- Purpose: record the names of a hook's or button's table and of its columns.
-- Returns: the new row (BEFORE row-level trigger function of rowhooks.job_hook_table and rowhooks.job_button_table)
-- Reads:   rowhooks.tracked_table
create or replace function rowhooks.name_table() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  entry rowhooks.tracked_table;
begin
  select t.* into entry from rowhooks.tracked_table as t where t.id = new.tracked_table_id;
  if not found then
    -- The foreign key says so.
    return new;
  end if;
  if tg_op = 'INSERT' or new.schema_name is null then
    select coalesce(n.nspname, entry.schema_name), coalesce(c.relname, entry.table_name)
    into new.schema_name, new.table_name
    from (select) as one
    left join pg_catalog.pg_class as c on c.oid = entry.relation
    left join pg_catalog.pg_namespace as n on n.oid = c.relnamespace;
  end if;
  new.numbers := rowhooks.column_numbers(
    entry.relation,
    case
      when tg_op = 'UPDATE' and exists (
        select from rowhooks.tracked_table as t where t.id = old.tracked_table_id and t.relation = entry.relation
      ) then old.numbers
      else '{}'
    end
  );
  return new;
end
$$;

-- Purpose: the same when a hook gets other columns or conditions, or a button another text.
-- Returns: null (AFTER row-level trigger function of rowhooks.job_hook and rowhooks.job_button)
-- Writes:  rowhooks.job_hook_table or rowhooks.job_button_table
create or replace function rowhooks.name_columns() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_table_name = 'job_hook' then
    update rowhooks.job_hook_table as x set tracked_table_id = x.tracked_table_id where x.job_hook_id = new.id;
  else
    update rowhooks.job_button_table as x set tracked_table_id = x.tracked_table_id where x.job_button_id = new.id;
  end if;
  return null;
end
$$;
