"""Listings: the columns that fit into a terminal, whole where there is room, and nothing left out in silence."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from rowhooks.cli import printing
from rowhooks.cli.listing import chosen_columns
from rowhooks.cli.printing import print_rows
from rowhooks.domain.errors import UsageError

COLUMNS = ["id", "status", "origin", "object_type", "object_repr", "db_user", "user_name", "exception_message"]
FIRST_TO_GO = ["user_name", "db_user", "object_type"]
ROW: dict[str, Any] = {
    "id": 123456,
    "status": "FAILURE",
    "origin": "Serial numbers of devices",
    "object_type": "dcim.device",
    "object_repr": "core-switch-0001",
    "db_user": "inventory_api",
    "user_name": None,
    "exception_message": "permission denied for table ledger_of_everything " * 4,
    "class_path": "policies.Serial",
}


@pytest.fixture(params=[80, 120, 200])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(
        printing, "console", Console(file=io.StringIO(), width=request.param, force_terminal=True, color_system=None)
    )
    return int(request.param)


def printed(**given: Any) -> list[str]:
    print_rows([ROW] * 2, COLUMNS, as_json=False, empty="", first_to_go=FIRST_TO_GO, **given)
    file = printing.console.file
    assert isinstance(file, io.StringIO)
    return [line.rstrip() for line in file.getvalue().splitlines() if line.strip()]


def test_each_row_is_one_line_that_fits_into_the_terminal_and_no_short_word_is_broken(
    width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed()
    assert len(lines) == 4
    assert max(map(len, lines)) <= width
    header, _, first, second = lines
    assert first == second
    assert "123456  FAILURE" in first
    assert "core-switch-0001" in first
    assert first.endswith("…")
    assert "user name" not in header
    left_out = capsys.readouterr().err
    if width == 80:
        assert "Not shown here: db_user, object_type (--columns, --json, or a wider terminal)" in left_out
    else:
        assert "inventory_api" in first
        assert left_out == ""


def test_columns_that_were_asked_for_are_all_shown(width: int) -> None:
    lines = printed(wanted="id,class_path,db user")
    assert lines[0].split() == ["id", "class", "path", "db", "user"]
    assert lines[2].split() == ["123456", "policies.Serial", "inventory_api"]


def test_in_a_pipe_everything_is_shown_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printing, "console", Console(file=io.StringIO(), width=200))
    lines = printed()
    assert len(lines) == 4
    assert ROW["exception_message"].strip() in lines[2]


def test_an_unknown_column_is_answered_with_one_like_it() -> None:
    with pytest.raises(UsageError, match="there is no column statu") as refused:
        chosen_columns("id,statu", COLUMNS, COLUMNS)
    assert refused.value.hint
    assert "did you mean status?" in refused.value.hint
    with pytest.raises(UsageError, match="names no column"):
        chosen_columns(" , ", COLUMNS, COLUMNS)
