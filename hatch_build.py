"""Ships sql/, alembic/ and systemd/ inside the wheel, below rowhooks/_data; an editable install reads the checkout.

ROWHOOKS_SHARE names a directory with the man page and the completions (see packaging/manual.py), which need the command
line itself to be made; the wheel puts them below the environment's share/.
"""

import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class DataHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the data directories to a standard build."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add them; `version` is hatchling's name for the kind of build."""
        if version != "standard":
            return
        root = Path(self.root)
        for name in ("sql", "alembic", "systemd"):
            for path in sorted((root / name).rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    relative = path.relative_to(root)
                    build_data["force_include"][str(path)] = f"rowhooks/_data/{relative}"
        if share := os.environ.get("ROWHOOKS_SHARE"):
            build_data["shared_data"] = {
                str(path): f"share/{path.relative_to(share)}"
                for path in sorted(Path(share).rglob("*"))
                if path.is_file()
            }
