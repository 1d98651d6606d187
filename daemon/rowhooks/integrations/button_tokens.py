"""Tokens for pages that show buttons of a console on another origin: see docs/embedding.md.

button_token(secret, role="ann", table="dcim.device", key="42")
"""

from __future__ import annotations

from rowhooks.domain.button_tokens import button_token

__all__ = ["button_token"]
