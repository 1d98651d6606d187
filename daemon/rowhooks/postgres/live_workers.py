"""Workers that are connected and heard of, as every connection sees them that may read rowhooks.worker."""

from __future__ import annotations

from rowhooks.postgres.statements import Statements

SILENCE = 30
"""Seconds after which a worker of which nothing is heard counts as lost: `leader_timeout`, unless set."""

SQL = Statements(__file__, {"SILENCE": SILENCE})
