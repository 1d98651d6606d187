"""The REST API: what the pages do, as JSON under /api/v1."""

from __future__ import annotations

from starlette.routing import Mount

from rowhooks.web.api.resources import about, buttons, hooks, jobs, presses
from rowhooks.web.api.serving import Api

SUBJECTS = (about, buttons, hooks, jobs, presses)
"""The modules with operations: each has `OPERATIONS`."""
OPERATIONS = tuple(operation for module in SUBJECTS for operation in module.OPERATIONS)
"""Everything that the API can do."""

routes = [Mount("/api/v1", Api(OPERATIONS), name="api")]
