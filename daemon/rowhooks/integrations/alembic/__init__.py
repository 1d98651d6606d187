"""Alembic: operations that track tables and make hooks and buttons, and autogenerate for them.

Alembic 1.18 and newer load `plugin` by its entry point: the operations are there, and env.py names the plugin:

    context.configure(..., autogenerate_plugins=["alembic.autogenerate.*", "rowhooks"])

Older ones need this import in env.py, which does both:

    import rowhooks.integrations.alembic
"""

from __future__ import annotations

from importlib.util import find_spec

# First: this loads the plugins, and with them the modules below, whichever of them a program has imported.
import alembic  # noqa: F401

from rowhooks.integrations.alembic import rendering as rendering
from rowhooks.integrations.alembic.comparing import without_plugins
from rowhooks.integrations.alembic.filters import include_name, include_object

__all__ = ["include_name", "include_object"]

# Not by the version: the package may be half imported here.
if find_spec("alembic.runtime.plugins") is None:
    without_plugins()
