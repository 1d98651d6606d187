"""Trials: what a hook, also one that is not saved, would do with past changes. Nothing is run."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool

from rowhooks.domain import exact
from rowhooks.pipeline.conditions import parse_json
from rowhooks.postgres.console.hooks import HookWanted, past_of_hook
from rowhooks.postgres.console.trials import past_changes
from rowhooks.web.acts.trials import hook_of, try_hook
from rowhooks.web.api.authentication import Level
from rowhooks.web.api.models.base import Nothing
from rowhooks.web.api.models.hooks import HookNamed
from rowhooks.web.api.models.trials import HookTried, TrialTold
from rowhooks.web.api.operations import Answer, Call, Operation, Operations


async def try_new_hook(call: Call[Nothing, Nothing, HookTried]) -> Answer:
    """Try a hook that is not saved."""
    given = call.body
    conditions = None if given.conditions is None else exact.write(given.conditions)
    if conditions is not None:
        parse_json(conditions)
    wanted = HookWanted(
        name="", job="", tables=tuple(given.tables), actions=tuple(given.actions), columns=tuple(given.columns),
        ignored_columns=tuple(given.ignored_columns), conditions=given.conditions, on_undecided=given.on_undecided,
    )  # fmt: skip
    past = await call.caller.person.read(past_changes, wanted.tables)
    trial = await run_in_threadpool(try_hook, hook_of(wanted, past, conditions), past)
    return Answer(TrialTold.of(trial))


async def try_known_hook(call: Call[HookNamed, Nothing, None]) -> Answer:
    """Try a hook as it is."""
    hook, past = await call.caller.person.read(past_of_hook, call.path.name)
    return Answer(TrialTold.of(await run_in_threadpool(try_hook, hook, past)))


OPERATIONS: Operations = (
    Operation(
        "try_new_hook", "POST", "/trials", try_new_hook,
        "Say what a hook would do with past changes before it is saved. Nothing is run.", Level.READ, body=HookTried,
        answer=TrialTold, errors=(404,),
    ),
    Operation(
        "try_hook", "GET", "/hooks/{name}/trial", try_known_hook,
        "Say what a hook would do with past changes, also if it is disabled. Nothing is run.", Level.READ,
        path_model=HookNamed, answer=TrialTold, errors=(404,),
    ),
)  # fmt: skip
