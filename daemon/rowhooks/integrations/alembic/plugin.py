"""What Alembic loads by the entry point `alembic.plugins`, while it is itself only half imported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alembic.runtime.plugins import Plugin


class _Module(ModuleType):
    """This module. Alembic before 1.20.1 iterates over what the entry point names, as if it were a list of modules."""

    def __iter__(self) -> Iterator[ModuleType]:
        yield self


sys.modules[__name__].__class__ = _Module


def setup(plugin: Plugin) -> None:
    """Register the operations, and autogenerate for environments that name the plugin."""
    from alembic.util import DispatchPriority, PriorityDispatchResult

    from rowhooks.integrations.alembic.comparing import compare

    def compared(*given: Any) -> PriorityDispatchResult:
        compare(*given)
        return PriorityDispatchResult.CONTINUE

    plugin.add_autogenerate_comparator(compared, "schema", "rowhooks", priority=DispatchPriority.LAST)
