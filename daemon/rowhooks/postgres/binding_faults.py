"""Faults of bindings, in sentences with a way out: what a hook or button is bound to and does not find. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rowhooks.domain import exact, shell
from rowhooks.domain.renaming import columns_in, without_columns


@dataclass(frozen=True)
class Fault:
    """A table or column that a hook or button is bound to and that does not exist, or is not as it was.

    Args:
        level: `problem`, or `note` where everything works all the same.
        what: one sentence.
        way_out: parts of a sentence: text, and the words of commands (`shell.sentence`).
    """

    level: str
    what: str
    way_out: tuple[str | list[str], ...]

    def __str__(self) -> str:
        """Return the fault as a line of a log."""
        return f"{self.what} ({shell.sentence(self.way_out)})"


def of_partitions(rows: list[tuple[Any, ...]]) -> list[Fault]:
    """Return the faults of partitions that were detached: rows of the statement `detached`."""
    return [
        Fault(
            "note",
            f"{partition} was detached from tracked table {root}: its changes are not recorded any more",
            (
                ["rowhooks", "track", partition, *(options or [])],
                "; or, where that is meant: ",
                ["rowhooks", "track", root, *(of_root or [])],
            ),
        )
        for partition, root, options, of_root in rows
    ]


def of_owners(owners: list[dict[str, Any]]) -> list[Fault]:
    """Return the faults of hooks and buttons: what the statement `owners` says of them."""
    return [fault for owner in owners for fault in _of_owner(owner)]


def _of_owner(owner: dict[str, Any]) -> Iterator[Fault]:
    for table in owner["waits_for"]:
        yield _never_tracked(owner, table)
    if not owner["links"] and not owner["waits_for"]:
        yield _fault(owner, "is on no table", *_drop(owner))
    for link in owner["links"]:
        if link["table"] is None:
            yield _waiting(owner, link)
        elif (fault := _moved(owner, link)) is not None:
            yield fault
    yield from _of_columns(owner)


def _fault(owner: dict[str, Any], what: str, *way_out: str | list[str], level: str = "problem") -> Fault:
    return Fault(level, f"{owner['kind']} {owner['name']} {what}", way_out)


def _edit(owner: dict[str, Any], *words: str) -> list[str]:
    return ["rowhooks", f"{owner['kind']}s", "edit", *words, *shell.operand(owner["name"])]


def _off(owner: dict[str, Any]) -> list[str]:
    return ["rowhooks", f"{owner['kind']}s", "disable", *shell.operand(owner["name"])]


def _in_code(owner: dict[str, Any], what: str) -> str:
    return f"{what} in Hook(...) of class Meta of {owner['job']}, and restart the daemon"


def _track(link: dict[str, Any], table: str) -> list[str]:
    return ["rowhooks", "track", table, *(link["options"] or [])]


def _never_tracked(owner: dict[str, Any], table: dict[str, Any]) -> Fault:
    if table["quoted"] is None:
        change = _in_code(owner, f"name another table than {table['name']}")
        return _fault(owner, f"waits for {table['name']}, which does not exist", f"{change}; or: ", _off(owner))
    what = f"waits for {table['quoted']}, which is not tracked"
    return _fault(owner, what, ["rowhooks", "track", table["quoted"]])


def _waiting(owner: dict[str, Any], link: dict[str, Any]) -> Fault:
    found = link["namesake"]
    if found is None:
        return _fault(owner, f"waits for {link['last']}, which was dropped", *_drop(owner, link))
    if (root := found["root"]) is not None:
        what = f"waits for {found['name']}, which is a partition of {root['name']} now"
        return _fault(owner, what, *_to_root(owner, link, root, link["given"]))
    what = "is no longer tracked" if link["last_exists"] else "was dropped and made anew"
    return _fault(owner, f"waits for {found['name']}, which {what}", _track(link, found["name"]))


def _drop(owner: dict[str, Any], link: dict[str, Any] | None = None) -> list[str | list[str]]:
    """Return how an owner stops waiting for a table that is gone."""
    if owner["declared"]:
        table = "a tracked table" if link is None else f"another table than {link['plain']}"
        others = len(owner["links"]) > 1
        change: list[str | list[str]] = [_in_code(owner, f"name {table}")]
        return change if others else [*change, "; or: ", _off(owner)]
    if link is not None and len(owner["links"]) > 1:
        return [_edit(owner, "--remove-table", link["last"])]
    remove: list[str] = ["rowhooks", f"{owner['kind']}s", "remove", *shell.operand(owner["name"])]
    return [remove]


def _to_root(owner: dict[str, Any], link: dict[str, Any], root: dict[str, Any], leaf: str) -> list[str | list[str]]:
    """Return how an owner is put on the partitioned table that its own table has become a partition of."""
    steps: list[str | list[str]] = []
    if not root["tracked"]:
        steps += [_track(link, root["name"]), " && "]
    if link["table"] is not None:
        steps += [["rowhooks", "untrack", link["table"]["name"]], " && "]
    if steps and link["given"] == root["name"]:
        # Its name is then that table's; a running daemon puts it there before another command could.
        return steps[:-1]
    if owner["declared"]:
        return [*steps[:-1], ", and name it: " if steps else "", _in_code(owner, root["name"])]
    return [*steps, _edit(owner, "--add-table", root["name"], "--remove-table", leaf)]


def _moved(owner: dict[str, Any], link: dict[str, Any]) -> Fault | None:
    """Return what became of a table that is still tracked and is no longer what was meant."""
    table, other = link["table"], link["namesake"]
    if (root := table["root"]) is not None:
        what = f"is on {table['name']}, which is a partition of {root['name']} now: other changes of that start nothing"
        return _fault(owner, what, *_to_root(owner, link, root, table["name"]))
    others = {one["table"]["relation"] for one in owner["links"] if one["table"] is not None}
    is_borne = other is not None and link["given"] == other["name"] and other["relation"] not in others
    if is_borne:
        what = f"is on {table['name']}, and {link['given']}, as that was called before, is another table now"
        steps: list[str | list[str]] = [] if other["tracked"] else [_track(link, other["name"])]
        if owner["declared"]:
            return _fault(owner, what, *steps)
        move = _edit(owner, "--add-table", other["name"], "--remove-table", table["name"])
        stay = _edit(owner, "--add-table", table["name"])
        return _fault(
            owner, what, *steps, *([" && "] if steps else []), move, "; or, where it is to stay where it is: ", stay
        )
    if owner["declared"] and link["given"] != table["name"]:
        what = f"is on {table['name']}, which its declaration calls {link['plain']}"
        return _fault(owner, what, _in_code(owner, f"name {table['name']}"), level="note")
    return None


def _columns_in_text(text: str) -> set[str]:
    if "{" not in text:
        return set()
    from rowhooks.postgres.labels import columns_in as columns_in_template  # most daemons do without Jinja

    return columns_in_template(text)


def _of_columns(owner: dict[str, Any]) -> Iterator[Fault]:
    """Yield what is wrong with the columns that a hook or a button's text asks for."""
    links = [link for link in owner["links"] if link["table"] is not None]
    if not links:
        return
    conditions = None if owner["conditions"] is None else exact.read_exactly(owner["conditions"])
    asked = (
        _columns_in_text(owner["text"]) if owner["kind"] == "button" else {*owner["columns"], *columns_in(conditions)}
    )
    gone: dict[str, str] = {}
    for column in sorted(asked):
        states = [_state(link, column) for link in links]
        tables = ", ".join(link["table"]["name"] for link in links)
        if dropped := [link["table"]["name"] for link, state in zip(links, states, strict=True) if state is None]:
            gone[column] = f"{column}, which {', '.join(dropped)} {'have' if len(dropped) > 1 else 'has'} no more"
        elif not any(states):
            gone[column] = f"{column}, which {tables} {'do' if len(links) > 1 else 'does'} not have"
        for link, state in zip(links, states, strict=True):
            if isinstance(state, str) and owner["declared"]:
                what = f"asks for column {column} of {link['table']['name']}, which is called {state} now"
                yield _fault(owner, what, _in_code(owner, f"call it {state}"), level="note")
        if owner["kind"] != "hook" or column in gone:
            continue
        if excluded := _tables_where("excluded", column, links, states):
            gone[column] = f"{column}, which is kept out of the log of {excluded}"
        elif column in owner["columns"] and (ignored := _tables_where("ignored", column, links, states)):
            gone[column] = f"{column}, an update of nothing but which is not recorded of {ignored}"
    if gone:
        what = f"asks for column {'; and for '.join(gone.values())}"
        yield _fault(owner, what, *_without(owner, conditions, gone.__contains__))


