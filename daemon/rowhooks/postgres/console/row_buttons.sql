-- name: buttons
-- The buttons of a table.
select b.* from rowhooks.buttons as b where b.relation = $1::oid;
