"""The REST API: what the pages do, as JSON under /api/v1."""

from __future__ import annotations

import re

from starlette.routing import Mount

from rowhooks.web.api.refusing import PATH
from rowhooks.web.api.resources import about, buttons, hooks, jobs, presses, runs, tables, trials
from rowhooks.web.api.serving import Api

SUBJECTS = (about, buttons, hooks, jobs, presses, runs, tables, trials)
"""The modules with operations: each has `OPERATIONS`."""
OPERATIONS = tuple(operation for module in SUBJECTS for operation in module.OPERATIONS)
"""Everything that the API can do."""

_MOUNT = Mount(PATH, Api(OPERATIONS), name="api")
# Names in a path may have a line break in them.
_MOUNT.path_regex = re.compile(_MOUNT.path_regex.pattern, re.DOTALL)
routes = [_MOUNT]
