"""`Inputs`: the pydantic model of what a button receiver takes from a press, its schema, and its instance."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rowhooks.domain.errors import InvalidInputs, ReceiverError

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

_FORM = "class Inputs(pydantic.BaseModel): size: int"
ORDER = "x-order"
"""The keyword, not one of JSON Schema's own, that lists the properties in the order in which a form asks for them."""
_MOST_PROBLEMS = 20
"""How many fields a message names."""


def inputs_of(cls: Any, *, is_button: bool) -> type[BaseModel] | None:
    """Return the class `Inputs` of a receiver class; None where it takes no inputs.

    Raises:
        ReceiverError: it is no pydantic model with names, or the receiver is for hooks, which have no inputs.
    """
    declared: Any = getattr(cls, "Inputs", None)
    if declared is None:
        return None
    # Imported only for a class that has such an attribute.
    from pydantic import BaseModel, RootModel

    is_model = isinstance(declared, type) and issubclass(declared, BaseModel)
    path = f"{cls.__module__}.{cls.__qualname__}"
    if not is_button:
        if is_model:
            raise ReceiverError(f"{path} declares Inputs, but a change has none", hint="a press has them, of a button")
        return None
    if not is_model or issubclass(declared, RootModel):
        raise ReceiverError(f"{path}.Inputs is no pydantic.BaseModel with fields", hint=f"for example {_FORM}")
    model: type[BaseModel] = declared
    return model


def schema_of(cls: Any, model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of a receiver's inputs, by which PostgreSQL checks a press.

    A name that is not in it is refused, unless the model says itself what becomes of other names (`extra`).

    Raises:
        ReceiverError: pydantic cannot describe the model as JSON, or a name of the schema would not reach its field.
    """
    path = f"{cls.__module__}.{cls.__qualname__}.Inputs"
    try:
        # A type of the user's may describe itself with code of its own.
        schema = model.model_json_schema(mode="validation")
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise ReceiverError(
            f"{path} has no JSON schema: {reason}",
            hint="give each field a type that JSON can hold, or Field(json_schema_extra=...)",
        ) from error
    for name, field in model.model_fields.items():
        if not isinstance(field.validation_alias, str | None) and not _is_reached(schema, field.validation_alias):
            raise ReceiverError(
                f"{path}.{name} is found by an AliasPath, which a JSON schema cannot say",
                hint="give it a name of its own: Field(alias=...)",
            )
    if "extra" not in model.model_config:
        schema["additionalProperties"] = False
    # jsonb keeps no order of properties.
    schema.setdefault(ORDER, list(schema.get("properties", ())))
    finite: dict[str, Any] = _finite(schema)
    return finite


def _is_reached(schema: Mapping[str, Any], alias: Any) -> bool:
    """Say whether a field with several aliases has one of them as its name in the schema."""
    return any(isinstance(one, str) and one in schema.get("properties", {}) for one in getattr(alias, "choices", ()))


def _finite(schema: Any) -> Any:
    """Return a schema without what JSON cannot hold: a default or a limit that is infinite, or no number."""
    if isinstance(schema, dict):
        return {name: _finite(one) for name, one in schema.items() if not _holds_no_number(one)}
    return list(map(_finite, schema)) if isinstance(schema, list) else schema


def _holds_no_number(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_holds_no_number, value))
    return isinstance(value, float) and not math.isfinite(value)


def validated_inputs(model: type[BaseModel] | None, schema: Mapping[str, Any] | None, text: str | None) -> Any:
    """Return the inputs of a press as the model's instance; None where the receiver takes none.

    The press was checked against the schema of that time. The class may have changed since.

    Args:
        model: the receiver's class `Inputs`.
        schema: its schema.
        text: the inputs as JSON; None for none.

    Raises:
        InvalidInputs: the model does not take them. The message has that of each field, and no value.
    """
    if model is None or schema is None:
        if text is not None:
            raise InvalidInputs("the press gave inputs, and the receiver takes none", hint="press without inputs")
        return None
    from pydantic import ValidationError

    try:
        inputs = model.model_validate_json(text or "{}")
    except ValidationError as error:
        raise InvalidInputs(_message(error)) from None
    if text is not None and schema.get("additionalProperties") is False:
        _check_names(text, schema)
    return inputs


def _check_names(text: str, schema: Mapping[str, Any]) -> None:
    unknown = [name for name in json.loads(text) if name not in schema.get("properties", {})]
    if unknown:
        raise InvalidInputs("; ".join(f"{name}: Extra inputs are not permitted" for name in unknown))


def _message(error: ValidationError) -> str:
    # Neither the value nor pydantic's link: the value may be a secret.
    problems = [
        f"{'.'.join(map(str, one['loc'])) or 'inputs'}: {one['msg']}"
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    # A list of thousands may be wrong in each of its items.
    if (left_out := len(problems) - _MOST_PROBLEMS) > 0:
        problems[_MOST_PROBLEMS:] = [f"and {left_out} more"]
    return "; ".join(problems)
