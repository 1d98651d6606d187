"""What a person writes into the form for the inputs of a press, read by the form's fields.

The database checks the inputs by the job's schema. Here a text becomes a value of the kind that the schema asks for; a
text that cannot is a problem beside its field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from starlette.datastructures import FormData

from rowhooks.domain import exact
from rowhooks.web.forms.input_fields import WHOLE, Field, as_list


@dataclass(frozen=True)
class Filled:
    """A field with what stands in it.

    Args:
        field: the field.
        texts: what is written or chosen; of a secret nothing.
        problem: what is wrong with it.
    """

    field: Field
    texts: Sequence[str]
    problem: str = ""


def filled_with_defaults(fields: Sequence[Field]) -> list[Filled]:
    """Return fields as a form has them at first."""
    return [Filled(one, [] if one.kind == "secret" else _texts(one, one.default)) for one in fields]


def read_inputs(fields: Sequence[Field], form: FormData) -> tuple[dict[str, Any], list[Filled]]:
    """Return the inputs that a form gives, and its fields with what was written and what is wrong with it.

    An optional field that is left empty is left out: the job's default holds.

    Args:
        fields: the fields.
        form: what was sent.
    """
    inputs: dict[str, Any] = {}
    filled = []
    for one in fields:
        texts = [str(text) for text in form.getlist(one.html_name)]
        problem = ""
        try:
            value = _read(one, texts)
        except ValueError as error:
            problem = str(error)
        else:
            if value is not LEFT_OUT:
                inputs.update(value if one.html_name == WHOLE else {one.name: value})
        filled.append(Filled(one, [] if one.kind == "secret" else texts, problem))
    return inputs, filled


def with_problem(filled: Sequence[Filled], problem: str) -> tuple[list[Filled], str]:
    """Return fields with what the database has found wrong, beside its field, and what is left of that for the form.

    Args:
        filled: the fields.
        problem: the database's words, which begin or end with the place: `racks[2].height: must be at least 1`, or
            `size is missing`.
    """
    place, separator, what = problem.partition(": ")
    for one in sorted(filled, key=lambda one: -len(one.field.name)):
        name = one.field.name
        if problem == f"{name} is missing":
            return _marked(filled, one, "a value is needed"), ""
        if separator and (place == name or place.startswith((f"{name}.", f"{name}["))):
            return _marked(filled, one, what if place == name else problem), ""
    return list(filled), problem


def _marked(filled: Sequence[Filled], wrong: Filled, problem: str) -> list[Filled]:
    return [Filled(one.field, one.texts, problem) if one is wrong else one for one in filled]


LEFT_OUT = object()
"""The value of a field that gives none."""


def _texts(one: Field, value: Any) -> list[str]:
    """Return what stands in a field that has a value."""
    if value is None:
        return []
    if one.kind in ("choice", "checkbox or nothing"):
        return [exact.write(value)]
    if one.kind == "checkbox":
        return ["true"] if value is True else []
    if one.kind == "choices":
        return [exact.write(item) for item in as_list(value)]
    if one.kind == "list":
        return ["\n".join(item if isinstance(item, str) else exact.write(item) for item in as_list(value))]
    if one.kind == "json":
        return [exact.write(value, indent=2)]
    return [value if isinstance(value, str) else exact.write(value)]


def _read(one: Field, texts: Sequence[str]) -> Any:
    """Return the value of a field; LEFT_OUT for none.

    Raises:
        ValueError: it is no value of its kind.
    """
    text = (texts[0] if texts else "").replace("\r\n", "\n")
    if any("\0" in part for part in texts):
        raise ValueError("PostgreSQL has no text with a zero byte")
    if one.kind == "checkbox":
        return text == "true"
    if one.kind == "choices":
        return [_chosen(one, part) for part in texts if part] if texts or one.required or one.default else LEFT_OUT
    if one.kind == "list":
        items = [_scalar(one.item, line) for line in text.split("\n") if line.strip()]
        return items if items or one.required or one.default else LEFT_OUT
    if not text or (one.kind == "json" and not text.strip()):
        return _empty(one)
    if one.kind in ("choice", "checkbox or nothing"):
        return _chosen(one, text)
    if one.kind == "json":
        return _json(one, text)
    return _scalar(one.kind, text)


def _empty(one: Field) -> Any:
    """Return what an empty field means: what the job takes by itself, unless somebody has deleted that."""
    if one.nullable and (one.required or one.default):
        return None
    return "" if one.default and not one.required and one.kind in ("text", "long text") else LEFT_OUT


def _chosen(one: Field, text: str) -> Any:
    allowed = [choice for choice, _ in one.choices] or ["true", "false"]
    if text not in allowed:
        raise ValueError("choose one of the values")
    return exact.read_given(text)


def _json(one: Field, text: str) -> Any:
    try:
        value = exact.read_given(text)
    except ValueError as error:
        raise ValueError(f"this is no JSON: {error}") from None
    if one.html_name == WHOLE and not isinstance(value, dict):
        raise ValueError("this is no JSON object")
    return value


def _scalar(kind: str, text: str) -> Any:
    if kind == "boolean":
        if text.strip() not in ("true", "false"):
            raise ValueError(f"{text.strip()[:50]} is neither true nor false")
        return text.strip() == "true"
    if kind in ("integer", "number"):
        try:
            number = exact.read_given(text.strip())
        except ValueError:
            number = None
        is_number = isinstance(number, int | Decimal) and not isinstance(number, bool)
        if not is_number or (kind == "integer" and number != Decimal(number).to_integral_value()):
            raise ValueError(f"{text.strip()[:50]} is no {'whole number' if kind == 'integer' else 'number'}")
        return number
    return text
