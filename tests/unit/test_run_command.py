"""`rowhooks run` before it connects: what it makes of its settings."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowhooks.cli import call


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin in an empty directory, without settings; put the process's logging back as it was."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("ROWHOOKS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ROWHOOKS_LOG_FORMAT", "text")
    loggers = [logging.getLogger(), logging.getLogger("rowhooks")]
    before = [(one, list(one.handlers), one.level) for one in loggers]
    yield
    for one, handlers, level in before:
        one.handlers[:] = handlers
        one.setLevel(level)


def test_a_secret_that_is_not_set_stops_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("API_TOKEN", raising=False)
    monkeypatch.setenv("ROWHOOKS_SECRETS", "API_TOKEN")
    assert call(["run"]) == 2
    assert "secrets: API_TOKEN is not in the environment" in capsys.readouterr().err


def test_a_secret_too_short_to_be_blanked_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIN", "q7z")
    monkeypatch.setenv("ROWHOOKS_SECRETS", "PIN")
    # It does not get past this.
    assert call(["run", "--dsn", "port=none"]) == 2
    printed = capsys.readouterr().err
    assert "WARNING the value of PIN is not blanked: it has fewer than 4 characters" in printed
    assert "q7z" not in printed


def test_secrets_are_blanked_in_what_it_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("API_TOKEN", "tr0ub4dor")
    monkeypatch.setenv("ROWHOOKS_SECRETS", "API_TOKEN")
    (tmp_path / "acme_broken.py").write_text("import os\nraise RuntimeError(os.environ['API_TOKEN'])\n")
    assert call(["run", "--dsn", "port=none", "--receivers", "acme_broken.py"]) == 2
    printed = capsys.readouterr().err
    assert "acme_broken.py cannot be imported: RuntimeError: ***" in printed
    assert "tr0ub4dor" not in printed


@pytest.mark.parametrize("given", [[], ["--receivers", "acme_broken_too.py"]])
def test_a_daemon_without_any_receiver_does_not_begin_unless_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str]
) -> None:
    (tmp_path / "acme_broken_too.py").write_text("import nothing_of_that_name")
    assert call(["run", "--dsn", "port=none", *given]) == 2
    assert "this daemon has no receiver" in capsys.readouterr().err
    # It gets past this, and not past its DSN.
    assert call(["run", "--dsn", "port=none", "--allow-none", *given]) == 2
    assert "this daemon has no receiver" not in capsys.readouterr().err


def test_a_module_of_models_that_cannot_be_imported_stops_it_and_shows_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("API_TOKEN", "tr0ub4dor")
    monkeypatch.setenv("ROWHOOKS_SECRETS", "API_TOKEN")
    (tmp_path / "acme_torn.py").write_text("import os\nraise RuntimeError(os.environ['API_TOKEN'])\n")
    assert call(["run", "--dsn", "port=1", "--allow-none", "--models", "acme_torn.py"]) == 2
    printed = capsys.readouterr().err
    assert "models: module acme_torn.py cannot be imported: RuntimeError: ***" in printed
    assert f"{tmp_path}/acme_torn.py, line 2" in printed
    assert "tr0ub4dor" not in printed
