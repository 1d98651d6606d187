"""How the operations are written into migration files."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from alembic.autogenerate.render import renderers

from rowhooks.domain.plan import values
from rowhooks.integrations.alembic.operations import ButtonOperation, HookOperation, Operation, TableOperation

if TYPE_CHECKING:
    # It may be half imported when Alembic loads this module as a plugin.
    from alembic.autogenerate.api import AutogenContext


@renderers.dispatch_for(TableOperation)
@renderers.dispatch_for(HookOperation)
@renderers.dispatch_for(ButtonOperation)
def render(context: AutogenContext, operation: Operation) -> str:
    """Return the operation as Python."""
    arguments = [repr(operation.name)]
    given = {} if operation.wanted is None else values(operation.wanted)
    arguments += (f"{name}={_written(context, value)}" for name, value in given.items())
    if operation.present is not None:
        arguments.append(f"existing={_written(context, values(operation.present))}")
    prefix = context.opts.get("alembic_module_prefix") or ""
    line = f"{prefix}{operation.verb}({', '.join(arguments)})"
    if len(line) <= _WIDTH or len(arguments) == 1:
        return line
    return f"{prefix}{operation.verb}(\n    " + ",\n    ".join(arguments) + ",\n)"


_WIDTH = 100


def _written(context: AutogenContext, value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name!r}: {_written(context, item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_items(context, value)) + "]"
    if isinstance(value, Decimal):
        if Decimal(repr(float(value))) == value:
            return repr(float(value))
        context.imports.add("from decimal import Decimal")
    return repr(value)


def _items(context: AutogenContext, items: Iterable[Any]) -> Iterable[str]:
    return (_written(context, item) for item in items)
