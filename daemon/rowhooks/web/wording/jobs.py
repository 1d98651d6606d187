"""What a job's class says of itself, in words: its Meta and the inputs that a press gives it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rowhooks.domain import exact
from rowhooks.domain.display import value, visible
from rowhooks.domain.inputs import kinds_of

_MEANINGS = {
    "soft_time_limit": "seconds after which SoftTimeLimitExceeded is raised in it; none: the settings' limit",
    "time_limit": "seconds after which the run is ended; none: the settings' limit",
    "is_singleton": "only one run at a time",
    "max_concurrency": "how many runs go on at a time, over all workers; none: as many as can",
    "has_sensitive_variables": "values, results and texts of exceptions are not stored",
    "max_retries": "how often a run is retried",
    "autoretry_for": "after these exceptions",
    "retry_backoff": "seconds before the first retry, doubled each time",
    "retry_backoff_max": "seconds before a retry at the most",
    "retry_jitter": "each pause is a random part of that time",
    "ordered": "runs of one row happen one after another",
    "batch_size": "how many changes one call takes; none: one",
    "batch_wait": "seconds a change waits for others of the same call",
    "loads_object": "the row is loaded for it",
    "load": "relations that are loaded with the row",
    "group_commit": "how many runs share a transaction; 1: each has its own",
    "queue": "the queue of its runs, unless the hook or button names another; none: the settings' default_queue",
}
"""What the values of rowhooks.job.meta mean."""
MOST_INPUTS = 100
"""How many inputs are listed."""


@dataclass(frozen=True)
class MetaValue:
    """One value of a job's Meta: its name, its text, and what it means."""

    name: str
    text: str
    meaning: str


@dataclass(frozen=True)
class Input:
    """One input of a press.

    Args:
        name: its name.
        title: what people call it.
        kind: which JSON types it takes.
        required: whether a press must give it.
        default: its default, as JSON; empty: none.
        limits: what else its schema says, as `keyword: value`.
        description: what its schema says that it is.
    """

    name: str
    title: str
    kind: str
    required: bool
    default: str
    limits: str
    description: str


def meta_of(meta: Mapping[str, Any]) -> list[MetaValue]:
    """Return the values of a job's Meta in the order of the documentation; what is not known there comes last."""
    known = [name for name in _MEANINGS if name in meta]
    others = [name for name in meta if name not in _MEANINGS]
    return [MetaValue(visible(name), _said(meta[name]), _MEANINGS.get(name, "")) for name in (*known, *others)]


def inputs_of(schema: Mapping[str, Any] | None) -> list[Input]:
    """Return the inputs that a JSON schema describes; none where a press gives nothing."""
    properties = (schema or {}).get("properties")
    if not isinstance(properties, Mapping):
        return []
    said = (schema or {}).get("required")
    required = said if isinstance(said, list) else ()
    return [
        _input(name, its_schema, schema or {}, required=name in required)
        for name, its_schema in list(properties.items())[:MOST_INPUTS]
    ]


_TOLD = ("title", "description", "default", "type", "$ref", "anyOf", "oneOf", "allOf")


def _input(name: str, schema: Any, root: Mapping[str, Any], *, required: bool) -> Input:
    said = schema if isinstance(schema, Mapping) else {}
    limits = ", ".join(f"{keyword}: {exact.write(of)}" for keyword, of in said.items() if keyword not in _TOLD)
    return Input(
        name=visible(name),
        title=visible(said.get("title") or ""),
        kind=" or ".join(dict.fromkeys(kinds_of(schema, root))) or "anything",
        required=required,
        default=value(exact.write(said["default"])) if "default" in said else "",
        limits=visible(limits),
        description=visible(said.get("description") or ""),
    )


def _said(of: Any) -> str:
    if of is None or of in ([], ""):
        return "none"
    if isinstance(of, bool):
        return "yes" if of else "no"
    return value(", ".join(map(str, of)) if isinstance(of, list) else of)
