-- The table of contents of schema rowhooks, which `rowhooks init` reads: the structure comes from the migrations (a test
-- holds the two equal), the functions and privileges from here.

-- Structure: changed only by a migration in alembic/versions, which must end in what stands here.
\ir structure/installation.sql
\ir structure/tracked_table.sql
\ir structure/object_change.sql
\ir structure/job.sql
\ir structure/job_hook.sql
\ir structure/job_result.sql
\ir structure/feed.sql

-- Functions and views: replaced as a whole by every `init` and `upgrade`.
\ir functions/is_receiver.sql
\ir functions/ring_bell.sql
\ir functions/configuration_changed.sql
\ir functions/hook_enabled_since.sql
\ir functions/build_capture.sql
\ir functions/register_table.sql
\ir functions/track.sql
\ir functions/untrack.sql
\ir functions/extend_object_change.sql
\ir functions/resume_after_restore.sql
\ir functions/views.sql
\ir functions/triggers.sql

-- Privileges: set anew by every `init` and `upgrade`.
\ir functions/privileges.sql
