"""The demo's last step with --console: the pages, a log-in, and a button to press."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import webbrowser

from rowhooks.demo.buttons import Activate
from rowhooks.demo.page import Page
from rowhooks.demo.stage import Stage
from rowhooks.postgres.administration.buttons import add_button
from rowhooks.postgres.administration.jobs import set_job_enabled
from rowhooks.receivers.classes import class_path

ROLE, PORT = "ada", 8090


def show_console(stage: Stage, page: Page) -> None:
    """Start the console, and say how to log in.

    Raises:
        RowhooksError: it does not start.
    """
    page.step("The console", "People press buttons on rows and watch runs in a browser, with their PostgreSQL roles.")
    stage.run_script("console_role.sql")
    with stage.connect() as conn:
        job = class_path(Activate)
        set_job_enabled(conn, job, enabled=True)
        label = "Activate {{ obj.name }}"
        add_button(conn, "activate", job=job, tables=["dcim.device"], text=label, roles=[ROLE], button_class="primary")
    password = secrets.token_urlsafe(9)
    address = f"http://127.0.0.1:{_port()}"
    stage.start_console(address.removeprefix("http://"), ROLE, password)
    page.say(f"Open {address}")
    page.say(f"Log in as role {ROLE} with password {password}")
    page.say("The server asks for this role's password. The console refuses the demo's other roles, which it trusts.")
    page.say("Find a device whose status is planned, and press Activate on its page.")
    if sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(address)


def _port() -> int:
    """Return the console's usual port, or a free one."""
    for port in (PORT, 0):
        with socket.socket() as found:
            try:
                found.bind(("127.0.0.1", port))
            except OSError:
                continue
            chosen: int = found.getsockname()[1]
            return chosen
    raise AssertionError("no port is free")
