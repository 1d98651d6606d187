-- The login of the daemon and of the workers, and what receivers may do.
create role rowhooks login in role rowhooks_daemon;
grant usage on schema shop to rowhooks_daemon;
grant select on shop.prices to rowhooks_daemon;
grant select, update on shop.orders to rowhooks_daemon;
grant insert on shop.reports to rowhooks_daemon;
