"""The doorbell of Celery: it neither waits nor raises, and says once that the broker is away."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import uuid
from types import SimpleNamespace
from typing import Any

import pytest

from rowhooks.domain.dispatch import Group
from rowhooks.domain.errors import SettingsError
from rowhooks.observability.health import BrokerState
from rowhooks.runtime import doorbell
from rowhooks.runtime.doorbell import CeleryDoorbell, doorbell_of, shown_name
from rowhooks.settings import load_settings
from tests.support.waiting import wait


class App:
    """Celery's app, as far as the doorbell knows it."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.connections = self.released = 0
        self.problem: Exception | None = None
        self.is_sending, self.may_send = threading.Event(), threading.Event()
        self.may_send.set()
        self.amqp = SimpleNamespace(Producer=lambda connection, **_: connection)

    def connection_for_write(self, address: str, transport_options: Any) -> Any:
        self.connections += 1
        return SimpleNamespace(connect=lambda: None, release=self._release)

    def _release(self) -> None:
        self.released += 1

    def send_task(self, name: str, arguments: list[str], **options: Any) -> None:
        self.is_sending.set()
        assert self.may_send.wait(30)
        if self.problem is not None:
            raise self.problem
        self.sent.append(arguments[0])


def group(*class_paths: str) -> Group:
    runs = tuple(SimpleNamespace(job=SimpleNamespace(class_path=path)) for path in class_paths or ("acme.One",))
    return Group(uuid.uuid4(), "default", False, 0, runs)  # type: ignore[arg-type]


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> App:
    monkeypatch.setattr(doorbell, "AWAY_PAUSE", 0.01)
    return App()


@pytest.fixture
def bell(app: App) -> Any:
    one = CeleryDoorbell(app, "redis://:hunter2@away/0", lambda text: text.replace("hunter2", "***"))
    yield one
    app.may_send.set()
    one.close()


def test_each_group_has_one_message_in_order_over_one_connection(app: App, bell: CeleryDoorbell) -> None:
    groups = [group() for _ in range(5)]
    bell.ring(groups[:2])
    bell.ring(groups[2:])
    wait(lambda: len(app.sent) == 5)
    assert app.sent == [str(one.id) for one in groups]
    assert app.connections == 1


def test_ringing_does_not_wait_for_a_broker_that_does_not_answer(
    app: App, bell: CeleryDoorbell, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(doorbell, "MOST_WAITING", 3)
    app.may_send.clear()
    groups = [group() for _ in range(10)]
    bell.ring(groups[:1])
    assert app.is_sending.wait(30)
    for one in groups[1:]:
        bell.ring([one])
    app.may_send.set()
    wait(lambda: str(groups[-1].id) in app.sent)
    # The oldest were dropped, but for the one that was on its way.
    assert app.sent == [str(one.id) for one in (groups[0], *groups[-3:])]
    wait(lambda: "the Celery broker is slow" in caplog.text)


def test_a_broker_that_is_away_is_named_once_without_its_password_and_when_it_is_back(
    app: App, bell: CeleryDoorbell, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert bell.state == BrokerState(None, 0)
    app.problem = OSError("no route to redis://:hunter2@away/0")
    for times in (1, 2, 3):
        bell.ring([group()])
        wait(lambda times=times: app.released == times)
    wait(lambda: bell.state == BrokerState(False, 3))
    app.problem = None
    bell.ring([group()])
    wait(lambda: len(caplog.messages) == 2)
    assert caplog.messages == [
        "the Celery broker cannot be reached: OSError: no route to redis://:***@away/0; workers look for groups each"
        " second",
        "the Celery broker is back; 3 groups went without a message",
    ]
    assert len(app.sent) == 1
    wait(lambda: bell.state == BrokerState(True, 3))


def test_after_it_is_closed_nothing_is_sent(app: App, bell: CeleryDoorbell) -> None:
    bell.close()
    bell.ring([group()])
    assert bell._thread is None
    assert app.sent == []


def test_monitoring_shows_the_job() -> None:
    assert shown_name(group("acme.One", "acme.One")) == "acme.One"
    assert shown_name(group("acme.One", "acme.Two", "acme.Three")) == "acme.One and 2 more"


def test_a_broker_that_celery_does_not_know_is_refused_without_its_password() -> None:
    with pytest.raises(SettingsError) as refused:
        doorbell_of(load_settings(celery_broker="carrier-pigeon://bird:hunter2@coop"))
    assert str(refused.value).startswith("celery_broker: ")
    assert "hunter2" not in str(refused.value)


def test_without_the_setting_there_is_no_doorbell_and_celery_is_not_imported() -> None:
    assert doorbell_of(load_settings()) is None
    program = "import sys, rowhooks.runtime.daemon, rowhooks.cli.worker; print({'celery', 'kombu'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_without_the_package_the_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "celery", None)
    with pytest.raises(SettingsError) as refused:
        doorbell_of(load_settings(celery_broker="redis://localhost/0"))
    assert "rowhooks[celery]" in str(refused.value)
