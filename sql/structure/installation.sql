-- What this installation is: one row, written by `rowhooks init`.
create table rowhooks.installation (
  singleton boolean not null default true,
  owner_role name not null,
  -- The daemon's login is a member of it.
  daemon_role name not null,
  -- It owns the capture functions, may append to the log and ring the bell, and nothing else: code of a table's owner that
  -- slips into one of them takes nothing over.
  capture_role name not null,
  -- For logins of the receivers' own (setting receiver_dsn): what a run needs to record its result.
  receiver_role name not null,
  -- Their members see what happened; or also retry, revoke, replay, enable and disable; or also change hooks and buttons.
  viewer_role name not null,
  operator_role name not null,
  admin_role name not null,
  -- For the login of the console: it checks tokens.
  console_role name not null,
  -- `uninstall` drops only the roles that `init` created.
  owner_role_created boolean not null default false,
  daemon_role_created boolean not null default false,
  capture_role_created boolean not null default false,
  receiver_role_created boolean not null default false,
  viewer_role_created boolean not null default false,
  operator_role_created boolean not null default false,
  admin_role_created boolean not null default false,
  console_role_created boolean not null default false,
  -- Ring the bell by NOTIFY; false where tracked tables are written in two-phase commit.
  notify boolean not null default true,
  installed_at timestamptz not null default pg_catalog.now(),
  constraint installation_pkey primary key (singleton),
  constraint installation_is_one_row check (singleton)
);
