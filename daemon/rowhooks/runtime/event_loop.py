"""The daemon's event loop: uvloop's where it is installed (extra `uvloop`), and a garbage collector that suits it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

COLLECT_AFTER = 50_000
"""After so many new objects that are still there, Python looks for cycles among them (its default is 700).

A run makes some dozens of objects, and their reference counts free them all. To look through them each 700 took a fifth
of the daemon's time.
"""


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a daemon's process to its end."""
    # The objects that are there before the first run stay for good, and need not be looked through again.
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 50)
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
