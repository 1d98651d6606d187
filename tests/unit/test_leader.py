"""A leadership as other threads see it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from rowhooks.runtime.leader import Leader


class Ending(Leader):
    """One that ends after the first look at what it works with."""

    looks = iter([SimpleNamespace(scheduler=SimpleNamespace(waiting=7, running=1))])

    @property
    def _pipeline(self) -> Any:
        return next(self.looks, None)

    @_pipeline.setter
    def _pipeline(self, pipeline: Any) -> None:
        pass


def test_a_leadership_may_end_while_its_metrics_are_read() -> None:
    leader = Ending(SimpleNamespace())  # type: ignore[arg-type]
    assert leader.in_memory() == (7, 1)
    assert leader.in_memory() == (0, 0)
