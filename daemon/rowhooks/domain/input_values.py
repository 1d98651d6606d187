"""Inputs that an application gives to a press, as JSON. Nothing here imports pydantic: it may not be installed."""

from __future__ import annotations

import json
import math
import sys
from collections import deque
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import PurePath
from types import GeneratorType
from typing import Any
from uuid import UUID

_AS_TEXT = (
    UUID, PurePath, IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network,
)  # fmt: skip
_LISTS = (list, tuple, set, frozenset, deque, GeneratorType)


def inputs_as_json(inputs: Any) -> str | None:
    """Return inputs as JSON text, with the values in the forms that pydantic reads; None for none.

    A secret of pydantic's (`SecretStr` and the like) is written as its value, because the receiver needs that.

    Raises:
        TypeError: they are no mapping and no pydantic model, or JSON cannot hold one of them.
        ValueError: one of them is no finite number, or no text in UTF-8.
    """
    if inputs is None:
        return None
    if _is_model(inputs):
        given = _of_model(inputs, with_defaults=False)
    elif isinstance(inputs, Mapping):
        given = _plain(inputs, "")
    else:
        raise TypeError(
            f"inputs are a mapping of names to values, or a pydantic model, not {type(inputs).__qualname__}"
        )
    return json.dumps(given, ensure_ascii=False)


def _is_model(value: object) -> bool:
    return hasattr(type(value), "model_dump") and hasattr(type(value), "model_fields")


def _of_model(model: Any, *, with_defaults: bool) -> Any:
    """Return a pydantic model as its own class reads it.

    Args:
        model: the model.
        with_defaults: whether the fields are written that nobody set. A nested model may be chosen by one of them.
    """
    declared = type(model).model_fields
    unset = None if with_defaults else set(declared) - model.model_fields_set
    # Without computed fields, which are no input.
    as_json, as_it_is = (
        model.model_dump(mode=mode, by_alias=True, round_trip=True, exclude=unset) for mode in ("json", "python")
    )
    written = _unmasked(as_json, as_it_is, type(model).__qualname__)
    if not isinstance(written, dict):
        return written
    names = {
        one.serialization_alias or name: _name_in_schema(name, one.validation_alias) for name, one in declared.items()
    }
    return {names.get(name, name): value for name, value in written.items()}


def _name_in_schema(name: str, alias: Any) -> str:
    choices = (alias, *getattr(alias, "choices", ()))
    return next((one for one in choices if isinstance(one, str)), name)


def _unmasked(written: Any, value: Any, place: str) -> Any:
    """Return what pydantic has written of a value, with what that would lose."""
    if hasattr(value, "get_secret_value"):
        return _plain(value.get_secret_value(), place)
    if isinstance(value, Decimal) and isinstance(written, str):
        return _digits(value, place)
    if isinstance(value, float) and not math.isfinite(value) and not isinstance(written, str):
        raise ValueError(f"input {place} is {value}, which JSON cannot hold")
    if isinstance(written, dict) and isinstance(value, dict) and len(written) == len(value):
        pairs = zip(written.items(), value.values(), strict=True)
        return {name: _unmasked(one, its_value, f"{place}.{name}") for (name, one), its_value in pairs}
    if isinstance(written, list) and isinstance(value, _LISTS[:-1]) and len(written) == len(value):
        return [_unmasked(one, its_value, place) for one, its_value in zip(written, value, strict=True)]
    return written


def _plain(value: Any, place: str) -> Any:
    """Return a value as what JSON has."""
    if isinstance(value, Enum):
        return _plain(value.value, place)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"input {place} is {value}, which JSON cannot hold")
        return value
    if isinstance(value, Mapping):
        return {
            str(_plain(name, place)): _plain(one, f"{place}.{name}" if place else str(name))
            for name, one in value.items()
        }
    if isinstance(value, _LISTS):
        return [_plain(one, place) for one in value]
    if hasattr(value, "get_secret_value"):
        return _plain(value.get_secret_value(), place)
    if _is_model(value):
        return _of_model(value, with_defaults=True)
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name), f"{place}.{one.name}") for one in fields(value)}
    return _as_text(value, place)


def _as_text(value: Any, place: str) -> Any:
    if isinstance(value, Decimal):
        return _digits(value, place)
    if isinstance(value, datetime):
        text = value.isoformat()
        return f"{text[:-6]}Z" if text.endswith("+00:00") else text
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        microseconds = abs(value) // timedelta(microseconds=1)
        seconds = f"{microseconds // 10**6}.{microseconds % 10**6:06}".rstrip("0").rstrip(".")
        return f"{'-' if value < timedelta(0) else ''}PT{seconds}S"
    if isinstance(value, bytes | bytearray):
        return value.decode()
    if isinstance(value, _AS_TEXT):
        return str(value)
    # A type of pydantic's own, such as a URL: then pydantic is there.
    if core := sys.modules.get("pydantic_core"):
        try:
            return core.to_jsonable_python(value)
        except core.PydanticSerializationError:
            pass
    raise TypeError(f"input {place} is a {type(value).__qualname__}, which JSON cannot hold")


def _digits(value: Decimal, place: str) -> str:
    """Return a decimal without an exponent, which a JSON schema of pydantic's does not take."""
    if not value.is_finite():
        raise ValueError(f"input {place} is {value}, which JSON cannot hold")
    return f"{value:f}"
