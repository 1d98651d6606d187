-- Tokens of the API: each lets its bearer act as a role, within its scopes, until it expires. The token itself is nowhere.
create table rowhooks.token (
  id integer generated always as identity,
  name text not null,
  -- The role by its oid: another role that gets its name later is not meant. In another cluster, no token is valid.
  role name not null,
  role_oid oid not null,
  -- SHA-256 of the token.
  hash bytea not null,
  scopes text[] not null,
  -- The token ends when this role may no longer take up the other one. Its name is that of then.
  created_by name not null,
  created_by_oid oid not null,
  created_at timestamptz not null default pg_catalog.now(),
  expires_at timestamptz not null,
  -- To the minute.
  last_used_at timestamptz,
  revoked_at timestamptz,
  constraint token_pkey primary key (id),
  constraint token_hash_key unique (hash),
  constraint token_has_a_name check (name <> '' and pg_catalog.length(name) <= 100),
  constraint token_hash_is_sha256 check (pg_catalog.octet_length(hash) = 32),
  constraint token_scopes_check
    check (pg_catalog.cardinality(scopes) > 0 and scopes <@ array['read', 'press', 'operate', 'admin'])
);
