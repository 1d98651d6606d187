"""The fields of a form for the inputs of a press, made from the JSON schema of a job.

Other pages ask by rowhooks.input_fields, which tells them less: one test holds both to the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from rowhooks.domain import exact

LARGEST_SCHEMA = 20_000
"""How many characters of a schema become fields; for a larger one there is one field for JSON."""
MOST_FIELDS = 60
"""How many fields a form has; for a job that takes more there is one field for JSON."""
WHOLE = "inputs"
"""The name of the field for all inputs as JSON."""
_PREFIX = "input."
_MOST_REFERENCES = 20
_SCALARS = ("string", "integer", "number", "boolean")


@dataclass(frozen=True)
class Field:
    """A field of a form.

    Args:
        name: the input's name; WHOLE for all inputs as JSON.
        html_name: the name of the HTML field.
        label: its title.
        kind: `text`, `long text`, `secret`, `date`, `integer`, `number`, `checkbox`, `checkbox or nothing`, `choice`,
            `choices`, `list` (an item on each line) or `json`.
        description: what the schema says about it.
        required: whether there must be a value.
        nullable: whether null is a value.
        default: the schema's default.
        has_default: whether there is one.
        limits: the attributes `min`, `max`, `minlength`, `maxlength` and `step` of the HTML field.
        choices: the values to choose from, as JSON and as people read them.
        item: the kind of the items of a list.
    """

    name: str
    html_name: str
    label: str
    kind: str
    description: str = ""
    required: bool = False
    nullable: bool = False
    default: Any = None
    has_default: bool = False
    limits: Mapping[str, Any] = field(default_factory=dict)
    choices: Sequence[tuple[str, str]] = ()
    item: str = ""


def fields_of(schema: Mapping[str, Any] | None) -> list[Field]:
    """Return the fields for what a job takes.

    Args:
        schema: its JSON schema; None: it takes nothing.
    """
    properties = (schema or {}).get("properties")
    if not schema or not isinstance(properties, Mapping) or not properties:
        return [] if not schema or schema.get("additionalProperties") is False else [_whole(schema)]
    if len(properties) > MOST_FIELDS or len(exact.write(schema)) > LARGEST_SCHEMA:
        return [_whole(schema)]
    required = as_list(schema.get("required"))
    # As rowhooks.input_fields orders them: jsonb keeps no order of properties.
    named = [
        name for name in (*as_list(schema.get("x-order")), *required) if isinstance(name, str) and name in properties
    ]
    names = dict.fromkeys((*named, *properties))
    return [_field(name, properties[name], schema, required=name in required) for name in names]


def _whole(schema: Mapping[str, Any]) -> Field:
    return Field(
        WHOLE, WHOLE, "Inputs, as a JSON object", "json", description=str(schema.get("description") or ""),
        default={}, has_default=True,
    )  # fmt: skip


def _field(name: str, given: Any, root: Mapping[str, Any], *, required: bool) -> Field:
    schema, nullable = _resolved(given, root)
    kind, item, choices = _kind(schema, root)
    said = given if isinstance(given, Mapping) else {}
    return Field(
        name=name,
        html_name=_PREFIX + name,
        # A schema that it refers to has the title of a class, which may be that of several inputs.
        label=str(said.get("title") or name),
        kind=f"{kind} or nothing" if kind == "checkbox" and nullable else kind,
        description=str(said.get("description") or schema.get("description") or "")[:500],
        required=required,
        nullable=nullable,
        default=said.get("default", schema.get("default")),
        has_default="default" in said or "default" in schema,
        limits=_limits(schema, kind),
        choices=choices,
        item=item,
    )


def _resolved(schema: Any, root: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """Return what a schema says without references and without the choice of null; and whether it has that."""
    nullable = False
    for _ in range(_MOST_REFERENCES):
        if not isinstance(schema, Mapping):
            return {}, nullable
        rest = {name: value for name, value in schema.items() if name not in ("$ref", "allOf", "anyOf", "oneOf")}
        if isinstance(schema.get("$ref"), str):
            defined = root.get("$defs")
            found = defined.get(schema["$ref"].rpartition("/")[2]) if isinstance(defined, Mapping) else None
            schema = {**found, **rest} if isinstance(found, Mapping) else rest
            continue
        choices = [one for word in ("allOf", "anyOf", "oneOf") for one in as_list(schema.get(word))]
        others = [one for one in choices if not (isinstance(one, Mapping) and one.get("type") == "null")]
        nullable = nullable or len(others) < len(choices)
        if len(others) != 1 or not isinstance(others[0], Mapping):
            break
        schema = {**others[0], **rest}
    if isinstance(said := schema.get("type"), list):
        nullable = nullable or "null" in said
        left = [one for one in said if one != "null"]
        schema = {**schema, "type": left[0] if len(left) == 1 else left}
    return schema, nullable


def as_list(value: Any) -> list[Any]:
    """Return a list as it is, and nothing for what is none."""
    return value if isinstance(value, list) else []


def _kind(schema: Mapping[str, Any], root: Mapping[str, Any]) -> tuple[str, str, Sequence[tuple[str, str]]]:
    """Return the kind of a field, that of the items of a list, and the choices."""
    choices = _choices(schema)
    if choices:
        return "choice", "", choices
    said = schema.get("type")
    if said == "string":
        is_long = isinstance(length := schema.get("maxLength"), int) and length > 255
        if schema.get("format") == "password" or schema.get("writeOnly") is True:
            return "secret", "", ()
        return ("date" if schema.get("format") == "date" else "long text" if is_long else "text"), "", ()
    if said in ("integer", "number"):
        return said, "", ()
    if said == "boolean":
        return "checkbox", "", ()
    if said == "array":
        item, nullable = _resolved(schema.get("items"), root)
        if not nullable and (choices := _choices(item)):
            return "choices", "", choices
        if not nullable and item.get("type") in _SCALARS and "prefixItems" not in schema:
            return "list", str(item["type"]), ()
    kinds = _kinds(schema)
    # As on the command line: where a text is among what the schema takes, it is that.
    return ("text" if "string" in kinds and kinds <= set(_SCALARS) else "json"), "", ()


def _choices(schema: Mapping[str, Any]) -> list[tuple[str, str]]:
    values = [schema["const"]] if "const" in schema else as_list(schema.get("enum"))
    return [(exact.write(value), value if isinstance(value, str) else exact.write(value)) for value in values]


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    said = schema.get("type")
    kinds = {said} if isinstance(said, str) else {one for one in as_list(said) if isinstance(one, str)}
    for word in ("anyOf", "oneOf"):
        for one in as_list(schema.get(word)):
            kinds |= _kinds(one) if isinstance(one, Mapping) and "$ref" not in one else {"object"}
    return kinds - {"null"}


def _limits(schema: Mapping[str, Any], kind: str) -> dict[str, Any]:
    if kind in ("integer", "number"):
        limits = {"min": schema.get("minimum"), "max": schema.get("maximum"), "step": 1 if kind == "integer" else "any"}
    elif kind in ("text", "long text"):
        limits = {"minlength": schema.get("minLength"), "maxlength": schema.get("maxLength")}
    else:
        limits = {}
    return {name: limit for name, limit in limits.items() if isinstance(limit, int | float | str | Decimal)}
