"""Inputs of a press as people write and read them: `size=3`, by the JSON schema of a button's job."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rowhooks.domain.errors import UsageError

_HINT = 'for example --input size=3 --input name=core, or --inputs \'{"size": 3, "name": "core"}\''
_MOST_REFERENCES = 20
"""How many $refs are followed; one may name itself."""


def read_inputs(pairs: Sequence[str], text: str | None, schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the inputs that a command line gives; None where it gives none.

    Args:
        pairs: `name=value`. Where the schema takes a text under this name, the value is that; elsewhere it is JSON.
        text: all inputs, as JSON.
        schema: the schema, which the database checks them by; None: it is not known.

    Raises:
        UsageError: both are given, or one is malformed, or a name is given twice.
    """
    if pairs and text is not None:
        raise UsageError("--input and --inputs exclude each other", hint=_HINT)
    if text is not None:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"--inputs is no JSON: {error}", hint=_HINT) from error
        if not isinstance(found, dict):
            raise UsageError("--inputs is no JSON object", hint=_HINT)
        return found
    inputs: dict[str, Any] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not (name and sign):
            raise UsageError(f"{pair!r} is no input", hint=_HINT)
        if name in inputs:
            raise UsageError(f"input {name} is given twice", hint="a list is JSON: --input 'sizes=[1, 2]'")
        inputs[name] = _read(value, ((schema or {}).get("properties") or {}).get(name), schema or {})
    return inputs or None


def describe_inputs(schema: Mapping[str, Any] | None) -> list[str]:
    """Return what a job takes, one line a name: `size: integer, required`."""
    described = []
    required = (schema or {}).get("required") or ()
    for name, its_schema in ((schema or {}).get("properties") or {}).items():
        kinds = " or ".join(dict.fromkeys(kinds_of(its_schema, schema or {}))) or "anything"
        described.append(f"{name}: {kinds}{', required' if name in required else ''}")
    return described


def _read(value: str, its_schema: Any, root: Mapping[str, Any]) -> Any:
    if "string" in kinds_of(its_schema, root):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def kinds_of(schema: Any, root: Mapping[str, Any], references: int = 0) -> list[str]:
    """Return the JSON types that a schema takes, as far as it says.

    Args:
        schema: the schema.
        root: the document in which it stands.
        references: how many $refs were followed to it.
    """
    if not isinstance(schema, Mapping) or references > _MOST_REFERENCES:
        return []
    kinds: list[str] = []
    if isinstance(ref := schema.get("$ref"), str):
        kinds += kinds_of((root.get("$defs") or {}).get(ref.rpartition("/")[2]), root, references + 1)
    for keyword in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(keyword) or ():
            kinds += kinds_of(one, root, references + 1)
    said = schema.get("type")
    return kinds + ([said] if isinstance(said, str) else list(said or ()))
