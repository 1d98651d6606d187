"""The pool of threads: in which order runs begin that may share a transaction, and others; and what it does without."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from rowhooks.pipeline.scheduling import thread_pool
from rowhooks.pipeline.scheduling.pools import PreparedRun
from rowhooks.pipeline.scheduling.thread_pool import ThreadPool
from tests.support.waiting import PATIENCE, eventually


def prepared(number: int, group_commit: int) -> PreparedRun:
    run: Any = SimpleNamespace(id=number, origin=None)
    return PreparedRun(run, "", None, None, group_commit)


class Pool(ThreadPool):
    """Notes the runs in the place of executing them, the first one when it is told to."""

    def __init__(self, limit: int, threads: Executor) -> None:
        runner: Any = None
        groups: Any = object
        super().__init__(limit, runner, threads, groups)
        self.goes_on = threading.Event()
        self.order: list[int] = []

    def _execute(self, one: Any, worker: Any, group: Any = None) -> Any:
        assert self.goes_on.wait(PATIENCE)
        self.order.append(one.run.id)

    def _share(self, one: Any, worker: Any) -> None:
        self._execute(one, worker)

    def _post(self, report: Any) -> None:
        pass


@pytest.fixture
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


async def test_one_thread_executes_both_kinds_in_the_order_in_which_they_came(threads: Executor) -> None:
    pool = Pool(1, threads)
    try:
        pool.accept([prepared(1, 50), prepared(2, 50)])
        # The id of a press is behind those that the leader has reserved for what comes later.
        pool.accept([prepared(1000, 1)])
        pool.accept([prepared(3, 50), prepared(4, 1), prepared(5, 50), prepared(6, 50)])
    finally:
        pool.goes_on.set()
    await eventually(lambda: len(pool.order) == 7)
    assert pool.order == [1, 2, 1000, 3, 4, 5, 6]


async def test_where_the_system_has_no_thread_to_spare_it_does_not_try_at_each_look(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(thread_pool, "PACE", 0.001)
    monkeypatch.setattr(thread_pool, "NEXT_THREAD", 3600.0)
    tries: list[Any] = []

    class NoThreads(ThreadPoolExecutor):
        def submit(self, *args: Any, **named: Any) -> Any:
            tries.append(args)
            raise RuntimeError("can't start new thread")

    pool = Pool(10, NoThreads())
    looks: list[None] = []
    adapt = pool._grouped.adapt

    def looked() -> None:
        looks.append(adapt())

    monkeypatch.setattr(pool._grouped, "adapt", looked)
    pool.accept([prepared(number, 50) for number in range(20)])
    await eventually(lambda: len(looks) >= 20)
    assert len(tries) == 1
    assert caplog.text.count("plain receivers wait for a thread: can't start new thread") == 1
    pool.goes_on.set()
    await asyncio.wait_for(pool.drain(0), PATIENCE)
