-- Purpose: refuse columns that do not tell a table's rows apart.
-- Parameters: target  the table
--             wanted  column names; '{}' for none, which is never refused
-- Returns: nothing
-- Runs with the caller's rights; it reads the catalogue alone.
create or replace function rowhooks.check_identity(target regclass, wanted text[]) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  stray pg_catalog.text;
begin
  select pg_catalog.string_agg(w.name, ', ' order by w.position)
  into stray
  from pg_catalog.unnest(wanted) with ordinality as w (name, position)
  where not exists (
    select from pg_catalog.pg_attribute as a
    where a.attrelid = target and a.attname = w.name and a.attnum > 0 and not a.attisdropped
  );
  if stray is not null then
    raise exception 'rowhooks cannot track %: it has no column %', target, stray
      using errcode = 'undefined_column', hint = 'Name columns as they are stored, without quotes.';
  end if;
  if pg_catalog.cardinality(wanted) > 0
    and not exists (select from pg_catalog.pg_class as c where c.oid = target and c.relkind = 'f')
    and not exists (
      select
      from pg_catalog.pg_index as i
      where i.indrelid = target and i.indisunique and i.indimmediate and i.indisvalid
        and i.indpred is null and i.indexprs is null
        and not exists (
          select
          from pg_catalog.unnest(i.indkey::smallint[]) with ordinality as k (attnum, position)
          join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
          where k.position <= i.indnkeyatts and not (a.attnotnull and a.attname::text = any (wanted))
        )
    )
  then
    raise exception 'rowhooks cannot track % by %: nothing says that they tell its rows apart',
      target, pg_catalog.array_to_string(wanted, ', ')
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = 'Add a unique index on these columns or some of them, all not null; or use --identity full.';
  end if;
end
$$;

-- Purpose: find the columns that tell a table's rows apart.
-- Parameters: target  the table
--             wanted  null for its primary key; column names; '{}' for none
-- Returns: the columns, in the order of the key
-- Raises:  the table has no primary key, or the columns do not tell its rows apart
-- Runs with the caller's rights; it reads the catalogue alone.
create or replace function rowhooks.identity_of(target regclass, wanted text[]) returns name[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  keys pg_catalog.name[];
begin
  if wanted is null then
    select pg_catalog.array_agg(a.attname order by k.position)
    into keys
    from pg_catalog.pg_index as i
    cross join lateral pg_catalog.unnest(i.indkey::smallint[]) with ordinality as k (attnum, position)
    join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = target and i.indisprimary and k.position <= i.indnkeyatts;
    if keys is null then
      raise exception 'rowhooks cannot track %: it has no primary key', target
        using
          errcode = 'object_not_in_prerequisite_state',
          hint = pg_catalog.format(
            'Add one (alter table %1$s add primary key (...)), name columns that tell its rows apart '
            '(rowhooks track %2$s --identity column,column), or record its changes without a key (--identity full).',
            target, rowhooks.shell_operand(target::pg_catalog.text)
          );
    end if;
    return keys;
  end if;

  perform rowhooks.check_identity(target, wanted);
  return wanted;
end
$$;