def _tables_where(which: str, column: str, links: list[dict[str, Any]], states: list[bool | str | None]) -> str:
    """Return the names of the tables that have a column, by its present name in each, on one of their lists."""
    return ", ".join(
        link["table"]["name"]
        for link, state in zip(links, states, strict=True)
        if (state if isinstance(state, str) else column) in link[which]
    )


def _state(link: dict[str, Any], column: str) -> bool | str | None:
    """Return True if a table has a column; else its new name, None if it was dropped, False if it never existed."""
    number = link["numbers"].get(column)
    if number is None:
        return column in link["columns"]
    for name, known in link["columns"].items():
        if known == number:
            return True if name == column else str(name)
    # A new column of that name does as well.
    return True if column in link["columns"] else None


def _without(owner: dict[str, Any], conditions: Any, is_gone: Callable[[str], bool]) -> list[str | list[str]]:
    """Return how a hook or button manages without columns."""
    if owner["declared"]:
        return [_in_code(owner, "take them out"), "; or: ", _off(owner)]
    if owner["kind"] == "button":
        return ["give it another text: ", _edit(owner, "--text", owner["name"]), "; or: ", _off(owner)]
    words: list[str] = []
    if any(map(is_gone, owner["columns"])):
        left = [column for column in owner["columns"] if not is_gone(column)]
        words += [word for column in left for word in ("--column", column)] or ["--no-columns"]
    if any(map(is_gone, columns_in(conditions))):
        rest = without_columns(conditions, is_gone)
        words += ["--no-conditions"] if rest is None else ["--conditions", exact.write(rest)]
    return ["without them: ", _edit(owner, *words), "; or: ", _off(owner)]
