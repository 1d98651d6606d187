-- Who did what: one line for each act of a person, written in the act's own transaction.
create table rowhooks.audit (
  id bigint generated always as identity,
  time timestamptz not null default pg_catalog.clock_timestamp(),
  -- The role that did it, and the login, which it may have come from by SET ROLE.
  actor name not null,
  login name not null,
  act text not null,
  -- The run, job, hook, button or token.
  object text,
  -- What else was given. Secrets and the inputs of presses are never there.
  arguments jsonb,
  constraint audit_pkey primary key (id)
);
