"""The relations that show a person of the log and of runs what it may see."""

from __future__ import annotations

SOURCES = {
    "changes": "rowhooks.visible_changes",
    "results": "rowhooks.visible_results",
    "log": "rowhooks.visible_log",
}
"""For the named statements of this package: `{changes}`, `{results}` and `{log}`."""
