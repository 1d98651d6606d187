"""A page on another origin than the console's. Its server knows who somebody is, and signs a token for that person.

    export CONSOLE=https://console.example.org EMBED_SECRET=...
    python serve.py 8000

The console's settings name this origin in `embed_origins`, and the secret in `embed_secret`.
"""

from __future__ import annotations

import os
import string
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from rowhooks.integrations.button_tokens import button_token

HERE = Path(__file__).parent
CONSOLE = os.environ["CONSOLE"]
LIFE = int(os.environ.get("TOKEN_SECONDS", "300"))


class Server(BaseHTTPRequestHandler):
    """Serves the page. A real application asks here who is logged in; in this example everybody is ann."""

    def do_GET(self) -> None:
        """Answer a request."""
        if self.path == "/":
            page = string.Template((HERE / "index.html").read_text(encoding="utf-8"))
            self.answer("text/html", page.substitute(console=CONSOLE, token=token_of("ann")))
        elif self.path == "/page.js":
            self.answer("text/javascript", (HERE / "page.js").read_text(encoding="utf-8"))
        elif self.path == "/token":
            self.answer("text/plain", token_of("ann"))
        else:
            self.send_error(404)

    def answer(self, kind: str, text: str) -> None:
        """Send a text."""
        policy = f"default-src 'none'; script-src 'self' {CONSOLE}; connect-src 'self' {CONSOLE}; base-uri 'none'"
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", policy)
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)


def token_of(user: str) -> str:
    """Return a token for a user and the device 42. Here the user's role has the user's name."""
    secret = os.environ["EMBED_SECRET"]
    return button_token(secret, role=user, user=user, table="dcim.device", key="42", seconds=LIFE)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Server).serve_forever()
