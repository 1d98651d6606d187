"""load_receivers: how receivers' modules are found, and what a broken one does."""

from __future__ import annotations

import importlib.util
import os
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowhooks.receivers.import_problems import ImportProblem
from rowhooks.receivers.loading import load_receivers, unregistered
from rowhooks.receivers.registry import take_registered
from tests.support.imports import imports_undone


@pytest.fixture(autouse=True)
def clean_imports(tmp_path: Path) -> Iterator[None]:
    """Undo what importing leaves behind in this process."""
    take_registered()
    with imports_undone(tmp_path):
        yield
    take_registered()


def write(directory: Path, name: str, cls: str, tail: str = "") -> str:
    """Write a receivers' module with one class; return its path below the directory."""
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        textwrap.dedent(f"""
        from rowhooks import JobHookReceiver, register_jobs

        class {cls}(JobHookReceiver):
            def receive_job_hook(self, change, action, changed_object): ...

        register_jobs({cls})
        """)
        + tail
    )
    return name


def load(directory: Path, *modules: str) -> tuple[list[str], list[ImportProblem]]:
    classes, problems = load_receivers(modules, directory)
    return [f"{cls.__module__}.{cls.__qualname__}" for cls in classes], problems


def test_a_dotted_name_is_looked_for_in_the_directory(tmp_path: Path) -> None:
    write(tmp_path, "acme_policies/serial.py", "Serial")
    assert load(tmp_path, "acme_policies.serial") == (["acme_policies.serial.Serial"], [])


def test_a_relative_path_starts_in_the_directory(tmp_path: Path) -> None:
    write(tmp_path, "below/acme_relative.py", "Serial")
    assert load(tmp_path, "below/acme_relative.py") == (["acme_relative.Serial"], [])


def test_an_absolute_path_is_taken_as_it_is(tmp_path: Path) -> None:
    write(tmp_path, "acme_absolute.py", "Serial")
    assert load(Path("/"), str(tmp_path / "acme_absolute.py")) == (["acme_absolute.Serial"], [])


def test_a_file_can_import_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "acme_helpers.py").write_text("LIMIT = 3\n")
    write(tmp_path, "acme_user.py", "Serial", "from acme_helpers import LIMIT\n")
    assert load(tmp_path, "acme_user.py") == (["acme_user.Serial"], [])


def test_classes_come_in_the_order_of_the_modules(tmp_path: Path) -> None:
    names = [write(tmp_path, "acme_b.py", "B"), write(tmp_path, "acme_a.py", "A")]
    assert load(tmp_path, *names) == (["acme_b.B", "acme_a.A"], [])


def test_a_file_that_was_written_twice_in_a_second_is_loaded_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for name in ("Former", "Latter"):
        path = tmp_path / write(tmp_path, "acme_again.py", name)
        os.utime(path, (1000, 1000))
        assert load(tmp_path, path.name) == ([f"acme_again.{name}"], [])


def test_a_module_without_receivers_is_no_problem(tmp_path: Path) -> None:
    (tmp_path / "acme_nothing.py").write_text("")
    assert load(tmp_path, "acme_nothing.py") == ([], [])


def test_classes_of_a_module_that_is_reached_twice_are_there_once(tmp_path: Path) -> None:
    write(tmp_path, "acme_twice.py", "Serial")
    assert load(tmp_path, "acme_twice", "acme_twice") == (["acme_twice.Serial"], [])


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        ("raise RuntimeError('no server')", "RuntimeError: no server"),
        ("import acme_does_not_exist", "ModuleNotFoundError: No module named 'acme_does_not_exist'"),
        ("import sys; sys.exit('this is a script')", "SystemExit: this is a script"),
        (
            "register_jobs(3)",
            "register_jobs(3): not a JobHookReceiver or JobButtonReceiver class",
        ),
    ],
)
@pytest.mark.parametrize("as_file", [True, False], ids=["file", "dotted"])
def test_a_module_that_fails_stops_no_other_and_leaves_no_half_registration(
    tmp_path: Path, tail: str, message: str, *, as_file: bool
) -> None:
    write(tmp_path, "acme_broken.py", "Half", tail)
    write(tmp_path, "acme_good.py", "Good")
    modules = ("acme_broken.py", "acme_good.py") if as_file else ("acme_broken", "acme_good")
    classes, problems = load(tmp_path, *modules)
    assert classes == ["acme_good.Good"]
    (problem,) = problems
    assert problem.module == modules[0]
    assert problem.message in (message, f"{message} ({tmp_path}/acme_broken.py, line 8)")
    assert "acme_broken.py" in problems[0].traceback
    assert "acme_broken" not in sys.modules
    assert take_registered() == []


def test_a_syntax_error_names_file_and_line(tmp_path: Path) -> None:
    write(tmp_path, "acme_syntax.py", "Half", "def (:\n")
    write(tmp_path, "acme_good.py", "Good")
    classes, problems = load(tmp_path, "acme_syntax.py", "acme_good.py")
    assert classes == ["acme_good.Good"]
    assert problems[0].message.startswith("SyntaxError: ")
    assert "acme_syntax.py, line 8" in problems[0].message


