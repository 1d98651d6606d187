-- name: ask_for
select rowhooks.replay($1, $2::bigint[]) as runs;

-- name: made_up_for
select rowhooks.forget_missed($1, $2, $3) as forgotten;
