-- name: list
select a.id, a.time, a.actor, a.login, a.act, a.object, a.arguments
from rowhooks.audit as a
where ($1::text is null or $1 in (a.actor::text, a.login::text))
  and ($2::text is null or a.act = $2)
  and ($3::text is null or a.object = $3)
  and ($4::timestamptz is null or a.time >= $4)
  and ($5::bigint is null or a.id < $5)
order by a.id desc
limit $6;
