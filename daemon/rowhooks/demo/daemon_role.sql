-- The daemon's login: a member of the daemon's role. Beside that it may do only what the three receivers need.
create role inventory_hooks login in role rowhooks_daemon;
grant usage on schema dcim to inventory_hooks;
-- Every receiver gets the changed row. SerialPolicy puts serials back, DeviceCount counts, AuditLine writes lines.
grant select on dcim.site, dcim.device to inventory_hooks;
grant update (serial) on dcim.device to inventory_hooks;
grant update (device_count) on dcim.site to inventory_hooks;
grant insert on dcim.audit_line to inventory_hooks;
