"""An OpenID provider that runs, and what a browser does there."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

import httpx

from tests.support.console import Browser
from tests.support.server import free_port
from tests.support.waiting import PATIENCE, wait


@contextlib.contextmanager
def provider() -> Iterator[str]:
    """Run a provider as a program of its own; yield its address."""
    port = free_port()
    address = f"http://localhost:{port}"
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), "--host", "localhost"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        # Its libraries take their time to be imported.
        wait(lambda: _answers(address) or process.poll() is not None, max(PATIENCE, 60.0))
        assert process.poll() is None, "the provider has ended"
        yield address
    finally:
        process.terminate()
        process.wait()


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/.well-known/openid-configuration").status_code == 200
    except httpx.TransportError:
        return False


def know(address: str, subject: str, **claims: object) -> None:
    """Let a provider know a user.

    Args:
        address: the provider's.
        subject: the user's identity there.
        claims: what it says of the user.
    """
    httpx.put(f"{address}/users/{subject}", json=claims).raise_for_status()


async def go_there(browser: Browser, path: str = "/") -> str:
    """Begin a log-in; return the address that the browser is sent to."""
    answer = await browser.get("/login/oidc", params={"next": path})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def log_in_there(address: str, subject: str | None) -> str:
    """Log in at the provider, or say no; return the address that the browser is sent back to."""
    form = {"action": "deny"} if subject is None else {"sub": subject}
    answer = httpx.post(address, data=form)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


async def come_back(browser: Browser, address: str, *, follow: bool = True) -> httpx.Response:
    """Come back from the provider."""
    return await browser.get(address, headers={"sec-fetch-site": "cross-site"}, follow_redirects=follow)
