-- The configuration, for the daemon.

-- name: load_as_bytes
-- The same as bytes: a name may not be text where the database knows no encoding.
select convert_to(({load})::text, {byte_encoding});
