"""Ships sql/, alembic/ and systemd/ inside the wheel, below rowhooks/_data; an editable install reads the checkout."""

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
