"""The relations that show a person of the log and of runs what it may see."""

from __future__ import annotations

SOURCES = {
    "changes": "rowhooks.visible_changes",
    "changes_by_row": "rowhooks.visible_changes_by_row",
    "changes_oldest_first": "rowhooks.visible_changes_oldest_first",
    "results": "rowhooks.visible_results",
    "results_oldest_first": "rowhooks.visible_results_oldest_first",
    "log": "rowhooks.visible_log",
}
"""For the named statements of this package: `{changes}`, `{results}` and `{log}`.

`{changes}` is sorted by id and `{results}` by (created_at, id), the newest first: a page in that order reads an index
backwards. A page that begins with the oldest reads `{changes_oldest_first}` or `{results_oldest_first}`.
"""
GONE = "it was pruned, you may not see its row, or its table is locked now"
"""Why a change or a run is not found."""
