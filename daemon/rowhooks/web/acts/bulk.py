"""Acts on many runs that go on after their request: done some at a time, as the person, with their progress."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from rowhooks.domain.errors import Conflict, NotFound, RowhooksError
from rowhooks.postgres.console.bulk import do_some
from rowhooks.web.people.person import Person

logger = logging.getLogger(__name__)

AT_ONCE = 50
"""How many runs are dealt with in one transaction."""
MOST_KEPT = 100
"""How many acts are remembered."""
MOST_REASONS = 20
"""How many reasons of refusals are told apart."""
_NUMBERS = re.compile(r"\b(run|change|result) \d+")


@dataclass(eq=False)
class BulkAct:
    """An act on many runs.

    Args:
        act: retry or revoke.
        role: who does it.
        query: the query of the listing whose runs these are.
        total: how many runs.
        done: to how many it was done.
        refused: how many were refused, by the reason.
        state: running, finished, or interrupted.
        problem: why it was interrupted.
    """

    act: str
    role: str
    query: str
    total: int
    done: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    state: str = "running"
    problem: str = ""

    @property
    def dealt_with(self) -> int:
        """How many runs it has come to."""
        return self.done + self.refused.total()

    def interrupt(self, problem: str) -> None:
        """Note that it does not go on, and why."""
        self.state, self.problem = "interrupted", problem


class BulkActs:
    """The acts of a console, by the tokens of the forms that asked for them: a form that is sent twice asks once."""

    def __init__(self) -> None:
        # The oldest first.
        self._acts: dict[str, BulkAct] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def find(self, token: str, role: str) -> BulkAct | None:
        """Return the act that a form has asked for; None where there is none of this role."""
        act = self._acts.get(token)
        return act if act is not None and act.role == role else None

    def get(self, token: str, role: str) -> BulkAct:
        """Return the act that a form has asked for.

        Raises:
            NotFound: there is none of this role, or the console was restarted since.
        """
        act = self.find(token, role)
        if act is None:
            raise NotFound("this act is not known, or not any more", hint="see what became of it in the list of runs")
        return act

    def begin(self, token: str, person: Person, act: BulkAct, ids: Sequence[int], stopping: asyncio.Event) -> None:
        """Begin an act, which goes on by itself.

        Args:
            token: of the form that asked for it.
            person: who does it.
            act: the act.
            ids: the runs.
            stopping: set when the console is about to stop.

        Raises:
            Conflict: another act of this person goes on.
        """
        if any(one.role == act.role and one.state == "running" for one in self._acts.values()):
            raise Conflict("another act of yours on many runs goes on", hint="wait until it is finished")
        self._acts[token] = act
        for old in [old for old, one in self._acts.items() if one.state != "running"][
            : max(len(self._acts) - MOST_KEPT, 0)
        ]:
            del self._acts[old]
        task = asyncio.create_task(_go_on(person, act, ids, stopping))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _go_on(person: Person, act: BulkAct, ids: Sequence[int], stopping: asyncio.Event) -> None:
    try:
        for start in range(0, len(ids), AT_ONCE):
            if stopping.is_set():
                act.interrupt(_STOPPED)
                return
            some = ids[start : start + AT_ONCE]
            refused = await person.act(do_some, act.act, some)
            act.done += len(some) - len(refused)
            act.refused.update(_reasons(act, refused))
    except RowhooksError as error:
        act.interrupt(error.message)
    except asyncio.CancelledError:
        act.interrupt(_STOPPED)
        raise
    except Exception:
        logger.exception("an act on many runs was interrupted")
        act.interrupt("something went wrong in the console; its log says what")
    else:
        act.state = "finished"


_STOPPED = "the console was stopped"


def _reasons(act: BulkAct, refused: Sequence[tuple[int, str]]) -> list[str]:
    """Return the reasons of refusals without the numbers of the runs, so that equal ones are counted together."""
    reasons: list[str] = []
    for run_id, message in refused:
        logger.info("%s of run %d was refused: %s", act.act, run_id, message)
        reason = _NUMBERS.sub(r"\1", message)
        known = reason in act.refused or reason in reasons or len(act.refused) + len(set(reasons)) < MOST_REASONS
        reasons.append(reason if known else "other reasons, which the console's log has")
    return reasons
