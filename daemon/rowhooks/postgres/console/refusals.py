"""What a server that lets a login not in says of itself, told apart from what it says of the login.

libpq gives no SQLSTATE while it connects. A server that speaks English is known by its words. What any other one says
counts as a refusal of the login, so that nobody learns of roles by it.
"""

from __future__ import annotations

import re

import psycopg

from rowhooks.domain.errors import ConnectionFailed, LoginRefused

FULL = "PostgreSQL takes no further connections at the moment. Try again in a minute."
NO_DATABASE = (
    "The console's database does not exist, or takes no connections. An administrator of the console can say more."
)
NOT_READY = "PostgreSQL is starting, stopping or recovering. Try again in a minute."
AWAY = "PostgreSQL cannot be reached. An administrator of the console can say more."

# One name stands before the server's words, that of the host. A role's name, which anybody chooses, stands behind them.
_SAID = re.compile(r'[^"]*"[^"]*"[^"]*failed: FATAL:\s+(?P<words>.*)', re.DOTALL)
_OF_THE_SERVER = (
    # 53300. All but the first come when the password was right.
    (re.compile(r"sorry, too many clients already|too many connections for (role|database) "
                r"|remaining connection slots are reserved "), FULL),
    # 3D000 and 55000, when the password was right.
    (re.compile(r'database "[^"]*" (does not exist|is not currently accepting connections)'), NO_DATABASE),
    # 57P03 and 57P01.
    (re.compile(r"the database system is |terminating connection due to administrator command"), NOT_READY),
)  # fmt: skip


def refusal(conninfo: str, said: str) -> tuple[type[ConnectionFailed], str | None]:
    """Return the kind of error that a failed attempt to connect is, and what a person may be told of it.

    Args:
        conninfo: where the attempt went.
        said: what libpq says of it.
    """
    found = _SAID.match(said)
    for words, told in _OF_THE_SERVER:
        if found and words.match(found["words"]):
            return ConnectionFailed, told
    ping = psycopg.pq.PGconn.ping(conninfo.encode())
    if ping == psycopg.pq.Ping.OK:
        return LoginRefused, None
    return ConnectionFailed, NOT_READY if ping == psycopg.pq.Ping.REJECT else AWAY
