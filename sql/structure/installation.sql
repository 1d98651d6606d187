-- What this installation is: one row, written by `rowhooks init`.
create table rowhooks.installation (
  singleton boolean not null default true,
  -- Part of the idempotency keys that older releases have handed out.
  id uuid not null default pg_catalog.gen_random_uuid(),
  owner_role name not null,
  daemon_role name not null,
  -- `uninstall` drops only the roles that `init` created.
  owner_role_created boolean not null,
  daemon_role_created boolean not null,
  -- Ring the bell by NOTIFY; false where tracked tables are written in two-phase commit.
  notify boolean not null default true,
  installed_at timestamptz not null default pg_catalog.now(),
  -- Owns the capture functions, and may append to the log and ring the bell, and nothing else: code of a table's owner that
  -- slips into one of them takes nothing over.
  capture_role name not null default 'rowhooks_capture',
  capture_role_created boolean not null default false,
  -- For logins of the receivers' own (setting receiver_dsn): what a run needs to put its result on record.
  receiver_role name not null default 'rowhooks_receiver',
  receiver_role_created boolean not null default false,
  constraint installation_pkey primary key (singleton),
  constraint installation_is_one_row check (singleton)
);
