"""Modules that a test writes and imports."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def imports_undone(directory: Path) -> Iterator[None]:
    """Undo at the end what importing modules below a directory leaves behind in this process.

    A module of the same name that another test has left does not stand in the way of this one's.

    Args:
        directory: the test's own; beside it are those of other tests.
    """
    _forget_below(directory.parent)
    yield
    _forget_below(directory.parent)


def _forget_below(directory: Path) -> None:
    for name, module in list(sys.modules.items()):
        if str(directory) in str(getattr(module, "__file__", "")):
            del sys.modules[name]
