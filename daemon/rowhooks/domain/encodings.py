r"""The text that a database can hold, by its encoding, and what is stored in place of other text.

A character that the encoding does not have is stored as `\U0001f642` (or `\xe9`, `\u6771`). NUL, which no database
holds, is stored as U+FFFD, and half of a surrogate pair as a question mark.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

_EVERYTHING = ("UTF8", "SQL_ASCII")
"""Encodings that hold each character: SQL_ASCII keeps the bytes that it is sent."""
_CODECS = {
    **{f"LATIN{number}": f"iso8859-{part}" for number, part in enumerate((1, 2, 3, 4, 9, 10, 13, 14, 15, 16), start=1)},
    **{f"ISO_8859_{part}": f"iso8859-{part}" for part in (5, 6, 7, 8)},
    **{f"WIN{number}": f"cp{number}" for number in (866, 874, *range(1250, 1259))},
    "KOI8R": "koi8-r", "KOI8U": "koi8-u", "EUC_JP": "euc_jp", "EUC_KR": "euc_kr", "EUC_CN": "gb2312",
}  # fmt: skip
"""Python's names; an encoding that is missing here holds ASCII at least."""
_UNLIKE = {"EUC_JP": frozenset("\xa2\xa3\xa5\xac\u2016\u203e\u2212\u301c")}
"""Characters that Python's codec has and PostgreSQL's conversion does not have."""
_LONGEST = {"EUC_KR": 2}
"""Bytes of a character; Python composes other characters of more bytes."""

# Not an escape whose backslash is itself escaped.
_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


class Repertoire:
    """What text a database can hold.

    Args:
        server_encoding: the database's, as PostgreSQL calls it.
    """

    def __init__(self, server_encoding: str) -> None:
        self._holds_everything = server_encoding in _EVERYTHING
        self._codec = _CODECS.get(server_encoding, "ascii")
        self._unlike = _UNLIKE.get(server_encoding, frozenset())
        self._longest = _LONGEST.get(server_encoding, 3)
        self._is_exact = not (self._unlike or server_encoding in _LONGEST)

    def fitted(self, text: str) -> str:
        """Return a text with what cannot be held replaced."""
        return self._fitted(text, _escaped)

    def fitted_json(self, document: str) -> str:
        """Return a JSON document with the same done in its texts; the document escapes only what must be escaped."""
        if "\\u0000" in document:
            document = _ESCAPED_NUL.sub("\\1\ufffd", document)
        return self._fitted(document, lambda character: _escaped(character).replace("\\", "\\\\"))

    def text(self, text: str | None) -> str | None:
        """Return the same; None for None."""
        return None if text is None else self.fitted(text)

    def json(self, document: str | None) -> str | None:
        """Return the same of a JSON document; None for None."""
        return None if document is None else self.fitted_json(document)

    def _fitted(self, text: str, escaped: Callable[[str], str]) -> str:
        if text.isascii() and "\x00" not in text:
            return text
        text = text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
        if self._holds_everything or (self._is_exact and self._encodes(text)):
            return text
        return "".join(one if one.isascii() or self._holds(one) else escaped(one) for one in text)

    def _encodes(self, text: str) -> bool:
        try:
            text.encode(self._codec)
        except UnicodeEncodeError:
            return False
        return True

    def _holds(self, one: str) -> bool:
        return one not in self._unlike and 0 < len(one.encode(self._codec, "ignore")) <= self._longest


def _escaped(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode()


@lru_cache
def repertoire(server_encoding: str) -> Repertoire:
    """Return what text a database of this encoding can hold."""
    return Repertoire(server_encoding)
