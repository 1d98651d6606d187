"""A small inventory in FastAPI, with the job buttons of rowhooks on the page of a device.

    export INVENTORY_DSN=postgresql://inventory@localhost/inventory
    uvicorn app:app

The people of this example log in without a password. A real application has its own log-in.
"""

from __future__ import annotations

import html
import os
import secrets
from typing import Annotated

import psycopg
from fastapi import FastAPI, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from rowhooks.integrations.starlette import buttons

DSN = os.environ["INVENTORY_DSN"]
ROLES = {"ann": "ann", "bob": "bob"}
"""The application's users, and the PostgreSQL roles whose rights they have."""

app = FastAPI()
sessions: dict[str, str] = {}


def user_of(request: Request) -> str | None:
    """Return the user who is logged in."""
    return sessions.get(request.cookies.get("session", ""))


def role_of(request: Request) -> str | None:
    """Return the role of the user who is logged in."""
    return ROLES.get(user_of(request) or "")


app.mount("/rowhooks", buttons(dsn=DSN, role=role_of, user=user_of))


@app.get("/login")
def ask() -> HTMLResponse:
    """Ask who it is."""
    return page("Log in", '<form method="post"><label>User <input name="user"></label> <button>Log in</button></form>')


@app.post("/login")
def log_in(user: Annotated[str, Form()]) -> RedirectResponse:
    """Log a user in."""
    if user not in ROLES:
        raise HTTPException(401, "there is no such user")
    session = secrets.token_urlsafe()
    sessions[session] = user
    answer = RedirectResponse("/devices/42", status_code=303)
    answer.set_cookie("session", session, httponly=True, samesite="lax")
    return answer


@app.get("/devices/{device}")
def show(device: int) -> HTMLResponse:
    """Show a device and its buttons."""
    with psycopg.connect(DSN) as conn:
        found = conn.execute("select name from dcim.device where id = %s", (device,)).fetchone()
    if found is None:
        raise HTTPException(404)
    return page(
        f"Device {found[0]}",
        f'<rowhooks-buttons table="dcim.device" key="{device}"></rowhooks-buttons>'
        '<script type="module" src="/rowhooks/rowhooks-buttons.js"></script>',
    )


def page(title: str, body: str) -> HTMLResponse:
    """Return a page under a policy that lets nothing in but our own scripts."""
    policy = "default-src 'none'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'"
    text = f'<!doctype html><html lang="en"><title>{html.escape(title)}</title><h1>{html.escape(title)}</h1>{body}'
    return HTMLResponse(text, headers={"Content-Security-Policy": policy})
