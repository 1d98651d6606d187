-- The position: how far the feed has been dealt with; and the leader. One row.
create table rowhooks.feed (
  singleton boolean not null default true,
  -- Every change visible in this snapshot has been dealt with.
  snapshot pg_snapshot not null default pg_catalog.pg_current_snapshot(),
  -- The batch in hand is what this snapshot sees and the former does not; null between batches.
  target pg_snapshot,
  -- Of the batch in hand, every change up to this id has been dealt with.
  after_id bigint not null default 0,
  -- Transactions at or above the snapshot's xmax have drawn, and will draw, only higher ids.
  floor_id bigint not null default 0,
  -- The highest id that was dealt with; what lies above it after a restore is new.
  newest_id bigint not null default 0,
  -- Transaction ids mean nothing in another cluster.
  system_identifier bigint not null default (pg_catalog.pg_control_system()).system_identifier,
  -- The fencing token of the present leadership: a new uuid each time a daemon becomes the leader.
  leader_epoch uuid,
  leader text,
  leader_since timestamptz,
  moved_at timestamptz not null default pg_catalog.now(),
  -- The advisory lock that the leader holds. Any login may take any advisory lock: where another session has taken this one,
  -- a daemon leads by another lock, whose key nobody can guess.
  leader_key bigint not null default pg_catalog.hashtextextended('rowhooks.leader', 0),
  -- The newest changes that could not be read and were delivered by their keys alone: id, table and error of each.
  unreadable jsonb not null default '[]',
  -- The login under which the leader loads rows and calls receivers, and whether row security applies to it.
  rows_login name,
  rows_by_policy boolean not null default false,
  -- How many runs may wait for a job that the leader's code does not have: a setting of the leader.
  waiting_limit integer,
  -- The queues that the leader's settings have, that of jobs that name none, and those whose runs the leader executes
  -- itself. The others need workers.
  queues text[],
  default_queue text,
  own_queues text[],
  -- Tells this database from others that come from the same backup, copy or template: part of every run's key. It is new
  -- wherever the log continues in another cluster or another database.
  history uuid not null default pg_catalog.gen_random_uuid(),
  -- The database that this history belongs to.
  database_oid oid not null,
  constraint feed_pkey primary key (singleton),
  constraint feed_is_one_row check (singleton)
);

-- The leader and the standbys, and the receivers that they have. A row counts as long as the server process exists that
-- holds, or waits for, the leader lock.
create table rowhooks.daemon (
  backend_pid integer not null,
  -- HOST:PID, as in pg_stat_activity.
  name text not null,
  receivers text[] not null,
  announced_at timestamptz not null default pg_catalog.now(),
  constraint daemon_pkey primary key (backend_pid)
);

-- Raised by every change of jobs, hooks and buttons. The feed reads it with each batch, in the same snapshot, so that a
-- change is never matched against a configuration that is older than the change.
create table rowhooks.configuration (
  singleton boolean not null default true,
  version bigint not null default 1,
  constraint configuration_pkey primary key (singleton),
  constraint configuration_is_one_row check (singleton)
);

insert into rowhooks.feed (database_oid)
select d.oid from pg_catalog.pg_database as d
where d.datname = pg_catalog.current_database();
insert into rowhooks.configuration default values;
