"""Text for people: control characters are made visible, and long texts are shortened."""

from __future__ import annotations

import textwrap
from typing import Any

from rowhooks.domain import exact

SHORT, LONG = 200, 4000
"""How many characters are shown: of a name or value in a listing or a line; of a message or a value by itself."""
MOST_LINES = 400
"""How many lines are shown of a traceback or another text of several lines."""

_FIRST_BYTE = 0xDC80
"""What stands for the byte 0x80 in a text that Python has made of bytes; the others follow."""
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}


def visible(text: object, longest: int | None = SHORT) -> str:
    r"""Return a text on one line, as people read it.

    Control characters, line breaks, lone surrogates, invisible characters and those that turn the direction of writing
    become `\n`, `\x1b` or `\u202e`. A byte that is no text, for which Python has a lone surrogate, becomes `\xe9`. A
    backslash in the text stays as it is.

    Args:
        text: a text, or a value of which str() makes one.
        longest: how many characters are kept; None: all.
    """
    return _escaped(shortened(str(text), longest))


def lines(text: str, indent: str = "") -> str:
    """Return a text of several lines, such as a traceback: each line is as `visible` makes it.

    Args:
        text: the text; the middle of a long one is left out.
        indent: comes before every line, so that no line looks like the beginning of something else.
    """
    whole = text.replace("\r\n", "\n").expandtabs().split("\n")
    if len(whole) > MOST_LINES:
        half = MOST_LINES // 2
        whole = [*whole[:half], f"... ({len(whole) - 2 * half:,} lines left out)", *whole[-half:]]
    return textwrap.indent("\n".join(visible(line, LONG) for line in whole), indent, lambda _: True)


def value(of: Any, longest: int | None = SHORT) -> str:
    """Return a value as people read it; a value that is not a text is written as JSON."""
    return visible(of if isinstance(of, str) else exact.write(of), longest)


def shortened(text: str, longest: int | None) -> str:
    """Return a text, or its beginning and the number of characters that were left out."""
    if longest is None or len(text) <= longest:
        return text
    return f"{text[:longest]}... ({len(text) - longest:,} characters left out)"


def by_whom(db_user: str | None, user_name: str | None) -> str:
    """Return the author of a change: the login, which cannot be forged, and the user whom the application names."""
    login = visible(db_user or "")
    return login if user_name is None else f'{login}, as "{visible(user_name)}"'


def as_json(text: str, encoding: str | None) -> str:
    r"""Return equal JSON in which characters that act on a terminal, or cannot be encoded, are escapes like `\u001b`.

    Args:
        text: JSON, on one line or several.
        encoding: the encoding of the output; None: any character can be written.
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
    if _FIRST_BYTE <= code < _FIRST_BYTE + 0x80:
        code -= _FIRST_BYTE - 0x80
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
