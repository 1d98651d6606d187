"""What Alembic loads by the entry point `alembic.plugins`, while it is itself only half imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alembic.runtime.plugins import Plugin


def setup(plugin: Plugin) -> None:
    """Register the operations, and autogenerate for environments that name the plugin."""
    from alembic.util import DispatchPriority, PriorityDispatchResult

    from rowhooks.integrations.alembic.comparing import compare

    def compared(*given: Any) -> PriorityDispatchResult:
        compare(*given)
        return PriorityDispatchResult.CONTINUE

    plugin.add_autogenerate_comparator(compared, "schema", "rowhooks", priority=DispatchPriority.LAST)
