"""Computed values: an attribute that is computed when it is first asked for, and kept by its instance."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from functools import cached_property

    computed = cached_property
else:

    class computed:  # noqa: N801  (it is used as a decorator)
        """`functools.cached_property` without its lock.

        Up to Python 3.11 that class has one lock for all instances, and the threads of plain receivers wait for each
        other at it. Here, as from Python 3.12 on, two threads that ask the same instance at the same time may both
        compute the value.

        Args:
            function: computes the value; its name is that of the attribute.
        """

        def __init__(self, function: Callable[[Any], Any]) -> None:
            self._function = function
            self._name = function.__name__
            self.__doc__ = function.__doc__

        def __set_name__(self, owner: type, name: str) -> None:
            if name != self._name:
                raise TypeError(f"{owner.__qualname__}.{name} computes {self._name!r}: one function, one attribute")

        def __get__(self, instance: Any, owner: type | None = None) -> Any:
            if instance is None:
                return self
            # It is asked for only while the instance has no attribute of this name, see the descriptor protocol.
            value = instance.__dict__[self._name] = self._function(instance)
            return value
