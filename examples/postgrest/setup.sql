-- What PostgREST serves for <rowhooks-buttons>: three functions in its schema, which run with the rights of the role that a
-- request's token names. Run it as the owner of schema api, or as a superuser.
--
--   psql --dbname inventory --file setup.sql

create schema if not exists api;

-- PostgREST's own login, which has no rights, and the role of requests without a token. Give the login a password, and the
-- roles of your people:
--   alter role authenticator password '...';
--   grant ann to authenticator;
create role authenticator noinherit login;
create role anonymous;
grant anonymous to authenticator;

create function api.row_buttons(object_table text, object_text text) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select rowhooks.row_buttons(object_table::pg_catalog.regclass, object_text)
$$;

create function api.press(
  button text, object_table text, object_text text, idempotency_key text default null, inputs jsonb default null
) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
  select rowhooks.press(button, object_table::pg_catalog.regclass, object_text, idempotency_key, inputs)
$$;

create function api.run_state(id bigint) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select rowhooks.run_state(id)
$$;

-- Not to everybody: who has no token sees and presses nothing.
revoke execute on function
api.row_buttons(text, text), api.press(text, text, text, text, jsonb), api.run_state(bigint)
from public;
