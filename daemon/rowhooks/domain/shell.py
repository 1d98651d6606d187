"""Commands that people paste into a shell: each word reaches the program as it is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

_ENDING_NEWLINES = re.compile(r"\n*\Z")


def command(*words: str) -> str:
    """Return a command for sh, quoted so that each word stays one word and nothing is expanded."""
    return " ".join(map(word, words))


def sentence(parts: Iterable[str | list[str] | None]) -> str:
    """Return a text that contains commands.

    Args:
        parts: a string is text as it is; a list is the words of a command; None is nothing.
    """
    return "".join(part if isinstance(part, str) else command(*part) for part in parts if part is not None)


def operand(name: str) -> tuple[str, ...]:
    """Return a name as words of a command that are not taken for an option, even if the name begins with a hyphen."""
    return ("--", name) if name.startswith("-") else (name,)


def word(text: str) -> str:
    """Return a word quoted for sh. Characters that act on a terminal are not in it: printf writes them."""
    if text.isprintable():
        return shlex.quote(text)
    # $(...) removes newlines from the end of its output, so those are written as they are, in quotes.
    ending = _ENDING_NEWLINES.search(text)
    assert ending is not None, "an empty match is one, too"
    encoded = "".join(map(_printf, text[: ending.start()]))
    return f'"$(printf %b {shlex.quote(encoded)})"' * bool(encoded) + f"'{ending[0]}'" * bool(ending[0])


def _printf(character: str) -> str:
    """Return a character for the format %b of printf(1): in octal, unless it is printable."""
    if character.isprintable() and character != "\\":
        return character
    return "".join(f"\\0{byte:03o}" for byte in character.encode(errors="surrogateescape"))
