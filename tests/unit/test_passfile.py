"""~/.pgpass, read as libpq's documentation has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rowhooks.postgres.passfile import password_for

HERE = [("db.example", 5432)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "pgpass"
    made.touch(mode=0o600)
    return made


@pytest.mark.parametrize(
    ("line", "password"),
    [
        ("db.example:5432:app:me:secret", "secret"),
        ("*:*:*:*:secret", "secret"),
        (r"db.example:*:app:me:a\:b\\c", r"a:b\c"),
        ("db.example:*:app:me: blanks stay ", " blanks stay "),
        ("db.example:*:app:me:", ""),
        (r"db.example:*:app:m\e:secret", "secret"),
        ("db.example:*:app:me:secret:more", "secret"),
        ("other:*:app:me:secret", None),
        ("db.example:5433:app:me:secret", None),
        ("db.example:*:other:me:secret", None),
        ("db.example:*:app:other:secret", None),
        ("# db.example:*:app:me:secret", None),
        ("db.example:*:app", None),
        ("", None),
    ],
)
def test_a_line_fits_or_not(file: Path, line: str, password: str | None) -> None:
    file.write_text(f"{line}\n")
    assert password_for(file, HERE, "app", "me") == password


def test_the_first_line_that_fits_counts(file: Path) -> None:
    file.write_text("other:*:*:*:one\n*:*:*:*:two\ndb.example:*:*:*:three\n")
    assert password_for(file, HERE, "app", "me") == "two"


@pytest.mark.parametrize("directory", ["/run/postgresql", ""])
def test_a_socket_is_localhost(file: Path, directory: str) -> None:
    file.write_text("localhost:5432:app:me:secret\n")
    assert password_for(file, [(directory, 5432)], "app", "me") == "secret"


def test_what_others_may_read_is_passed_over_and_said(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.write_text("*:*:*:*:secret\n")
    file.chmod(0o640)
    assert password_for(file, HERE, "app", "me") is None
    assert "chmod 0600" in caplog.text
    assert "secret" not in caplog.text


def test_a_file_that_is_not_there_is_no_problem(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert password_for(tmp_path / "none", HERE, "app", "me") is None
    assert caplog.text == ""
