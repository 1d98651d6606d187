"""Modules that a test writes and imports."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def imports_undone(directory: Path) -> Iterator[None]:
    """Undo at the end what importing modules below a directory leaves behind in this process."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(directory) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
