"""Text for people: what a terminal, or a reader of lines, would obey is made visible, and what is long is shortened."""

from __future__ import annotations

from collections.abc import Mapping

SHORT = 200
"""Characters of a value in a listing or a line; of a message it is LONG."""
LONG = 4000

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}


def visible(text: object, *, longest: int | None = SHORT, keep: str = "") -> str:
    r"""Return a text on one line, as people read it.

    Control characters, line breaks of any kind, lone surrogates, and characters that cannot be seen or turn the
    direction of writing are written as `\n`, `\x1b` or `\u202e`. A backslash that is there already stays alone.

    Args:
        text: any text, or what str() makes one of.
        longest: how many characters are kept; None: all.
        keep: characters to leave as they are.
    """
    return _escaped(shortened(str(text), longest), keep)


def lines(text: str, *, longest: int | None = None) -> str:
    """Return a text of several lines, such as a traceback, as `visible` does; its lines stay lines."""
    return "\n".join(_escaped(line, "\t") for line in shortened(text, longest).replace("\r\n", "\n").split("\n"))


def shortened(text: str, longest: int | None) -> str:
    """Return a text, or its beginning with the number of characters that were left out."""
    if longest is None or len(text) <= longest:
        return text
    return f"{text[:longest]}… ({len(text) - longest:,} characters left out)"


def said_by(db_user: str | None, user_name: str | None) -> str:
    """Return who made a change: the login, which cannot be forged, and beside it whom the application claims."""
    if user_name is None:
        return visible(db_user or "")
    return f"{visible(db_user or '')} (for {visible(repr_of(user_name))})"


def fields(values: Mapping[str, object], *, separator: str = ", ") -> str:
    """Return names and values on one line."""
    return separator.join(f"{visible(name)}={visible(value)}" for name, value in values.items())


def repr_of(text: str) -> str:
    """Return a text between quotation marks, so that its end is seen."""
    return f'"{text}"'


def _escaped(text: str, keep: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in keep else _escape(character) for character in text
    )


def _escape(character: str) -> str:
    if character in _NAMED:
        return _NAMED[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
