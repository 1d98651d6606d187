"""The statements about the leader's lock and those who hold it, for any driver."""

from __future__ import annotations

from rowhooks.postgres.statements import Statements

SQL = Statements(__file__)
LEADER_LOCK = SQL["is_leader_lock"]
"""Whether a row `l` of pg_locks is the leader's lock in the hands of a daemon."""
HOLDERS_OF_THE_LEADER_LOCK = SQL["holders_of_the_leader_lock"]
"""The query of those who hold the leader's lock."""
