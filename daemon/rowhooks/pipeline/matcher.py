"""Matcher: change x hooks -> the hooks that start. Pure, no I/O; indexed by table and action."""

from __future__ import annotations

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.hook import Configuration, Hook


class Matcher:
    """The enabled hooks of one configuration, by table and action."""

    def __init__(self, configuration: Configuration) -> None:
        self._hooks: dict[tuple[int, str], list[Hook]] = {}
        for hook in configuration.hooks:
            if hook.enabled and hook.job.enabled and hook.job.installed:
                for table in hook.tables:
                    for action in hook.actions:
                        self._hooks.setdefault((table, action), []).append(hook)

    def match(self, change: ObjectChange) -> list[Hook]:
        """Return the hooks that the change starts."""
        candidates = self._hooks.get((change.table_id, change.action))
        if not candidates:
            return []
        return [hook for hook in candidates if not hook.predates(change.transaction_id)]
