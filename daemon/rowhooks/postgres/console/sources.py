"""The relations that show a person of the log and of runs what it may see."""

from __future__ import annotations

SOURCES = {
    "changes": "rowhooks.changes",
    "results": "rowhooks.results",
    "log": "rowhooks.job_log_entry",
}
"""For the named statements of this package: `{changes}`, `{results}` and `{log}`."""
