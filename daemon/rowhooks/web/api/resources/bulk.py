"""Acts on all runs that match: which runs they would be for, the act, and its progress."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from rowhooks.domain.errors import Conflict, UsageError
from rowhooks.postgres.console.bulk import RETRY, REVOKE, choose
from rowhooks.postgres.console.places import Place
from rowhooks.postgres.console.runs import RunFilter
from rowhooks.web.acts.bulk import BulkAct, BulkActs
from rowhooks.web.api.authentication import Level
from rowhooks.web.api.models.base import Nothing
from rowhooks.web.api.models.bulk import Act, ActNumbered, RunsChosen, RunsMeant
from rowhooks.web.api.models.presses import Waiting
from rowhooks.web.api.operations import Answer, Call, Keyed, Operation, Operations
from rowhooks.web.api.waiting import wait_until

Asked = Call[Nothing, RunsChosen, None]
_WORDS = {RETRY: "run again", REVOKE: "given up"}


def ask(act: str) -> Callable[[Asked], Awaitable[Answer]]:
    """Return what tells which runs an act would be for."""

    async def answer(call: Asked) -> Answer:
        chosen = await call.caller.person.read(choose, act, _filter(call), until=_newest(call))
        return Answer(RunsMeant.of(chosen))

    return answer


def begin(act: str) -> Callable[[Asked], Awaitable[Answer]]:
    """Return what begins an act on all runs that match."""

    async def answer(call: Asked) -> Answer:
        person, wanted = call.caller.person, _filter(call)
        chosen = await person.read(choose, act, wanted, until=_newest(call), sample=0)
        if not chosen.ids:
            raise Conflict("no run matches for which the act is", hint="see which runs match, by GET")
        console, id_ = call.request.app.state.console, secrets.token_urlsafe(24)
        begun = BulkAct(act, person.role, call.request.url.query, len(chosen.ids))
        console.bulk_acts.begin(id_, person, begun, chosen.ids, console.stopping)
        return Answer(Act.of(id_, begun), headers={"Location": call.path_to("/acts/{act}", act=id_)})

    return answer


async def show_act(call: Call[ActNumbered, Waiting, None]) -> Answer:
    """Show how far an act is."""
    acts: BulkActs = call.request.app.state.console.bulk_acts

    async def look() -> BulkAct:
        return acts.get(call.path.act, call.caller.person.role)

    found = await wait_until(look, lambda act: act.state != "running", call.query.wait)
    return Answer(Act.of(call.path.act, found))


def _filter(call: Asked) -> RunFilter:
    wanted = call.query.filter()
    if wanted == RunFilter():
        raise UsageError("the act would be for all runs", hint="give at least one filter, for example since")
    return wanted


def _newest(call: Asked) -> Place | None:
    return None if call.query.newest is None else Place.parse(call.query.newest)


def _operations(act: str) -> list[Operation[Any, Any, Any]]:
    path, words = f"/runs/{act}", _WORDS[act]
    return [
        Operation(
            f"ask_{act}_runs", "GET", path, ask(act), f"Say which of the runs that match would be {words}.",
            Level.READ, query=RunsChosen, answer=RunsMeant,
        ),
        Operation(
            f"{act}_runs", "POST", path, begin(act), f"Let all runs that match be {words}, 10,000 at most.",
            Level.OPERATE, query=RunsChosen, answer=Act, status=202, errors=(409,), keyed=Keyed.MEMORY,
            headers={"Location": "Where to see how far it is."},
        ),
    ]  # fmt: skip


OPERATIONS: Operations = (
    *_operations(RETRY),
    *_operations(REVOKE),
    Operation(
        "show_act", "GET", "/acts/{act}", show_act, "Show how far an act on many runs is.", Level.READ,
        path_model=ActNumbered, query=Waiting, answer=Act, errors=(404,),
    ),
)  # fmt: skip
