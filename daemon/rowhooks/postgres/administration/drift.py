"""Functions of schema rowhooks that are not what this version installs."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from rowhooks.postgres.administration.questions import Steps, ask
from rowhooks.postgres.statements import Statements
from rowhooks.resources import sql_script

SQL = Statements(__file__)

_FUNCTION = re.compile(
    r"^create or replace function rowhooks\.(?P<name>\w+)(?P<head>.*?)\bas (?P<quote>\$\w*\$)(?P<source>.*?)(?P=quote)",
    re.DOTALL | re.MULTILINE,
)
_SETTING = re.compile(r"^set (\w+) = '?(.*?)'?$", re.MULTILINE)

_VOLATILITY = {"immutable": "i", "stable": "s"}


@dataclass(frozen=True)
class Function:
    """The properties of a function that are compared.

    Args:
        source: of a function in the database, its SHA-256.
        definer: it is SECURITY DEFINER.
        volatility: as pg_proc.provolatile.
        settings: as in pg_proc.proconfig, with their names in small letters.
    """

    name: str
    source: str
    language: str
    definer: bool
    volatility: str
    settings: frozenset[str]


@functools.cache
def wanted_functions(*kinds: str) -> tuple[Function, ...]:
    """Return the functions that the scripts of these kinds make. Read once: the console asks time and again."""
    return tuple(_wanted(found) for found in _FUNCTION.finditer(sql_script(*kinds)))


def _wanted(found: re.Match[str]) -> Function:
    head = found["head"]
    words = head.split()
    return Function(
        found["name"],
        found["source"],
        words[words.index("language") + 1],
        "security definer" in head,
        next((letter for word, letter in _VOLATILITY.items() if word in words), "v"),
        _settings(f"{name}={value}" for name, value in _SETTING.findall(head)),
    )


def _settings(assignments: Iterable[str]) -> frozenset[str]:
    """Return assignments with their names in small letters: the server writes TimeZone whatever the script says."""
    parts = (assignment.partition("=") for assignment in assignments)
    return frozenset(f"{name.lower()}={value}" for name, _, value in parts)


@functools.cache
def _digested(*kinds: str) -> tuple[Function, ...]:
    return tuple(
        replace(one, source=hashlib.sha256(one.source.encode()).hexdigest()) for one in wanted_functions(*kinds)
    )


def drifted_functions() -> Steps[list[tuple[str, *tuple[str | list[str], ...]]]]:
    """Return what is wrong with each function that is missing, altered, or another role's, and the way out.

    The way out is made of text and of the words of commands (`shell.sentence`).
    """
    present = yield from ask(SQL["present_functions"])
    found = {
        Function(name, source, language, definer, volatility, _settings(settings))
        for _, name, source, language, definer, volatility, settings, *_ in present
    }
    names = {one[1] for one in present}
    wanted = _digested("functions")
    # The functions of the event triggers are there where a superuser has installed: all of them, or none.
    above = _digested("superuser")
    above = above if any(one.name in names for one in above) else ()
    upgrade = ["rowhooks", "upgrade", "--trust-schema"]
    problems: list[tuple[str, *tuple[str | list[str], ...]]] = [
        (f"function rowhooks.{name} {what}", *way_out)
        for functions, way_out in ((wanted, (upgrade,)), (above, ("let a superuser run: ", ["rowhooks", "upgrade"])))
        for name, what in sorted({
            one.name: "is missing" if one.name not in names else "is not what this version of rowhooks installs"
            for one in functions
            if one not in found
        }.items())
    ]  # fmt: skip
    ours, superusers = {one.name for one in wanted}, {one.name for one in above}
    for signature, name, *_, is_superusers, is_owned, owner in present:
        if name in superusers and not is_superusers:
            what = f"function {signature} does not belong to a superuser"
            problems.append((what, "let a superuser run: ", ["rowhooks", "upgrade"]))
        elif not is_owned and (name in ours or name.startswith("capture_")):
            problems.append((
                f"function {signature} does not belong to {owner}",
                ["psql", "-c", f"alter function {signature} owner to {owner}"],
            ))  # fmt: skip
    return problems
