"""The REST API: what the pages do, as JSON under /api/v1."""

from __future__ import annotations

from rowhooks.web.api.resources import (
    about,
    bulk,
    buttons,
    changes,
    hooks,
    jobs,
    presses,
    replays,
    runs,
    status,
    tables,
    tokens,
    trials,
)
from rowhooks.web.api.serving import ApiRoute

SUBJECTS = (about, bulk, buttons, changes, hooks, jobs, presses, replays, runs, status, tables, tokens, trials)
"""The modules with operations: each has `OPERATIONS`."""
OPERATIONS = tuple(operation for module in SUBJECTS for operation in module.OPERATIONS)
"""Everything that the API can do."""

routes = [ApiRoute(OPERATIONS)]
