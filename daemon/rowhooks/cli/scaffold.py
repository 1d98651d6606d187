"""Files that rowhooks writes for its users: a receiver and its test. What they are made of is below templates/."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from rowhooks.cli.literals import literal
from rowhooks.domain.code_names import module_name_for
from rowhooks.domain.errors import Conflict, UsageError
from rowhooks.domain.names import TableName
from rowhooks.postgres.administration.outline import Outline, SampleRows
from rowhooks.resources import file_templates

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(file_templates()),
    autoescape=False,  # noqa: S701  (what is written is Python and TOML)
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


@dataclass(frozen=True)
class TestRow:
    """The row that a test is about.

    Args:
        samples: a row made of nothing, and what it refers to; None: one is taken that is there.
        notes: what the test's author has to know.
    """

    __test__ = False

    samples: SampleRows | None
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class NewReceiver:
    """A receiver that is to be written.

    Args:
        name: its class.
        directory: where its module is to be.
        table: the table that it is for.
        is_button: whether it is a button receiver.
        outline: the table as it is in the database; None where there was none to look into.
    """

    name: str
    directory: Path
    table: TableName
    is_button: bool = False
    outline: Outline | None = None

    @property
    def file(self) -> Path:
        """The file of its module."""
        return self.directory / f"{module_name_for(self.name)}.py"

    @property
    def test_file(self) -> Path:
        """The file of its test."""
        return self.directory / f"test_{module_name_for(self.name)}.py"

    @property
    def module(self) -> str:
        """The name by which its module is imported: with that of its package, where it is in one."""
        name, directory = module_name_for(self.name), self.directory.resolve()
        while (directory / "__init__.py").exists():
            name, directory = f"{directory.name}.{name}", directory.parent
        return name

    @property
    def entry(self) -> str:
        """What the setting `receivers` names."""
        return self.module if "." in self.module else self.file.name

    def check_module(self) -> None:
        """Make sure that no other module has the name of this one.

        Raises:
            Conflict: one has, and Python would import only one of them.
        """
        if "." in self.module:
            return
        found = importlib.util.find_spec(self.module)
        # What lies in this directory is found by some ways to start Python, and is not in the way of the daemon.
        places = (self.directory.resolve(), Path.cwd())
        if found is not None and Path(found.origin or "").resolve().parent not in places:
            raise Conflict(
                f"{self.module} is the name of another module, {found.origin or 'built into Python'}",
                hint="choose another name for the receiver",
            )

    def source(self) -> str:
        """Return the receiver's module."""
        subject = None if self.outline is None else self.outline.subject()
        return rendered(
            f"{'button' if self.is_button else 'hook'}_receiver.py", name=self.name, table=literal(self.table),
            about=f" for {self.table}" if _is_plain(self.table) else "",
            subject=None if subject is None else literal(subject.name),
        )  # fmt: skip

    def change(self) -> dict[str, Any] | None:
        """Return what its test updates, None if the test inserts a row."""
        subject = None if self.outline is None or self.outline.identity == "full" else self.outline.subject()
        pair = None if subject is None else subject.samples()
        return None if subject is None or pair is None else {subject.name: pair[1]}

    def test_source(self, row: TestRow) -> str:
        """Return the module of its test."""
        samples, change = row.samples or SampleRows(), self.change()
        result = "create" if change is None else f"{next(iter(change))} has changed"
        return rendered(
            "test_receiver.py", name=self.name, module=self.module, table=literal(self.table),
            is_button=self.is_button, mode="key" if row.samples is None else "row", notes=row.notes,
            row=literal(samples.row, 0), query=literal(self._query()),
            others=[(literal(name), literal(values, 8)) for name, values in samples.others],
            change=None if change is None else literal(change, 8), identity=self._identity(), result=literal(result),
        )  # fmt: skip

    def _identity(self) -> str | None:
        if self.outline is None or self.outline.identity == "key":
            return None
        return literal("full" if self.outline.identity == "full" else list(self.outline.key))

    def _query(self) -> str:
        if self.outline is None:
            return ""
        columns = ", ".join('"' + name.replace('"', '""') + '"' for name in self.outline.key)
        # A colon would begin a parameter.
        query = f"select {columns} from {self.outline.quoted} limit 1"  # noqa: S608  (it is written, and quoted)
        return query.replace(":", "\\:")


def rendered(template: str, **values: Any) -> str:
    """Return a file made of a template; `template` is its name without the ending."""
    return _TEMPLATES.get_template(f"{template}.jinja").render(**values)


@dataclass
class Files:
    """Files that are written together: none is there before, and all or none are there afterwards.

    Args:
        texts: the files with their texts.
        private: those that nobody else may read.
    """

    texts: dict[Path, str] = field(default_factory=dict)
    private: frozenset[Path] = frozenset()
    _made: list[Path] = field(default_factory=list)

    def check(self) -> None:
        """Make sure that the files can be written.

        Raises:
            Conflict: one is there already.
            UsageError: a directory is none, or cannot be written to.
        """
        present = [str(file) for file in self.texts if file.exists() or file.is_symlink()]
        if present:
            raise Conflict(
                f"{', '.join(present)}: there already; nothing was written",
                hint="choose another directory with --into, or another name",
            )
        for directory in {file.parent for file in self.texts}:
            there = next(one for one in (directory, *directory.parents) if one.exists())
            if not there.is_dir():
                raise UsageError(f"{there} is not a directory", hint="choose another one with --into")
            if not os.access(there, os.W_OK | os.X_OK):
                raise UsageError(f"{there} cannot be written to", hint="choose another one with --into")

    def write(self) -> None:
        """Write them; where one cannot be written, none is left.

        Raises:
            Conflict: one is there already.
            UsageError: one cannot be written.
        """
        self.check()
        try:
            for file, text in self.texts.items():
                self._write(file, text)
        except OSError as error:
            self.remove()
            raise UsageError(f"{error.filename} cannot be written: {error.strerror}; nothing was written") from error

    def _write(self, file: Path, text: str) -> None:
        for directory in reversed([one for one in file.parents if not one.exists()]):
            directory.mkdir()
            self._made.append(directory)
        mode = 0o600 if file in self.private else 0o666
        # Not through what somebody has put there since.
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        self._made.append(file)
        with open(opened, "w", encoding="utf-8") as stream:  # noqa: PTH123  (a descriptor)
            stream.write(text)

    def remove(self) -> None:
        """Take away what was written."""
        for one in reversed(self._made):
            one.rmdir() if one.is_dir() else one.unlink()
        self._made.clear()


def toml_text(text: str) -> str:
    """Return a text as TOML reads it."""
    escaped = "".join(
        character if character.isprintable() and character not in '"\\' else _toml_escape(character)
        for character in text
    )
    return f'"{escaped}"'


def _toml_escape(character: str) -> str:
    return f"\\{character}" if character in '"\\' else f"\\U{ord(character):08x}"


def _is_plain(name: str) -> bool:
    return name.isprintable() and not set(name) & set('"\\')
