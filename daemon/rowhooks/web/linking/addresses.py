"""Addresses that come with a request, and of which only what is the console's own is used."""

from __future__ import annotations

from urllib.parse import urlsplit

LONGEST_PATH = 2000
"""How many characters of an address are kept over a log-in."""


def safe_path(text: str, default: str) -> str:
    """Return where a person goes after a log-in: a path of this console, whatever the address said.

    Args:
        text: what was asked for.
        default: where it goes otherwise.
    """
    # A browser reads a backslash as a slash, and leaves tabs and line breaks out.
    is_safe = (
        text.startswith("/")
        and not text.startswith("//")
        and len(text) <= LONGEST_PATH
        and not any(character == "\\" or character <= " " or character == "\x7f" for character in text)
    )
    parts = urlsplit(text) if is_safe else None
    return text if parts and not parts.scheme and not parts.netloc else default
