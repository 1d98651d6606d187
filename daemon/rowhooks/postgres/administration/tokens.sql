-- Tokens of the API, as far as the connected role may see them.

-- name: list
select t.id, t.name, t.role, t.scopes, t.created_by, t.created_at, t.expires_at, t.last_used_at, t.revoked_at
from rowhooks.tokens as t
where $1 or (t.revoked_at is null and t.expires_at > now())
order by t.id;

-- name: find
select t.id, t.name, t.role, t.scopes, t.created_by, t.created_at, t.expires_at, t.last_used_at, t.revoked_at
from rowhooks.tokens as t
where t.id = $1;

-- name: create
select rowhooks.create_token($1, $2, $3::text[], $4, $5) as id;

-- name: revoke
select rowhooks.revoke_token($1) as done;
