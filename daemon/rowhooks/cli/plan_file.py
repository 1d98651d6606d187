"""Plans as files: YAML, in which a key that is not known is an error with its line.

Words mean what they mean in JSON (YAML 1.2's core schema): `on`, `no`, `2026-01-31` and `12:30` are texts, and no digit
of a number is lost. This module needs PyYAML, which the extra `plan` brings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from rowhooks.domain import exact
from rowhooks.domain.errors import UsageError
from rowhooks.domain.plan import Plan, PlannedHook, values

_Path = tuple[str | int, ...]
_TAG = "tag:yaml.org,2002:"
_KINDS = {"map", "seq", "str", "null", "bool", "int", "float"}
_LONG = 4000
"""Python reads no integer of more than some 4,300 digits."""
_RESOLVED = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
)
_WORDS = {
    "dataclass_type": "a mapping is expected",
    "bool_type": "true or false is expected",
    "extra_forbidden": "unknown key",
    "list_type": "a list is expected",
    "missing": "this is missing",
    "tuple_type": "a list is expected",
    "unexpected_keyword_argument": "unknown key",
}


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Reads YAML; what a plain word means is in _RESOLVED."""

    yaml_implicit_resolvers: Mapping[str, Any] = {}


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Writes YAML that _Loader reads: it quotes a text that would be read as something else."""

    yaml_implicit_resolvers: Mapping[str, Any] = {}

    def ignore_aliases(self, data: Any) -> bool:
        """Write each list where it stands."""
        return True


for _kind, _pattern, _first in _RESOLVED:
    for _one in (_Loader, _Dumper):
        _one.add_implicit_resolver(_TAG + _kind, re.compile(f"^(?:{_pattern})$"), _first)
_Dumper.add_representer(Decimal, lambda dumper, number: dumper.represent_scalar(f"{_TAG}float", str(number)))


def read_plan(file: Path) -> Plan:
    """Return what a file says.

    Raises:
        UsageError: it cannot be read, or something in it is wrong; the message has the lines.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    return parse_plan(text, str(file))


def parse_plan(text: str, name: str) -> Plan:
    """Return what the text of a file says.

    Args:
        text: YAML.
        name: the file's, for messages.

    Raises:
        UsageError: something in it is wrong.
    """
    lines = _Lines({(): 1})
    lines.most = 1000 + 10 * len(text)
    try:
        root = yaml.compose(text, _Loader)
        data = {} if root is None else _value(root, (), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        raise UsageError(f"{where}: this is not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{name}: this is not YAML: {' '.join(str(error).split())}") from error
    except _Wrong as error:
        raise UsageError(f"{name}:{error.line}: {error}") from error
    except RecursionError as error:
        raise UsageError(f"{name}: it is nested too deeply") from error
    if isinstance(data, dict):
        # A section with nothing behind it names nothing; that is not the same as no section.
        data = {section: {} if items is None else items for section, items in data.items()}
    conditions = _taken_out(data)
    try:
        plan = TypeAdapter(Plan).validate_json(exact.write(data), strict=True)
    except ValidationError as error:
        raise UsageError("; ".join(_sentences(error, name, lines))) from error
    hooks = {key: replace(hook, conditions=conditions.get(key)) for key, hook in (plan.hooks or {}).items()}
    return plan if plan.hooks is None else replace(plan, hooks=hooks)


def write_plan(plan: Plan) -> str:
    """Return a plan as the text of a file. What has the default is left out."""
    document = {
        section.name: {key: _written(item) for key, item in sorted(items.items())}
        for section in fields(plan)
        if (items := getattr(plan, section.name)) is not None
    }
    return str(yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110))


def _taken_out(data: Any) -> dict[str, Any]:
    """Take the conditions out of the hooks, by their names: pydantic would make floats of their numbers."""
    hooks = data.get("hooks") if isinstance(data, dict) else None
    if not isinstance(hooks, dict):
        return {}
    return {
        key: hook.pop("conditions") for key, hook in hooks.items() if isinstance(hook, dict) and "conditions" in hook
    }


class _Lines(dict[_Path, int]):
    """The lines of the values, by their places, and how many there may be: aliases may stand for any number."""

    most: int


class _Wrong(Exception):
    def __init__(self, message: str, node: yaml.Node) -> None:
        super().__init__(message)
        self.line = node.start_mark.line + 1


def _value(node: yaml.Node, path: _Path, lines: _Lines) -> Any:
    if len(lines) > lines.most:
        raise _Wrong("its aliases stand for too many values", node)
    lines.setdefault(path, node.start_mark.line + 1)
    kind = node.tag.removeprefix(_TAG)
    if kind not in _KINDS:
        raise _Wrong(f"the tag {node.tag} means nothing here", node)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, place), lines) for place, item in enumerate(node.value)]
    try:
        return _scalar(kind, node.value)
    except (ArithmeticError, ValueError) as error:
        raise _Wrong(f"{node.value} is no {kind}", node) from error


def _scalar(kind: str, text: str) -> Any:
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int" and len(text) <= _LONG:
        return int(text)
    if kind in ("int", "float"):
        return Decimal(text)
    return text


def _mapping(node: yaml.MappingNode, path: _Path, lines: _Lines) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _Wrong("a key is a word", key)
        if key.value in found:
            raise _Wrong(f"{key.value} stands here twice", key)
        lines[*path, key.value] = key.start_mark.line + 1
        found[key.value] = _value(item, (*path, key.value), lines)
    return found


def _sentences(error: ValidationError, name: str, lines: Mapping[_Path, int]) -> list[str]:
    found: dict[str, int] = {}
    for one in error.errors(include_url=False):
        # The names of the alternatives of a type are behind the place.
        place = one["loc"]
        while place not in lines:
            place = place[:-1]
        rest = [str(part) for part in one["loc"][len(place) :]] if one["type"] == "missing" else []
        said = one["msg"].removeprefix("Value error, ")
        what = _WORDS.get(one["type"]) or said[0].lower() + said[1:]
        sentence = f"{name}:{lines[place]}: {'.'.join([*map(str, place), *rest]) or 'the file'}: {what}"
        found.setdefault(sentence, lines[place])
    return sorted(found, key=found.__getitem__)


def _written(item: Any) -> Any:
    said = {} if item is None else values(item)
    if isinstance(item, PlannedHook) and not item.job:
        said = {"enabled": item.enabled}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()}
