"""The state of a hook, button or job in words: whether it starts anything, and if not, why. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class State:
    """One thing that is said of a hook, button or job.

    Args:
        word: `enabled`, `disabled` or `warning`: how it is marked.
        text: what is said.
    """

    word: str
    text: str


def state_of_origin(origin: Mapping[str, Any]) -> list[State]:
    """Return what is to be said of a hook or button: first whether it is enabled, then what keeps it from working.

    Args:
        origin: enabled, job, job_enabled, installed, tables and waits_for; of a hook also missed.
    """
    states = [State("enabled", "enabled") if origin["enabled"] else State("disabled", "disabled")]
    waits_for = origin["waits_for"]
    if not origin["job_enabled"]:
        states.append(State("disabled", f"starts nothing: its job {origin['job']} is disabled"))
    elif not origin["installed"]:
        states.append(State("warning", f"its runs wait: the leader does not have the class of job {origin['job']}"))
    if waits_for:
        noun = "table" if len(waits_for) == 1 else "tables"
        states.append(State("warning", f"waits for {noun} {', '.join(waits_for)}"))
    if not origin["tables"] and not waits_for:
        states.append(State("warning", "is on no table"))
    if origin.get("missed"):
        states.append(State("warning", f"{origin['missed']:,} changes were not kept for it"))
    return states


def state_of_job(job: Mapping[str, Any]) -> list[State]:
    """Return what is to be said of a job: enabled and installed."""
    states = [State("enabled", "enabled") if job["enabled"] else State("disabled", "disabled")]
    if not job["installed"]:
        states.append(State("warning", "class not installed: the present or last leader does not have it"))
    return states
