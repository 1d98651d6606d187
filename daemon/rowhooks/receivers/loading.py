"""Imports receivers' modules; one that cannot be imported stops no other."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rowhooks.receivers.base import JobHookReceiver
from rowhooks.receivers.registry import take_registered


@dataclass(frozen=True)
class ImportProblem:
    """A module that could not be imported.

    Args:
        module: as it was named.
        message: the error in one line.
        traceback: where it came from.
    """

    module: str
    message: str
    traceback: str


def load_receivers(modules: Sequence[str], directory: Path) -> tuple[list[type[JobHookReceiver]], list[ImportProblem]]:
    """Import modules and return the receiver classes they registered.

    Args:
        modules: dotted names, or paths ending in .py, which may be relative.
        directory: where relative paths start, and where dotted names are looked for first.
    """
    classes: list[type[JobHookReceiver]] = []
    problems: list[ImportProblem] = []
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    take_registered()
    for module in modules:
        try:
            if module.endswith(".py"):
                _import_file(directory / module)
            else:
                importlib.import_module(module)
        except (Exception, SystemExit) as error:
            problems.append(ImportProblem(module, f"{type(error).__name__}: {error}", traceback.format_exc()))
        # What failed is not among the loaded modules; what it had imported before is whole, and registers only once.
        classes.extend(cls for cls in take_registered() if cls.__module__ in sys.modules)
    return classes, problems


def _import_file(path: Path) -> None:
    name = path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if name in sys.modules and Path(_origin(name)).resolve() != path.resolve():
        raise ImportError(f"{name} is the name of another module, {_origin(name)}; rename {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _origin(name: str) -> str:
    return getattr(sys.modules[name], "__file__", None) or "built into Python"
