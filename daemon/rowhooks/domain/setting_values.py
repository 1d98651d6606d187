"""Values of settings, as they are written."""

from __future__ import annotations

import json
import re
from typing import Any

_ADDRESS = re.compile(r"(?:(?:\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]*):)?\d{1,5}", re.ASCII)


def split(value: Any) -> Any:
    """Return the parts of a list that is one text: JSON, or separated by commas.

    Raises:
        ValueError: it begins like JSON and is none.
    """
    if not isinstance(value, str):
        return value
    if value.startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError("not a JSON list") from None
    return tuple(part.strip() for part in value.split(",") if part.strip())


def is_address(text: str) -> bool:
    """Say whether a text is host:port, or a port."""
    return bool(_ADDRESS.fullmatch(text)) and int(text.rpartition(":")[2]) < 2**16
