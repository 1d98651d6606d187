"""Statements: named blocks of the .sql files beside the modules that run them, as in Procrastinate.

A block begins with a line `-- name: what it is called` and ends where the next one begins. `{other}` in a block stands
for the block of that name, of the same file or of one that is included: a condition or a query that several need.
Placeholders are those of the driver.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_FRAGMENT = re.compile(r"\{(\w+)\}")


class Statements(Mapping[str, str]):
    """The statements of one file.

    Args:
        file: the module's `__file__`, for the .sql file of the same name, or the path of an .sql file.
        including: files whose blocks may be used as fragments.

    Raises:
        ValueError: a name stands twice.
        KeyError: a block uses a fragment that there is not.
    """

    def __init__(self, file: str | Path, *including: Statements) -> None:
        _, *parts = _NAME.split(Path(file).with_suffix(".sql").read_text(encoding="utf-8"))
        names, texts = parts[::2], [text.strip().removesuffix(";") for text in parts[1::2]]
        if len(set(names)) < len(names):
            raise ValueError(f"{file}: a statement's name stands twice")
        self._fragments = {name: text for one in including for name, text in one.items()}
        self._fragments.update(zip(names, texts, strict=True))
        self._texts = {name: self._filled(name) for name in names}

    def _filled(self, name: str) -> str:
        return _FRAGMENT.sub(lambda found: self._filled(found[1]), self._fragments[name])

    def __getitem__(self, name: str) -> str:
        """Return a statement by its name."""
        return self._texts[name]

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self._texts)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._texts)
