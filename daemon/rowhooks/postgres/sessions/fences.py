"""Fences: what keeps a run from being recorded by a process that does not have it any more."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import sqlalchemy

from rowhooks.domain.errors import LeadershipLost
from rowhooks.pipeline.ports import AlreadyRecorded
from rowhooks.postgres.results import ANOTHER_LEADS, FENCE_ONE, LEADS

FENCE_DISPATCH = "select true from rowhooks.dispatch where id operator(pg_catalog.=) %s::pg_catalog.uuid for share"


@dataclass(frozen=True)
class Fence:
    """Under what a run is recorded.

    Args:
        leader_epoch: the leadership.
        dispatch: where a worker executes it, the group in which it has the run (rowhooks.dispatch.id).
    """

    leader_epoch: uuid.UUID
    dispatch: uuid.UUID | None = None

    def check(self, connection: sqlalchemy.Connection) -> None:
        """Hold it until the transaction ends: whoever takes the run away waits for that.

        Raises:
            LeadershipLost: another daemon leads.
            AlreadyRecorded: the run was taken from this worker.
        """
        if self.dispatch is not None:
            if connection.exec_driver_sql(FENCE_DISPATCH, (self.dispatch,)).first() is None:
                raise AlreadyRecorded
        elif connection.exec_driver_sql(FENCE_ONE, (self.leader_epoch,)).first() is None:
            raise LeadershipLost(ANOTHER_LEADS)

    def holds(self, connection: sqlalchemy.Connection) -> bool:
        """Say whether the run, which could not be recorded, is still this process' own."""
        return connection.exec_driver_sql(LEADS, (self.leader_epoch,)).first() is not None

    def refusal(self, *, is_ours: bool) -> Exception:
        """Return what a run ends by that could not be recorded; `holds` says whether it is still this process' own."""
        # What a worker does not have any more concerns no other run of it.
        return AlreadyRecorded() if is_ours or self.dispatch is not None else LeadershipLost(ANOTHER_LEADS)
