"""Names like one that does not exist: "did you mean" in error messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST = 3
"""How many names are offered."""
LEAST = 0.6
"""How like a name must be, from 0 to 1."""


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that are like a name, the most like first; case and path do not count."""
    lowered: dict[str, str] = {}
    for one in known:
        lowered.setdefault(one.lower(), one)
        lowered.setdefault(one.lower().rpartition(".")[2], one)
    wanted = name.lower()
    alike = {one: max(_likeness(wanted, one), _likeness(wanted.rpartition(".")[2], one)) for one in lowered}
    best = max(alike.values(), default=0)
    found = [one for one in sorted(alike, key=lambda one: -alike[one]) if alike[one] >= max(LEAST, best - 0.1)]
    return list(dict.fromkeys(lowered[one] for one in found))[:MOST]


def _likeness(wanted: str, known: str) -> float:
    return difflib.SequenceMatcher(None, known, wanted).ratio()


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return the question that names what is like a name; None where nothing is."""
    found = nearest(name, known)
    return f"did you mean {' or '.join(found)}?" if found else None


def hinted(name: str, known: Iterable[str], hint: str | None) -> str | None:
    """Return a hint with the question before it, where something is like the name."""
    question = did_you_mean(name, known)
    return question if hint is None else hint if question is None else f"{question} Or {hint}"
