"""rowhooks results show --as-test: a run, written as a test for pytest."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from rowhooks.cli.literals import quoted
from rowhooks.domain.errors import Conflict
from rowhooks.postgres.administration.recorded_runs import RecordedRun

WIDTH = 100
"""Characters of a line, where a value can be broken."""
_INDENT = "    "


def as_test(run: RecordedRun, clean: Callable[[str], str] = str) -> str:
    """Return the source of a test module.

    Args:
        run: the run.
        clean: blanks secrets.

    Raises:
        Conflict: the receiver cannot be imported by its class path.
    """
    return _Module(run, clean).text()


class _Module:
    def __init__(self, run: RecordedRun, clean: Callable[[str], str]) -> None:
        self._run = run
        self._clean = clean
        self._has_decimal = False
        self._module, self._receiver = _import_path(run)

    def text(self) -> str:
        body = "\n".join(f"{_INDENT}{line}" if line else "" for line in self._body())
        imports = [f"from {self._module} import {self._receiver.partition('.')[0]}"]
        if self._has_decimal:
            imports[:0] = ["from decimal import Decimal", ""]
        heading = "\n".join(self._heading())
        return f"{heading}\n\n" + "\n".join(imports) + f"\n\n\ndef {self._name()}(rowhooks):\n{body}\n"

    def _heading(self) -> Iterator[str]:
        run = self._run
        yield f'"""Run {run.id} of {run.class_path}, which ended as {run.status}.'
        yield ""
        yield f"Written by `rowhooks results show {run.id} --as-test`. It has rows of the database in it: look through"
        yield "them before you commit the file."
        notes = [self._in_docstring(note) for note in dict.fromkeys(run.notes)]
        if notes:
            yield ""
            yield from notes
        yield '"""'

    def _in_docstring(self, text: str) -> str:
        return self._clean(text).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')

    def _name(self) -> str:
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self._receiver.replace(".", "_")).lower()
        return f"test_{words}_run_{self._run.id}"

    def _body(self) -> Iterator[str]:
        run = self._run
        for name, value in run.variables.items():
            given = f'{{"value": {self._text(value)}}}'
            yield f"rowhooks.execute(\"select set_config('{name}', :value, true)\", {given})"
        for table, row in run.others:
            yield from self._put(str(table), row)
        has_key = bool(run.key)
        if run.before is not None and has_key:
            yield from self._put(str(run.table), {**run.before, **run.key})
        yield from self._call(has_key=has_key)
        if run.status != "SUCCESS":
            ended = f"It ended as {run.status}" + (f": {run.exception}" if run.exception else "")
            yield f"# {self._clean(ended)}"
            yield "# If that is as it should be, say so: assert run.status == ..."
        yield "assert run.exception is None"
        yield 'assert run.status == "SUCCESS"'

    def _put(self, table: str, row: Mapping[str, Any]) -> Iterator[str]:
        yield from _lines(f"rowhooks.put({self._text(table)}, ", self._value(row, 0), ")")

    def _call(self, *, has_key: bool) -> Iterator[str]:
        run = self._run
        yield f"run = rowhooks.{'press_button' if run.is_press else 'run_hook'}("
        arguments: list[tuple[str, Any]] = [("table", str(run.table))]
        if run.is_press:
            key = next(iter(run.key.values())) if len(run.key) == 1 else run.key
            arguments.append(("key", key))
        else:
            if run.before is not None:
                arguments.append(("before", run.key if has_key else run.before))
            if run.after is not None:
                arguments.append(("after", run.after))
            if run.identity != "key":
                arguments.append(("identity", list(run.key) if has_key else "full"))
        if run.inputs is not None:
            arguments.append(("inputs", run.inputs))
        yield f"{_INDENT}{self._receiver},"
        for name, value in arguments:
            yield from (f"{_INDENT}{line}" for line in _lines(f"{name}=", self._value(value, 1), ","))
        if run.user is not None:
            yield f"{_INDENT}user={self._text(run.user)},"
            yield from (f"{_INDENT}{line}" for line in self._permissions())
        yield ")"

    def _permissions(self) -> Iterator[str]:
        permissions = self._run.permissions
        if permissions is None:
            yield "# Nothing here says what this user may do; for example {'dcim.change_device'}."
        elif permissions:
            yield f"permissions={{{', '.join(map(self._text, sorted(permissions)))}}},"
            return
        yield "permissions=set(),"

    def _text(self, text: str) -> str:
        return quoted(self._clean(text))

    def _value(self, value: Any, depth: int) -> list[str]:
        """Return the source of a value, in one line where it is short enough."""
        short = self._short(value)
        if len(short) + depth * len(_INDENT) <= WIDTH or not isinstance(value, dict | list) or not value:
            return [short]
        is_mapping = isinstance(value, dict)
        lines = ["{" if is_mapping else "["]
        for one in value:
            inner = self._value(value[one] if is_mapping else one, depth + 1)
            first = f"{self._text(one)}: {inner[0]}" if is_mapping else inner[0]
            inner[0] = first
            lines += [f"{_INDENT}{line}" for line in (*inner[:-1], f"{inner[-1]},")]
        return [*lines, "}" if is_mapping else "]"]

    def _short(self, value: Any) -> str:
        if isinstance(value, dict):
            return f"{{{', '.join(f'{self._text(name)}: {self._short(one)}' for name, one in value.items())}}}"
        if isinstance(value, list):
            return f"[{', '.join(map(self._short, value))}]"
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Decimal):
            # A float where it is the same number with the same digits.
            if repr(float(value)) == str(value):
                return str(value)
            self._has_decimal = True
            return f'Decimal("{value}")'
        return repr(value)


def _lines(before: str, value: list[str], after: str) -> list[str]:
    first, *rest = value
    if not rest:
        return [f"{before}{first}{after}"]
    return [f"{before}{first}", *rest[:-1], f"{rest[-1]}{after}"]


def _import_path(run: RecordedRun) -> tuple[str, str]:
    """Return the module of a receiver and its name there; a class may stand in another one."""
    *modules, name = run.class_path.split(".")
    names = [name]
    # By convention, a module's name begins with a small letter.
    while len(modules) > 1 and modules[-1][:1].isupper():
        names.insert(0, modules.pop())
    parts = [*modules, *names]
    if not modules or not all(part.isidentifier() and not keyword.iskeyword(part) for part in parts):
        raise Conflict(
            f"run {run.id} cannot be written as a test: {run.class_path} cannot be imported by its name",
            hint="define the class in a module, not inside a function",
        )
    return ".".join(modules), ".".join(names)
