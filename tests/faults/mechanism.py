"""A mechanism that keeps a promise, and what remains when it is taken away."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sabotage:
    """One mechanism, and what remains when it is taken away.

    Args:
        promise: the number in docs/guarantees.md, or in docs/security.md.
        mechanism: what is taken away.
        file: where it is.
        old: what stands there, once.
        new: what stands there instead.
        test: file below tests/ and name of the test that must fail.
    """

    promise: int
    mechanism: str
    file: str
    old: str
    new: str
    test: str
