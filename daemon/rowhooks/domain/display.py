"""Text for people: what a terminal, or a reader of lines, would obey is made visible, and what is long is shortened."""

from __future__ import annotations

import textwrap
from typing import Any

from rowhooks.domain import exact

SHORT, LONG = 200, 4000
"""Characters of a name or value in a listing or a line; of a message, or a value that stands by itself."""
MOST_LINES = 400
"""Lines of a traceback, or of another text of several."""

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}


def visible(text: object, longest: int | None = SHORT) -> str:
    r"""Return a text on one line, as people read it.

    Control characters, line breaks of any kind, lone surrogates, and what cannot be seen or turns the direction of
    writing are written as `\n`, `\x1b` or `\u202e`. A backslash that is there stays as it is.

    Args:
        text: any text, or what str() makes one of.
        longest: how many characters are kept; None: all.
    """
    return _escaped(shortened(str(text), longest))


def lines(text: str, indent: str = "") -> str:
    """Return a text of several lines, such as a traceback: its lines stay lines, each is as `visible` makes it.

    Args:
        text: its middle is left out where it is long.
        indent: stands before every line, so that none of them passes for one that begins something.
    """
    whole = text.replace("\r\n", "\n").expandtabs().split("\n")
    if len(whole) > MOST_LINES:
        half = MOST_LINES // 2
        whole = [*whole[:half], f"... ({len(whole) - 2 * half:,} lines left out)", *whole[-half:]]
    return textwrap.indent("\n".join(visible(line, LONG) for line in whole), indent, lambda _: True)


def value(of: Any, longest: int | None = SHORT) -> str:
    """Return a value as people read it; one that is no text is written as JSON."""
    return visible(of if isinstance(of, str) else exact.write(of), longest)


def shortened(text: str, longest: int | None) -> str:
    """Return a text, or its beginning and the number of characters that were left out."""
    if longest is None or len(text) <= longest:
        return text
    return f"{text[:longest]}... ({len(text) - longest:,} characters left out)"


def by_whom(db_user: str | None, user_name: str | None) -> str:
    """Return who made a change: the login, which cannot be forged, and beside it whom the application claims to be."""
    login = visible(db_user or "")
    return login if user_name is None else f'{login}, as "{visible(user_name)}"'


def as_json(text: str, encoding: str | None) -> str:
    r"""Return JSON that means the same, and of which nothing acts on a terminal or cannot be encoded: `\u001b`.

    Args:
        text: JSON, perhaps of several lines.
        encoding: of what it is written to; None: of nothing in particular.
    """
    if text.isprintable() and _is_encodable(text, encoding):
        return text
    return "".join(
        character
        if character == "\n" or (character.isprintable() and _is_encodable(character, encoding))
        else "".join(f"\\u{unit:04x}" for unit in _utf16(character))
        for character in text
    )


def _is_encodable(text: str, encoding: str | None) -> bool:
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _utf16(character: str) -> list[int]:
    encoded = character.encode("utf-16-be", errors="surrogatepass")
    return [int.from_bytes(encoded[place : place + 2], "big") for place in range(0, len(encoded), 2)]


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def _escape(character: str) -> str:
    if character in _NAMED:
        return _NAMED[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
