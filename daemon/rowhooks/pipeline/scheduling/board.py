"""The board on which the leader hands groups of runs out, and what is read from the record of what became of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from rowhooks.domain.dispatch import Group, LiveWorker, Progress
from rowhooks.domain.run import FAILURE, RETRY, REVOKED, SUCCESS, Outcome, Run
from rowhooks.pipeline.ports import StateOnRecord


class Board(Protocol):
    """Where groups are handed out, see `rowhooks.postgres.dispatch.leading.DispatchBoard`."""

    hears: bool

    async def open(self, rung: Callable[[], None]) -> None:
        """Connect, and call `rung` from now on when a worker has done something."""
        ...

    async def hand_out(self, groups: Sequence[Group]) -> None:
        """Hand groups out; raise LeadershipLost where another daemon leads."""
        ...

    async def workers(self) -> list[LiveWorker]:
        """Return the workers that take groups."""
        ...

    async def progress(self, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Progress]:
        """Return how far these groups have come; those that are gone are missing."""
        ...

    async def take_back(self, ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
        """Take groups back: afterwards nothing of their runs is recorded under them; return those that are locked."""
        ...

    async def take_back_unclaimed(self, ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
        """Take those groups back that no worker has taken; return them."""
        ...

    async def on_record(self, runs: Collection[Run]) -> dict[int, StateOnRecord]:
        """Return what stands on record of these runs by their ids; what another run has done is REVOKED."""
        ...


class Doorbell(Protocol):
    """What tells workers of groups beside the database, see `rowhooks.runtime.doorbell`. Nothing depends on it."""

    def ring(self, groups: Sequence[Group]) -> None:
        """Tell workers of groups that were handed out. It neither waits nor raises."""
        ...


def outcome_of(run: Run, states: Mapping[int, StateOnRecord]) -> Outcome | None:
    """Return the outcome of a run or a batch as it stands on record; None where it has none yet."""
    found = [states.get(single.id) for single in run.singles]
    known = [state for state in found if state is not None]
    retry = next((state for state in known if _is_retry(state, run)), None)
    if retry is not None:
        return Outcome(
            run, RETRY, retry.started_at, retry_at=retry.retry_at, recorded=True,
            exception_type=retry.exception_type, exception_message=retry.exception_message, traceback=retry.traceback,
        )  # fmt: skip
    if len(known) < len(found) or any(state.status not in (SUCCESS, FAILURE, REVOKED) for state in known):
        return None
    gone = frozenset(single.id for single, state in zip(run.singles, known, strict=True) if state.status == REVOKED)
    first = next((state for state in known if state.status != REVOKED), known[0])
    return Outcome(
        run, first.status, first.started_at, first.finished_at, first.result_json, first.exception_type,
        first.exception_message, first.traceback, recorded=True, revoked=gone if run.batch else frozenset(),
    )  # fmt: skip


def _is_retry(state: StateOnRecord, run: Run) -> bool:
    """Say whether what stands on record was written by this attempt: that of the attempt before may stand there."""
    return state.status == RETRY and state.attempt >= run.attempt
