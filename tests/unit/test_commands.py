"""The commands are imported when they are called, and listed without that."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from rowhooks.cli import call, whole
from rowhooks.cli.commands import COMMANDS, load
from rowhooks.cli.hooks import _actions
from rowhooks.domain.errors import UsageError

HEAVY = ("alembic", "asyncpg", "jinja2", "psycopg", "pydantic", "pydantic_settings", "regex", "rich", "sqlalchemy")
LISTINGS = (
    "audit", "buttons list", "changes list", "hooks list", "jobs list", "results list", "status", "tables",
    "tokens list",
)  # fmt: skip


def imported(*arguments: str) -> set[str]:
    """Return which of the heavy libraries a command imports."""
    program = f"import sys; from rowhooks.cli import call; call({list(arguments)!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(HEAVY) & set(done.stdout.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_of_a_command_what_the_command_says_of_itself(name: str) -> None:
    said = load(name).help.partition("\n\n")[0]
    assert " ".join(said.split()) == COMMANDS[name][1]


def test_the_whole_command_line_has_all_commands() -> None:
    group = whole()
    assert list(group.commands) == list(COMMANDS)
    hooks = group.commands["hooks"]
    assert {"list", "add", "edit"} <= set(hooks.commands)


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_nothing_is_imported_for_a_list_of_the_commands(option: str) -> None:
    assert imported(option) == set()


@pytest.mark.parametrize("listing", LISTINGS)
def test_a_listing_imports_what_it_needs(empty_dsn: str, listing: str) -> None:
    assert imported(*listing.split(), "--dsn", empty_dsn) == {"psycopg", "pydantic", "rich"}


@pytest.mark.parametrize("command", ["run", "worker"])
def test_a_daemon_starts_without_what_only_some_need(command: str) -> None:
    program = f"import sys; from rowhooks.cli.commands import load; load({command!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"jinja2", "prometheus_client", "rich", "wsgiref"} & set(done.stdout.split())


def test_an_unknown_command_is_named_with_one_like_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        whole()(["hook"], prog_name="rowhooks")
    assert ended.value.code == 2
    assert "Did you mean 'hooks'?" in capsys.readouterr().err


def test_a_library_that_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "rowhooks.cli.audit", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "rowhooks.cli.common", raising=False)
    monkeypatch.delitem(sys.modules, "rowhooks.postgres.connections.target", raising=False)
    with pytest.raises(UsageError, match="no module psycopg: this is rowhooks for applications") as refused:
        load("audit")
    assert refused.value.hint == "where they are to run: pip install 'rowhooks[daemon]'"


def test_a_module_of_ours_that_is_missing_is_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rowhooks.cli.audit", None)
    with pytest.raises(ModuleNotFoundError, match=r"rowhooks\.cli\.audit"):
        load("audit")


def options() -> Iterator[Any]:
    """Yield each option of each command, with the command and its path."""

    def below(command: Any, path: tuple[str, ...]) -> Iterator[Any]:
        for name, one in getattr(command, "commands", {}).items():
            yield from below(one, (*path, name))
        if not hasattr(command, "commands"):
            for option in command.params:
                if option.param_type_name == "option":
                    yield pytest.param(command, option, id=" ".join((*path, option.opts[0])))

    yield from below(whole(), ())


@pytest.mark.parametrize(("command", "option"), list(options()))
def test_an_option_that_is_given_twice_keeps_both_values_or_is_refused(command: Any, option: Any) -> None:
    names = [*option.opts, *option.secondary_opts]
    for first in names:
        for second in names:
            words = [word for name in (first, second) for word in ([name] if option.is_flag else [name, "1"])]
            parser = command.make_parser(command.context_class(command))
            if option.multiple:
                assert parser.parse_args(words)[0][option.name] == ["1", "1"]
            else:
                with pytest.raises(typer.BadParameter, match="given more than once"):
                    parser.parse_args(words)


def test_actions_of_a_hook_may_be_given_one_by_one() -> None:
    assert _actions(["create", "update,delete"]) == ["create", "update", "delete"]


@pytest.mark.parametrize("path", [(), *((name,) for name in COMMANDS if hasattr(load(name), "commands"))])
def test_a_list_of_commands_has_the_whole_of_what_each_is(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call([*path, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    group = whole()
    for name in path:
        group = group.commands[name]
    for name, command in group.commands.items():
        said = " ".join(command.help.partition("\n\n")[0].split())
        assert f" {name} {said}" in shown
