"""Computed values: computed once for each instance, and without a lock that instances share."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from rowhooks.domain.computed import computed


class Sum:
    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers
        self.count = 0

    @computed
    def total(self) -> int:
        """The sum."""
        self.count += 1
        return sum(self.numbers)


def test_a_value_is_computed_once_for_each_instance() -> None:
    one, other = Sum(1, 2), Sum(3)
    assert [one.total, one.total, other.total] == [3, 3, 3]
    assert (one.count, other.count) == (1, 1)


def test_the_instance_keeps_it_as_an_attribute_that_can_be_set_and_forgotten() -> None:
    one = Sum(1)
    vars(one)["total"] = 10
    assert (one.total, one.count) == (10, 0)
    del one.total
    assert (one.total, one.count) == (1, 1)
    assert vars(one)["total"] == 1


def test_the_class_shows_what_is_computed() -> None:
    shown: Any = Sum.total
    assert isinstance(shown, computed)
    assert shown.__doc__ == "The sum."


def test_a_value_under_another_name_is_refused() -> None:
    # It would be kept where it is not looked for. Up to Python 3.11 the error comes within a RuntimeError.
    with pytest.raises((TypeError, RuntimeError)) as refused:
        type("Twice", (), {"other": vars(Sum)["total"]})
    assert "Twice.other computes 'total'" in str(refused.value.__cause__ or refused.value)


def test_a_thread_that_computes_holds_up_no_other() -> None:
    began, may_end = threading.Event(), threading.Event()

    class Slow:
        is_held = False

        @computed
        def value(self) -> bool:
            if self.is_held:
                began.set()
                return may_end.wait(60)
            return True

    held = Slow()
    held.is_held = True
    thread = threading.Thread(target=lambda: held.value)
    thread.start()
    assert began.wait(60)
    asked = threading.Thread(target=lambda: Slow().value)
    asked.start()
    asked.join(5)
    is_held_up = asked.is_alive()
    may_end.set()
    asked.join()
    thread.join()
    assert not is_held_up
