"""Blanks passwords and configured secrets in texts that are stored or logged: tracebacks, messages, log lines.

The time is proportional to the length of the text: texts come from receivers and may have megabytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

BLANK = "***"
SHORTEST = 4
"""Characters. A shorter secret would blank pieces of ordinary words, which tells more than it hides."""

# password=..., also at the end of another name (sslpassword, PGPASSWORD), and as a quoted key of a dict or JSON object.
# The value is in single quotes (libpq, Python), in double quotes, or goes up to the next blank without a backslash.
_KEYWORD = re.compile(
    r"""(?P<key>password (?: [ \t]*= | ["'][ \t]*[:=] ) [ \t]*)
    (?:
      '(?P<single> (?: \\. | [^'\\] )*+ )'
      | "(?P<double> (?: \\. | [^"\\\n] )*+ )" (?= [\s,;:)\]}] | \Z )
      | (?P<open>'[^\n]+)
      | (?P<bare> (?: \\. | \S )++ )
    )""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_WORD = re.compile(r"\S*+")
_AFTER_USER = re.compile(r"[:/?#[]")
# What follows a colon that does not begin a password: a port, or the // of the next URI.
_NO_PASSWORD = re.compile(r"//|\d*+(?:[/?#]|\Z)")
# Up to the last @ before the path: an @ in a password should be written %40, and often is not.
_UP_TO_LAST_AT = re.compile(r"""(?:[^/?#@"'<>]*+@)*""")
_URI = re.compile(r"\s*[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]+")
_OTHER_FORMS = {" ": [r"\+"], "\n": [r"\\n"], "\r": [r"\\r"], "\t": [r"\\t"], "'": [r"\\'"], '"': [r'\\"']}


class Redactor:
    """Blanks passwords and secrets.

    It blanks passwords in URIs of any scheme and in libpq's keywords `password` and `sslpassword`. It blanks the given
    secrets wherever they are, also percent-encoded, or escaped as Python's repr() and JSON do.

    Args:
        secrets: the values to blank; those of fewer than `SHORTEST` characters are left out.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        values = {value for secret in secrets if len(value := secret.strip()) >= SHORTEST}
        # The longest comes first: if two begin alike, the shorter one would leave the end of the longer one.
        patterns = [_in_any_form(value) for value in sorted(values, key=lambda value: (-len(value), value))]
        self._secrets = re.compile("|".join(patterns), re.DOTALL) if patterns else None

    def clean(self, text: str) -> str:
        """Return a text with `***` in the place of each password and secret."""
        if self._secrets is not None:
            text = self._secrets.sub(BLANK, text)
        return _KEYWORD.sub(_blank_value, _blank_uris(text))


def passwords_in(dsn: str) -> list[str]:
    """Return the passwords in a DSN of libpq (a URI or keywords), decoded."""
    if not _URI.match(dsn):
        return [_keyword_value(match) for match in _KEYWORD.finditer(dsn)]
    pairs = [pair.partition("=") for pair in dsn.partition("?")[2].split("&")]
    found = [dsn[start:end] for start, end in _uri_passwords(dsn)]
    return [unquote(value) for value in [*found, *(value for name, _, value in pairs if name.endswith("password"))]]


def _blank_uris(text: str) -> str:
    parts, done = [], 0
    for start, end in _uri_passwords(text):
        parts += [text[done:start], BLANK]
        done = end
    return "".join([*parts, text[done:]])


def _uri_passwords(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the passwords of URIs begin and end: scheme://user:PASSWORD@host."""
    place = at = word_end = 0
    while (found := text.find("://", place)) >= 0:
        place = found + 3
        if place > word_end:
            word_end = _end(_WORD, text, place, len(text))
        user_end = _AFTER_USER.search(text, place, word_end)
        if user_end is None or user_end[0] != ":" or _NO_PASSWORD.match(text, user_end.end(), word_end):
            continue
        start = user_end.end()
        if at < start:
            at = text.find("@", start, word_end)
        if at < 0:
            # There is no password in the rest of this word. It is not searched again for each further "://".
            place = word_end
            continue
        # If the user's name has an @ (as on Azure), what follows a later path may be anything.
        begin = start if "@" in text[place:start] else at + 1
        place = max(_end(_UP_TO_LAST_AT, text, begin, word_end) - 1, begin - 1)
        if place > start:
            yield start, place


def _end(pattern: re.Pattern[str], text: str, start: int, end: int) -> int:
    match = pattern.match(text, start, end)
    return start if match is None else match.end()


def _blank_value(match: re.Match[str]) -> str:
    if "" in (match["single"], match["double"]):
        return match[0]
    quote = "'" if match["single"] else '"' if match["double"] else ""
    return f"{match['key']}{quote}{BLANK}{quote}"


def _keyword_value(match: re.Match[str]) -> str:
    # libpq knows single quotes only; a double quote is part of the value.
    text = match["single"] if match["single"] is not None else match[0][len(match["key"]) :]
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _in_any_form(secret: str) -> str:
    return "".join(_piece(piece) for piece in re.findall(r"\\+|[^\\]", secret))


def _piece(piece: str) -> str:
    if _UNRESERVED.fullmatch(piece):
        return re.escape(piece)
    encoded = "".join(f"(?i:%{byte:02x})" for byte in piece.encode("utf-8", "surrogatepass"))
    if piece[0] == "\\":
        # Several backslashes are one piece. With each of them doubled or not there would be 2 ** n ways to try.
        return rf"(?:\\{{{len(piece)},{2 * len(piece)}}}|{encoded})"
    forms = [re.escape(piece), encoded, *_OTHER_FORMS.get(piece, ())]
    return f"(?:{'|'.join(forms)})"
