"""The page about functions and views of the schema, from the headers above them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from website.markdown import escaped, fenced

FUNCTIONS = Path(__file__).resolve().parents[1] / "sql" / "functions"

OWNERS = ("track", "untrack", "set_notify")
"""Functions that are granted to nobody: the owner of the schema calls them, and must own the table."""

CALLED = {
    "Press buttons": ("press", "press_many", "row_buttons", "run_state"),
    "Runs": ("retry", "revoke", "replay", "forget_missed"),
    "Jobs, hooks and buttons": (
        "enable_job", "disable_job", "move_job", "remove_job", "create_job_hook", "alter_job_hook", "enable_hook",
        "disable_hook", "drop_job_hook", "create_job_button", "alter_job_button", "enable_button", "disable_button",
        "drop_job_button",
    ),
    "Tokens and the audit": ("create_token", "revoke_token", "prune_audit"),
    "Tables": (*OWNERS, "refresh_tables"),
}  # fmt: skip
"""The functions that people and applications call, by subject. The page has the others after them."""

_FIELDS = ("Purpose", "Parameters", "Columns", "Returns", "Raises", "Reads", "Writes")
_GRANT = re.compile(
    r"grant execute on function\s+(?P<functions>[^;]*?)\s+to (?P<roles>public|%[sI](?:, %[sI])*)"
    r"(?:'\s*,\s*(?P<given>[\w.]+(?:,\s*[\w.]+)*))?"
)
_HEADED = re.compile(
    r"(?P<header>(?:^--[^\n]*\n)+)create or replace (?P<kind>function|view) (?P<declared>rowhooks\.(?P<name>\w+).*?)"
    r"(?=\s+(?:language|as|with)\b)",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Headed:
    """A function or view with the header above it.

    Args:
        kind: function or view.
        name: without its schema.
        declared: its name, parameters and what it returns, as SQL.
        fields: the entries of each field of the header; what stands in no field is under the empty text.
    """

    kind: str
    name: str
    declared: str
    fields: dict[str, list[str]]


def sql_functions() -> Iterator[str]:
    """Yield the parts of the page."""
    granted, known = callers(), headed()
    functions = [one for one in known if one.kind == "function"]
    yield "# SQL functions and views"
    yield (
        "What roles may call, from the headers of the sources. *Public* is every role: the function, or the view "
        "behind it, decides what the calling role may do. The other names are those of the [settings](../settings.md)."
    )
    for title, names in CALLED.items():
        yield f"## {title}"
        for name in names:
            yield from _shown([one for one in functions if one.name == name], granted.get(name, set()))
    yield "## Views"
    for one in known:
        if one.kind == "view":
            yield from _shown([one], set())
    yield "## Called by these"
    yield "The daemon, the views and the functions above call these; you need not."
    called = {name for names in CALLED.values() for name in names}
    for name in dict.fromkeys(one.name for one in functions if one.name in granted.keys() - called):
        yield from _shown([one for one in functions if one.name == name], granted[name])


def headed() -> list[Headed]:
    """Return the functions and views that have a header, in the order of their files."""
    return [
        Headed(found["kind"], found["name"], found["declared"].rstrip(), _fields(found["header"]))
        for file in sorted(FUNCTIONS.glob("*.sql"))
        for found in _HEADED.finditer(file.read_text(encoding="utf-8"))
        if "-- Purpose:" in found["header"]
    ]


def callers() -> dict[str, set[str]]:
    """Return the roles that may call each function that some role is granted: public, or the setting with its name."""
    text = (FUNCTIONS / "privileges.sql").read_text(encoding="utf-8")
    # A text in several parts is one to format().
    text = re.sub(r"'\s*\n\s*'", "", re.sub(r"^\s*--.*$", "", text, flags=re.MULTILINE))
    found: dict[str, set[str]] = {}
    for grant in _GRANT.finditer(text):
        given = ["public"] if grant["roles"] == "public" else grant["given"].split(",")
        for name in re.findall(r"rowhooks\.(\w+)\(", grant["functions"]):
            found.setdefault(name, set()).update(one.strip().removeprefix("i.") for one in given)
    return found


def _fields(header: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    field, indent = "", 0
    for line in (line[3:] for line in header[header.index("-- Purpose:") :].splitlines()):
        if begun := re.match(rf"({'|'.join(_FIELDS)}): +", line):
            field, indent = begun[1], begun.end()
            found.setdefault(field, []).append(line[indent:])
        elif not line.startswith("  "):
            found.setdefault("", []).append(line)
        elif re.match(r"\S[\w, ]*?  +\S", line[indent:]):
            found[field].append(line[indent:])
        else:
            found[field][-1] += f" {line.strip()}"
    return found


def _shown(overloads: list[Headed], roles: set[str]) -> Iterator[str]:
    yield f"### rowhooks.{overloads[0].name}"
    for one in overloads:
        if one.kind == "function":
            yield fenced(one.declared, "sql")
        purpose = " ".join(one.fields["Purpose"])
        yield escaped(purpose[:1].upper() + purpose[1:])
        if items := [_item(field, entry) for field in _FIELDS[1:5] for entry in one.fields.get(field, [])]:
            yield "\n".join(items)
        if "" in one.fields:
            yield escaped(" ".join(one.fields[""]))
    if overloads[0].kind == "function":
        yield f"Called by: {', '.join(sorted(roles)) or 'the owner of schema `rowhooks`, who owns the table'}."


def _item(field: str, entry: str) -> str:
    name, gap, meaning = entry.partition("  ")
    if field in ("Parameters", "Columns") and gap:
        return f"- `{name}`: {escaped(meaning.strip())}"
    return f"- *{field.lower()}*: {escaped(' '.join(entry.split()))}"
