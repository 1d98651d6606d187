"""What runs have done of late and what stands still, for `rowhooks doctor`."""

from __future__ import annotations

from rowhooks.postgres.administration.status import LEADS
from rowhooks.postgres.statements import Statements

SHARE_IN_USE = 0.9
"""Of the server's connections, from which on it is said that they are in use."""
OLD = 24
"""Hours after which a transaction is named that holds VACUUM up."""
MOST_RUNS_OF_A_ROW = 10
"""How often a hook may run for one row in an hour after changes by the daemon's own login."""

SQL = Statements(
    __file__,
    {
        # A standby does not know the locks of its primary.
        "leads": f"(pg_is_in_recovery() or {LEADS})",
        "SHARE_IN_USE": SHARE_IN_USE,
        "OLD": OLD,
        "MOST_RUNS_OF_A_ROW": MOST_RUNS_OF_A_ROW,
    },
)
