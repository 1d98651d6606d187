"""Traces: what is found in a change's context, and what is said where the packages are missing."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from rowhooks.observability.traces import Tracing, traceparent_in

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    "change_context",
    [
        PARENT,
        f"  {PARENT}\n",
        f'{{"view": "edit", "traceparent": "{PARENT}", "user": 7}}',
        f'{{"trace":{{"traceparent":"{PARENT}"}}}}',
        f"traceparent={PARENT}",
        f"route=/devices,traceparent='{PARENT}',tracestate='a=b'",
        f"job: nightly; traceparent: {PARENT}; step: 3",
    ],
)
def test_a_traceparent_is_found(change_context: str) -> None:
    assert traceparent_in(change_context) == PARENT


@pytest.mark.parametrize(
    "change_context",
    [
        None,
        "",
        "nightly import",
        '{"traceparent": null}',
        f"seen {PARENT}",
        f"mytraceparent={PARENT}",
        f"traceparent={PARENT}00",
        f"traceparent={PARENT.upper()}",
        "traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b71692033-01",
    ],
)
def test_what_is_none_is_not_taken_for_one(change_context: str | None) -> None:
    assert traceparent_in(change_context) is None


def test_the_setting_without_the_packages_names_the_extra() -> None:
    program = """
import sys
sys.modules["opentelemetry"] = None
from rowhooks.runtime.daemon import Daemon
from rowhooks.domain.errors import SettingsError
from rowhooks.settings import Settings
Daemon(Settings(), [])
try:
    Daemon(Settings(traces=True), [])
except SettingsError as error:
    print(error, error.exit_code)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "traces: the package opentelemetry is not installed (install rowhooks[otel], or take the setting out) 2\n"
    )


def test_without_the_setting_nothing_of_it_is_imported() -> None:
    program = """
import sys
from rowhooks.runtime.daemon import Daemon
from rowhooks.settings import Settings
import rowhooks.cli
Daemon(Settings(), [])
print([name for name in sys.modules if name.startswith("opentelemetry") or name == "rowhooks.observability.traces"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


async def test_a_receiver_that_ends_while_the_last_spans_are_ended_is_no_error() -> None:
    class Vanishing(dict[int, object]):
        def __bool__(self) -> bool:
            return True

    tracing: Any = object.__new__(Tracing)
    tracing._provider, tracing._spans = object(), Vanishing()
    await tracing.close()
