"""The command line, called in the test's own process."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from rowhooks import cli


class Done(NamedTuple):
    """What a command exited with and printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert (self.code, self.err) == (0, ""), self.err
        return json.loads(self.out)


class Rowhooks:
    """Runs commands on one database."""

    def __init__(self, capsys: pytest.CaptureFixture[str], dsn: str) -> None:
        self._capsys = capsys
        self.dsn = dsn

    def __call__(self, *arguments: object, dsn: str | None = None) -> Done:
        self._capsys.readouterr()
        code = cli.call([*map(str, arguments), "--dsn", self.dsn if dsn is None else dsn])
        printed = self._capsys.readouterr()
        assert "Traceback" not in printed.err
        return Done(code, printed.out, printed.err)