@pytest.mark.parametrize(
    ("module", "message"),
    [("acme_missing.py", "FileNotFoundError: "), ("acme_missing", "ModuleNotFoundError: "), ("", "ValueError: ")],
)
def test_what_is_not_there_is_a_problem_that_names_it(tmp_path: Path, module: str, message: str) -> None:
    write(tmp_path, "acme_good.py", "Good")
    classes, problems = load(tmp_path, module, "acme_good.py")
    assert classes == ["acme_good.Good"]
    assert problems[0].module == module
    assert problems[0].message.startswith(message)
    assert module in problems[0].message


def test_a_module_that_a_broken_one_had_imported_keeps_its_receivers(tmp_path: Path) -> None:
    write(tmp_path, "acme_shared.py", "Shared")
    write(tmp_path, "acme_broken.py", "Half", "import acme_shared\nraise RuntimeError\n")
    classes, problems = load(tmp_path, "acme_broken", "acme_shared")
    assert classes == ["acme_shared.Shared"]
    assert [problem.module for problem in problems] == ["acme_broken"]


def test_two_files_of_one_name_are_not_taken_for_each_other(tmp_path: Path) -> None:
    write(tmp_path, "one/acme_hooks.py", "One")
    write(tmp_path, "two/acme_hooks.py", "Two")
    classes, problems = load(tmp_path, "one/acme_hooks.py", "two/acme_hooks.py")
    assert classes == ["acme_hooks.One"]
    assert [problem.module for problem in problems] == ["two/acme_hooks.py"]
    assert str(tmp_path / "one/acme_hooks.py") in problems[0].message
    assert f"rename {tmp_path / 'two/acme_hooks.py'}" in problems[0].message


def test_a_file_does_not_take_the_place_of_a_module_that_is_loaded(tmp_path: Path) -> None:
    import json

    write(tmp_path, "json.py", "Serial")
    classes, problems = load(tmp_path, "json.py")
    assert classes == []
    assert "json is the name of another module" in problems[0].message
    assert sys.modules["json"] is json


def test_a_file_may_be_loaded_again(tmp_path: Path) -> None:
    write(tmp_path, "acme_again.py", "Serial")
    assert load(tmp_path, "acme_again.py") == load(tmp_path, "acme_again.py") == (["acme_again.Serial"], [])


def test_ctrl_c_during_an_import_is_not_swallowed(tmp_path: Path) -> None:
    write(tmp_path, "acme_slow.py", "Slow", "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load(tmp_path, "acme_slow.py")


UNREGISTERED = """
from rowhooks import JobButtonReceiver, JobHookReceiver, register_jobs

class Base(JobHookReceiver):
    def receive_job_hook(self, change, action, changed_object): ...

class Registered(Base): ...

class Forgotten(JobHookReceiver):
    def receive_job_hook(self, change, action, changed_object): ...

class _Private(JobButtonReceiver):
    def receive_job_button(self, obj): ...

class Unfinished(JobButtonReceiver): ...

register_jobs(Registered)
"""


@pytest.mark.parametrize("as_file", [True, False])
def test_a_receiver_that_nothing_registers_is_named(tmp_path: Path, as_file: bool) -> None:
    (tmp_path / "acme_forgetful.py").write_text(UNREGISTERED)
    module = "acme_forgetful.py" if as_file else "acme_forgetful"
    classes, _ = load_receivers([module], tmp_path)
    assert [cls.__name__ for cls in unregistered([module], classes)] == ["Forgotten"]


def test_a_receiver_in_a_module_of_a_package_is_named_too(tmp_path: Path) -> None:
    write(tmp_path, "acme_jobs/serial.py", "Serial")
    write(tmp_path, "acme_jobs/name.py", "Name")
    (tmp_path / "acme_jobs/__init__.py").write_text("from . import name, serial\n")
    load_receivers(["acme_jobs"], tmp_path)
    assert {cls.__name__ for cls in unregistered(["acme_jobs"], ())} == {"Serial", "Name"}


def test_a_receiver_elsewhere_is_no_concern_of_the_daemon(tmp_path: Path) -> None:
    write(tmp_path, "acme_here.py", "Here")
    write(tmp_path, "acme_elsewhere.py", "Elsewhere")
    load_receivers(["acme_here.py", "acme_elsewhere.py"], tmp_path)
    assert [cls.__name__ for cls in unregistered(["acme_here.py"], ())] == ["Here"]


def test_a_relative_directory_is_the_same_one_after_the_process_has_gone_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("first", "second"):
        write(tmp_path / place, "acme_relative.py", place.title())
    monkeypatch.chdir(tmp_path / "first")
    load_receivers([], Path())
    monkeypatch.chdir(tmp_path / "second")
    importlib.invalidate_caches()
    found = importlib.util.find_spec("acme_relative")
    assert found is not None
    assert found.origin == str(tmp_path / "first/acme_relative.py")
