"""What a receiver's code shows before it is run."""

from __future__ import annotations

import dis
from types import FunctionType
from typing import Any

_SEES_ALL_NAMES = {"locals", "vars", "eval", "exec", "dir", "_getframe", "currentframe"}
"""Functions by which code gets at its local variables without naming them."""


def mentions(function: Any, argument: str) -> bool:
    """Say whether a function's code may look at one of its arguments; in doubt it may.

    Args:
        function: as it is found in its class.
        argument: the argument's name.
    """
    if not isinstance(function, FunctionType):
        return True
    code = function.__code__
    named = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if argument not in named or argument in code.co_cellvars or _SEES_ALL_NAMES & set(code.co_names):
        # It comes in under another name (*args, **kwargs, a wrapper), or may be used in a function within.
        return True
    # From Python 3.13 on one instruction may load two variables.
    return any(
        argument in (operand if isinstance(operand, tuple) else (operand,))
        for operand in (instruction.argval for instruction in dis.get_instructions(code))
        if isinstance(operand, str | tuple)
    )
