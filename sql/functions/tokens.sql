-- Purpose: say whether a role may have tokens. Superusers and roles that may act as the owner of schema rowhooks have none: who
--          got hold of such a token would have everything.
-- Parameters: role_oid  the role
-- Returns: true or false; false where there is no such role
-- Reads:   rowhooks.installation
create or replace function rowhooks.may_have_tokens(role_oid oid) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select exists (
    select from pg_catalog.pg_roles as r
    where r.oid = role_oid and not r.rolsuper
      and not exists (
        select from rowhooks.installation as i
        join pg_catalog.pg_roles as o on o.rolname = i.owner_role
        where pg_catalog.pg_has_role(r.oid, o.oid, 'member')
      )
  )
$$;

-- Purpose: say whether a role may take another one by SET ROLE. A superuser may take any.
-- Parameters: actor   the role, by name
--             wanted  the other one
-- Returns: true or false
create or replace function rowhooks.may_take_role(actor name, wanted oid) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.pg_has_role(
    actor, wanted, case when pg_catalog.current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end
  )
$$;

-- Purpose: put a token on record, see rowhooks.create_token.
-- Parameters: given  the act: its object is the token's name
-- Returns: rowhooks.token.id
-- Writes:  rowhooks.token
create or replace function rowhooks.put_token(given rowhooks.act) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  its_role constant pg_catalog.name := coalesce(given.arguments ->> 'role', given.actor::text);
  role_oid constant pg_catalog.oid := (select r.oid from pg_catalog.pg_roles as r where r.rolname = its_role);
  expires_at constant pg_catalog.timestamptz := given.arguments ->> 'expires_at';
  new_id pg_catalog.int4;
begin
  if role_oid is null or not rowhooks.may_take_role(given.actor, role_oid) then
    raise exception 'role % may not create tokens for role %', given.actor, its_role
      using
        errcode = 'insufficient_privilege',
        hint = pg_catalog.format('Create them as that role; or let an administrator run: grant %I to %I', its_role, given.actor);
  elsif not rowhooks.may_have_tokens(role_oid) then
    raise exception 'role % may have no tokens: it is a superuser, or may act as the owner of schema rowhooks', its_role
      using errcode = 'insufficient_privilege', hint = 'Create a token for a role that may do no more than is needed.';
  elsif (expires_at > pg_catalog.now() and expires_at <= pg_catalog.now() + interval '366 days') is not true then
    raise exception 'a token expires within 366 days, not at %', coalesce(given.arguments ->> 'expires_at', 'null')
      using errcode = 'invalid_parameter_value', hint = 'Create another one before then.';
  end if;
  insert into rowhooks.token (name, role, role_oid, hash, scopes, created_by, created_by_oid, expires_at)
  values (
    given.object, its_role, role_oid, pg_catalog.decode(given.arguments ->> 'hash', 'hex'),
    array(select distinct x.scope from pg_catalog.jsonb_array_elements_text(given.arguments -> 'scopes') as x (scope) order by 1),
    given.actor, (select r.oid from pg_catalog.pg_roles as r where r.rolname = given.actor), expires_at
  )
  returning id into new_id;
  return new_id;
end
$$;

-- Purpose: make a token invalid, see rowhooks.revoke_token.
-- Parameters: given  the act: its object is the token's id
-- Returns: nothing
-- Writes:  rowhooks.token
create or replace function rowhooks.end_token(given rowhooks.act) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  update rowhooks.token as t
  set revoked_at = coalesce(t.revoked_at, pg_catalog.now())
  where t.id = given.object::pg_catalog.int4
    and (
      (select r.oid from pg_catalog.pg_roles as r where r.rolname = given.actor) in (t.role_oid, t.created_by_oid)
      or exists (select from rowhooks.installation as i where rowhooks.access_level(given.actor, i) = 'admin')
    );
  if not found then
    raise exception 'there is no token %', given.object using errcode = 'no_data_found', hint = 'see: rowhooks tokens list';
  end if;
