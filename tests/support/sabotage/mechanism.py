"""A mechanism that keeps a promise, and how it is taken away: by symbol, in the processes that a test starts."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Protocol

FUNCTION = "create or replace function "


class Breakage(Protocol):
    """What takes a mechanism away."""

    def apply(self) -> None:
        """Take it away in this process; nothing but the modules that it names has been imported."""

    def check(self) -> None:
        """Assert that what it takes away is there."""


@dataclass(frozen=True)
class Sabotage:
    """One mechanism, and what takes it away.

    Args:
        promise: the number in docs/guarantees.md, or in docs/security.md.
        mechanism: what is taken away, as the page says it.
        breakage: what takes it away.
        test: file below tests/ and name of the test that must fail.
    """

    promise: int
    mechanism: str
    breakage: Breakage
    test: str


@dataclass(frozen=True)
class Python:
    """A name of Python's that means something else.

    Args:
        symbol: `module:name` or `module:Class.name`.
        becomes: takes what the name means, and returns what it means then.
    """

    symbol: str
    becomes: Callable[[Any], Any]

    def apply(self) -> None:
        """Give the name its other meaning, also where another module has imported it."""
        holder, name = self._place()
        before = inspect.getattr_static(holder, name)
        is_static = isinstance(before, staticmethod)
        after = self.becomes(before.__func__ if is_static else before)
        setattr(holder, name, staticmethod(after) if is_static else after)
        # What a module has imported means another thing in that module alone.
        if inspect.ismodule(holder) and getattr(before, "__module__", holder.__name__) == holder.__name__:
            for module in [module for key, module in sys.modules.items() if key.partition(".")[0] == "rowhooks"]:
                if vars(module).get(name) is before:
                    setattr(module, name, after)

    def check(self) -> None:
        """Assert that the name is there."""
        holder, name = self._place()
        inspect.getattr_static(holder, name)

    def _place(self) -> tuple[Any, str]:
        module, _, path = self.symbol.partition(":")
        holder: Any = importlib.import_module(module)
        *classes, name = path.split(".")
        for one in classes:
            holder = getattr(holder, one)
        return holder, name


@dataclass(frozen=True)
class Function:
    """A function of the schema that is installed otherwise.

    Args:
        name: the function, without its schema.
        expression: what of its body is replaced; it stands there once. None: all of the body.
        by: what is in its place.
    """

    name: str
    expression: str | None
    by: str

    def apply(self) -> None:
        """Alter it in the scripts that install the schema and that tell what differs from it."""
        resources: Any = importlib.import_module("rowhooks.resources")
        script = resources.sql_script

        @wraps(script)
        def altered(*kinds: str) -> str:
            whole = str(script(*kinds))
            return self._altered(whole) if self._definitions(whole) else whole

        resources.sql_script = altered

    def check(self) -> None:
        """Assert that it is there, with what is replaced."""
        whole = str(importlib.import_module("rowhooks.resources").sql_script())
        assert self._altered(whole) != whole

    def _definitions(self, script: str) -> list[tuple[int, int]]:
        begins = [found.start() for found in re.finditer(f"^{FUNCTION}", script, re.MULTILINE)]
        ends = [*begins[1:], len(script)]
        named = f"{FUNCTION}rowhooks.{self.name}("
        return [(begin, end) for begin, end in zip(begins, ends, strict=False) if script.startswith(named, begin)]

    def _altered(self, script: str) -> str:
        for begin, end in self._definitions(script):
            definition = script[begin:end]
            if self.expression is None:
                opening, quote, _, closing = re.split(
                    r"(?<=\bas )(\$\w*\$)(.*?)\1", definition, maxsplit=1, flags=re.DOTALL
                )
                return f"{script[:begin]}{opening}{quote}\n{self.by}\n{quote}{closing}{script[end:]}"
            if definition.count(self.expression) == 1:
                return f"{script[:begin]}{definition.replace(self.expression, self.by)}{script[end:]}"
        raise AssertionError(f"no function rowhooks.{self.name} has once: {self.expression}")


@dataclass(frozen=True)
class View(Function):
    """A view of the schema that is made otherwise."""

    def _definitions(self, script: str) -> list[tuple[int, int]]:
        begin = script.find(f"create or replace view rowhooks.{self.name} ")
        return [] if begin < 0 else [(begin, script.index(";\n", begin))]


@dataclass(frozen=True)
class Statement:
    """A named block of an .sql file beside a module, which is read otherwise.

    Args:
        module: the module.
        name: the block.
        expression: what of it is replaced; it stands there once. None: all of it.
        by: what is in its place.
    """

    module: str
    name: str
    expression: str | None
    by: str

    def apply(self) -> None:
        """Alter it where the file is read."""
        statements, read = _statements()

        @wraps(read)
        def altered(made: Any, file: str | Path, *including: Any, **constants: object) -> None:
            if self._is_read_from(file):
                read_blocks = made._filled
                made._filled = lambda name: self._filled(made, name, read_blocks)
            read(made, file, *including, **constants)

        statements.__init__ = altered

    def check(self) -> None:
        """Assert that it is there, with what is replaced."""
        path = importlib.import_module("rowhooks.resources").__file__
        assert path is not None
        text = Path(path).parents[1].joinpath(*self.module.split(".")).with_suffix(".sql").read_text("utf-8")
        (block,) = re.findall(rf"^-- name: {self.name}$(.*?)(?=^-- name: |\Z)", text, re.MULTILINE | re.DOTALL)
        self._altered(block)

    def _is_read_from(self, file: str | Path) -> bool:
        return Path(file).with_suffix("").as_posix().endswith(self.module.replace(".", "/"))

    def _filled(self, made: Any, name: str, filled: Callable[[str], str]) -> str:
        if name == self.name and self.by not in made._fragments[name]:
            made._fragments[name] = self._altered(made._fragments[name])
        return filled(name)

    def _altered(self, block: str) -> str:
        if self.expression is None:
            return self.by
        assert block.count(self.expression) == 1, f"{self.module}: {self.name} has not once: {self.expression}"
        return block.replace(self.expression, self.by)


@dataclass(frozen=True)
class Constant:
    """A constant of a module's that its statements have too.

    Args:
        module: the module.
        name: the constant.
        becomes: what it is then.
    """

    module: str
    name: str
    becomes: object

    def apply(self) -> None:
        """Set it, also in the statements of all modules."""
        statements, read = _statements()

        @wraps(read)
        def altered(made: Any, file: str | Path, *including: Any, **constants: object) -> None:
            read(made, file, *including, **{k: self.becomes if k == self.name else v for k, v in constants.items()})

        statements.__init__ = altered
        Python(f"{self.module}:{self.name}", constant(self.becomes)).apply()

    def check(self) -> None:
        """Assert that it is there."""
        Python(f"{self.module}:{self.name}", constant(self.becomes)).check()


def _statements() -> tuple[Any, Any]:
    statements: Any = importlib.import_module("rowhooks.postgres.statements").Statements
    return statements, statements.__init__


def constant(value: object) -> Callable[[Any], Any]:
    """Have a name mean this value."""
    return lambda _: value


def returning(value: object) -> Callable[[Any], Any]:
    """Have a function or method do nothing and return this."""
    return lambda function: wraps(function)(lambda *_, **__: value)


def awaiting(value: object) -> Callable[[Any], Any]:
    """Have a coroutine function or method do nothing and return this."""

    def becomes(function: Any) -> Any:
        @wraps(function)
        async def nothing(*_: Any, **__: Any) -> object:
            return value

        return nothing

    return becomes
