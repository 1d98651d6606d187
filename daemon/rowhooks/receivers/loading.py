"""Imports the modules of receivers and of models, and the permission backend.

A receivers' module that cannot be imported stops no other. A module of models stops the daemon: its receivers would
look at rows of other classes than they ask for, and say nothing.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from rowhooks.domain.errors import ReceiverError, SettingsError
from rowhooks.domain.permissions import PermissionBackend
from rowhooks.receivers.base import JobButtonReceiver, JobHookReceiver
from rowhooks.receivers.classes import ReceiverClass, check
from rowhooks.receivers.import_problems import ImportProblem, import_problem, raised_in
from rowhooks.receivers.registry import take_registered


def load_receivers(modules: Sequence[str], directory: Path) -> tuple[list[ReceiverClass], list[ImportProblem]]:
    """Import modules, and return the receiver classes that they have registered and the modules that failed.

    Args:
        modules: dotted names, or paths that end in .py and may be relative.
        directory: where relative paths begin, and where dotted names are looked for first.
    """
    classes: list[ReceiverClass] = []
    problems: list[ImportProblem] = []
    _look_in(directory)
    take_registered()
    for module in modules:
        try:
            if module.endswith(".py"):
                _import_file(directory / module)
            else:
                importlib.import_module(module)
        except (Exception, SystemExit) as error:
            problems.append(import_problem(module, error))
        # A module that failed is not among the loaded modules. What it imported before is whole, and registers only
        # once.
        classes.extend(cls for cls in take_registered() if cls.__module__ in sys.modules)
    return classes, problems


@dataclass(frozen=True)
class ModelModule:
    """A module that setting `models` names.

    Args:
        entry: as the settings have it.
        module: the module.
        class_name: the class that was chosen for its table; None: all classes that the module leads to.
    """

    entry: str
    module: ModuleType
    class_name: str | None = None


def load_model_modules(entries: Sequence[str], directory: Path) -> list[ModelModule]:
    """Import the modules that setting `models` names.

    Args:
        entries: as for `load_receivers`, each perhaps with `:Class`.
        directory: as for `load_receivers`.

    Raises:
        SettingsError: one of them cannot be imported, or would be imported twice, under two names.
    """
    _look_in(directory)
    loaded = []
    for entry in entries:
        name, _, class_name = entry.partition(":")
        try:
            module = (
                _import_file(directory / name, again=False) if name.endswith(".py") else importlib.import_module(name)
            )
        except (Exception, SystemExit) as error:
            raise SettingsError(
                f"models: module {name} cannot be imported: {type(error).__name__}: {error}", hint=raised_in(error)
            ) from error
        loaded.append(ModelModule(entry, module, class_name or None))
    for one in loaded:
        _check_imported_once(one)
    return loaded


def _check_imported_once(one: ModelModule) -> None:
    """Refuse a module whose classes there are twice: receivers would ask for those of the other module."""
    file = getattr(one.module, "__file__", None)
    others = [
        name
        for name, module in list(sys.modules.items())
        if file and name not in (one.module.__name__, "__main__") and getattr(module, "__file__", None) == file
    ]
    if others:
        raise SettingsError(
            f"models: {file} is imported twice, as {one.module.__name__} and as {others[0]}",
            hint=f"name it in models as it is imported elsewhere: {others[0]}",
        )


def unregistered(modules: Sequence[str], classes: Collection[type]) -> list[type]:
    """Return the receiver classes in receivers' modules that could be run, and that nothing has registered.

    A base of a registered class, and a class whose name begins with `_`, are meant to be as they are.

    Args:
        modules: as the settings name them; they have been imported.
        classes: those that are registered.
    """
    names = {Path(module).stem if module.endswith(".py") else module for module in modules}
    names |= {cls.__module__ for cls in classes}
    found: dict[type, None] = dict.fromkeys((*_subclasses(JobHookReceiver), *_subclasses(JobButtonReceiver)))
    return [
        cls
        for cls in found
        if any(f"{cls.__module__}.".startswith(f"{name}.") for name in names)
        and getattr(sys.modules.get(cls.__module__), cls.__qualname__, None) is cls
        and not cls.__name__.startswith("_")
        and not any(issubclass(one, cls) for one in classes)
        and _can_be_run(cls)
    ]


def _subclasses(base: type) -> Iterator[type]:
    below: list[type] = base.__subclasses__()
    for cls in below:
        yield cls
        yield from _subclasses(cls)


def _can_be_run(cls: type) -> bool:
    try:
        check(cls)
    except ReceiverError:
        return False
    return True


def load_permission_backend(path: str, directory: Path | None = None) -> PermissionBackend:
    """Import the class that setting `permission_backend` names, and return an instance of it.

    Args:
        path: `module.Class`.
        directory: where the module is looked for first.

    Raises:
        SettingsError: it cannot be imported, is no permission backend, or cannot be constructed without arguments.
    """
    if directory is not None:
        _look_in(directory)
    module, _, name = path.rpartition(".")
    if not (module and name):
        raise SettingsError(
            f"permission_backend: {path!r} is not module.Class", hint="for example acme.auth.Permissions"
        )
    try:
        cls = getattr(importlib.import_module(module), name, None)
    except (Exception, SystemExit) as error:
        raise _unusable(path, "cannot be imported", error) from error
    if cls is None:
        raise SettingsError(f"permission_backend: module {module} has no {name}")
    if not isinstance(cls, type):
        raise SettingsError(f"permission_backend: {path} is not a class", hint="name the class itself")
    if not issubclass(cls, PermissionBackend):
        raise SettingsError(f"permission_backend: {path} is no subclass of rowhooks.PermissionBackend")
    if cls.has_perm is PermissionBackend.has_perm:
        raise SettingsError(
            f"permission_backend: {path} does not define has_perm",
            hint="def has_perm(self, session, username, permission, obj=None): ...",
        )
    for method in ("resolve", "has_perm", "is_superuser", "groups"):
        if inspect.iscoroutinefunction(getattr(cls, method)):
            raise SettingsError(
                f"permission_backend: {path}.{method} is async def",
                hint="its methods are plain ones, also for async def receivers",
            )
    try:
        return cls()
    except (Exception, SystemExit) as error:
        raise _unusable(path, "cannot be constructed", error) from error


def _unusable(path: str, what: str, error: BaseException) -> SettingsError:
    return SettingsError(f"permission_backend: {path} {what}: {type(error).__name__}: {error}")


def _look_in(directory: Path) -> None:
    # Absolute: what a relative entry of the path means changes with the process's directory.
    entry = str(directory.absolute())
    if entry not in sys.path:
        sys.path.insert(0, entry)


class _Compiling(SourceFileLoader):
    """Compiles a file each time.

    What Python keeps of a file that it has compiled is good to it while the file's size and the second of its time are
    the same. A file that was written twice in a second would be loaded as it was before.
    """

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of the file as it is now."""
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def _import_file(path: Path, *, again: bool = True) -> ModuleType:
    name = path.stem
    loader = _Compiling(name, str(path))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None, "it has a loader"
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if name in sys.modules and Path(_origin(name)).resolve() != path.resolve():
        raise ImportError(f"{name} is the name of another module, {_origin(name)}; rename {path}")
    if name in sys.modules and not again:
        return sys.modules[name]
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _origin(name: str) -> str:
    return getattr(sys.modules[name], "__file__", None) or "built into Python"
