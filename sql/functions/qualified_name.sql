-- Purpose: write the one name that a table has in listings, in the log and in Python: schema.table, as stored. A part that
--          holds a dot or begins with a quote is in double quotes, so that no two tables share a name.
-- Parameters: schema_name  the schema
--             table_name   the table
-- Returns: the name
-- It has no settings, so that PostgreSQL inlines it into the query that calls it.
create or replace function rowhooks.qualified_name(schema_name name, table_name name) returns text
language sql immutable parallel safe
as $$
  select
    case
      when schema_name operator(pg_catalog.~) '^"|[.]' then pg_catalog.quote_ident(schema_name::pg_catalog.text)
      else schema_name::pg_catalog.text
    end
    operator(pg_catalog.||) '.'::pg_catalog.text
    operator(pg_catalog.||) case
      when table_name operator(pg_catalog.~) '^"|[.]' then pg_catalog.quote_ident(table_name::pg_catalog.text)
      else table_name::pg_catalog.text
    end
$$;
