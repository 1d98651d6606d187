"""Keys: whether an update has changed a row's key, and which texts of a key are one value to the server."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rowhooks.domain import exact
from rowhooks.domain.change import ObjectChange

NUMBER, TEXT, ANY = "number", "text", "any"
"""How one value of a key column may be written in several ways: with other digits (1.0 and 1.00), in other letters or
with other spaces (citext, collations that are not deterministic, char), in whatever way (interval)."""

_FIELD = re.compile(r'"(?:[^"\\]|\\.)*": (?:"(?:[^"\\]|\\.)*"|[^][{}",]+)')
_LEADING_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")


def former_key(change: ObjectChange) -> str | None:
    """Return the key that a row had before an update, as JSON text; None where it is the same, or not known.

    It is asked of every change that is read: mostly one look at the text answers it.
    """
    before, key = change.prechange_json, change.object_id_json
    if before is None or change.action != "update":
        return None
    # The server writes short names first, and `id` is one.
    if (before.startswith(key[:-1]) and before[len(key) - 1 : len(key)] == ",") or _stands_in(key[1:-1], before):
        return None
    fields = _FIELD.findall(key)
    if len(fields) > 1 and key == f"{{{', '.join(fields)}}}" and all(_stands_in(field, before) for field in fields):
        return None
    return _read_former_key(key, before)


def _stands_in(field: str, row: str) -> bool:
    """Say whether a row has a field, surely; both are as the server writes jsonb."""
    at = row.find(field)
    # What is inside an object within the row is no column of it.
    return at >= 0 and row[at + len(field) : at + len(field) + 1] in (",", "}") and row.find("{", 1, at) < 0


def _read_former_key(key: str, before: str) -> str | None:
    try:
        now, row = exact.read_exactly(key), exact.read_exactly(before)
    except ValueError:
        return None
    if not now or not now.keys() <= row.keys():
        return None
    former = {name: row[name] for name in now}
    return None if exact.same(now, former) else f"{{{', '.join(map(_field, former, former.values()))}}}"


def _field(name: str, value: Any) -> str:
    """Return a field as the server writes it, which uses no exponents."""
    text = format(value, "f") if isinstance(value, Decimal) else exact.write(value)
    return f"{json.dumps(name, ensure_ascii=False)}: {text}"


def lane_key(key: str, loose: Mapping[str, str]) -> str:
    """Return what is the same for all texts of one key.

    Keys that differ may have it in common too: then their runs wait for each other, which harms nothing.

    Args:
        key: key columns to values, as JSON text.
        loose: columns of which one value has several texts, and how: NUMBER, TEXT or ANY.
    """
    # Numbers differ by zeros behind their point.
    if "." not in key and all(how == NUMBER for how in loose.values()):
        return key
    try:
        values = exact.read_exactly(key)
    except ValueError:
        return key
    return exact.write({name: _plain(value, loose.get(name)) for name, value in values.items()})


def _plain(value: Any, how: str | None) -> Any:
    if how == ANY:
        return None
    if isinstance(value, list):
        return [_plain(one, how) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one, how) for name, one in value.items()}
    if how == NUMBER and isinstance(value, Decimal):
        digits = format(value, "f").rstrip("0").rstrip(".")
        # As what has no point is written.
        return digits if "." in digits else int(value)
    if how == TEXT and isinstance(value, str):
        return _letters(value)
    return value


def _letters(text: str) -> str:
    """Return letters and digits alone, without case, marks and leading zeros: more than any collation leaves out."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return _LEADING_ZEROS.sub("", "".join(filter(str.isalnum, folded)))
