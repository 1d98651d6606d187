"""Registry: which peers can be measured here."""

from __future__ import annotations

import importlib
from typing import NamedTuple

from benchmarks.peers.peer import Peer, Unavailable

_PEERS = {
    "PgQueuer": ("benchmarks.peers.pgqueuer", "PgQueuer"),
    "Procrastinate": ("benchmarks.peers.procrastinate", "Procrastinate"),
    "Graphile Worker": ("benchmarks.peers.graphile", "GraphileWorker"),
}


class Found(NamedTuple):
    """The peers that are installed, and name -> reason of those that are not."""

    peers: tuple[Peer, ...]
    unavailable: dict[str, str]


def find_peers() -> Found:
    """Return the peers; Graphile Worker is installed by npm into .bench/ the first time."""
    peers, unavailable = [], {}
    for name, (module, peer) in _PEERS.items():
        try:
            peers.append(getattr(importlib.import_module(module), peer)())
        except ModuleNotFoundError as error:
            unavailable[name] = f"the package {error.name} is not installed; pip install 'rowhooks[bench]' does it"
        except Unavailable as error:
            unavailable[name] = str(error)
    return Found(tuple(peers), unavailable)
