"""Statements: named blocks of the .sql files beside the modules that run them, as in Procrastinate.

A block begins with the line `-- name: word` and ends where the next block begins. Lines of comment are for the reader
and are not sent to the server. `{other}` in a block stands for the text of the block `other`, of the same file or of an
included one (a condition or a query that several statements need), or for a constant that the module gives.
Placeholders are the driver's: `$1` for asyncpg and for psycopg's RawCursor, `%(name)s` for psycopg's other cursors,
`:name` for SQLAlchemy.

`make check` lints these files. A block that is only a part of a statement, such as a condition, stands at the end of
its file, below the line `-- noqa: disable=PRS`. A block that is a query is used as `select ... from ({other}) as o`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--.*\n?", re.MULTILINE)
_FRAGMENT = re.compile(r"\{(\w+)\}")


class Statements(Mapping[str, str]):
    """The statements of one file.

    Args:
        file: the module's `__file__`, for the .sql file of the same name, or the path of an .sql file.
        including: what may be used as fragments: the statements of other files, and constants by their names.

    Raises:
        ValueError: two blocks have the same name, or a statement has none.
        KeyError: a block uses a fragment that does not exist.
    """

    def __init__(self, file: str | Path, *including: Mapping[str, object]) -> None:
        before, *parts = _NAME.split(Path(file).with_suffix(".sql").read_text(encoding="utf-8"))
        names = parts[::2]
        texts = [_COMMENT.sub("", text).strip().removesuffix(";") for text in parts[1::2]]
        if _COMMENT.sub("", before).strip():
            raise ValueError(f"{file}: there is a statement without a name")
        if len(set(names)) < len(names):
            raise ValueError(f"{file}: two statements have the same name")
        self._fragments = {name: str(text) for one in including for name, text in one.items()}
        self._fragments.update(zip(names, texts, strict=True))
        self._texts = {name: self._filled(name) for name in names}

    def _filled(self, name: str) -> str:
        return _FRAGMENT.sub(lambda found: self._filled(found[1]), self._fragments[name])

    def __getitem__(self, name: str) -> str:
        """Return a statement by its name."""
        return self._texts[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._texts)

    def __len__(self) -> int:
        """Return the number of statements."""
        return len(self._texts)
