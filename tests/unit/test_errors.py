"""The errors, and what a process that meets one exits with."""

from __future__ import annotations

import inspect

import pytest

from rowhooks.domain import errors
from rowhooks.domain.errors import Interruption, RowhooksError, SettingsError, UsageError

ALL = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, RowhooksError)]


@pytest.mark.parametrize("cls", ALL)
def test_a_wrong_command_or_setting_exits_with_2_and_everything_else_with_1(cls: type[RowhooksError]) -> None:
    assert cls("message").exit_code == (2 if issubclass(cls, UsageError) else 1)


def test_a_wrong_setting_is_a_wrong_use() -> None:
    assert issubclass(SettingsError, UsageError)


@pytest.mark.parametrize("cls", ALL)
def test_an_error_carries_its_message_and_its_hint(cls: type[RowhooksError]) -> None:
    error = cls("job x is not installed", hint="run: rowhooks jobs list")
    assert (error.message, error.hint) == ("job x is not installed", "run: rowhooks jobs list")
    assert str(error) == "job x is not installed (run: rowhooks jobs list)"


@pytest.mark.parametrize("hint", [None, ""])
def test_without_a_hint_the_message_stands_alone(hint: str | None) -> None:
    assert str(RowhooksError("no such table", hint=hint)) == "no such table"


@pytest.mark.parametrize("cls", ALL)
def test_every_error_is_drawn_in_the_tree_and_described(cls: type[RowhooksError]) -> None:
    assert errors.__doc__ is not None
    assert cls.__name__ in errors.__doc__
    assert cls.__doc__


@pytest.mark.parametrize("cls", [cls for cls in ALL if issubclass(cls, Interruption)])
def test_what_is_raised_inside_a_receiver_needs_no_arguments(cls: type[Interruption]) -> None:
    assert cls().message
