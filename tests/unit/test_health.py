"""How the daemon says it is: in a line, to Prometheus, over HTTP, to systemd."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from rowhooks.domain.errors import RowhooksError
from rowhooks.domain.events import (
    BacklogCounted,
    BellRung,
    DaemonState,
    DeadlineMet,
    DeadlinesDropped,
    Events,
    FeedRead,
    InternalErrorOccurred,
    RunFailed,
    RunLost,
)
from rowhooks.domain.run import Outcome
from rowhooks.observability.health import BrokerState, HealthState
from rowhooks.observability.http import HealthServer
from rowhooks.observability.metrics import registry
from rowhooks.pipeline.concurrency import running
from rowhooks.service.notifications import Notifier, Service
from tests.support.health import BACKLOG, RUN, Observed, leading
from tests.support.manager import Manager
from tests.support.waiting import eventually


def test_a_leader_says_what_waits() -> None:
    assert str(leading().health) == "leading; backlog 1,200 changes, the oldest 3.2 s old; 1 runs, 7 wait"


def test_a_daemon_that_cannot_reach_the_database_says_why_and_forgets_what_was_counted() -> None:
    daemon = leading()
    daemon.become(DaemonState.WAITING, "no route to host")
    assert str(daemon.health) == "waiting for the database: no route to host"
    assert daemon.health.backlog is None


def test_a_daemon_that_stops_goes_on_saying_so() -> None:
    daemon = leading()
    daemon.become(DaemonState.STOPPING)
    daemon.become(DaemonState.WAITING, "the connection was lost")
    assert str(daemon.health) == "stopping"


def test_a_reload_can_become_a_stop() -> None:
    daemon = leading()
    daemon.become(DaemonState.RELOADING)
    daemon.become(DaemonState.STOPPING)
    assert daemon.health.state == DaemonState.STOPPING


def test_something_is_overdue_when_its_time_is_over_unless_it_is_done_or_has_another_deadline() -> None:
    daemon = Observed()
    assert daemon.health.overdue is None
    daemon.set_deadline("a", 60)
    assert daemon.health.overdue is None
    daemon.set_deadline("b", -1)
    assert daemon.health.overdue == "b"
    daemon.set_deadline("b", 60)
    assert daemon.health.overdue is None
    daemon.set_deadline("b", -1)
    daemon.events.publish(DeadlineMet("b"))
    assert daemon.health.overdue is None


def test_what_nobody_asks_for_is_not_counted() -> None:
    events = Events()
    HealthState(events, counts_backlog=False)
    assert BacklogCounted not in events.wanted
    HealthState(events)
    assert BacklogCounted in events.wanted


def samples(daemon: Observed) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = generate_latest(registry(daemon.health, daemon.counters)).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_prometheus_reads_of_a_leader() -> None:
    daemon = Observed()
    for _ in range(4):
        daemon.become(DaemonState.WAITING, "the connection was lost")
    daemon.become(DaemonState.LEADING)
    daemon.events.publish(BacklogCounted(BACKLOG))
    daemon.events.publish(FeedRead(40))
    daemon.events.publish(FeedRead(30))
    for _ in range(9):
        daemon.events.publish(BellRung())
    daemon.events.publish(InternalErrorOccurred())
    for status in ("RETRY", "RETRY", "RETRY", "FAILURE", "REVOKED"):
        daemon.events.publish(RunFailed(Outcome(RUN, status, None, exception_type="ValueError")))
    for is_last in (False, True):
        daemon.events.publish(RunLost(RUN, "the worker has ended", is_last))
    daemon.end_run("SUCCESS", 0.002)
    daemon.end_run("SUCCESS", 0.5)
    daemon.end_run("FAILURE", 1000.0)
    read = samples(daemon)
    sync = ("receiver", "acme.Sync")
    expected = {
        ("rowhooks_leader", ()): 1,
        ("rowhooks_ready", ()): 1,
        ("rowhooks_wedged", ()): 0,
        ("rowhooks_reconnects_total", ()): 4,
        ("rowhooks_internal_errors_total", ()): 1,
        ("rowhooks_bell_rings_total", ()): 9,
        ("rowhooks_changes_read_total", ()): 70,
        ("rowhooks_changes_captured_total", ()): 77,
        ("rowhooks_backlog_changes", ()): 1200,
        ("rowhooks_backlog_seconds", ()): 3.25,
        ("rowhooks_runs_waiting", ()): 7,
        ("rowhooks_runs_running", ()): 1,
        ("rowhooks_runs_unfinished", (("status", "PENDING"),)): 5,
        ("rowhooks_runs_unfinished", (("status", "STARTED"),)): 0,
        ("rowhooks_runs_unfinished", (("status", "RETRY"),)): 2,
        ("rowhooks_log_bytes", ()): 8192,
        ("rowhooks_log_partitions", ()): 3,
        ("rowhooks_retries_total", (sync,)): 3,
        ("rowhooks_runs_lost_total", (sync,)): 2,
        ("rowhooks_runs_waiting_for_worker", (("queue", "reports"),)): 4,
        ("rowhooks_workers", (("queue", "reports"),)): 2,
        ("rowhooks_groups", (("queue", "reports"),)): 3,
        ("rowhooks_celery_broker_reachable", ()): 1,
        ("rowhooks_celery_messages_unsent_total", ()): 5,
        ("rowhooks_runs_total", (sync, ("status", "SUCCESS"))): 2,
        ("rowhooks_runs_total", (sync, ("status", "FAILURE"))): 1,
        ("rowhooks_run_duration_seconds_count", (sync,)): 3,
        ("rowhooks_run_duration_seconds_sum", (sync,)): 1000.502,
        ("rowhooks_run_duration_seconds_bucket", (("le", "0.001"), sync)): 0,
        ("rowhooks_run_duration_seconds_bucket", (("le", "0.0025"), sync)): 1,
        # A bound belongs to its bucket.
        ("rowhooks_run_duration_seconds_bucket", (("le", "0.5"), sync)): 2,
        ("rowhooks_run_duration_seconds_bucket", (("le", "600.0"), sync)): 2,
        ("rowhooks_run_duration_seconds_bucket", (("le", "+Inf"), sync)): 3,
    }
    assert {key: read.get(key) for key in expected} == expected
    assert read["process_resident_memory_bytes", ()] > 0


def test_what_is_not_known_of_celerys_broker_is_not_told_and_that_it_is_away_is() -> None:
    daemon = leading()
    name = "rowhooks_celery_broker_reachable"
    daemon.broker = None
    assert not [sample for sample, _ in samples(daemon) if "celery" in sample]
    daemon.broker = BrokerState(None, 0)
    assert (name, ()) not in samples(daemon)
    daemon.broker = BrokerState(is_reachable=False, unsent=1)
    assert samples(daemon)[name, ()] == 0
    assert str(daemon.health).endswith("; the Celery broker cannot be reached")
    daemon.become(DaemonState.STANDBY)
    assert (name, ()) not in samples(daemon)


def test_a_standby_tells_prometheus_nothing_that_it_has_not_counted() -> None:
    daemon = leading()
    daemon.become(DaemonState.STANDBY)
    read = samples(daemon)
    assert (read["rowhooks_leader", ()], read["rowhooks_ready", ()]) == (0, 1)
    assert ("rowhooks_backlog_changes", ()) not in read


def serve(daemon: Observed, address: str = "127.0.0.1:0") -> HealthServer:
    return HealthServer(address, daemon.health, daemon.events)


def get(server: HealthServer, path: str, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize("address", ["0", "127.0.0.1:0", "localhost:0"])
def test_a_daemon_that_waits_for_its_database_is_alive_and_not_ready(address: str) -> None:
    daemon = Observed()
    daemon.become(DaemonState.WAITING, "connection refused")
    with serve(daemon, address) as server:
        assert get(server, "/livez")[0] == 200
        status, body = get(server, "/readyz")
        assert status == 503
        assert json.loads(body) == {"status": "waiting for the database: connection refused", "overdue": None}
        daemon.become(DaemonState.STANDBY)
        assert get(server, "/readyz")[0] == 200


def test_a_wedged_daemon_is_neither_alive_nor_ready() -> None:
    daemon = leading()
    daemon.set_deadline("a look at the log", -1)
    with serve(daemon) as server:
        assert [get(server, path)[0] for path in ("/livez", "/readyz")] == [503, 503]
        assert json.loads(get(server, "/livez")[1])["overdue"] == "a look at the log"


def test_metrics_come_over_http_and_nothing_else_is_there() -> None:
    with serve(leading()) as server:
        status, body = get(server, "/metrics")
        assert status == 200
        families = {family.name for family in text_string_to_metric_families(body)}
        assert "rowhooks_backlog_changes" in families
        assert get(server, "/")[0] == 404
        assert get(server, "/metrics", "POST")[0] == 405


def test_an_address_that_is_in_use_is_named() -> None:
    with (
        serve(Observed()) as server,
        pytest.raises(RowhooksError, match=r"http_listen: .*cannot be"),
    ):
        serve(Observed(), f"127.0.0.1:{server.port}")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    yield made
    made.socket.close()


def environment(manager: Manager, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": manager.address, **more}


def service_of(daemon: Observed, manager: Manager, **more: str) -> Service:
    return Service(daemon.health, Notifier(environment(manager, **more)), daemon.events)


def test_ready_is_said_once_and_each_state_once(manager: Manager) -> None:
    daemon = Observed()
    service_of(daemon, manager)
    daemon.become(DaemonState.WAITING, "connection refused")
    daemon.become(DaemonState.WAITING, "connection refused")
    daemon.become(DaemonState.STANDBY)
    daemon.become(DaemonState.LEADING)
    assert manager.listen() == [
        {"STATUS": "waiting for the database: connection refused"},
        {"READY": "1"},
        {"STATUS": "standing by"},
        {"STATUS": "leading; 1 runs, 7 wait"},
    ]


def test_what_a_busy_manager_did_not_hear_is_said_again(manager: Manager) -> None:
    daemon = Observed()
    service_of(daemon, manager)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as crowd:
        with pytest.raises(BlockingIOError):
            while True:
                crowd.sendto(b"X=1", manager.address)
        daemon.become(DaemonState.STANDBY)
        crowded = manager.listen()
    assert {"READY": "1"} not in crowded
    daemon.become(DaemonState.STANDBY)
    assert manager.listen()[-2:] == [{"READY": "1"}, {"STATUS": "standing by"}]


def test_stopping_asks_for_the_time_it_may_take(manager: Manager) -> None:
    service_of(Observed(), manager).stopping(90)
    assert manager.listen() == [{"STOPPING": "1", "EXTEND_TIMEOUT_USEC": "90000000"}]


async def test_the_watchdog_is_fed_until_something_is_overdue(
    manager: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    daemon = leading()
    watchdog = {"WATCHDOG_USEC": "30000", "WATCHDOG_PID": str(os.getpid())}
    assert Notifier(environment(manager, **watchdog)).watchdog == 0.03

    def fed() -> int:
        return manager.listen().count({"WATCHDOG": "1"})

    async with running([service_of(daemon, manager, **watchdog).watch()]):
        await eventually(lambda: fed() >= 3)
        daemon.set_deadline("a look at the log", -1)
        await eventually(lambda: "wedged: this should have been done by now: a look at the log" in caplog.text)
        so_far = fed()
        # Ten more ticks.
        await asyncio.sleep(0.1)
        assert fed() == so_far
        daemon.events.publish(DeadlineMet("a look at the log"))
        await eventually(lambda: fed() > so_far)
    assert caplog.text.count("wedged") == 1


def test_the_watchdog_of_another_process_is_none_of_ours(manager: Manager) -> None:
    assert Notifier(environment(manager, WATCHDOG_USEC="30000", WATCHDOG_PID="1")).watchdog is None


def test_an_abstract_socket_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(f"\0rowhooks-{os.getpid()}")
        Notifier({"NOTIFY_SOCKET": f"@rowhooks-{os.getpid()}"}).send(READY=1)
        assert heard.recv(100) == b"READY=1"


def test_a_manager_that_has_gone_is_logged_and_harms_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).send(STATUS="x")
    assert "the service manager cannot be told STATUS" in caplog.text


def test_without_a_manager_nothing_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    notifier: Any = Notifier({})
    notifier.send(READY=1)
    assert not notifier.is_wanted
    assert caplog.text == ""


def test_what_has_ended_need_not_be_done_any_more() -> None:
    daemon = Observed()
    daemon.set_deadline("a", -1)
    daemon.events.publish(DeadlinesDropped())
    assert daemon.health.overdue is None
