"""Every command that the program prints exists with its options: in messages and hints of Python and SQL."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rowhooks.cli import whole

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "daemon" / "rowhooks").rglob("*.py"))
SCRIPTS = [*sorted((ROOT / "daemon").rglob("*.sql")), *sorted((ROOT / "sql").rglob("*.sql"))]

# What stands behind these words is a command, also one that does not exist; elsewhere "rowhooks" may begin a sentence.
SPAN = re.compile(r"(?P<sure>`|run: |see: |then: |for example: |)(?<![\w./'-])rowhooks (?P<rest>[a-z][^`,;:.()\n]*)")
WORDS_OF_SQL = re.compile(r"array\[\s*'rowhooks'((?:,\s*'[^']*')*)")


def printed_by_python(source: Path) -> Iterator[tuple[str, bool]]:
    """Yield what a module prints of commands, and whether that is one for sure."""
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        match node:
            case ast.Constant(value=str() as text):
                yield from printed_in(text)
            case ast.JoinedStr(values=parts):
                yield from printed_in("".join(str(p.value) if isinstance(p, ast.Constant) else "X" for p in parts))
            case ast.Call(func=ast.Attribute(attr="command"), args=arguments) | ast.List(elts=arguments):
                words = [str(one.value) if isinstance(one, ast.Constant) else "X" for one in arguments]
                if words[:1] == ["rowhooks"]:
                    yield " ".join(words[1:]), True


def printed_in(text: str) -> Iterator[tuple[str, bool]]:
    for found in SPAN.finditer(text):
        yield found["rest"].strip(), bool(found["sure"])


def printed_by_sql(script: Path) -> Iterator[tuple[str, bool]]:
    text = "\n".join(line.partition("-- ")[0] for line in script.read_text("utf-8").splitlines())
    for found in WORDS_OF_SQL.finditer(text):
        yield " ".join(re.findall(r"'([^']*)'", found[1])), True
    for hint in re.findall(r"'((?:[^']|'')*)'", text):
        yield from printed_in(hint.replace("''", "'"))


def wrong(text: str, *, is_sure: bool, command: Any) -> str | None:
    """Return what is wrong with a command; None where nothing is, or where the text is none."""
    words = text.split()
    if not words or (words[0] not in command.commands and not is_sure):
        return None
    while words and hasattr(command, "commands"):
        if not words or words[0] not in command.commands:
            # A group may be named by itself.
            return None if not re.fullmatch("[a-z]+", words[0]) or not is_sure else f"there is no {words[0]}"
        command = command.commands[words.pop(0)]
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts, "--help")}
    given = {re.split(r"[=\s'\"]", word)[0] for word in words if re.match("--[a-z]", word)}
    return f"there is no {', '.join(sorted(given - known))}" if given - known else None


@pytest.fixture(scope="module")
def program() -> Any:
    return whole()


@pytest.mark.parametrize("source", SOURCES + SCRIPTS, ids=lambda source: str(source.relative_to(ROOT)))
def test_each_command_that_a_file_prints_exists_with_its_options(source: Path, program: Any) -> None:
    printed = printed_by_python(source) if source.suffix == ".py" else printed_by_sql(source)
    found = {text: wrong(text, is_sure=is_sure, command=program) for text, is_sure in printed}
    assert {text: what for text, what in found.items() if what} == {}


def test_commands_are_found_where_they_are_printed() -> None:
    texts = {text for source in SOURCES for text, _ in printed_by_python(source)}
    assert {"jobs enable X", "hooks list", "results list --batch X --status FAILURE"} <= texts
    assert "results retry --failed --since" in {
        text for script in SCRIPTS for text, _ in printed_by_sql(script)
    }  # fmt: skip


@pytest.mark.parametrize("text", ["jobs start X", "results retry --fail", "tabels", "track X --identiy full"])
def test_a_command_that_does_not_exist_is_noticed(text: str, program: Any) -> None:
    assert wrong(text, is_sure=True, command=program)
