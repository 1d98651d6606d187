"""Traces on their way out: a daemon in a process of its own, and a collector that speaks OTLP over HTTP."""

from __future__ import annotations

import http.server
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.hooks import add_hook
from tests.support.processes import Process
from tests.support.waiting import is_settled, wait

RECEIVER = """
from opentelemetry import trace
from rowhooks import JobHookReceiver, register_jobs

class Upper(JobHookReceiver):
    def receive_job_hook(self, change, action, changed_object):
        with trace.get_tracer("acme").start_as_current_span("own"):
            pass

register_jobs(Upper)
"""


class Collector(http.server.ThreadingHTTPServer):
    """Keeps what it is sent: for each request its path and what it holds, spans by their names and their service."""

    def __init__(self) -> None:
        self.received: list[tuple[str, str, str]] = []
        super().__init__(("127.0.0.1", 0), Take)


class Take(http.server.BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
        for sent in request.resource_spans:
            resource = {one.key: one.value.string_value for one in sent.resource.attributes}
            for scope in sent.scope_spans:
                self.server.received += [(self.path, resource["service.name"], span.name) for span in scope.spans]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Upper:
    """Stands for the receiver of the other process."""

    __module__ = "upper"


def run_one_change(
    db: psycopg.Connection[Any], dsn: str, directory: Path, settings: dict[str, str], processes: int = 0
) -> Process:
    """Run a daemon in which one run is traced, or in a process of it; return it when the run is on record."""
    (directory / "upper.py").write_text(RECEIVER)
    add_hook(db, Upper, "dcim.device")
    settings = {"ROWHOOKS_TRACES": "true", "ROWHOOKS_PROCESSES": str(processes), **settings}
    daemon = Process(dsn, directory, "upper.py", settings)
    try:
        daemon.wait_for("ready:")
        db.execute("insert into dcim.device values (1, 'leaf', 'SN-1')")
        wait(lambda: db.execute("select 1 from rowhooks.job_result").fetchone() and is_settled(db))
    except BaseException:
        daemon.kill()
        raise
    return daemon


@pytest.mark.parametrize(
    ("settings", "service", "processes"),
    [
        ({}, "rowhooks", 0),
        ({"OTEL_SERVICE_NAME": "hooks of the shop"}, "hooks of the shop", 0),
        # Sent by the process, when the daemon has told it to stop.
        ({}, "rowhooks", 1),
    ],
)
def test_the_last_spans_are_sent_when_the_daemon_stops(
    db: psycopg.Connection[Any],
    daemon_dsn: str,
    device: str,
    tmp_path: Path,
    collector: Collector,
    settings: dict[str, str],
    service: str,
    processes: int,
) -> None:
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_address[1]}"}
    # So rarely that they are sent at the stop, or never.
    settings = {**endpoint, **settings, "OTEL_BSP_SCHEDULE_DELAY": "3600000"}
    daemon = run_one_change(db, daemon_dsn, tmp_path, settings, processes)
    assert collector.received == []
    daemon.send(signal.SIGTERM)
    assert daemon.ends() == 0
    assert collector.received == [("/v1/traces", service, "own"), ("/v1/traces", service, "Upper")]


def test_a_collector_that_is_away_holds_up_no_run_and_the_stop_for_seconds_only(
    db: psycopg.Connection[Any], daemon_dsn: str, device: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        daemon = run_one_change(
            db, daemon_dsn, tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_TIMEOUT": "60"}
        )
        began = time.monotonic()
        daemon.send(signal.SIGTERM)
        assert daemon.ends() == 0
        assert time.monotonic() - began < 15
    assert daemon.says("the last spans were not sent within 5.0 s: see OTEL_EXPORTER_OTLP_ENDPOINT")
