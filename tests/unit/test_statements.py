"""The named statements of the .sql files beside Python's modules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import rowhooks
from rowhooks.postgres.statements import Statements

PACKAGE = Path(rowhooks.__file__).parent


def read(directory: Path, text: str, *including: Statements, name: str = "module") -> Statements:
    (directory / f"{name}.sql").write_text(text, encoding="utf-8")
    return Statements(directory / f"{name}.py", *including)


def test_a_statement_is_found_by_its_name(tmp_path: Path) -> None:
    statements = read(tmp_path, "-- name: first\nselect 1;\n\n-- name: second\nselect $1\nfrom x;\n")
    assert dict(statements) == {"first": "select 1", "second": "select $1\nfrom x"}
    assert len(statements) == 2


def test_comments_are_not_sent_to_the_server(tmp_path: Path) -> None:
    statements = read(
        tmp_path,
        "-- What runs read.\n-- name: only\n-- 100 % of them.\nselect 1\n  -- why\n  as x;\n\n-- noqa: disable=PRS\n",
    )
    assert statements["only"] == "select 1\n  as x"


def test_a_fragment_stands_for_its_text_also_inside_another_fragment(tmp_path: Path) -> None:
    statements = read(
        tmp_path,
        "-- name: whole\nselect 1 from ({part}) as p;\n"
        "-- name: part\nselect 2 where {condition};\n-- name: condition\na = '{}'\n",
    )
    assert statements["whole"] == "select 1 from (select 2 where a = '{}') as p"


def test_a_fragment_may_come_from_an_included_file(tmp_path: Path) -> None:
    shared = read(tmp_path, "-- name: condition\na = 1\n", name="shared")
    statements = read(tmp_path, "-- name: whole\nselect 1 where {condition}\n", shared)
    assert dict(statements) == {"whole": "select 1 where a = 1"}


def test_a_constant_stands_for_its_value(tmp_path: Path) -> None:
    text = "-- name: whole\nselect {part};\n-- name: part\n{LARGE} + 1\n"
    (tmp_path / "module.sql").write_text(text, encoding="utf-8")
    assert Statements(tmp_path / "module.py", {"LARGE": 2**18})["whole"] == "select 262144 + 1"


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two statements have the same name"):
        read(tmp_path, "-- name: one\nselect 1;\n-- name: one\nselect 2;\n")


def test_a_statement_without_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is a statement without a name"):
        read(tmp_path, "select 1;\n-- name: one\nselect 2;\n")


def test_an_unknown_fragment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="missing"):
        read(tmp_path, "-- name: one\nselect 1 where {missing}\n")


def test_every_statement_of_the_package_is_used() -> None:
    unused = []
    modules = {path: path.read_text("utf-8") for path in PACKAGE.rglob("*.py")}
    # A fragment may be used by files that include this one.
    fragments = set(re.findall(r"\{(\w+)\}", "".join(path.read_text("utf-8") for path in PACKAGE.rglob("*.sql"))))
    for path in sorted(PACKAGE.rglob("*.sql")):
        names = re.findall(r"^-- name: (\w+)$", path.read_text("utf-8"), re.MULTILINE)
        # The modules beside it, since a file may be shared by those of one directory, and those that import its own.
        texts = [
            text
            for module, text in modules.items()
            if module.parent == path.parent or re.search(rf"import {path.stem}$", text, re.MULTILINE)
        ]
        unused += [
            (path.name, name)
            for name in names
            if name not in fragments and not any(f'"{name}"' in text for text in texts)
        ]
    assert unused == []
