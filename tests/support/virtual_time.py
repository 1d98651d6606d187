"""Time that passes only while everything waits: a test of timers takes as long as its work, and goes one way."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta, tzinfo
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from rowhooks.domain import run
from rowhooks.pipeline.scheduling.flow import Flow
from rowhooks.pipeline.scheduling.pace import Pace

T = TypeVar("T")
BEGIN = datetime(2024, 5, 1, 12, tzinfo=UTC)


class _Clock(selectors.DefaultSelector):
    """Waits for nothing: it is later at once."""

    moment = 1000.0

    def time(self) -> float:
        return self.moment

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "nothing will ever happen"
            self.moment += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: _Clock) -> None:
        self._clock = clock
        super().__init__(clock)

    def time(self) -> float:
        return self._clock.moment


def in_virtual_time(work: Coroutine[Any, Any, T]) -> T:
    """Do some work in an event loop whose time is that of `time.monotonic` and of `rowhooks.domain.run.now`, too."""
    clock = _Clock()

    def now(zone: tzinfo) -> datetime:
        return BEGIN + timedelta(seconds=clock.moment)

    with pytest.MonkeyPatch.context() as patch, asyncio.Runner(loop_factory=lambda: _Loop(clock)) as runner:
        patch.setattr(time, "monotonic", clock.time)
        patch.setattr(run, "datetime", SimpleNamespace(now=now))
        for cls in (Flow, Pace):
            # They have taken the clock as a default.
            patch.setattr(cls.__init__, "__defaults__", (clock.time,))
        return runner.run(work)
