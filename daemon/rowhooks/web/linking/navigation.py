"""The main navigation: links to the pages that there are, and that the person's level is for."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.routing import NoMatchFound

LEVELS = {
    "none": "no role of the console's: you see the rows and buttons that PostgreSQL lets you see",
    "viewer": "you see changes, runs, hooks and jobs",
    "operator": "you also retry, revoke, replay, enable and disable",
    "admin": "you also create, change and remove hooks and buttons",
}
"""The levels of `rowhooks.my_access`, and what each means for a person."""

_ENTRIES = (
    ("tables", "Rows", "none", "the rows that you may read, and their buttons"),
    ("runs", "Runs", "viewer", "what receivers did, with their logs"),
    ("changes", "Changes", "viewer", "what was written to tracked tables"),
    ("hooks", "Hooks", "viewer", "which changes start which jobs"),
    ("jobs", "Jobs", "viewer", "the registered receivers"),
    ("buttons", "Buttons", "viewer", "what can be pressed on rows"),
    ("replay", "Replay", "operator", "past changes, once more"),
    ("status", "Status", "viewer", "daemons, backlog, what is wrong"),
    ("tokens", "Tokens", "none", "access to the API for programs"),
)
"""The name of a route, its label, the least level that it is for, and what is there."""


@dataclass(frozen=True)
class Entry:
    """A link of the navigation.

    Args:
        path: where it leads.
        label: its text.
        about: what is there.
        current: what `aria-current` says: `page`, `true` (a page below it), or nothing.
    """

    path: str
    label: str
    about: str
    current: str


def at_least(level: str, least: str) -> bool:
    """Say whether a level includes another."""
    order = list(LEVELS)
    return order.index(level) >= order.index(least)


def entries(request: Request, level: str) -> list[Entry]:
    """Return the links for a person of a level.

    Args:
        request: the request, of which one link may be current.
        level: the person's level.
    """
    found = []
    here = request.url.path
    for name, label, least, about in _ENTRIES:
        if not at_least(level, least):
            continue
        try:
            path = request.url_for(name).path
        except NoMatchFound:
            continue
        current = "page" if here == path else "true" if here.startswith(f"{path}/") else ""
        found.append(Entry(path, label, about, current))
    return found
