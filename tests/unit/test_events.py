"""Where events are published: who is called, and what a subscriber can do wrong."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable
from typing import Any

import pytest

from rowhooks.domain.events import BellRung, Event, Events, FeedRead


def test_a_subscriber_hears_of_its_kind_alone_and_until_it_ends_that() -> None:
    events = Events()
    heard: list[Event] = []
    unsubscribe = events.subscribe(FeedRead, heard.append)
    events.publish(FeedRead(1))
    events.publish(BellRung())
    unsubscribe()
    events.publish(FeedRead(2))
    assert heard == [FeedRead(1)]


def test_a_function_that_subscribes_twice_is_called_once() -> None:
    events = Events()
    heard: list[Event] = []
    for _ in range(2):
        events.subscribe(BellRung, heard.append)
    events.publish(BellRung())
    assert heard == [BellRung()]


def test_threads_that_subscribe_at_the_same_time_are_all_heard() -> None:
    class Slow(dict[type[Event], tuple[Callable[..., object], ...]]):
        """Lets another thread come between the look and the change."""

        def get(self, *arguments: Any) -> Any:
            found = super().get(*arguments)
            other.wait(0.05)
            return found

    events, other = Events(), threading.Event()
    events.subscribers = Slow()
    heard: list[int] = []
    threads = [
        threading.Thread(target=events.subscribe, args=(BellRung, functools.partial(lambda n, _: heard.append(n), n)))
        for n in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events.publish(BellRung())
    assert sorted(heard) == [0, 1, 2]


@pytest.mark.parametrize("kind", [ValueError, SystemExit, asyncio.CancelledError])
def test_what_a_subscriber_raises_is_logged_and_the_next_one_is_called(
    caplog: pytest.LogCaptureFixture, kind: type[BaseException]
) -> None:
    events = Events()
    heard: list[Event] = []

    def broken(event: BellRung) -> None:
        raise kind(event)

    events.subscribe(BellRung, broken)
    events.subscribe(BellRung, heard.append)
    events.publish(BellRung())
    assert heard == [BellRung()]
    assert "a subscriber of BellRung failed" in caplog.text
    assert kind.__name__ in caplog.text


def test_what_has_no_subscriber_is_not_wanted() -> None:
    events = Events()
    assert BellRung not in events.wanted
    unsubscribe = events.subscribe(BellRung, str)
    assert BellRung in events.wanted
    unsubscribe()
    unsubscribe()
    assert BellRung not in events.wanted


def test_those_who_have_subscribed_to_all_hear_of_each_and_each_of_its_own() -> None:
    everything = Events()
    first, second = Events(everything), Events(everything)
    heard: list[tuple[str, Event]] = []
    everything.subscribe(FeedRead, lambda event: heard.append(("all", event)))
    first.subscribe(FeedRead, lambda event: heard.append(("first", event)))
    first.publish(FeedRead(1))
    second.publish(FeedRead(2))
    assert heard == [("first", FeedRead(1)), ("all", FeedRead(1)), ("all", FeedRead(2))]
    assert FeedRead in second.wanted
    assert BellRung not in second.wanted


def test_what_all_daemons_are_asked_for_is_wanted_of_each_also_of_later_ones_until_nobody_asks() -> None:
    everything = Events()
    first = Events(everything)
    all_rung = everything.subscribe(BellRung, str)
    second = Events(everything)
    own_rung = first.subscribe(BellRung, repr)
    all_rung()
    assert BellRung in first.wanted
    assert BellRung not in second.wanted
    own_rung()
    assert BellRung not in first.wanted
