"""What a hook would do with past changes, tried without running anything. Pure: the changes are given."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.configuration import JobHook
from rowhooks.domain.display import visible
from rowhooks.domain.job import Job
from rowhooks.pipeline.rules import Rule
from rowhooks.postgres.console.hooks import HookWanted
from rowhooks.postgres.console.trials import LOOKED_AT, WINDOW, Past

SHOWN = 20
"""How many changes of each kind are shown."""
PATIENCE = 3.0
"""Seconds after which no further change is looked at: regular expressions may be slow."""
_REASON = 400


@dataclass(frozen=True)
class Verdict:
    """What the hook would do with one change.

    Args:
        change: the change.
        reason: why it would not start the hook, or why that cannot be decided; empty for one that would.
    """

    change: ObjectChange
    reason: str = ""


@dataclass
class Trial:
    """What the hook would do with past changes.

    Args:
        looked_at: how many changes were looked at.
        most: how many were looked for.
        left_out: how many were not, because their rows are too large.
        is_cut: whether the time was over before all were looked at.
        skips_undecided: whether a change for which the conditions cannot be decided does not start the hook.
        starts: how many would start it, with those that start it because they are undecided.
        undecided: for how many the conditions cannot be decided.
        starting: the first of those that would start it.
        not_starting: the first of those that would not, with the reason.
        cannot_tell: the first of those that are undecided, with the reason.
    """

    window = WINDOW
    patience = PATIENCE

    looked_at: int = 0
    most: int = LOOKED_AT
    left_out: int = 0
    is_cut: bool = False
    skips_undecided: bool = False
    starts: int = 0
    undecided: int = 0
    starting: list[Verdict] = field(default_factory=list)
    not_starting: list[Verdict] = field(default_factory=list)
    cannot_tell: list[Verdict] = field(default_factory=list)


def hook_of(wanted: HookWanted, past: Past, conditions_json: str | None) -> JobHook:
    """Return the hook that a form describes, as the pipeline knows hooks. It and its job count as enabled."""
    return JobHook(
        id=0,
        name=wanted.name,
        job=Job(0, wanted.job, wanted.job, enabled=True, installed=True),
        enabled=True,
        tables=past.tables,
        actions=frozenset(wanted.actions),
        columns=frozenset(wanted.columns),
        ignored_columns=frozenset(wanted.ignored_columns),
        conditions_json=conditions_json,
        on_undecided=wanted.on_undecided,
    )


def try_hook(hook: JobHook, past: Past, clock: Callable[[], float] = time.monotonic) -> Trial:
    """Say what a hook would do with past changes, by the pipeline's own rule.

    Args:
        hook: the hook; whether it is enabled, and since when, is left out.
        past: the changes.
        clock: returns the time in seconds.

    Raises:
        ConditionsError: the hook's conditions are malformed.
    """
    trial = Trial(most=past.most, left_out=past.left_out, skips_undecided=hook.on_undecided == "skip")
    # With `run`, the rule tells what is undecided from what does not hold.
    rule = Rule(replace(hook, on_undecided="run"))
    until = clock() + PATIENCE
    for change in past.changes:
        if clock() > until:
            trial.is_cut = True
            break
        trial.looked_at += 1
        _judge(trial, rule, change)
        change.forget()
    return trial


def _judge(trial: Trial, rule: Rule, change: ObjectChange) -> None:
    reason = rule.why_not(change, replaying=True)
    if reason is not None:
        _keep(trial.not_starting, change, reason)
        return
    undecided = rule.undecided(change)
    if undecided is not None:
        trial.undecided += 1
        _keep(trial.cannot_tell, change, undecided)
    if undecided is None or not trial.skips_undecided:
        trial.starts += 1
    if undecided is None:
        _keep(trial.starting, change, "")


def _keep(verdicts: list[Verdict], change: ObjectChange, reason: str) -> None:
    if len(verdicts) < SHOWN:
        verdicts.append(Verdict(change, visible(reason, _REASON)))