end
$$;

-- Purpose: find the role of a token. The console's own login asks, when it is shown one.
-- Parameters: digest  SHA-256 of the token
-- Returns: the role and the scopes; no row where the token is unknown, has expired or was revoked, where its role is gone or
--          may have no tokens any more, and where its creator is gone or may not take the role up any more
-- Writes:  rowhooks.token: when it was last used, unless the transaction is read-only
-- A token is found by an index of digests: the time that it takes tells nothing of other tokens.
create or replace function rowhooks.role_of_token(digest bytea, out role name, out scopes text[]) returns setof record
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  found_token rowhooks.token;
begin
  select t.* into found_token
  from rowhooks.token as t
  where t.hash = digest and t.expires_at > pg_catalog.now() and t.revoked_at is null
    and rowhooks.may_have_tokens(t.role_oid)
    and exists (
      select from pg_catalog.pg_roles as r where r.oid = t.created_by_oid and rowhooks.may_take_role(r.rolname, t.role_oid)
    );
  if not found then
    return;
  end if;
  if
    pg_catalog.current_setting('transaction_read_only') = 'off'
    and (found_token.last_used_at > pg_catalog.now() - interval '1 minute') is not true
  then
    -- Nobody waits for another one that does the same.
    update rowhooks.token as t
    set last_used_at = pg_catalog.now()
    where t.id = (select u.id from rowhooks.token as u where u.id = found_token.id for no key update skip locked);
  end if;
  return query
  select r.rolname, found_token.scopes
  from pg_catalog.pg_roles as r
  where r.oid = found_token.role_oid;
end
$$;

-- Purpose: the tokens of the asking role and those that it has created; for an admin, all. Every role may read the view.
-- Columns: those of rowhooks.token without the hash; role is its present name, null where it is gone
create or replace view rowhooks.tokens with (security_barrier) as
select
  t.id,
  t.name,
  r.rolname as role,
  t.scopes,
  t.created_by,
  t.created_at,
  t.expires_at,
  t.last_used_at,
  t.revoked_at
from rowhooks.token as t
left join pg_catalog.pg_roles as r on t.role_oid = r.oid
-- Without IN: the definition that PostgreSQL prints of it comes out of a restore as another one, see fingerprint.sql.
where t.role_oid = (select a.oid from pg_catalog.pg_roles as a where a.rolname = current_user)
  or t.created_by_oid = (select a.oid from pg_catalog.pg_roles as a where a.rolname = current_user)
  or (select a.level = 'admin' from rowhooks.my_access as a);

-- Purpose: create a token of the API.
-- Parameters: name        what it is for
--             hash        SHA-256 of the token
--             scopes      of read, press, operate and admin: what its bearer may do at most
--             expires_at  when it becomes invalid, within 366 days
--             role        the role as which its bearer acts; null: the caller's. The caller must be allowed to SET it. It is no
--                         superuser and may not act as the owner of schema rowhooks
-- Returns: rowhooks.token.id
-- Writes:  rowhooks.act (anybody)
create or replace function rowhooks.create_token(
  name text, hash bytea, scopes text[], expires_at timestamptz, role name default null
) returns integer
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into rowhooks.act (act, object, arguments)
  values (
    'create_token', name,
    pg_catalog.jsonb_build_object(
      'hash', pg_catalog.encode(hash, 'hex'), 'scopes', scopes, 'expires_at', expires_at, 'role', role
    )
  )
  returning (result #>> '{}')::integer
$$;

-- Purpose: make a token invalid: one of the caller's role, one that it has created, or, for an admin, any.
-- Parameters: token_id  rowhooks.token.id
-- Returns: nothing
-- Writes:  rowhooks.act (anybody)
create or replace function rowhooks.revoke_token(token_id integer) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$ insert into rowhooks.act (act, object) values ('revoke_token', token_id) $$;
