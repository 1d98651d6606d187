"""Texts of labels as templates: Jinja2 without what would take more time or memory than a label is worth.

A sandbox limits what a template reaches, but not what it costs: `{{ 'x' * 10**9 }}` takes the memory of whichever
process renders it, and two nested loops take its time. A label needs neither.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

MOST_STEPS = 1000
"""Turns of loops, filters and calls within one label."""
LARGEST = 200_000
"""Characters and parts that one step may make, at a rough guess, and that a value may have."""
MOST_WORK = 1_000_000
"""Those that all steps of a label may make together."""
LONGEST_ARGUMENT = 10_000
"""Characters of an argument of a filter or call, and the largest number that may be one."""
LARGEST_NUMBER = 10**50
"""Beyond this, no integer is computed with."""
LONGEST_LABEL = 20_000
"""Characters of a label, with its markup."""

_STATEMENTS = (nodes.Output, nodes.If, nodes.For, nodes.Assign)
_FILTERS = (
    "abs capitalize count d default dictsort e escape first float forceescape int items join last length list lower "
    "map max min reject rejectattr replace reverse round safe select selectattr sort string striptags sum title "
    "tojson trim truncate unique upper urlencode wordcount"
)
_METHODS = (
    "capitalize casefold center count endswith find index isalnum isalpha isascii isdecimal isdigit islower "
    "isnumeric isspace isupper join ljust lower lstrip partition removeprefix removesuffix replace rfind rindex "
    "rjust rpartition rsplit rstrip split splitlines startswith strip striptags swapcase title upper zfill"
)
"""Those of texts and bytes. With `format`, a few characters make a text of any length."""
_budget: ContextVar[_Budget] = ContextVar("what is left for the label that is rendered")


class TooCostly(jinja2.TemplateError):
    """A template would take more than a label is worth."""


@dataclass
class _Budget:
    """What may still be done for a label."""

    steps: int = MOST_STEPS
    work: int = MOST_WORK

    def spend(self, steps: int, work: int) -> None:
        self.steps -= steps
        self.work -= work
        _check(self.steps >= 0, f"it takes more than {MOST_STEPS:,} steps")
        _check(work <= LARGEST and self.work >= 0, "a value is too large")


def template_of(text: str) -> LabelTemplate:
    """Return the template of a label.

    Raises:
        TemplateSyntaxError: it is none, or has what no label may have.
    """
    try:
        tree = _ENVIRONMENT.parse(text)
        for statement in tree.find_all(nodes.Stmt):
            if not isinstance(statement, _STATEMENTS) or getattr(statement, "recursive", False):
                name = type(statement).__name__.lower()
                raise jinja2.TemplateSyntaxError(f"a label has no such statement ({name})", statement.lineno)
        tree = _Counted().visit(tree)
        tree.set_environment(_ENVIRONMENT)
        return LabelTemplate(_ENVIRONMENT.from_string(tree))
    except (RecursionError, MemoryError, SyntaxError) as error:
        raise jinja2.TemplateSyntaxError("it is nested too deeply", 1) from error


def parse(text: str) -> nodes.Template:
    """Return the parts of a template.

    Raises:
        TemplateSyntaxError: it is none.
    """
    return _ENVIRONMENT.parse(text)


class LabelTemplate:
    """The template of a label.

    Args:
        template: made of what `_Counted` returns.
    """

    def __init__(self, template: jinja2.Template) -> None:
        self._template = template

    def render(self, **values: Any) -> str:
        """Return a label.

        Raises:
            TooCostly: it would take too much.
            Exception: whatever the template does wrong.
        """
        token = _budget.set(_Budget())
        try:
            made, length = [], 0
            for part in self._template.generate(**values):
                made.append(part)
                length += len(part)
                _check(length <= LONGEST_LABEL, f"it has more than {LONGEST_LABEL:,} characters")
            return "".join(made)
        finally:
            _budget.reset(token)


class _Counted(NodeTransformer):
    """Has the turns of loops counted, and the lengths of texts that are put together."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802  (a name of Jinja2's)
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, "_turns", [], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802  (a name of Jinja2's)
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(parts, "join", [], [], None, None, lineno=node.lineno)


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox, in which each step is counted before it is taken."""

    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)

    def __init__(self) -> None:
        # A name that is not there is an error and not an empty label, which would hide the button. Without `optimized`,
        # nothing is computed before there is a label.
        super().__init__(autoescape=True, undefined=jinja2.StrictUndefined, optimized=False, finalize=_shown)
        self.globals = {"range": _range}
        known = self.filters
        self.filters = {name: _counted(known[name]) for name in _FILTERS.split()}
        self.filters["_turns"] = _turns

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call what a template calls."""
        _step(getattr(obj, "__self__", None), (*args, *kwargs.values()))
        return super().call(context, obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute what a template computes."""
        both = (left, right)
        if operator == "**" or (
            operator in ("*", "%") and any(isinstance(one, str | bytes | list | tuple) for one in both)
        ):
            raise SecurityError(f"a label does not compute with {operator} here")
        _check(all(not isinstance(one, int) or abs(one) < LARGEST_NUMBER for one in both), "a number is too large")
        _budget.get().spend(0, sum(map(_size, both)))
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Say whether a template may use an attribute."""
        if isinstance(obj, str | bytes) and attr not in _METHODS.split():
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        """Leave `format` to is_safe_attribute."""


def _counted(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def counted(*args: Any, **kwargs: Any) -> Any:
        value, *given = args[1 if hasattr(function, "jinja_pass_arg") else 0 :]
        _step(value, (*given, *kwargs.values()))
        return function(*args, **kwargs)

    return counted


def _turns(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        _budget.get().spend(1, 1)
        yield value


def _range(*args: int) -> range:
    found = range(*args)
    _check(len(found) <= MOST_STEPS, f"it counts more than {MOST_STEPS:,} numbers")
    return found


def _shown(value: Any) -> Any:
    size = _size(value)
    _check(size <= LONGEST_LABEL, f"it has more than {LONGEST_LABEL:,} characters")
    _budget.get().spend(0, size)
    return value


def _step(value: Any, given: Iterable[Any]) -> None:
    made = _size(value)
    for one in given:
        is_number = isinstance(one, int | float | Decimal)
        size = 1 if is_number else _size(one)
        _check((abs(one) if is_number else size) <= LONGEST_ARGUMENT, "an argument is too large")
        made *= max(size, 1)
    _budget.get().spend(1, made)


def _check(is_so: bool, problem: str) -> None:
    if not is_so:
        raise TooCostly(f"a label must be cheap: {problem}")


def _size(value: Any) -> int:
    """Return how large a value is, roughly: its characters and parts; beyond LARGEST they are not counted further."""
    if isinstance(value, str | bytes | range):
        return len(value)
    size, todo = 1, [value]
    while todo and size <= LARGEST:
        one = todo.pop()
        if isinstance(one, str | bytes | range):
            size += len(one)
        elif isinstance(one, Mapping):
            size += len(one)
            todo += one.keys()
            todo += one.values()
        elif isinstance(one, list | tuple | set | frozenset):
            size += len(one)
            todo += one
        elif isinstance(one, int):
            size += one.bit_length() // 3
    return size


_ENVIRONMENT = _Environment()
