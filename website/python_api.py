"""The page about what people import, from signatures and docstrings."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

from website.markdown import described, fenced

MODULES = (
    "rowhooks",
    "rowhooks.choices",
    "rowhooks.events",
    "rowhooks.testing",
    "rowhooks.integrations.attribution",
    "rowhooks.integrations.sqlalchemy",
    "rowhooks.integrations.starlette",
    "rowhooks.integrations.django",
    "rowhooks.integrations.button_tokens",
    "rowhooks.integrations.alembic",
    "rowhooks.integrations.celery",
)
"""The modules that people import from."""

OFFERED = {
    "rowhooks.choices": ["ObjectChangeActionChoices", "JobResultStatusChoices"],
    "rowhooks.integrations.attribution": ["attributed"],
}
"""What a module offers that has no list of it."""


_WIDTH = 80
"""Characters of a signature that is one line."""


class Written(str):
    """An annotation, shown as it was written."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def python_api() -> Iterator[str]:
    """Yield the parts of the page."""
    yield "# Python API"
    yield "What people import. Everything else may change at any time."
    for name in MODULES:
        module = importlib.import_module(name)
        yield f"## {name}"
        yield from described(module)
        for public in public_names(name):
            yield from _name(public, getattr(module, public))


def public_names(module: str) -> list[str]:
    """Return the names that a module offers."""
    return OFFERED.get(module) or list(importlib.import_module(module).__all__)


def members(cls: type) -> dict[str, Any]:
    """Return the public methods, properties and constants of a class, and those that it has from classes of ours."""
    found: dict[str, Any] = {}
    for one in cls.__mro__:
        if one.__module__.startswith("rowhooks"):
            for name, value in vars(one).items():
                if not name.startswith("_"):
                    found.setdefault(name, value)
    return found


def _name(name: str, value: Any) -> Iterator[str]:
    yield f"### {name}"
    if inspect.isclass(value):
        yield fenced(f"class {name}{signature(value).removesuffix(' -> None')}", "python")
        yield from described(value)
        for member, one in members(value).items():
            yield from _member(name, member, one)
    elif callable(value):
        yield fenced(f"{name}{signature(value)}", "python")
        yield from described(value)
    else:
        yield f"`{value!r}`"


def _member(owner: str, name: str, value: Any) -> Iterator[str]:
    function = getattr(value, "__func__", value)
    if isinstance(value, str):
        yield f"`{owner}.{name} = {value!r}`"
    elif inspect.isroutine(function) or isinstance(value, property) or _is_ours(value):
        said = list(described(function))
        if any(said):
            yield f"#### {owner}.{name}"
            if inspect.isroutine(function) and (shown := signature(function)):
                yield fenced(f"{name}{shown}", "python")
            yield from said


def _is_ours(value: Any) -> bool:
    return not inspect.isclass(value) and type(value).__module__.startswith("rowhooks")


def signature(value: Any) -> str:
    """Return the signature of a function or class, with the annotations as they were written."""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        # Some classes have none that can be found out: enumerations, exceptions.
        return ""
    parameters = [one.replace(annotation=_written(one.annotation)) for one in found.parameters.values()]
    shown = str(found.replace(parameters=parameters, return_annotation=_written(found.return_annotation)))
    # A default that has no text of its own is shown by its name, or that of its class.
    return laid_out(re.sub(r"<(?:function )?(?:[\w.]+\.)?(\w+)(?: object)? at 0x\w+>", r"\1", shown))


def laid_out(signature: str) -> str:
    """Return a signature, with a line for each parameter if it is long."""
    if len(signature) <= _WIDTH:
        return signature
    parts, depth = [""], 0
    parameters, arrow, _ = signature.rpartition(") -> ")
    end = len(parameters) if arrow else len(signature) - 1
    for letter in signature[1:end]:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    lines = "".join(f"    {part.strip()},\n" for part in parts)
    return f"(\n{lines}{signature[end:]}"


def _written(annotation: Any) -> Any:
    return Written(annotation) if isinstance(annotation, str) else annotation
