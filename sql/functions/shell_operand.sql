-- Purpose: write a name as an operand of a shell command in a hint, so that the pasted command gives the program this name.
-- Parameters: name  any text
-- Returns: the name, quoted for sh where it has to be, behind -- where it would be taken for an option
create or replace function rowhooks.shell_operand(name text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.concat(
    case when name like '-%' then '-- ' end,
    case
      when name ~ '^[A-Za-z0-9@%+=:,./_-]+$' then name
      else pg_catalog.concat('''', pg_catalog.replace(name, '''', '''"''"'''), '''')
    end
  )
$$;
