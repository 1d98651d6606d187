-- Purpose: the one name that a table has in listings, in the log and in Python: schema.table, as stored, and in double quotes
--          what holds a dot or begins with a quote, so that no two tables share it.
-- Parameters: schema_name  the schema
--             table_name   the table
-- Returns: the name
-- Without settings of its own, so that it becomes a part of the query that calls it.
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
