"""The console as a service of a real systemd."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.machine import Machine

pytestmark = pytest.mark.timeout(600)

UNIT = "rowhooks-console.service"
SETTINGS = """
dsn = "host=127.0.0.1 dbname=app"

[console]
dsn = "host=127.0.0.1 dbname=app user=front"
"""
LOG_IN = """
import urllib.error, urllib.parse, urllib.request
form = urllib.parse.urlencode({{"role": "clara", "password": "{password}"}}).encode()
request = urllib.request.Request("http://127.0.0.1:8090/login", form, {{"Origin": "http://127.0.0.1:8090"}})
class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None
try:
    print(urllib.request.build_opener(Stay).open(request).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


@pytest.fixture
def service(machine: Machine) -> Iterator[str]:
    """The console, installed and started; it is taken away again."""
    machine.forget()
    machine.psql("drop database if exists app with (force)", "postgres")
    machine.psql("create database app", "postgres")
    machine.run("su postgres -c 'rowhooks init --dsn dbname=app'")
    machine.psql("create role clara login password 'right' in role rowhooks_viewer")
    machine.psql("create role front login noinherit password 'secret' in role rowhooks_console")
    machine.write("/etc/rowhooks/rowhooks.toml", SETTINGS)
    machine.run("install -d -m 0700 /etc/credstore")
    machine.write("/etc/credstore/rowhooks-console.password", "secret\n", 0o600)
    # The systemd of the machine does not look there by itself.
    credential = "[Service]\nLoadCredential=console_password:/etc/credstore/rowhooks-console.password\n"
    machine.write(f"/run/systemd/system/{UNIT}.d/credential.conf", credential)
    machine.run("rowhooks systemd install --console --now")
    yield UNIT
    machine.call(f"rowhooks systemd uninstall --console; rm -rf /run/systemd/system/{UNIT}.d")
    machine.call("systemctl reset-failed; rm -rf /etc/rowhooks /etc/credstore")
    machine.psql("drop role clara; drop role front")


def status_of_log_in(machine: Machine, password: str) -> str:
    return machine.run("python3 -", LOG_IN.format(password=password))


def test_people_log_in_to_a_service_that_is_neither_root_nor_the_daemon(machine: Machine, service: str) -> None:
    assert machine.show(service, "ActiveState") == "active"
    assert machine.show(service, "StatusText") == "answers on http://127.0.0.1:8090"
    assert machine.run(f"stat -c %U /proc/{machine.show(service, 'MainPID')}") == "rowhooks-console"
    assert status_of_log_in(machine, "right") == "303"
    assert status_of_log_in(machine, "wrong") == "401"
    machine.run(f"systemctl stop {service}")
    assert machine.says(service, "clara logged in from 127.0.0.1")
    assert machine.says(service, "stopped")
    assert machine.show(service, "Result") == "success"
